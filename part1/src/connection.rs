//! An accepted connection: reading within a time limit, and writing all there is to write.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};
use nix::unistd::write;

/// A time limit for a whole request. It is a limit for all reads together, so that a client that drips a byte now and
/// then can't renew it with each byte.
#[derive(Debug)]
pub struct TimeLimit {
    limit: Duration,
    end: Option<Instant>,
}

impl TimeLimit {
    /// A limit that begins when there is first something to wait for.
    pub fn new(limit: Duration) -> TimeLimit {
        TimeLimit { limit, end: None }
    }

    /// How much is left; nothing is not `Some`.
    fn left(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let end = *self.end.get_or_insert(now + self.limit);
        end.checked_duration_since(now).filter(|left| !left.is_zero())
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
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            outcome => return outcome,
        }
        let left = limit.left().ok_or(Errno::ETIMEDOUT)?;
        // poll counts in milliseconds. Rounded down, the last fraction of one would be spent in a busy loop.
        let wait = PollTimeout::try_from(left + Duration::from_nanos(999_999)).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(connection.as_fd(), PollFlags::POLLIN)], wait) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
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
