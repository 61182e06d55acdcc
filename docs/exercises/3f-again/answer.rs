//! answer-3f: call accept again
//!
//! Hint 1: its last words name the errno: accept: EINTR: Interrupted system call.
//! Hint 2: EAGAIN says that there is nothing to accept now. Only a listener that is told not to wait gets it.
//! Why: accept comes back with EINTR once the handler has run. Nothing is wrong, so the server asks again.

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
        let connection = match accept(&listener) {
            Ok(connection) => connection,
            Err(Errno::EINTR) => continue, // a child has ended: ask again
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
