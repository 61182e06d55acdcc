//! webserver3f: a concurrent server that calls accept again when a signal has interrupted it
//!
//! New: EINTR is no reason to die, but to call accept again.
//! Wrong on purpose: the handler waits once, but signals do not queue: one may stand for many ended children.
//! Run: `cargo run -p part3 --bin webserver3f`, and in a second terminal `cargo run -p client -- --max-clients 128`
//! See: `ps -A | grep webserver3f` shows zombies, `<defunct>`. Had there been one curl only, it would show none.

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::sys::wait::wait;
use nix::unistd::{ForkResult, fork};
use part3::child;
use part3::signals::{keep_errno, on_child_end};
use part3::{Defaults, Failure, Options, RESPONSE, accept, listen, print_request, read_request, run, stage, write_all};

fn main() -> ExitCode {
    run(stage!(), Defaults { backlog: 1024, sleep: None }, serve_forever)
}

extern "C" fn grim_reaper(_signal: i32) {
    let _errno = keep_errno(); // the interrupted code may be about to read it
    let _ = wait(); // for one child; for ever, if none ends
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
    print_request(&request);
    write_all(connection, RESPONSE).map_err(Failure::of("write"))?;
    Ok(())
}
