//! What a server needs as a process: a clean start, and a fork that suits its application.

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::ForkResult;
use part1::Failure;

/// Has SIGCHLD do what it does by default. A process inherits which signals are ignored; with SIGCHLD ignored the
/// kernel reaps every child by itself: there would be no zombie to see, and an application could not wait for the
/// programs that it runs. And after fork, a child has its parent's handler.
///
/// # Errors
/// Those of sigaction(2).
pub fn forget_inherited() -> Result<(), Failure> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler is installed, and none before this one is relied on.
    unsafe { sigaction(Signal::SIGCHLD, &default) }.map(drop).map_err(Failure::of("sigaction"))
}

/// Makes a child process, a copy of this one (fork(2)).
///
/// # Safety
/// As for [`nix::unistd::fork`]: had this program started other threads, the child might only make async-signal-safe
/// calls. Threads of a Python application do no harm: with Python inside, this is Python's own fork, which sees to
/// them.
///
/// # Errors
/// Those of fork(2).
pub unsafe fn fork() -> Result<ForkResult, Errno> {
    #[cfg(feature = "python")]
    if crate::python::interpreter::is_started() {
        return crate::python::interpreter::fork();
    }
    // SAFETY: the caller vouches for the child.
    unsafe { nix::unistd::fork() }
}
