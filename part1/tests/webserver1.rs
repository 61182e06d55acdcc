//! webserver1 does what it teaches: a socket, bind, listen, accept; a request is text, and so is a response.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use client::check::{self, Subject};
use client::misbehaviour;
use client::probe::{self, Probe};
use client::server::{PATIENCE, Server};
use client::wait;
use nix::sys::signal::Signal;

const PROGRAM: &str = env!("CARGO_BIN_EXE_webserver1");
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nHello, World!\n";

fn start(options: &[&str]) -> Server {
    Server::start(Command::new(PROGRAM).args(["--port", "0"]).args(options)).unwrap()
}

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).env("COLUMNS", "100").output().unwrap()
}

/// Waits until the server has a connection open.
fn has_accepted(server: &Server) {
    let connected = || (server.descriptors().unwrap() == 5).then_some(()); // the standard three, listener, connection
    wait::until(PATIENCE, connected).unwrap();
}

fn assert_answers(server: &Server) {
    let mut client = Probe::request(server.port()).unwrap();
    assert_eq!(client.read_to_end().unwrap(), RESPONSE);
}

#[test]
fn it_is_what_is_claimed_of_it() {
    check::assert_is("1", &Subject::started_by([PROGRAM, "--port", "{port}"]));
}

#[test]
fn it_serves_says_so_first_and_prints_the_request() {
    let server = start(&[]);
    assert_eq!(server.output(), format!("Serving HTTP on port {} ...\n", server.port()));
    assert_answers(&server);
    assert!(server.says("\nGET /hello HTTP/1.1\nHost: localhost:8888\n\n"), "{}", server.output());
}

#[test]
fn one_line_is_answered_and_so_is_garbage() {
    let server = start(&[]);
    for request in ["GET /hello\n", "anything\n", "\x1b[2J\0\u{e9}"] {
        let mut client = Probe::connect(server.port()).unwrap();
        client.send(request.as_bytes()).unwrap();
        assert_eq!(client.read_to_end().unwrap(), RESPONSE, "{request:?}");
    }
    assert!(server.says("\\u{1b}[2J\\u{0}\u{e9}\n"), "a client commands the terminal: {}", server.output());
}

#[test]
#[cfg(target_os = "linux")] // other systems count the queue in ways of their own
fn the_backlog_says_how_many_connections_may_wait() {
    // Linux lets one more wait than it was told.
    for (backlog, waiting) in [("1", 2), ("64", 3)] {
        let server = start(&["--backlog", backlog, "--timeout", "600"]);
        assert_eq!(server.connections_that_may_wait(3).unwrap(), waiting, "--backlog {backlog}");
    }
}

#[test]
fn ctrl_z_and_fg_do_no_harm() {
    let server = start(&[]);
    let mut client = Probe::connect(server.port()).unwrap();
    has_accepted(&server);
    server.stop_and_continue().unwrap();
    client.send(probe::REQUEST).unwrap();
    assert_eq!(client.read_to_end().unwrap(), RESPONSE);
    assert!(server.says("\nGET /hello HTTP/1.1\n"), "it was not read: {}", server.output());
}

#[test]
fn a_silent_client_is_answered_when_its_time_is_over() {
    let begin = Instant::now();
    let server = start(&["--timeout", "0.5"]);
    let mut client = Probe::connect(server.port()).unwrap();
    assert_eq!(client.read_to_end().unwrap(), RESPONSE);
    assert!(begin.elapsed() >= Duration::from_millis(500));
}

#[test]
fn a_client_that_behaves_badly_harms_nobody_but_itself() {
    for bad in misbehaviour::ALL {
        let mut server = start(&["--timeout", "1"]);
        // It may be cut off while it sends more than one read takes.
        let stayed = bad.act(server.port());
        assert_answers(&server);
        assert!(server.ended().unwrap().is_none(), "it met a client that {}", bad.name);
        let errors = server.errors();
        assert!(errors.lines().count() <= 1 && !errors.contains("panic"), "{errors}");
        drop(stayed);
    }
}

#[test]
fn wrong_usage_gets_one_line() {
    let server = start(&[]);
    let port = server.port().to_string();
    let cases: [(&[&str], i32, &str); 6] = [
        (&["--prot", "8888"], 2, "'--port'"),
        (&["--port", "99999"], 2, "99999"),
        (&["--timeout", "0"], 2, "--timeout"),
        (&["--port", &port], 1, "EADDRINUSE"),
        (&["--host", "no.such.host.invalid"], 1, "no.such.host.invalid"),
        (&["--host", "192.0.2.1"], 1, "EADDRNOTAVAIL"),
    ];
    for (arguments, code, word) in cases {
        let output = run(arguments);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{arguments:?}: {errors}");
        assert!(errors.starts_with("webserver1: ") && errors.contains(word), "{arguments:?}: {errors}");
    }
}

#[test]
fn help_tells_its_story_and_its_defaults() {
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    for part in ["--host", "127.0.0.1", "--port", "8888", "--backlog <N>", "[default: 1]", "--timeout", "[default: 10]"]
    {
        assert!(help.contains(part), "no {part} in: {help}");
    }
    assert!(help.contains("Run: `cargo run -p part1 --bin webserver1`"), "{help}");
}

#[test]
fn it_ends_by_the_signal_that_stops_it() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut server = start(&[]);
        server.signal(signal).unwrap();
        assert_eq!(server.end().unwrap().signal(), Some(signal as i32));
        assert_eq!(server.errors(), "");
    }
}
