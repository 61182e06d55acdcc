//! exercise-3f: call accept again
//!
//! Task: accept may fail for reasons that pass, and then this server calls it again: for EAGAIN, whose text is "Try
//! again". Still it dies as soon as the first child has ended. Read its last words, and have it live on.
//! Now: "it outlives the end of a child, which is reaped" fails, and more.
//! Try: `cargo run -p docs --example exercise-3f`, and in a second terminal `curl http://localhost:8888/hello`, twice

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::sys::wait::wait;
use nix::unistd::{ForkResult, fork};
use part3::signals::{keep_errno, on_child_end};
use part3::{Defaults, Failure, Options, RESPONSE, accept, child, listen, print_request, read_request, run};
use part3::{stage, write_all};

fn main() -> ExitCode {
    run(stage!(), Defaults { backlog: 1024, sleep: None }, serve_forever)
}

extern "C" fn grim_reaper(_signal: i32) {
    let _errno = keep_errno(); // the interrupted code may be about to read it
    let _ = wait(); // for one child
}

fn serve_forever(options: &Options) -> Result<Infallible, Failure> {
    let listener = listen(options)?;
    // SAFETY: the handler makes only calls that are allowed in one (signal-safety(7)), and puts errno back.
    unsafe { on_child_end(grim_reaper) }?;

    loop {
        // ---- Work here.
        let connection = match accept(&listener) {
            Ok(connection) => connection,
            Err(Errno::EAGAIN) => continue, // it passes: call accept again
            Err(errno) => return Err(Failure::call("accept", errno)),
        };
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
    print_request(&request);
    write_all(connection, RESPONSE).map_err(Failure::of("write"))
}
