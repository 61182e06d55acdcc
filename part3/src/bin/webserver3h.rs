//! webserver3h: webserver2 with the loop of webserver3g
//!
//! New: each child runs an application, as webserver2 does. The articles leave this to the reader as an exercise.
//! Run: `cargo run -p part3 --bin webserver3h -- hello:app`; in terminal 2 `cargo run -p client -- --max-clients 128`
//! See: the application answers every client, and `ps -A | grep webserver3h` shows no zombie.

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::ForkResult;
use part2::{Defaults, Gateway, WsgiServer, forget_inherited, fork, run};
use part3::Shortages;
use part3::child;
use part3::signals::{keep_errno, on_child_end};
use part3::{Failure, accept, stage};

fn main() -> ExitCode {
    run(stage!(), Defaults { backlog: 1024, process_per_request: true }, serve_forever)
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

pub(crate) fn serve_forever(server: WsgiServer) -> Result<Infallible, Failure> {
    let WsgiServer { listener, gateway } = server;
    let mut shortages = Shortages::default();
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
                handle_request(connection, &gateway)
            }),
            Ok(ForkResult::Parent { .. }) => drop(connection), // the parent's copy; the child has its own
            Err(errno) => shortages.survive("fork", errno)?,
        }
    }
}

fn handle_request(connection: OwnedFd, gateway: &Gateway) -> Result<(), Failure> {
    forget_inherited()?; // the application waits for the programs that it runs; grim_reaper would be quicker
    gateway.handle_one_request(connection)?;
    Ok(())
}
