//! What the tests of the stages share.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::path::PathBuf;
use std::process::{Command, Output};

use client::probe::Probe;
use client::server::Server;

/// Every stage of Part 3, in the order of the story.
pub const STAGES: [&str; 7] =
    ["webserver3a", "webserver3b", "webserver3c", "webserver3d", "webserver3e", "webserver3f", "webserver3g"];

/// What every stage answers.
pub const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nHello, World!\n";

/// The option for a sleep of `seconds`, for a stage that has it.
pub fn sleep<'a>(stage: &str, seconds: &'a str) -> Vec<&'a str> {
    match stage {
        "webserver3b" | "webserver3c" | "webserver3e" => vec!["--sleep", seconds],
        _ => vec![],
    }
}

/// Where the program of a stage is.
pub fn binary(stage: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_webserver3a")).with_file_name(stage)
}

/// The command that starts a stage on a free port.
pub fn command(stage: &str, options: &[&str]) -> Command {
    let mut command = Command::new(binary(stage));
    command.args(["--port", "0"]).args(options);
    command
}

/// Starts a stage on a free port.
pub fn start(stage: &str, options: &[&str]) -> Server {
    Server::start(&mut command(stage, options)).unwrap()
}

/// Asserts that a new client of `server` is answered.
pub fn assert_answers(server: &Server) {
    let mut client = Probe::request(server.port()).unwrap();
    client.read_to(RESPONSE).unwrap_or_else(|error| {
        panic!("a new client is not answered: {error}; the server said: {}{}", server.output(), server.errors())
    });
}

/// Runs the stress client against `server`.
pub fn stress(server: &Server, options: &[&str]) -> Output {
    let client = client::binary::built("client", "client").unwrap();
    let port = server.port().to_string();
    Command::new(client).args(["--port", &port]).args(options).output().unwrap()
}
