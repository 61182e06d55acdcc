//! webserver3e: a concurrent server whose SIGCHLD handler waits for its children
//!
//! New: when a child ends, the kernel sends SIGCHLD and so calls the handler; that reaps the child by calling wait.
//! Wrong on purpose: the signal also interrupts accept, which fails with EINTR, and the server gives up.
//! Run: `cargo run -p part3 --bin webserver3e`, and in a second terminal `curl http://localhost:8888/hello`
//! See: three seconds later the handler tells of the child's end, and the server dies of EINTR.

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::{ForkResult, fork};
use part3::child;
use part3::signals::{keep_errno, on_child_end, print_from_handler};
use part3::{Defaults, Failure, Options, RESPONSE, accept, listen, print_request, read_request, run, stage, write_all};

fn main() -> ExitCode {
    run(stage!(), Defaults { backlog: 5, sleep: Some(3) }, serve_forever)
}

extern "C" fn grim_reaper(_signal: i32) {
    let _errno = keep_errno(); // the interrupted code may be about to read it
    if let Ok(WaitStatus::Exited(pid, status)) = wait() {
        print_from_handler(format_args!("Child {pid} terminated with status {status}"));
    }
}

fn serve_forever(options: &Options) -> Result<Infallible, Failure> {
    let listener = listen(options)?;
    // SAFETY: the handler makes only calls that are allowed in one (signal-safety(7)), and puts errno back.
    unsafe { on_child_end(grim_reaper) }?;

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
    print_request(&request);
    write_all(connection, RESPONSE).map_err(Failure::of("write"))?;
    std::thread::sleep(options.sleep);
    Ok(())
}
