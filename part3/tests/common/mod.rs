//! What the tests of the stages share.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use client::kernel::processes::{self, Children};
use client::probe::Probe;
use client::server::{PATIENCE, Server};
use client::wait;
use nix::sys::signal::{SigSet, Signal};

/// Every stage of Part 3, in the order of the story.
pub const STAGES: [&str; 8] = [
    "webserver3a",
    "webserver3b",
    "webserver3c",
    "webserver3d",
    "webserver3e",
    "webserver3f",
    "webserver3g",
    "webserver3h",
];

/// Those that judge nothing, and give the same answer to everything.
pub const SIMPLE: &[&str] = STAGES.split_at(7).0;

/// Those that have a child for each connection.
pub const FORKING: &[&str] = STAGES.split_at(2).1;

/// Those that leave nothing behind, and survive running out.
pub const LASTING: &[&str] = STAGES.split_at(6).1;

/// What every simple stage answers.
pub const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nHello, World!\n";

/// The body that the application answers with which webserver3h runs here.
pub const HELLO: &[u8] = b"Hello world from a simple WSGI application!\n";

/// No child, neither alive nor a zombie.
pub const NONE: Children = Children { alive: 0, zombies: 0 };

/// Standard input, standard output, standard error, and the listener.
pub const DESCRIPTORS_AT_REST: usize = 4;

/// The option for a sleep of `seconds`, for a stage that has it.
pub fn sleep<'a>(stage: &str, seconds: &'a str) -> Vec<&'a str> {
    match stage {
        "webserver3b" | "webserver3c" | "webserver3e" => vec!["--sleep", seconds],
        _ => vec![],
    }
}

/// The application that a stage is told to run, if it runs one.
pub fn application(stage: &str) -> &'static [&'static str] {
    if SIMPLE.contains(&stage) { &[] } else { &["hello:app"] }
}

/// What the answer of `server` ends with; for a simple stage it is the whole answer.
pub fn ending(server: &Server) -> &'static [u8] {
    if server.output().starts_with("WSGIServer: ") { HELLO } else { RESPONSE }
}

/// Where the program of a stage is.
pub fn binary(stage: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_webserver3a")).with_file_name(stage)
}

/// The command that starts a stage on a free port.
pub fn command(stage: &str, options: &[&str]) -> Command {
    let mut command = Command::new(binary(stage));
    command.args(application(stage)).args(["--port", "0"]).args(options);
    command
}

/// Starts a stage on a free port.
pub fn start(stage: &str, options: &[&str]) -> Server {
    Server::start(&mut command(stage, options)).unwrap()
}

/// Starts a stage as somebody does who ignores SIGCHLD.
pub fn ignored(stage: &Command) -> Server {
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"trap '' CHLD; exec "$0" "$@""#]).arg(stage.get_program()).args(stage.get_args());
    Server::start(&mut shell).unwrap()
}

/// Starts a stage as somebody does who has SIGCHLD blocked.
pub fn blocked(stage: &Command) -> Server {
    let mut command = Command::new(stage.get_program());
    command.args(stage.get_args());
    let signals = SigSet::from(Signal::SIGCHLD);
    // SAFETY: pthread_sigmask(3) is a plain system call; it allocates nothing and takes no lock.
    unsafe { command.pre_exec(move || Ok(signals.thread_block()?)) };
    Server::start(&mut command).unwrap()
}

/// Asserts that a new client of `server` is answered.
pub fn assert_answers(server: &Server) {
    let mut client = Probe::request(server.port()).unwrap();
    client.read_to(ending(server)).unwrap_or_else(|error| {
        panic!("a new client is not answered: {error}; the server said: {}{}", server.output(), server.errors())
    });
}

/// Asserts that a server which lasts comes to have no child any more, and no descriptor but its own.
pub fn assert_leaves_nothing(server: &mut Server) {
    let reaped = wait::until(PATIENCE, || (server.children().ok()? == NONE).then_some(()));
    assert!(reaped.is_some(), "{:?}", server.children());
    assert_keeps_no_copy(server.id());
    assert!(server.ended().unwrap().is_none(), "{}", server.errors());
}

/// Asserts that a server has no connection open, or that its child has not the listener. A child can be there, and even
/// have answered, before each has closed what only the other needs.
pub fn assert_keeps_no_copy(process: u32) {
    let closed = wait::until(PATIENCE, || (processes::descriptors(process).ok()? == DESCRIPTORS_AT_REST).then_some(()));
    assert!(closed.is_some(), "{:?} descriptors", processes::descriptors(process));
}

/// The id of a server's only child, once it is there.
pub fn the_child_of(server: &Server) -> u32 {
    wait::until(PATIENCE, || processes::alive_children(server.id()).unwrap().first().copied()).unwrap()
}

/// Runs the stress client against `server`.
pub fn stress(server: &Server, options: &[&str]) -> Output {
    let client = client::binary::built("client", "client").unwrap();
    let port = server.port().to_string();
    Command::new(client).args(["--port", &port]).args(options).output().unwrap()
}
