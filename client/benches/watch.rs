//! What a watch costs: `cargo bench -p client --bench watch`.
//!
//! It is the CPU time, user and system, that `client watch` uses beside a server with many children that are alive, as
//! a picture on a terminal and as plain lines. Its work is the kernel's above all: it reads the tables.

use std::fs::File;
use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use client::binary::built;
use client::cost::cpu_time;
use client::server::{PATIENCE, Server};
use client::wait;
use nix::pty::{Winsize, openpty};
use nix::sys::resource::UsageWho;

/// Measures the CPU time that `client watch` uses.
#[derive(Parser)]
struct Options {
    /// Children that the server has
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=4000))]
    children: u32,

    /// How long each watch is
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,

    /// Ignored: cargo says so to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("watch: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    let mut command = Command::new(built("part3", "webserver3c")?);
    let server =
        Server::start(command.args(["--port", "0", "--sleep", "600", "--backlog", "1024", "--timeout", "600"]))?;
    let report = |children: usize| -> io::Result<()> {
        for picture in [false, true] {
            let (used, took) = watch(server.port(), options.seconds, picture)?;
            let what = if picture { "picture" } else { "lines" };
            let percent = 100.0 * used.as_secs_f64() / took.as_secs_f64();
            let milliseconds = used.as_secs_f64() * 1e3;
            let seconds = took.as_secs_f64();
            println!(
                "{children:4} children, {what:7}  {percent:4.1} % of a core ({milliseconds:.0} ms in {seconds:.1} s)"
            );
        }
        Ok(())
    };
    report(0)?;

    // A child reads its request, and waits for it as long as its client likes.
    let connect = |_| TcpStream::connect((Ipv4Addr::LOCALHOST, server.port()));
    let _held = (0..options.children).map(connect).collect::<io::Result<Vec<_>>>()?;
    let all = || (server.children().ok()?.alive == options.children as usize).then_some(());
    wait::until(PATIENCE, all).ok_or(io::ErrorKind::TimedOut)?;
    report(options.children as usize)
}

/// Watches the server on `port`. Returns the CPU time that it took, and the time.
fn watch(port: u16, seconds: u32, picture: bool) -> io::Result<(Duration, Duration)> {
    let before = cpu_time(UsageWho::RUSAGE_CHILDREN)?;
    let begin = Instant::now();
    let mut watch = Command::new(env!("CARGO_BIN_EXE_client"));
    watch.args(["watch", "--port", &port.to_string(), "--for", &seconds.to_string()]).stdin(Stdio::null());
    watch.env("TERM", "xterm").env("LC_ALL", "C.UTF-8").env_remove("NO_COLOR");
    let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    let pair = openpty(&size, None)?;
    if picture {
        watch.stdout(pair.slave)
    } else {
        watch.stdout(Stdio::null())
    };
    let mut process = watch.spawn()?;
    drop(watch); // and with it this side's copy of the terminal, which hangs up when nobody has it any more
    let reader = thread::spawn(move || {
        let (mut terminal, mut buffer) = (File::from(pair.master), [0; 8192]);
        while picture && matches!(terminal.read(&mut buffer), Ok(1..)) {}
    });
    let status = process.wait()?;
    let took = begin.elapsed();
    let used = cpu_time(UsageWho::RUSAGE_CHILDREN)?.saturating_sub(before);
    let _ = reader.join();
    if status.success() { Ok((used, took)) } else { Err(io::Error::other(format!("client watch: {status}"))) }
}
