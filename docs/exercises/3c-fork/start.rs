//! exercise-3c: all clients at once
//!
//! Task: each connection has a child of its own, as it should. Yet the clients are served one after the other, as by an
//! iterative server. Have the children work side by side: both of two curls should have their answer at once.
//! Now: "all clients at once: the last is answered first, while others are held" fails, and more.
//! Try: `cargo run -p docs --example exercise-3c -- --sleep 5`, and in two more terminals, one right after the other,
//! `time curl http://localhost:8888/hello`

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use nix::sys::wait::waitpid;
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
            // ---- Work here.
            ForkResult::Parent { child } => {
                drop(connection); // the parent's copy; the child has its own
                waitpid(child, None).map_err(Failure::of("waitpid"))?; // parents look after their children
            }
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
