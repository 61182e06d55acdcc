//! The signals that a watch obeys. Their handlers only set flags, which the loop looks at: poll(2) returns for them.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::libc::c_int;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};

use crate::signals::not_ignored;

static END: AtomicBool = AtomicBool::new(false);
static SUSPEND: AtomicBool = AtomicBool::new(false);
static REDRAW: AtomicBool = AtomicBool::new(false);
static RESUME: AtomicBool = AtomicBool::new(false);

extern "C" fn note(number: c_int) {
    let flag = match Signal::try_from(number) {
        Ok(Signal::SIGTSTP) => &SUSPEND,
        Ok(Signal::SIGCONT) => &RESUME,
        Ok(Signal::SIGWINCH) => &REDRAW,
        _ => &END,
    };
    flag.store(true, Ordering::Relaxed);
}

/// Has the signals that ask this process to end noted instead of ending it at once.
///
/// # Errors
/// Those of sigaction(2).
pub fn note_ends() -> io::Result<()> {
    for signal in not_ignored()? {
        set(signal, SigHandler::Handler(note))?;
    }
    Ok(())
}

/// Has what concerns a picture noted: Ctrl-Z (SIGTSTP), SIGCONT, and SIGWINCH, which tells of a new size.
///
/// # Errors
/// Those of sigaction(2).
pub fn note_changes() -> io::Result<()> {
    for signal in [Signal::SIGTSTP, Signal::SIGCONT, Signal::SIGWINCH] {
        set(signal, SigHandler::Handler(note))?;
    }
    Ok(())
}

/// Whether the process was asked to end.
pub fn end() -> bool {
    END.load(Ordering::Relaxed)
}

/// Whether it was asked to stop, since this was asked last.
pub fn suspend() -> bool {
    SUSPEND.swap(false, Ordering::Relaxed)
}

/// Whether it goes on after it was stopped, since this was asked last.
pub fn resume() -> bool {
    RESUME.swap(false, Ordering::Relaxed)
}

/// Whether the terminal has another size, since this was asked last.
pub fn redraw() -> bool {
    REDRAW.swap(false, Ordering::Relaxed)
}

/// Stops this process, as Ctrl-Z does where it is not noted. Returns when the process goes on.
///
/// # Errors
/// Those of sigaction(2) and raise(3).
pub fn stop() -> io::Result<()> {
    let noted = set(Signal::SIGTSTP, SigHandler::SigDfl)?;
    raise(Signal::SIGTSTP)?;
    set(Signal::SIGTSTP, noted.handler())?;
    Ok(())
}

fn set(signal: Signal, handler: SigHandler) -> nix::Result<SigAction> {
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: `note` only stores to an atomic, which is safe in a signal handler (signal-safety(7)).
    unsafe { sigaction(signal, &action) }
}
