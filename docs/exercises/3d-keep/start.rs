//! exercise-3d: make it hang
//!
//! Task: in Python and C a parent that forgets to close its copy of a connection makes curl hang: the answer is there,
//! and its end never comes. The line that closes the copy has been taken out of this parent. And curl ends as if nothing
//! had happened! Something closes the copy all the same. Find out what, and keep it from doing so: make curl hang.
//! Now: CLAIM
//! Try: `cargo run -p docs --example exercise-3d`, and in a second terminal `curl http://localhost:8888/hello`; a third
//! can count the parent's descriptors: `ls /proc/$(pgrep -o exercise-3d)/fd`

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
