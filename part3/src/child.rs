//! A child that can never return into its parent's loop.

use std::mem;
use std::panic::{self, AssertUnwindSafe};

use nix::libc;
use part1::{Failure, report};

/// Does the work of a child, and ends the process, whatever comes of the work.
///
/// What fork returns twice must not also carry on twice: by `continue`, a child would go on to accept connections
/// beside its parent; by `?` or a panic, it would end as its parent does, clean-up included. So this function returns
/// to nobody. It ends by _exit(2), because exit(3) does clean-up too, such as writing what the parent had buffered.
///
/// The exit code is 0, or 1 when the client got no answer, or 101 after a panic (as everywhere in Rust).
pub fn child(work: impl FnOnce() -> Result<(), Failure>) -> ! {
    let status = match panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => 0,
        Ok(Err(failure)) => {
            report(failure);
            1
        }
        Err(payload) => {
            mem::forget(payload); // to drop it might panic again, and nothing would catch that
            101
        }
    };
    // SAFETY: _exit takes a number, touches no memory, and does not return.
    unsafe { libc::_exit(status) }
}
