//! The signals that ask a program to end.

use std::mem::MaybeUninit;
use std::ptr;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal;

/// Ctrl-C, Ctrl-\\, the end of the terminal, and `kill`.
pub const ENDING: [Signal; 4] = [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP, Signal::SIGTERM];

/// Those of [`ENDING`] that this process was not started to ignore, as `nohup` has it ignore SIGHUP, and a script what
/// it starts with `&` SIGINT and SIGQUIT.
///
/// # Errors
/// Those of sigaction(2).
pub fn not_ignored() -> nix::Result<Vec<Signal>> {
    let mut signals = Vec::new();
    for signal in ENDING {
        let mut action = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: no new action is given; the present one is written to where there is room for it.
        Errno::result(unsafe { libc::sigaction(signal as i32, ptr::null(), action.as_mut_ptr()) })?;
        // SAFETY: the call has succeeded, and so has written it.
        let action = unsafe { action.assume_init() };
        if action.sa_sigaction != libc::SIG_IGN {
            signals.push(signal);
        }
    }
    Ok(signals)
}
