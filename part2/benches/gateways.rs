//! What a request costs with Python's servers, side by side with webserver2: the same applications, one process, one
//! thread at work, one request per connection, no log of requests.
//!
//! The others come from PyPI (`rivals/requirements.txt`, and libev-dev for bjoern), into a virtual environment that has
//! to be active; the `python` feature has webserver2 use the same one:
//!
//! ```console
//! $ python3 -m venv target/rivals
//! $ . target/rivals/bin/activate
//! $ pip install -r part2/benches/rivals/requirements.txt
//! $ cargo bench -p part2 --features python
//! ```
//!
//! CPU time is user and system time of the server and all its processes. What its start takes, imports included, does
//! not count: each server runs twice, with few requests and with many, and the difference is what the further ones
//! cost.

use std::io;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use clap::Parser;
use client::cost::{Load, further, measure, spread};
use client::server::port_to_come_back_to;

/// Measures the CPU time that a request costs in webserver2 and in Python's own servers.
#[derive(Parser)]
struct Options {
    /// Requests in each round, beside the first ones
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    requests: u32,

    /// Clients that send them, side by side
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
    clients: u32,

    /// Rounds; in each, the servers take turns
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// Ignored: cargo says so to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// How many requests a server gets before those that count: the first ones do work that is not done again.
const FIRST: u32 = 500;

/// As `ab` sends it: a server of HTTP/1.0 closes the connection, and does not send chunks.
const REQUEST: &[u8] = b"GET /hello HTTP/1.0\r\nHost: localhost\r\n\r\n";

/// The applications, and what their answers end with.
const APPLICATIONS: [(&str, &[u8]); 2] =
    [("wsgiapp:app", b"Hello world from a simple WSGI application!\n"), ("flaskapp:app", b"Hello world from Flask!\n")];

/// The servers, and their command lines: `%P` is the port, `%A` the application, `%R` the folder of the rivals' own
/// files. A program without a folder is one of the virtual environment.
const SERVERS: [(&str, &str); 7] = [
    ("webserver2", "webserver2 %A --port %P --backlog 1024 --quiet"),
    (
        "uWSGI",
        "uwsgi --http-socket 127.0.0.1:%P --module %A --processes 1 --listen 128 --die-on-term --disable-logging --need-app",
    ),
    ("bjoern", "python3 %R/bjoern_server.py %P %A"),
    (
        "granian",
        "granian --interface wsgi --host 127.0.0.1 --port %P --workers 1 --blocking-threads 1 --runtime-threads 1 \
         --runtime-mode st --http 1 --no-ws --no-http1-keep-alive --no-access-log --log-level warning %A",
    ),
    (
        "gunicorn",
        "gunicorn --bind 127.0.0.1:%P --workers 1 --worker-class sync --no-control-socket --log-level warning %A",
    ),
    ("waitress", "waitress-serve --listen 127.0.0.1:%P --threads 1 %A"),
    ("wsgiref", "python3 %R/wsgiref_server.py %P %A"),
];

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gateways: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    let environment = std::env::var_os("VIRTUAL_ENV").map(PathBuf::from);
    let environment =
        environment.ok_or_else(|| io::Error::other("no virtual environment is active; see gateways.rs"))?;
    let programs = environment.join("bin");
    let (there, missing): (Vec<_>, Vec<_>) = SERVERS.iter().partition(|(_, line)| program(line, &programs).exists());
    for (name, _) in missing {
        println!("{name} is left out: it is not in {}", programs.display());
    }
    println!(
        "{} requests from {} clients, {} rounds: median (least to most)\n",
        options.requests, options.clients, options.rounds
    );
    for (application, ending) in APPLICATIONS {
        let mut rounds: Vec<Vec<(f64, f64)>> = vec![Vec::new(); there.len()];
        for number in 1..=options.rounds {
            for ((name, line), rounds) in there.iter().zip(&mut rounds) {
                eprintln!("{application}, round {number} of {}: {name}", options.rounds);
                rounds.push(round(line, &programs, application, ending, options)?);
            }
        }
        println!("{application:12} {:>26} {:>26}", "CPU us/request", "requests/s");
        for ((name, _), rounds) in there.iter().zip(&rounds) {
            let cpu = spread(rounds.iter().map(|round| round.0));
            let rate = spread(rounds.iter().map(|round| round.1));
            println!("{name:12} {cpu:>26} {rate:>26}");
        }
        println!();
    }
    Ok(())
}

/// Where the program of a command line is.
fn program(line: &str, programs: &Path) -> PathBuf {
    match line.split(' ').next().unwrap_or_default() {
        "webserver2" => PathBuf::from(env!("CARGO_BIN_EXE_webserver2")),
        name => programs.join(name),
    }
}

/// One server, one application, once: microseconds of CPU time for each request, and requests per second.
fn round(line: &str, programs: &Path, application: &str, ending: &[u8], options: &Options) -> io::Result<(f64, f64)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = |requests| {
        let port = port_to_come_back_to().ok_or_else(|| io::Error::other("no port is free"))?;
        let rivals = folder.join("benches/rivals").display().to_string();
        let line = line.replace("%P", &port.to_string()).replace("%A", application).replace("%R", &rivals);
        let mut server = Command::new(program(&line, programs));
        server.args(line.split(' ').skip(1)).current_dir(folder.join("python"));
        server.env("PYTHONPATH", folder.join("python")).stderr(Stdio::null());
        // Some servers say nothing when they serve, and others say so before they do.
        let is_up = |_: &str| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok().map(|_| port);
        measure(&mut server, is_up, &Load { requests, clients: options.clients, request: REQUEST, ending })
    };
    further(FIRST, options.requests, run)
}
