//! What a file costs: `files:app` in webserver2, `python -m http.server` and nginx, side by side, with a file of 14
//! bytes and one of 100 MB, one request per connection, a line of log for each.
//! Run: `cargo bench -p part2 --bench files`
//!
//! nginx is Debian's (`apt install nginx-light`), with one process and with sendfile(2), which Debian's configuration
//! switches on. What is not there is left out.
//!
//! CPU time is user and system time of the server and all its processes. What its start takes does not count: each
//! server runs twice, with few requests and with many, and the difference is what the further ones cost. The file is
//! in the kernel's cache, and the client is on the same machine, so that nothing is measured of disks and networks.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use clap::Parser;
use client::cost::{Load, further, measure, spread};
use client::server::port_to_come_back_to;
use client::tools::Need;

/// Measures the CPU time that a file costs in webserver2, Python's http.server and nginx.
#[derive(Parser)]
struct Options {
    /// Requests for the small file in each round, beside the first ones
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    requests: u32,

    /// Requests for the large file in each round, beside the first ones
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    downloads: u32,

    /// Rounds; in each, the servers take turns
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// Ignored: cargo says so to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// The file that is asked for, and how.
struct Download {
    title: &'static str,
    name: &'static str,
    length: usize,
    clients: u32,
    /// How many requests there are before those that count.
    first: u32,
    /// What the microseconds of a request are multiplied with to become the unit of the title.
    unit: f64,
}

const SMALL: Download =
    Download { title: "14 bytes: CPU us/request", name: "small", length: 14, clients: 8, first: 500, unit: 1.0 };
const LARGE: Download =
    Download { title: "100 MB: CPU ms/GB", name: "large", length: 100_000_000, clients: 1, first: 2, unit: 0.01 };

/// The servers, and their command lines: `%P` is the port, `%D` the directory, `%C` nginx's configuration.
const SERVERS: [(&str, &str); 3] = [
    ("webserver2", "webserver2 files:app --port %P --backlog 1024 --directory %D"),
    ("http.server", "python3 -m http.server %P --bind 127.0.0.1 --directory %D"),
    ("nginx", "nginx -p %D -e %D/error.log -c %C"),
];

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("files: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    let directory = tempfile::tempdir()?;
    for download in [&SMALL, &LARGE] {
        let mut content = vec![b'x'; download.length];
        content[download.length - 1] = b'\n';
        fs::write(directory.path().join(download.name), content)?;
    }
    let mut servers = Vec::new();
    for (name, line) in SERVERS {
        match line.split(' ').next() {
            Some(program @ ("python3" | "nginx")) if !Need::Program(program).is_met() => {
                println!("{name} is left out: there is no {program}");
            }
            _ => servers.push((name, line)),
        }
    }
    println!("{} rounds: median (least to most)\n", options.rounds);
    for (download, requests) in [(&SMALL, options.requests), (&LARGE, options.downloads)] {
        let mut rounds: Vec<Vec<(f64, f64)>> = vec![Vec::new(); servers.len()];
        for number in 1..=options.rounds {
            for ((name, line), rounds) in servers.iter().zip(&mut rounds) {
                eprintln!("{}, round {number} of {}: {name}", download.name, options.rounds);
                rounds.push(round(line, directory.path(), download, requests)?);
            }
        }
        println!("{:12} {:>26} {:>26}", "", download.title, "requests/s");
        for ((name, _), rounds) in servers.iter().zip(&rounds) {
            let cpu = spread(rounds.iter().map(|round| round.0));
            let rate = spread(rounds.iter().map(|round| round.1));
            println!("{name:12} {cpu:>26} {rate:>26}");
        }
        println!();
    }
    Ok(())
}

/// One server, one file, once: CPU time in the unit of the download, and requests per second.
fn round(line: &str, directory: &Path, download: &Download, requests: u32) -> io::Result<(f64, f64)> {
    let run = |requests| {
        let port = port_to_come_back_to().ok_or_else(|| io::Error::other("no port is free"))?;
        let configuration = directory.join("nginx.conf");
        fs::write(&configuration, nginx(port, directory))?;
        let [directory, configuration] = [directory, &configuration].map(|path| path.display().to_string());
        let words = line
            .split(' ')
            .map(|word| word.replace("%P", &port.to_string()).replace("%D", &directory).replace("%C", &configuration));
        let words: Vec<String> = words.collect();
        let program = if words[0] == "webserver2" { env!("CARGO_BIN_EXE_webserver2") } else { &words[0] };
        let mut server = Command::new(program);
        server.args(&words[1..]).stderr(Stdio::from(File::create(Path::new(&directory).join("errors"))?));
        let is_up = |_: &str| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok().map(|_| port);
        let request = format!("GET /{} HTTP/1.0\r\nHost: localhost\r\n\r\n", download.name);
        let load = Load { requests, clients: download.clients, request: request.as_bytes(), ending: b"xxxxx\n" };
        measure(&mut server, is_up, &load)
    };
    let (cpu, rate) = further(download.first, requests, run)?;
    Ok((cpu * download.unit, rate))
}

/// The configuration of nginx: one process in the foreground, and as Debian has it where it matters.
fn nginx(port: u16, directory: &Path) -> String {
    let directory = directory.display();
    let user = if nix::unistd::geteuid().is_root() { "user root;" } else { "" };
    let places: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("{name}_temp_path {directory}/nginx-{name};\n"))
        .collect();
    format!(
        "{user}\ndaemon off;\nmaster_process off;\npid {directory}/nginx.pid;\n\
         events {{ worker_connections 768; }}\n\
         http {{\n{places}access_log {directory}/access.log;\nsendfile on;\ntcp_nopush on;\n\
         server {{ listen 127.0.0.1:{port}; root {directory}; }}\n}}\n"
    )
}
