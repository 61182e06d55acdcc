//! A handler for SIGCHLD, and what it may print with.
//!
//! A handler interrupts the program anywhere, also in the middle of malloc or println, so it must not use what it may
//! have interrupted: no allocation, no lock, no panic, only the calls that signal-safety(7) lists.

use std::fmt::{self, Write};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use part1::Failure;

/// Has `handler` called whenever a child ends (sigaction(2)), also when this process was started with SIGCHLD blocked.
///
/// SA_RESTART is not among the flags, so a call that the handler interrupted fails with EINTR: the lesson of
/// webserver3e, which signal(2) would hide. SA_NOCLDSTOP leaves out children that are only stopped.
///
/// # Safety
/// `handler` may only do what is async-signal-safe, and must leave errno as it was.
///
/// # Errors
/// Those of sigaction(2) and sigprocmask(2).
pub unsafe fn on_child_end(handler: extern "C" fn(i32)) -> Result<(), Failure> {
    let action = SigAction::new(SigHandler::Handler(handler), SaFlags::SA_NOCLDSTOP, SigSet::empty());
    // SAFETY: the caller vouches for the handler, and no handler before this one is relied on.
    unsafe { sigaction(Signal::SIGCHLD, &action) }.map_err(Failure::of("sigaction"))?;
    SigSet::from(Signal::SIGCHLD).thread_unblock().map_err(Failure::of("sigprocmask"))
}

/// Prints a line from within a handler: built on the stack, written by one write(2), which is async-signal-safe.
/// What exceeds 128 bytes is cut off. `line` must not allocate when it is formatted; numbers and `Pid` do not.
pub fn print_from_handler(line: fmt::Arguments<'_>) {
    let mut buffer = Buffer { bytes: [0; 128], length: 0 };
    let _ = buffer.write_fmt(line).and_then(|()| buffer.write_str("\n"));
    // SAFETY: the pointer and the length are those of initialised bytes on the stack. A short or failed write loses
    // the line, and there is nothing that a handler could do about it.
    unsafe { libc::write(libc::STDOUT_FILENO, buffer.bytes.as_ptr().cast(), buffer.length) };
}

/// Keeps errno as it is now until the handler ends: the interrupted code may have failed in a call just before, and not
/// have looked at the reason yet.
#[must_use = "errno is put back when this is dropped"]
pub fn keep_errno() -> KeptErrno {
    KeptErrno(Errno::last_raw())
}

/// Puts errno back when it is dropped.
#[derive(Debug)]
pub struct KeptErrno(i32);

impl Drop for KeptErrno {
    fn drop(&mut self) {
        Errno::set_raw(self.0);
    }
}

/// Text on the stack.
struct Buffer {
    bytes: [u8; 128],
    length: usize,
}

impl Write for Buffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (place, &byte) in self.bytes[self.length..].iter_mut().zip(text.as_bytes()) {
            *place = byte;
            self.length += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errno_is_what_it_was_when_a_handler_ends() {
        Errno::set_raw(Errno::EPIPE as i32);
        {
            let _errno = keep_errno();
            Errno::set_raw(Errno::ECHILD as i32);
        }
        assert_eq!(Errno::last(), Errno::EPIPE);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_off() {
        let mut buffer = Buffer { bytes: [0; 128], length: 0 };
        write!(buffer, "ab{:>200}", "c").unwrap();
        assert_eq!((buffer.length, &buffer.bytes[..4]), (128, &b"ab  "[..]));
    }
}
