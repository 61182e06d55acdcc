//! What a request costs, stage by stage: `cargo bench -p part3`.
//!
//! CPU time is user and system time of the server and of all its children, divided by the requests that it answered.
//! It is far steadier on a busy machine than requests per second, and it is what a child for each connection costs.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use client::server::{PATIENCE, pid, port_in};
use client::{probe, processes, wait};
use nix::errno::Errno;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeValLike;
use nix::sys::wait::waitpid;

/// Measures the CPU time that a request costs: an iterative stage, one that forks, and one that also reaps.
#[derive(Parser)]
struct Options {
    /// Requests in each round
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..))]
    requests: u32,

    /// Clients that send them, side by side
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
    clients: u32,

    /// Rounds; in each, the stages take turns
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// Ignored: cargo says so to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// A stage, what it does for a request, and the options that make the comparison fair: no sleep, and room in the queue.
const STAGES: [(&str, &str, &[&str]); 3] = [
    ("webserver3a", "answers itself", &["--backlog", "1024"]),
    ("webserver3c", "forks", &["--backlog", "1024", "--sleep", "0"]),
    ("webserver3g", "forks and reaps", &["--backlog", "1024"]),
];

/// What one round of a stage came to.
struct Round {
    microseconds_per_request: f64,
    requests_per_second: f64,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cpu_per_request: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    adopt_orphans();

    let mut rounds: Vec<Vec<Round>> = STAGES.iter().map(|_| Vec::new()).collect();
    for number in 1..=options.rounds {
        eprintln!("round {number} of {}", options.rounds);
        for (stage, rounds) in STAGES.iter().zip(&mut rounds) {
            rounds.push(measure(stage.0, stage.2, options)?);
        }
    }

    let Options { requests, clients, rounds: count, .. } = options;
    println!("{requests} requests from {clients} clients, {count} rounds: median (least to most)\n");
    println!("{:12} {:16} {:>26} {:>26}", "", "", "CPU us/request", "requests/s");
    for ((stage, does, _), rounds) in STAGES.iter().zip(&rounds) {
        let cpu = spread(rounds.iter().map(|round| round.microseconds_per_request));
        let rate = spread(rounds.iter().map(|round| round.requests_per_second));
        println!("{stage:12} {does:16} {cpu:>26} {rate:>26}");
    }
    if !cfg!(target_os = "linux") {
        println!(
            "\nwebserver3c waits for no child, and only Linux lets somebody else do so: its row lacks the children."
        );
    }
    Ok(())
}

/// Has the children of a server that waits for none come to this process when the server ends, so that their CPU time
/// can be counted. macOS has nothing of the kind.
fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    if let Err(errno) = nix::sys::prctl::set_child_subreaper(true) {
        eprintln!("prctl: {errno}: the children of webserver3c will not be counted");
    }
}

/// Runs one stage through one round.
fn measure(stage: &str, arguments: &[&str], options: &Options) -> io::Result<Round> {
    // Its output goes to a file, as it would on a server: a pipe would have it wake a reader for each request.
    let log = tempfile::NamedTempFile::new()?;
    let mut server = Command::new(PathBuf::from(env!("CARGO_BIN_EXE_webserver3a")).with_file_name(stage));
    server.args(["--port", "0"]).args(arguments).stdin(Stdio::null()).stdout(File::create(log.path())?);
    let before = cpu_of_ended_children()?;
    let server = Running(server.spawn()?);
    let port = wait::until(PATIENCE, || port_in(&fs::read_to_string(log.path()).ok()?));
    let port = port.ok_or_else(|| io::Error::other(format!("{stage} does not say its port")))?;

    let begin = Instant::now();
    request_all(port, options)?;
    let elapsed = begin.elapsed();

    // The last children may still be ending.
    wait::until(PATIENCE, || (processes::children(server.0.id()).ok()?.alive == 0).then_some(()));
    drop(server);
    while waitpid(None, None) != Err(Errno::ECHILD) {}
    let cpu = cpu_of_ended_children()?.saturating_sub(before);
    Ok(Round {
        microseconds_per_request: cpu.as_secs_f64() * 1e6 / f64::from(options.requests),
        requests_per_second: f64::from(options.requests) / elapsed.as_secs_f64(),
    })
}

/// A server, which ends when this is dropped. Who waits for it is the one who counts its CPU time.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = kill(pid(self.0.id()), Signal::SIGTERM);
    }
}

/// User and system time of all the children that have been waited for, and of those that these had waited for.
fn cpu_of_ended_children() -> io::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let microseconds = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(microseconds.unsigned_abs()))
}

/// Sends all requests of a round, and checks each answer.
fn request_all(port: u16, options: &Options) -> io::Result<()> {
    let left = AtomicU32::new(options.requests);
    let take_one = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
    let client = || -> io::Result<()> {
        while take_one() {
            let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            connection.write_all(probe::REQUEST)?;
            let mut answer = Vec::new();
            connection.read_to_end(&mut answer)?;
            if !answer.ends_with(b"Hello, World!\n") {
                return Err(io::Error::other(format!("not the answer: {}", String::from_utf8_lossy(&answer))));
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..options.clients).map(|_| scope.spawn(client)).collect();
        clients.into_iter().try_for_each(|client| client.join().unwrap_or_else(|_| Err(io::Error::other("panicked"))))
    })
}

/// The median, and in parentheses the least and the most.
fn spread(values: impl Iterator<Item = f64>) -> String {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let [least, .., most] = values[..] else { return values.iter().map(|value| format!("{value:.0}")).collect() };
    let middle = values.len() / 2;
    let median = if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
    format!("{median:.0} ({least:.0} to {most:.0})")
}
