//! What an application does in a child of webserver3h harms nobody, and what it relies on is there. The application is
//! that of part3/examples/webserver3h.rs, and the loop is the stage's own.

mod common;

use std::process::Command;

use client::binary::built_example;
use client::kernel::processes;
use client::probe::Probe;
use client::server::{PATIENCE, Server};
use client::wait;
use common::{DESCRIPTORS_AT_REST, assert_keeps_no_copy, assert_leaves_nothing, blocked, ignored, the_child_of};
use nix::sys::signal::Signal;

/// What a client waits for that asks before it sends a body.
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

/// Starts the loop of webserver3h with the application that does what the path says.
fn start() -> Server {
    Server::start(&mut Command::new(built_example("part3", "webserver3h").unwrap())).unwrap()
}

/// A client that asks for `path`.
fn client_of(server: &Server, path: &str) -> Probe {
    let mut client = Probe::connect(server.port()).unwrap();
    client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).unwrap();
    client
}

/// The status and the body of the answer that `client` gets.
fn answer(mut client: Probe) -> (String, String) {
    let answer = String::from_utf8(client.read_to_end().unwrap().to_vec()).unwrap();
    let answer = answer.strip_prefix(CONTINUE).unwrap_or(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

fn ok(body: &str) -> (String, String) {
    ("HTTP/1.1 200 OK".to_owned(), body.to_owned())
}

#[test]
fn an_application_sees_how_the_programs_that_it_runs_have_ended() {
    let mut server = start();
    for _ in 0..10 {
        let clients: Vec<Probe> = (0..10).map(|_| client_of(&server, "/runs-a-program")).collect();
        for client in clients {
            assert_eq!(answer(client), ok("exit status: 3"));
        }
    }
    assert_leaves_nothing(&mut server);
}

#[test]
fn an_application_sees_that_too_when_the_server_was_started_with_sigchld_ignored_or_blocked() {
    let program = Command::new(built_example("part3", "webserver3h").unwrap());
    for start_with in [ignored, blocked] {
        let mut server = start_with(&program);
        for _ in 0..10 {
            assert_eq!(answer(client_of(&server, "/runs-a-program")), ok("exit status: 3"));
        }
        assert_leaves_nothing(&mut server);
    }
}

#[test]
fn an_application_that_panics_costs_its_client_a_500_and_nobody_else_anything() {
    let mut server = start();
    let neighbour = client_of(&server, "/before");
    let panics = client_of(&server, "/panics");
    assert_eq!(answer(panics).0, "HTTP/1.1 500 Internal Server Error");
    assert_eq!(answer(neighbour), ok("/before"));
    assert_eq!(answer(client_of(&server, "/after")), ok("/after"));
    assert_leaves_nothing(&mut server);
}

#[test]
fn an_application_that_ends_its_process_does_not_end_the_server() {
    let mut server = start();
    assert_eq!(client_of(&server, "/exits").read_to_end().unwrap(), b"");
    assert_eq!(answer(client_of(&server, "/after")), ok("/after"));
    assert_leaves_nothing(&mut server);
}

#[test]
fn an_application_has_nothing_open_that_is_the_servers() {
    let server = start();
    let (mut client, child) = client_whose_body_is_awaited(&server);
    // By now the application runs, so what is open stays open for it.
    assert_eq!(processes::descriptors(child).unwrap(), DESCRIPTORS_AT_REST, "its connection instead of the listener");
    assert_keeps_no_copy(server.id());
    client.send(b"abc").unwrap();
    assert_eq!(answer(client), ok("3 bytes"));
}

#[test]
fn an_application_at_work_finishes_its_answer_after_sigterm() {
    let mut server = start();
    let (mut client, _) = client_whose_body_is_awaited(&server);
    server.signal(Signal::SIGTERM).unwrap();
    wait::until(PATIENCE, || server.ended().unwrap()).unwrap();
    client.send(b"abc").unwrap();
    assert_eq!(answer(client), ok("3 bytes"));
}

/// The first client of a server, for whose body the application waits, and the id of the child which that runs in.
fn client_whose_body_is_awaited(server: &Server) -> (Probe, u32) {
    let mut client = Probe::connect(server.port()).unwrap();
    client.send(b"POST /reads HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n").unwrap();
    // The server says so when the application reads, and not before.
    client.read_to(CONTINUE.as_bytes()).unwrap();
    (client, the_child_of(server))
}
