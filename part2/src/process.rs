//! The one fork that a server with an application uses.

use nix::errno::Errno;
use nix::unistd::ForkResult;

/// Makes a child process, a copy of this one (fork(2)).
///
/// # Safety
/// As for [`nix::unistd::fork`]: when this process has several threads, the child may only make async-signal-safe calls.
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
