//! An accepted connection: reading and writing within a time limit, and writing all there is to write.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use nix::errno::Errno;
#[cfg(target_os = "linux")]
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
#[cfg(target_os = "linux")]
use nix::sys::sendfile::sendfile;
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

/// Sends as much of a part of a file to `connection` as it takes now, up to 64 KiB, or waits until it takes some;
/// returns how much that was: 0 when the file ends before. sendfile(2) does it without a copy in this process.
///
/// # Errors
/// ETIMEDOUT when `limit` has passed; otherwise those of sendfile(2) and poll(2), never EINTR.
#[cfg(target_os = "linux")]
pub fn send_file_within(
    limit: &mut TimeLimit,
    connection: &OwnedFd,
    file: &File,
    range: Range<u64>,
) -> Result<usize, Errno> {
    // It has no MSG_DONTWAIT of its own, so the connection itself is told.
    fcntl(connection, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let mut offset = i64::try_from(range.start).map_err(|_| Errno::EOVERFLOW)?;
    let length = usize::try_from(range.end - range.start).unwrap_or(SENT_AT_ONCE).min(SENT_AT_ONCE);
    loop {
        match sendfile(connection, file, Some(&mut offset), length) {
            Err(Errno::EAGAIN) => limit.wait(connection, PollFlags::POLLOUT)?,
            Err(Errno::EINTR) => {}
            // Not every file system can do it.
            Err(Errno::EINVAL | Errno::ENOSYS) => return copy_within(limit, connection, file, range),
            outcome => return outcome,
        }
    }
}

/// Sends as much of a part of a file to `connection` as it takes now, up to 64 KiB, or waits until it takes some;
/// returns how much that was: 0 when the file ends before.
///
/// # Errors
/// ETIMEDOUT when `limit` has passed; otherwise those of read(2), send(2) and poll(2), never EINTR.
#[cfg(not(target_os = "linux"))]
pub fn send_file_within(
    limit: &mut TimeLimit,
    connection: &OwnedFd,
    file: &File,
    range: Range<u64>,
) -> Result<usize, Errno> {
    copy_within(limit, connection, file, range)
}

/// The most that is sent of a file at once.
const SENT_AT_ONCE: usize = 64 * 1024;

/// The same by reading and writing.
fn copy_within(limit: &mut TimeLimit, connection: &OwnedFd, file: &File, range: Range<u64>) -> Result<usize, Errno> {
    let mut block = vec![0; usize::try_from(range.end - range.start).unwrap_or(SENT_AT_ONCE).min(SENT_AT_ONCE)];
    let errno = |error: io::Error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    let length = loop {
        match file.read_at(&mut block, range.start) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => break outcome.map_err(errno)?,
        }
    };
    if length == 0 { Ok(0) } else { write_within(limit, connection, &block[..length]) }
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_part_of_a_file_is_sent_with_and_without_sendfile_and_its_end_is_told() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        for send in [send_file_within, copy_within] {
            let (connection, mut client) = UnixStream::pair().unwrap();
            let connection = OwnedFd::from(connection);
            let mut limit = TimeLimit::new(Duration::from_secs(10));
            assert_eq!(send(&mut limit, &connection, &file, 2..5), Ok(3));
            assert_eq!(send(&mut limit, &connection, &file, 8..20), Ok(2));
            assert_eq!(send(&mut limit, &connection, &file, 10..20), Ok(0));
            drop(connection);
            let mut sent = String::new();
            client.read_to_string(&mut sent).unwrap();
            assert_eq!(sent, "23489");
        }
    }

    #[test]
    fn a_client_that_takes_nothing_of_a_file_is_given_up() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 30).unwrap();
        for send in [send_file_within, copy_within] {
            let (connection, _client) = UnixStream::pair().unwrap();
            let connection = OwnedFd::from(connection);
            let mut limit = TimeLimit::new(Duration::from_millis(50));
            let end = (0..1000).find_map(|_| send(&mut limit, &connection, &file, 0..1 << 30).err());
            assert_eq!(end, Some(Errno::ETIMEDOUT));
        }
    }
}
