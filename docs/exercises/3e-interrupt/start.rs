//! exercise-3e: a signal interrupts accept
//!
//! Task: the handler for SIGCHLD reaps the child, and the server lives on. But a handler interrupts accept, which fails
//! with EINTR then, and the `?` behind it would have ended this server. Somebody calls accept again. Find out who, and
//! have them leave it: this server is to die, for only then you can see what 3f has to get over.
//! Now: "it reaps a child that has ended, and dies: the signal interrupts accept" fails.
//! Try: `cargo run -p docs --example exercise-3e`, and in a second terminal `curl http://localhost:8888/hello`

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use nix::sys::signal::{SigHandler, Signal, signal};
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
    // ---- Work here.
    // SAFETY: the handler makes only calls that are allowed in one (signal-safety(7)), and puts errno back.
    unsafe { signal(Signal::SIGCHLD, SigHandler::Handler(grim_reaper)) }.map_err(Failure::of("signal"))?;

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
