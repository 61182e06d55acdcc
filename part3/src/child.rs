//! A child that can never return into its parent's loop.

use std::panic::{self, AssertUnwindSafe};

use nix::libc;
use part1::{Failure, report};

/// Does the work of a child, and ends the process, whatever comes of the work.
///
/// What fork returns twice must not also carry on twice: a child that left its branch by `?`, `continue` or a panic
/// would accept connections beside its parent. So this function returns to nobody. It ends by _exit(2), because
/// exit(3) would run clean-up that belongs to the parent, such as writing again what the parent had buffered.
///
/// The exit code is 0, or 1 when the client got no answer, or 101 after a panic (as everywhere in Rust).
pub fn child(work: impl FnOnce() -> Result<(), Failure>) -> ! {
    let status = match panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => 0,
        Ok(Err(failure)) => {
            report(failure);
            1
        }
        Err(_) => 101,
    };
    // SAFETY: _exit takes a number, touches no memory, and does not return.
    unsafe { libc::_exit(status) }
}
