//! webserver3c: a concurrent server, a child for each connection
//!
//! New: fork makes a copy of the process, and the copy serves the client. Each closes what only the other needs.
//! Run: `cargo run -p part3 --bin webserver3c`, then in two more terminals `curl http://localhost:8888/hello`
//! See: both are answered at once, by two children that sleep side by side.

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use nix::unistd::{ForkResult, fork};
use nix::unistd::{getpid, getppid};
use part3::child;
use part3::print;
use part3::{Defaults, Failure, Options, RESPONSE, accept, listen, print_request, read_request, run, stage, write_all};

fn main() -> ExitCode {
    run(stage!(), Defaults { backlog: 5, sleep: Some(60) }, serve_forever)
}

fn serve_forever(options: &Options) -> Result<Infallible, Failure> {
    let listener = listen(options)?;
    print(format_args!("Parent PID (PPID): {}\n", getpid()));

    loop {
        let connection = accept(&listener).map_err(Failure::of("accept"))?;
        // SAFETY: fork copies only the thread that calls it, and this program starts no other.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => child(|| {
                drop(listener); // the child's copy
                handle_request(&connection, options)
            }),
            Ok(ForkResult::Parent { .. }) => drop(connection), // the parent's copy; the child has its own
            Err(errno) => return Err(Failure::call("fork", errno)),
        }
    }
}

fn handle_request(connection: &OwnedFd, options: &Options) -> Result<(), Failure> {
    let request = read_request(connection, options)?;
    print(format_args!("Child PID: {}. Parent PID {}", getpid(), getppid()));
    print_request(&request);
    write_all(connection, RESPONSE).map_err(Failure::of("write"))?;
    std::thread::sleep(options.sleep);
    Ok(())
}
