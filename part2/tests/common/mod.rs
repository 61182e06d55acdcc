//! What the tests of the gateway share.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::process::Command;

pub use client::answer::Answer;
use client::binary::built_example;
use client::probe::Probe;
use client::server::Server;

/// The server.
pub const WEBSERVER2: &str = env!("CARGO_BIN_EXE_webserver2");
/// The body that `hello:app` answers with.
pub const HELLO: &str = "Hello world from a simple WSGI application!\n";

/// Starts webserver2 with `hello:app` on a free port.
pub fn start_hello(options: &[&str]) -> Server {
    Server::start(Command::new(WEBSERVER2).args(["--port", "0", "hello:app"]).args(options)).unwrap()
}

/// Starts examples/behaviours.rs, which prints no requests, on a free port.
pub fn start_behaviours(options: &[&str]) -> Server {
    let program = built_example("part2", "behaviours").unwrap();
    Server::start(Command::new(program).args(["--port", "0"]).args(options)).unwrap()
}

/// Sends `bytes`, and reads the answer until the server closes the connection in an orderly way.
pub fn ask(server: &Server, bytes: impl AsRef<[u8]>) -> Answer {
    let bytes = bytes.as_ref();
    let asked = || bytes[..bytes.len().min(200)].escape_ascii().to_string();
    let mut client = Probe::connect(server.port()).unwrap();
    client.send(bytes).unwrap_or_else(|error| panic!("{}: {error}", asked()));
    let answer = client.read_to_end().unwrap_or_else(|error| panic!("{}: {error}", asked()));
    assert!(!answer.is_empty(), "no answer to {}: {}", asked(), server.errors());
    Answer::read(answer)
}

/// A request for `path` with a body, if `body` is not empty.
pub fn request(method: &str, path: &str, version: &str, body: &str) -> String {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    format!("{method} {path} {version}\r\nHost: localhost\r\n{length}\r\n{body}")
}

/// Asks for `path`.
pub fn get(server: &Server, path: &str) -> Answer {
    ask(server, request("GET", path, "HTTP/1.1", ""))
}

/// Asserts that a new client of `server` is answered by `hello:app`.
pub fn assert_answers(server: &Server) {
    assert_eq!(get(server, "/").text(), HELLO);
}

/// The status codes of all answers in what a server has sent.
pub fn codes(sent: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(sent);
    text.match_indices("HTTP/1.1 ").map(|(at, found)| text[at + found.len()..].chars().take(3).collect()).collect()
}
