//! The connection that a request came on: both its input and its response hold it.

use std::fs::File;
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{Shutdown, setsockopt, shutdown, sockopt};
use part1::connection::{TimeLimit, read_within, send_file_within, write_within};

/// An accepted connection.
#[derive(Debug)]
pub struct Connection {
    descriptor: OwnedFd,
    /// How many parts of the final response have been sent.
    answers: AtomicU32,
}

impl Connection {
    /// What accept(2) has returned.
    pub fn new(descriptor: OwnedFd) -> Connection {
        Connection { descriptor, answers: AtomicU32::new(0) }
    }

    /// The descriptor, to ask the kernel about it.
    pub fn descriptor(&self) -> &OwnedFd {
        &self.descriptor
    }

    /// Whether the final response has begun: after that, no `100 Continue` may be sent.
    pub fn is_answered(&self) -> bool {
        self.answers.load(Ordering::Relaxed) > 0
    }

    /// Reads what comes next, as far as it fits into `buffer`; 0 bytes are the end of input.
    ///
    /// # Errors
    /// ETIMEDOUT when the client is slower than `pace` allows; otherwise those of recv(2).
    pub fn receive(&self, pace: &mut Pace, buffer: &mut [u8]) -> Result<usize, Errno> {
        let length = read_within(&mut pace.limit, &self.descriptor, buffer)?;
        pace.moved(length);
        Ok(length)
    }

    /// Sends all of `bytes`, which are not part of the final response.
    ///
    /// # Errors
    /// ETIMEDOUT when the client is slower than `pace` allows; otherwise those of send(2).
    pub fn send(&self, pace: &mut Pace, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            let length = write_within(&mut pace.limit, &self.descriptor, bytes)?;
            pace.moved(length);
            bytes = &bytes[length..];
        }
        Ok(())
    }

    /// Sends a part of the final response.
    ///
    /// # Errors
    /// Those of [`Connection::send`].
    pub fn answer(&self, pace: &mut Pace, bytes: &[u8]) -> Result<(), Errno> {
        if self.answers.fetch_add(1, Ordering::Relaxed) == 1 {
            // A block is sent when it comes. Without this, the kernel would keep a small one back until the client has
            // acknowledged the one before it (Nagle's algorithm, TCP_NODELAY in tcp(7)), which it may put off for 40
            // ms.
            setsockopt(&self.descriptor, sockopt::TcpNoDelay, &true).or_else(gone)?;
        }
        self.send(pace, bytes)
    }

    /// Sends a part of a file as part of the final response, and returns whether all of it was there: a file may have
    /// become shorter.
    ///
    /// # Errors
    /// Those of [`Connection::send`], and those of sendfile(2) or read(2).
    pub fn answer_from(&self, pace: &mut Pace, file: &File, range: Range<u64>) -> Result<bool, Errno> {
        let mut at = range.start;
        while at < range.end {
            match send_file_within(&mut pace.limit, &self.descriptor, file, at..range.end)? {
                0 => return Ok(false),
                length => {
                    pace.moved(length);
                    at += length as u64;
                }
            }
        }
        self.answers.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }

    /// Closes the connection so that the client gets the whole answer.
    ///
    /// Closing a socket while something waits in it unread resets the connection, and a reset may overtake the answer.
    /// So if more is to come, or is there, this says that nothing more will be sent, and then reads what comes until
    /// the client closes too: for a second of silence at most, and no longer than `timeout` in all (RFC 9112, section
    /// 9.6).
    pub fn close(self, is_request_complete: bool, timeout: Duration) {
        const SILENCE: Duration = Duration::from_secs(1);
        let mut nothing = TimeLimit::new(Duration::ZERO);
        match read_within(&mut nothing, &self.descriptor, &mut [0; 1]) {
            Ok(1..) => {}
            Err(Errno::ETIMEDOUT) if !is_request_complete => {}
            _ => return,
        }
        if shutdown(self.descriptor.as_raw_fd(), Shutdown::Write).is_err() {
            return; // the client has reset the connection
        }
        let mut rest = [0; 16 * 1024];
        let begin = Instant::now();
        while let Some(left) = timeout.checked_sub(begin.elapsed()) {
            let mut limit = TimeLimit::new(left.min(SILENCE));
            match read_within(&mut limit, &self.descriptor, &mut rest) {
                Ok(1..) => {}
                _ => return,
            }
        }
    }

    /// Closes the connection by a reset: what the client has received is not all there was to be.
    pub fn reset(self) {
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        let _ = setsockopt(&self.descriptor, sockopt::Linger, &linger);
    }
}

/// macOS refuses options on a connection that the client has closed; what is wrong, send will say.
fn gone(errno: Errno) -> Result<(), Errno> {
    match errno {
        Errno::EINVAL => Ok(()),
        errno => Err(errno),
    }
}

/// How slow a client may be: a time limit for what is spent waiting, which begins anew with every 64 KiB that have
/// moved. So a large body on a slow line is no problem, and a client that drips a byte now and then is.
#[derive(Debug)]
pub struct Pace {
    timeout: Duration,
    limit: TimeLimit,
    moved: usize,
}

impl Pace {
    const STRETCH: usize = 64 * 1024;

    /// A limit of `timeout` for each stretch.
    pub fn new(timeout: Duration) -> Pace {
        Pace { timeout, limit: TimeLimit::new(timeout), moved: 0 }
    }

    fn moved(&mut self, bytes: usize) {
        self.moved += bytes;
        if self.moved >= Pace::STRETCH {
            *self = Pace::new(self.timeout);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn the_time_limit_begins_anew_with_every_stretch_and_not_before() {
        const LIMIT: Duration = Duration::from_millis(100);
        let (_client, server) = UnixStream::pair().unwrap();
        let connection = Connection::new(server.into());
        let mut pace = Pace::new(LIMIT);
        let mut wait = |moved: usize| {
            pace.moved(moved);
            let begin = Instant::now();
            assert_eq!(connection.receive(&mut pace, &mut [0]), Err(Errno::ETIMEDOUT));
            begin.elapsed()
        };
        assert!(wait(0) >= LIMIT);
        // Nothing is left, so nothing is waited for. A busy machine may take as long for that once, but not each time.
        assert!([Pace::STRETCH - 1, 0, 0, 0, 0].into_iter().any(|moved| wait(moved) < LIMIT));
        assert!(wait(1) >= LIMIT);
    }

    #[test]
    fn an_answer_has_begun_with_its_first_part_and_not_with_what_precedes_it() {
        let (_client, server) = UnixStream::pair().unwrap();
        let connection = Connection::new(server.into());
        let mut pace = Pace::new(Duration::from_secs(30));
        connection.send(&mut pace, b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        assert!(!connection.is_answered());
        connection.answer(&mut pace, b"HTTP/1.1 200 OK\r\n").unwrap();
        assert!(connection.is_answered());
    }
}
