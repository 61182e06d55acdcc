//! An accepted connection: reading and writing within a time limit, and writing all there is to write.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv, send};
use nix::unistd::write;

/// A time limit for a whole request. It is a limit for all waiting together, so that a client that drips a byte now and
/// then can't renew it with each byte.
#[derive(Debug)]
pub struct TimeLimit {
    left: Duration,
}

impl TimeLimit {
    /// A limit on what is spent waiting from now on.
    pub fn new(limit: Duration) -> TimeLimit {
        TimeLimit { left: limit }
    }

    /// Waits until `descriptor` can be read or written, as `events` say (poll(2)), or a signal comes.
    ///
    /// # Errors
    /// ETIMEDOUT when the limit has passed; otherwise those of poll(2), never EINTR.
    fn wait(&mut self, descriptor: impl AsFd, events: PollFlags) -> Result<(), Errno> {
        if self.left.is_zero() {
            return Err(Errno::ETIMEDOUT);
        }
        let begin = Instant::now();
        // poll counts in milliseconds. Rounded down, the last fraction of one would be spent in a busy loop.
        let wait = PollTimeout::try_from(self.left + Duration::from_nanos(999_999)).unwrap_or(PollTimeout::MAX);
        let outcome = poll(&mut [PollFd::new(descriptor.as_fd(), events)], wait);
        self.left = self.left.saturating_sub(begin.elapsed());
        match outcome {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }
}

/// Reads what has come on `connection`, as far as it fits into `buffer`, or waits until something comes; 0 bytes are
/// the end of input.
///
/// # Errors
/// ETIMEDOUT when `limit` has passed; otherwise those of recv(2) and poll(2), never EINTR.
pub fn read_within(limit: &mut TimeLimit, connection: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    loop {
        // Most requests are there already. Asking before waiting spares a call, and a look at the clock.
        match recv(connection.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
            Err(Errno::EAGAIN) => limit.wait(connection, PollFlags::POLLIN)?,
            Err(Errno::EINTR) => {}
            outcome => return outcome,
        }
    }
}

/// Writes as much of `bytes` to `connection` as it takes now, or waits until it takes some; returns how much that was.
///
/// # Errors
/// ETIMEDOUT when `limit` has passed; otherwise those of send(2) and poll(2), never EINTR: EPIPE or ECONNRESET when the
/// client has gone (Rust programs ignore SIGPIPE).
pub fn write_within(limit: &mut TimeLimit, connection: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    loop {
        match send(connection.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT) {
            Err(Errno::EAGAIN) => limit.wait(connection, PollFlags::POLLOUT)?,
            Err(Errno::EINTR) => {}
            outcome => return outcome,
        }
    }
}

/// Writes all of `bytes`, an answer or a line for the terminal, in as many calls of write(2) as it takes: each may
/// accept only a part.
///
/// # Errors
/// Those of write(2), never EINTR: EPIPE or ECONNRESET when the client has gone (Rust programs ignore SIGPIPE).
pub fn write_all(descriptor: impl AsFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match write(&descriptor, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
