//! exercise-3d: make it hang
//!
//! Task: in C, a parent that forgets to close its copies of connections makes curl hang: the answer is there, and its
//! end does not come. (In Python it comes with the next client, when the variable gets another value.) Here the line
//! that closes the copy is taken out of webserver3c, and curl ends as if nothing had happened. Something closes the
//! copy all the same. Find out what, and keep it from that: make curl hang.
//! Now: "every connection is kept: the children have ended, and the clients see no end" fails, and more.
//! Try: `cargo run -p docs --example exercise-3d`, and in a second terminal `curl http://localhost:8888/hello`

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

    loop {
        let connection = accept(&listener).map_err(Failure::of("accept"))?;
        // SAFETY: fork copies only the thread that calls it, and this program starts no other.
        match unsafe { fork() }.map_err(Failure::of("fork"))? {
            ForkResult::Child => child(|| {
                drop(listener); // the child's copy
                handle_request(&connection, options)
            }),
            // ---- Work here.
            ForkResult::Parent { .. } => {} // webserver3c has drop(connection) here
        }
    }
}

fn handle_request(connection: &OwnedFd, options: &Options) -> Result<(), Failure> {
    let request = read_request(connection, options)?;
    print_request(&request);
    write_all(connection, RESPONSE).map_err(Failure::of("write"))
}
