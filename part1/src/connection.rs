//! An accepted connection: reading what is there before a deadline, and writing all of an answer.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{read, write};

/// Waits until `connection` has something, and reads what fits into `buffer`; 0 bytes are the end of input.
///
/// The limit is a point in time, so that a client that drips a byte now and then can't renew it with each byte.
///
/// # Errors
/// ETIMEDOUT when `deadline` has passed; otherwise those of poll(2) and read(2), never EINTR.
pub fn read_before(deadline: Instant, connection: impl AsFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Errno::ETIMEDOUT);
        }
        // poll counts in milliseconds. Rounded down, the last fraction of one would be spent in a busy loop.
        let wait = PollTimeout::try_from(left + Duration::from_nanos(999_999)).unwrap_or(PollTimeout::MAX);
        let ready = poll(&mut [PollFd::new(connection.as_fd(), PollFlags::POLLIN)], wait);
        let outcome = match ready {
            Ok(0) => continue,
            Ok(_) => read(&connection, buffer),
            Err(errno) => Err(errno),
        };
        if outcome != Err(Errno::EINTR) {
            return outcome;
        }
    }
}

/// Writes all of `bytes`, in as many calls of write(2) as it takes: each may accept only a part.
///
/// # Errors
/// Those of write(2), never EINTR: EPIPE or ECONNRESET when the client has gone (Rust programs ignore SIGPIPE).
pub fn write_all(connection: impl AsFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match write(&connection, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
