//! answer-3d: make it hang
//!
//! Hint 1: what owns the connection in the parent, and where does its scope end?
//! Hint 2: at the end of each turn of the loop Rust drops `connection`, and to drop an OwnedFd is to close it.
//! Hint 3: put it where it outlives the turn: into a Vec that is made before the loop.
//! Why: Rust closes what nobody owns any more, so that this leak takes a line to make, not a line to forget.

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use nix::unistd::{ForkResult, fork};
use part3::{Defaults, Failure, Options, RESPONSE, accept, child, listen, print_request, read_request, run};
use part3::{stage, write_all};

fn main() -> ExitCode {
    run(stage!(), Defaults { backlog: 1024, sleep: None }, serve_forever)
}

fn serve_forever(options: &Options) -> Result<Infallible, Failure> {
    let listener = listen(options)?;
    let mut kept = Vec::new();

    loop {
        let connection = accept(&listener).map_err(Failure::of("accept"))?;
        // SAFETY: fork copies only the thread that calls it, and this program starts no other.
        match unsafe { fork() }.map_err(Failure::of("fork"))? {
            ForkResult::Child => child(|| {
                drop(listener); // the child's copy
                handle_request(&connection, options)
            }),
            ForkResult::Parent { .. } => kept.push(connection), // or std::mem::forget(connection)
        }
    }
}

fn handle_request(connection: &OwnedFd, options: &Options) -> Result<(), Failure> {
    let request = read_request(connection, options)?;
    print_request(&request);
    write_all(connection, RESPONSE).map_err(Failure::of("write"))
}
