//! webserver1 as a reader meets it: with curl, and by hand with nc.
//!
//! A test is skipped, and counted as ignored, where something that it needs is missing (`client::tools`).

use std::io::{Read, Write};
use std::net::Ipv6Addr;
use std::process::{Command, Stdio};

use client::probe::{self, Probe};
use client::server::Server;
use client::tools::Need::{Ipv6, Program};
use client::tools::trial;
use libtest_mimic::Arguments;

const RESPONSE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nHello, World!\n";

fn main() {
    let trials = vec![
        trial("curl_shows_hello_world", &[Program("curl")], curl_shows_hello_world),
        trial("one_line_typed_into_nc_is_answered", &[Program("nc")], one_line_typed_into_nc_is_answered),
        trial("it_answers_on_ipv6", &[Ipv6], it_answers_on_ipv6),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn start(options: &[&str]) -> Server {
    Server::start(Command::new(env!("CARGO_BIN_EXE_webserver1")).args(["--port", "0"]).args(options)).unwrap()
}

fn curl_shows_hello_world() {
    let server = start(&[]);
    for name in ["127.0.0.1", "localhost"] {
        let url = format!("http://{name}:{}/hello", server.port());
        let output = Command::new("curl").args(["--silent", "--show-error", "--include", &url]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), RESPONSE);
    }
}

fn one_line_typed_into_nc_is_answered() {
    let server = start(&[]);
    let mut nc = Command::new("nc");
    nc.args(["127.0.0.1", &server.port().to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut nc = nc.spawn().unwrap();
    // Standard input stays open, as a terminal's does: it is not its end that has the server answer.
    let mut keyboard = nc.stdin.take().unwrap();
    keyboard.write_all(b"GET /hello\n").unwrap();
    let mut shown = vec![0; RESPONSE.len()];
    nc.stdout.take().unwrap().read_exact(&mut shown).unwrap();
    assert_eq!(String::from_utf8(shown).unwrap(), RESPONSE);
    let _ = nc.kill();
    let _ = nc.wait();
}

fn it_answers_on_ipv6() {
    let server = start(&["--host", "::1"]);
    let mut client = Probe::connect_to(Ipv6Addr::LOCALHOST.into(), server.port()).unwrap();
    client.send(probe::REQUEST).unwrap();
    assert_eq!(client.read_to_end().unwrap(), RESPONSE.as_bytes());
}
