//! answer-3c: all clients at once
//!
//! Hint 1: when does the parent call accept again?
//! Hint 2: the parent needs nothing from its child in order to go on.
//! Why: waitpid kept the parent from accept until the child had slept. Without it, every child that has ended stays a
//! zombie: the parent has to look after its children, but not at once. That is what 3e to 3g are about.

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use nix::unistd::{ForkResult, fork, getpid};
use part3::{Defaults, Failure, Options, RESPONSE, accept, child, listen, print, print_request, read_request, run};
use part3::{stage, write_all};

fn main() -> ExitCode {
    run(stage!(), Defaults { backlog: 5, sleep: Some(60) }, serve_forever)
}

fn serve_forever(options: &Options) -> Result<Infallible, Failure> {
    let listener = listen(options)?;

    loop {
        let connection = accept(&listener).map_err(Failure::of("accept"))?;
        // SAFETY: fork copies only the thread that calls it, and this program starts no other.
        match unsafe { fork() }.map_err(Failure::of("fork"))? {
            ForkResult::Child => child(|| {
                drop(listener); // the child's copy
                handle_request(&connection, options)
            }),
            ForkResult::Parent { .. } => drop(connection), // the parent's copy; the child has its own
        }
    }
}

fn handle_request(connection: &OwnedFd, options: &Options) -> Result<(), Failure> {
    let request = read_request(connection, options)?;
    print(format_args!("Child PID: {}", getpid()));
    print_request(&request);
    write_all(connection, RESPONSE).map_err(Failure::of("write"))?;
    std::thread::sleep(options.sleep);
    Ok(())
}
