//! answer-3e: a signal interrupts accept
//!
//! Hint 1: it is the kernel. `man 7 signal` says when, under "Interruption of system calls".
//! Hint 2: the C library's signal() asks for that, with the flag SA_RESTART. sigaction() leaves the choice to you.
//! Hint 3: nix::sys::signal::sigaction, with a SigAction whose flags are SaFlags::empty() or SA_NOCLDSTOP.
//! Why: without SA_RESTART an interrupted accept fails with EINTR. With it the kernel calls accept again, and so do
//! Python, Go and Rust's std by themselves. Some calls fail with EINTR in spite of it: poll, for one.

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::{ForkResult, fork};
use part3::signals::{keep_errno, print_from_handler};
use part3::{Defaults, Failure, Options, RESPONSE, accept, child, listen, print_request, read_request, run};
use part3::{stage, write_all};

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
    // Not SA_RESTART. With SA_NOCLDSTOP it is not called for a child that is only stopped.
    let action = SigAction::new(SigHandler::Handler(grim_reaper), SaFlags::SA_NOCLDSTOP, SigSet::empty());
    // SAFETY: the handler makes only calls that are allowed in one (signal-safety(7)), and puts errno back.
    unsafe { sigaction(Signal::SIGCHLD, &action) }.map_err(Failure::of("sigaction"))?;

    loop {
        let connection = accept(&listener).map_err(Failure::of("accept"))?;
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
    write_all(connection, RESPONSE).map_err(Failure::of("write"))?;
    std::thread::sleep(options.sleep);
    Ok(())
}
