//! exercise-3g: no zombie stays
//!
//! Task: its author has read that a handler must not wait for what may take long. So this one calls waitpid with
//! WNOHANG, which reaps a child that has ended, and comes back at once if none has. One curl after the other leaves no
//! zombie; 128 clients at once leave many. Have the handler reap all that have ended, and still come back at once.
//! Now: "128 children that end together, three times, leave no zombie and no descriptor" fails.
//! Try: `cargo run -p docs --example exercise-3g`, in a second terminal `cargo run -p client -- --max-clients 128`, and
//! then `ps -A -o pid,ppid,stat,args | grep -c '[e]xercise-3g.*<defunct>'`

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{ForkResult, fork};
use part3::signals::{keep_errno, on_child_end};
use part3::{Defaults, Failure, Options, RESPONSE, Shortages, accept, child, listen, print_request, read_request};
use part3::{run, stage, write_all};

fn main() -> ExitCode {
    run(stage!(), Defaults { backlog: 1024, sleep: None }, serve_forever)
}

// ---- Work here.
extern "C" fn grim_reaper(_signal: i32) {
    let _errno = keep_errno(); // the interrupted code may be about to read it
    let _ = waitpid(None, Some(WaitPidFlag::WNOHANG));
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
