//! answer-3h: Part 2's server, concurrent
//!
//! Hint 1: webserver3g has all of it: the handler, the loop, the fork. What differs is what the child does.
//! Hint 2: Shortages outlives running out of something, and child() makes sure that a child never returns.
//! Hint 3: a child inherits its parent's handler, and that would reap what the application waits for.
//! Why: the server changed and the application did not: they agree on nothing but an interface. This is webserver3h.

use std::convert::Infallible;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::ForkResult;
use part2::{Defaults, WsgiServer, forget_inherited, fork, run};
use part3::signals::{keep_errno, on_child_end};
use part3::{Failure, Shortages, accept, child, stage};

fn main() -> ExitCode {
    run(stage!(), Defaults { backlog: 1024, process_per_request: true }, serve_forever)
}

extern "C" fn grim_reaper(_signal: i32) {
    let _errno = keep_errno(); // the interrupted code may be about to read it
    while !matches!(
        waitpid(None, Some(WaitPidFlag::WNOHANG)),
        Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) // the others still work, or there are none
    ) {}
}

fn serve_forever(server: WsgiServer) -> Result<Infallible, Failure> {
    let WsgiServer { listener, gateway } = server;
    let mut shortages = Shortages::default();
    // Not before the application is loaded: it may run programs, and wait for them.
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
                forget_inherited()?; // else grim_reaper reaps what the application waits for
                gateway.handle_one_request(connection)
            }),
            Ok(ForkResult::Parent { .. }) => drop(connection), // the parent's copy; the child has its own
            Err(errno) => shortages.survive("fork", errno)?,
        }
    }
}
