//! webserver3g: a concurrent server that leaves nothing behind
//!
//! New: the handler calls waitpid until no ended child is left; and running out of something is survived.
//! Run: `cargo run -p part3 --bin webserver3g`, and in a second terminal `cargo run -p client -- --max-clients 128`
//! See: every client is answered, and `ps -A | grep webserver3g` shows no zombie.

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use part3::Shortages;
use part3::child;
use part3::signals::{keep_errno, on_child_end};
use part3::{Defaults, Failure, Options, RESPONSE, accept, listen, print_request, read_request, run, stage, write_all};

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
    write_all(connection, RESPONSE).map_err(Failure::of("write"))?;
    Ok(())
}
