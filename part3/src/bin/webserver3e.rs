//! webserver3e: a concurrent server whose SIGCHLD handler waits for its children
//!
//! New: the kernel calls the handler when a child ends; the handler takes its status, so it is no zombie any more.
//! Wrong on purpose: a signal interrupts accept, which then fails, and the server takes that for the end.
//! Run: `cargo run -p part3 --bin webserver3e`, and in a second terminal `curl http://localhost:8888/hello`
//! See: three seconds later the handler has reaped the child, and accept fails with EINTR.

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
    // SAFETY: the handler makes only calls that are async-signal-safe, and keeps errno.
    unsafe { on_child_end(grim_reaper) }?;

    loop {
        let connection = accept(&listener).map_err(Failure::of("accept"))?;
        // SAFETY: this process has one thread, so there is none that the child could miss.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => child(|| {
                drop(listener); // the child's copy
                handle_request(&connection, options)
            }),
            Ok(ForkResult::Parent { .. }) => drop(connection), // the parent's copy; the child has its own
            Err(errno) => return Err(Failure::of("fork")(errno)),
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
