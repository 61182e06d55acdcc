//! What a request costs, stage by stage: `cargo bench -p part3`.
//!
//! CPU time is user and system time of the server and of all its children, divided by the requests that it answered.
//! It is far steadier on a busy machine than requests per second, and it is what a child for each connection costs.

use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::Parser;
use client::cost::{Cost, Load, adopt_orphans, measure, spread};
use client::probe;
use client::server::port_in;

/// Measures the CPU time that a request costs: a stage that answers itself, and stages that fork, reap, and run an
/// application.
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

/// A stage, and what is measured of it.
struct Measured {
    stage: &'static str,
    /// What it does for a request.
    does: &'static str,
    /// What makes the comparison fair: no sleep, and room in the queue.
    arguments: &'static [&'static str],
    /// What its answer ends with.
    ending: &'static [u8],
}

const HELLO: &[u8] = b"Hello, World!\n";
const MEASURED: [Measured; 4] = [
    Measured { stage: "webserver3a", does: "answers itself", arguments: &["--backlog", "1024"], ending: HELLO },
    Measured { stage: "webserver3c", does: "forks", arguments: &["--backlog", "1024", "--sleep", "0"], ending: HELLO },
    Measured { stage: "webserver3g", does: "forks and reaps", arguments: &["--backlog", "1024"], ending: HELLO },
    Measured {
        stage: "webserver3h",
        does: "forks, runs an application",
        arguments: &["--backlog", "1024", "hello:app"],
        ending: b"Hello world from a simple WSGI application!\n",
    },
];

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
    if let Err(errno) = adopt_orphans() {
        eprintln!("prctl: {errno}: the children of webserver3c will not be counted");
    }

    let mut rounds: Vec<Vec<Cost>> = MEASURED.iter().map(|_| Vec::new()).collect();
    for number in 1..=options.rounds {
        eprintln!("round {number} of {}", options.rounds);
        for (Measured { stage, arguments, ending, .. }, rounds) in MEASURED.iter().zip(&mut rounds) {
            let mut server = Command::new(PathBuf::from(env!("CARGO_BIN_EXE_webserver3a")).with_file_name(stage));
            server.args(["--port", "0"]).args(*arguments);
            let Options { requests, clients, .. } = *options;
            rounds.push(measure(&mut server, port_in, &Load { requests, clients, request: probe::REQUEST, ending })?);
        }
    }

    let Options { requests, clients, rounds: count, .. } = options;
    println!("{requests} requests from {clients} clients, {count} rounds: median (least to most)\n");
    println!("{:12} {:26} {:>26} {:>26}", "", "", "CPU us/request", "requests/s");
    for (Measured { stage, does, .. }, rounds) in MEASURED.iter().zip(&rounds) {
        let cpu = spread(rounds.iter().map(Cost::microseconds_per_request));
        let rate = spread(rounds.iter().map(Cost::requests_per_second));
        println!("{stage:12} {does:26} {cpu:>26} {rate:>26}");
    }
    if !cfg!(target_os = "linux") {
        println!(
            "\nwebserver3c waits for no child, and only Linux lets somebody else do so: its row lacks the children."
        );
    }
    Ok(())
}
