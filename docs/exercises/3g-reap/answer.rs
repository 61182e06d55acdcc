//! answer-3g: no zombie stays
//!
//! Hint 1: signals do not queue. How many children may have ended when the handler is called once?
//! Hint 2: call waitpid in a loop. What does it return when there is nothing left to reap? There are two ways.
//! Hint 3: the others are still at work: WaitStatus::StillAlive. There are no others: ECHILD.
//! Why: one signal may stand for many ended children, so the handler asks until there is none. And it must not wait
//! for those at work: a loop over wait() would keep the server from accept until the slowest of them is done.

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use part3::signals::{keep_errno, on_child_end};
use part3::{Defaults, Failure, Options, RESPONSE, Shortages, accept, child, listen, print_request, read_request};
use part3::{run, stage, write_all};

fn main() -> ExitCode {
    run(stage!(), Defaults { backlog: 1024, sleep: None }, serve_forever)
}

extern "C" fn grim_reaper(_signal: i32) {
    let _errno = keep_errno(); // the interrupted code may be about to read it
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => break, // the others still work, or there are none
            _ => {}                                                   // one is reaped, another may have ended
        }
    }
}

fn serve_forever(options: &Options) -> Result<Infallible, Failure> {
    let listener = listen(options)?;
    let mut shortages = Shortages::default(); // gets over running out of descriptors or processes
    // SAFETY: the handler makes only calls that are allowed in one (signal-safety(7)), and puts errno back.
    unsafe { on_child_end(grim_reaper) }?;

    loop {
        let connection = match accept(&listener) {
            Ok(connection) => connection,
            Err(Errno::EINTR) => continue, // a child has ended: ask again
            Err(errno) => {
                shortages.survive("accept", errno)?;
                continue;
            }
        };
        // SAFETY: fork copies only the thread that calls it, and this program starts no other.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => child(|| {
                drop(listener); // the child's copy
                handle_request(&connection, options)
            }),
            Ok(ForkResult::Parent { .. }) => drop(connection), // the parent's copy; the child has its own
            Err(errno) => shortages.survive("fork", errno)?,
        }
    }
}

fn handle_request(connection: &OwnedFd, options: &Options) -> Result<(), Failure> {
    let request = read_request(connection, options)?;
    print_request(&request);
    write_all(connection, RESPONSE).map_err(Failure::of("write"))
}
