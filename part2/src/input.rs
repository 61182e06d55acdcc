//! `wsgi.input`: the body of a request, as a file that ends where the body ends.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fmt, mem};

use nix::errno::Errno;
use part1::Failure;
use tempfile::SpooledTempFile;

use crate::chunked::Decoder;
use crate::connection::{Connection, Pace};
use crate::{Refusal, report_application};

/// How much of a chunked body is kept in memory; what is larger goes to a temporary file without a name.
const KEPT_IN_MEMORY: usize = 64 * 1024;

/// The body of a request. Clones are handles of one and the same: what one has read is gone for the others.
///
/// A body whose length is known is read from the connection when the application asks for it. After the request, all
/// handles are at the end of the file: an application that keeps one does not keep the connection open.
#[derive(Clone, Default)]
pub struct Input(Arc<Mutex<Option<BufReader<Source>>>>);

/// Where a body comes from.
enum Source {
    Incoming(Incoming),
    Stored(SpooledTempFile),
}

impl Input {
    /// A body of `length` bytes, the first of which have come with the head.
    pub(crate) fn incoming(body: Incoming) -> Input {
        match body.left == 0 && body.first.is_empty() {
            true => Input::default(),
            false => Input::new(Source::Incoming(body)),
        }
    }

    /// A body that has been stored.
    pub(crate) fn stored(body: SpooledTempFile) -> Input {
        Input::new(Source::Stored(body))
    }

    fn new(source: Source) -> Input {
        Input(Arc::new(Mutex::new(Some(BufReader::new(source)))))
    }

    fn lock(&self) -> MutexGuard<'_, Option<BufReader<Source>>> {
        // What a panic in another thread has left is still a body at some place in it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads up to `limit` bytes; fewer only at the end of the body.
    ///
    /// # Errors
    /// The client stopped in the middle (UnexpectedEof), was too slow (TimedOut), or reset the connection.
    pub fn read_up_to(&self, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if let Some(source) = &mut *self.lock() {
            source.by_ref().take(limit).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    }

    /// Reads to the end of the line, newline included, or `limit` bytes if that is less; nothing where the body ends.
    ///
    /// # Errors
    /// Those of [`Input::read_up_to`].
    pub fn read_line(&self, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if let Some(source) = &mut *self.lock() {
            source.by_ref().take(limit).read_until(b'\n', &mut bytes)?;
        }
        Ok(bytes)
    }

    /// Takes the body from all handles, and says what has become of it.
    pub(crate) fn take_back(&self) -> Leftover {
        match self.lock().take().map(BufReader::into_inner) {
            Some(Source::Incoming(body)) => Leftover { is_complete: body.left == 0, refusal: body.refusal },
            Some(Source::Stored(_)) | None => Leftover { is_complete: true, refusal: None },
        }
    }
}

/// What has become of a body.
pub(crate) struct Leftover {
    /// Whether all of it has been received, if not read.
    pub(crate) is_complete: bool,
    /// What is wrong with it, if reading it failed.
    pub(crate) refusal: Option<Refusal>,
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.lock().as_mut().map_or(Ok(0), |source| source.read(buffer))
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Input")
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Source::Incoming(body) => body.read(buffer),
            Source::Stored(body) => body.read(buffer),
        }
    }
}

/// A body of known length that is still coming.
pub(crate) struct Incoming {
    connection: Arc<Connection>,
    pace: Pace,
    /// What has come with the head and has not been read.
    first: Vec<u8>,
    /// How much has not been received, without `first`.
    left: u64,
    /// Whether the client waits for `100 Continue` before it sends the body (RFC 9110, section 10.1.1).
    is_awaited: bool,
    refusal: Option<Refusal>,
}

impl Incoming {
    /// A body of `length` bytes, or more precisely what is left of it behind `first`, which has come with the head, and
    /// perhaps more than belongs to it.
    pub(crate) fn new(connection: Arc<Connection>, pace: Pace, mut first: Vec<u8>, length: u64) -> Incoming {
        first.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        let left = length - first.len() as u64;
        Incoming { connection, pace, first, left, is_awaited: false, refusal: None }
    }

    /// The same for a client that sent `Expect: 100-continue`.
    pub(crate) fn expected(mut self, is_expected: bool) -> Incoming {
        self.is_awaited = is_expected;
        self
    }

    /// Receives a part of the body.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, Errno> {
        // Once the answer has begun, or part of the body is here, there is nothing to be told to continue with.
        if mem::take(&mut self.is_awaited) && !self.connection.is_answered() {
            self.connection.send(&mut self.pace, CONTINUE)?;
        }
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let length = self.connection.receive(&mut self.pace, &mut buffer[..most])?;
        self.left -= length as u64;
        Ok(length)
    }
}

/// The interim response that a client with a large body may ask for.
pub(crate) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if !self.first.is_empty() {
            let length = self.first.len().min(buffer.len());
            buffer[..length].copy_from_slice(&self.first[..length]);
            self.first.drain(..length);
            self.is_awaited = false;
            return Ok(length);
        }
        if self.left == 0 {
            return Ok(0);
        }
        match self.receive(buffer) {
            Ok(0) => {
                let refusal = Refusal::bad_request("the body is shorter than Content-Length says");
                Err(io::Error::new(ErrorKind::UnexpectedEof, self.refusal.insert(refusal).reason.clone()))
            }
            Err(Errno::ETIMEDOUT) => {
                let refusal = Refusal::timeout("the body came too slowly");
                Err(io::Error::new(ErrorKind::TimedOut, self.refusal.insert(refusal).reason.clone()))
            }
            outcome => Ok(outcome?),
        }
    }
}

/// Why a chunked body could not be stored.
pub(crate) enum StoreError {
    /// The client is to be told.
    Refused(Refusal),
    /// The connection failed.
    Failed(Failure),
}

impl From<Refusal> for StoreError {
    fn from(refusal: Refusal) -> StoreError {
        StoreError::Refused(refusal)
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> StoreError {
        report_application(&format!("the body can't be stored: {error}"));
        StoreError::Refused(Refusal::application_failed())
    }
}

/// Reads a chunked body to its end and stores it without its coding. Returns it, and how long it is.
///
/// WSGI tells an application by CONTENT_LENGTH how much there is to read, and many read just so much. So the length has
/// to be known before the application is called (as in CGI: RFC 3875, section 4.1.2).
pub(crate) fn store_chunked(
    connection: &Connection,
    pace: &mut Pace,
    first: &[u8],
    limit: u64,
) -> Result<(SpooledTempFile, u64), StoreError> {
    let mut decoder = Decoder::default();
    let mut body = SpooledTempFile::new(KEPT_IN_MEMORY);
    let mut length = 0;
    let mut store = |coded: &[u8]| {
        decoder.decode(coded, |piece| {
            length += piece.len() as u64;
            match length {
                0.. if length > limit => Err(StoreError::Refused(Refusal::body_too_large(limit))),
                _ => Ok(io::Write::write_all(&mut body, piece)?),
            }
        })?;
        Ok::<bool, StoreError>(decoder.is_complete())
    };
    let mut is_complete = store(first)?;
    let mut buffer = [0; 16 * 1024];
    while !is_complete {
        is_complete = match connection.receive(pace, &mut buffer) {
            Ok(0) => return Err(Refusal::bad_request("the body ends before its last chunk").into()),
            Ok(received) => store(&buffer[..received])?,
            Err(Errno::ETIMEDOUT) => return Err(Refusal::timeout("the body came too slowly").into()),
            Err(errno) => return Err(StoreError::Failed(Failure::call("recv", errno))),
        };
    }
    body.rewind()?;
    Ok((body, length))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A client, and the connection that the server has to it.
    fn connect() -> (UnixStream, Arc<Connection>) {
        let (client, server) = UnixStream::pair().unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        (client, Arc::new(Connection::new(server.into())))
    }

    /// A body of `length` bytes, of which `first` has come with the head, and `later` comes before the client finishes.
    fn body(first: &[u8], later: &[u8], length: u64) -> Input {
        let (mut client, connection) = connect();
        client.write_all(later).unwrap();
        Input::incoming(Incoming::new(connection, Pace::new(PATIENCE), first.to_vec(), length))
    }

    #[test]
    fn a_body_ends_where_its_length_says() {
        for (first, later) in [("", "abcdefg"), ("abc", "defg"), ("abcde", "fg"), ("abcdefg", "")] {
            let mut input = body(first.as_bytes(), later.as_bytes(), 5);
            let mut text = String::new();
            input.read_to_string(&mut text).unwrap();
            assert_eq!(text, "abcde", "{first:?} and {later:?}");
            assert_eq!(input.read_up_to(9).unwrap(), b"");
            assert!(input.take_back().is_complete);
        }
        assert_eq!(body(b"", b"more", 0).read_up_to(9).unwrap(), b"");
    }

    #[test]
    fn it_is_read_in_parts_and_lines() {
        let input = body(b"on", b"e\ntwo\n\nlast", 13);
        assert_eq!(input.read_up_to(0).unwrap(), b"");
        assert_eq!(input.read_up_to(2).unwrap(), b"on");
        assert_eq!(input.read_line(0).unwrap(), b"");
        assert_eq!(input.read_line(u64::MAX).unwrap(), b"e\n");
        assert_eq!(input.read_line(2).unwrap(), b"tw");
        assert_eq!(input.read_line(2).unwrap(), b"o\n");
        assert_eq!(input.clone().read_line(9).unwrap(), b"\n", "a clone is the same body");
        assert_eq!(input.read_line(9).unwrap(), b"last");
        assert_eq!(input.read_line(9).unwrap(), b"");
    }

    #[test]
    fn a_body_that_ends_early_or_does_not_come_is_an_error_and_a_refusal() {
        let (mut client, connection) = connect();
        client.write_all(b"de").unwrap();
        let pace = Pace::new(Duration::from_millis(50));
        let input = Input::incoming(Incoming::new(Arc::clone(&connection), pace, b"abc".to_vec(), 6));
        assert_eq!(input.read_up_to(5).unwrap(), b"abcde");
        assert_eq!(input.read_up_to(1).unwrap_err().kind(), ErrorKind::TimedOut);
        drop(client);
        assert_eq!(input.read_line(1).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        let leftover = input.take_back();
        assert!(!leftover.is_complete);
        assert_eq!(leftover.refusal.unwrap().status, "400 Bad Request");
    }

    #[test]
    fn after_the_request_a_body_is_at_its_end_and_lets_go_of_the_connection() {
        let (_client, connection) = connect();
        let incoming = Incoming::new(Arc::clone(&connection), Pace::new(PATIENCE), b"abc".to_vec(), 6);
        let input = Input::incoming(incoming);
        let kept = input.clone();
        assert!(!input.take_back().is_complete);
        assert_eq!(kept.read_up_to(9).unwrap(), b"");
        assert!(kept.take_back().is_complete, "there is nothing left to ask for");
        assert!(Arc::into_inner(connection).is_some());
    }

    #[test]
    fn a_client_that_waits_is_told_to_continue_when_the_body_is_read_and_not_before() {
        let (mut client, connection) = connect();
        let incoming = Incoming::new(connection, Pace::new(PATIENCE), Vec::new(), 2).expected(true);
        let input = Input::incoming(incoming);
        client.set_nonblocking(true).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        client.write_all(b"ab").unwrap();
        assert_eq!(input.read_up_to(1).unwrap(), b"a");
        assert_eq!(input.read_up_to(9).unwrap(), b"b");
        let mut told = Vec::new();
        drop(input);
        client.read_to_end(&mut told).unwrap();
        assert_eq!(told, CONTINUE);
    }

    #[test]
    fn a_client_that_has_begun_to_send_the_body_is_not_told_to_continue() {
        let (mut client, connection) = connect();
        client.write_all(b"b").unwrap();
        let input = Input::incoming(Incoming::new(connection, Pace::new(PATIENCE), b"a".to_vec(), 2).expected(true));
        assert_eq!(input.read_up_to(9).unwrap(), b"ab");
        drop(input);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }

    /// Stores a chunked body of which `first` has come with the head, and which the client then ends.
    fn store(first: &[u8], later: &[u8], limit: u64) -> Result<(Vec<u8>, u64), &'static str> {
        let (mut client, connection) = connect();
        let client = std::thread::spawn({
            let later = later.to_vec();
            move || client.write_all(&later)
        });
        let stored = store_chunked(&connection, &mut Pace::new(PATIENCE), first, limit);
        drop(connection);
        let _ = client.join().unwrap();
        match stored {
            Ok((mut file, length)) => {
                let mut body = Vec::new();
                file.read_to_end(&mut body).unwrap();
                Ok((body, length))
            }
            Err(StoreError::Refused(refusal)) => Err(refusal.status),
            Err(StoreError::Failed(failure)) => panic!("{failure}"),
        }
    }

    #[test]
    fn a_chunked_body_is_stored_without_its_coding() {
        let coded = b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n";
        for split in 0..=coded.len() {
            let (first, later) = coded.split_at(split);
            assert_eq!(store(first, later, 7), Ok((b"abcdefg".to_vec(), 7)), "split at {split}");
        }
        let large = vec![b'x'; KEPT_IN_MEMORY + 1];
        let coded = [b"10001\r\n", &large[..], b"\r\n0\r\n\r\n"].concat();
        assert_eq!(store(b"", &coded, 1 << 20), Ok((large, KEPT_IN_MEMORY as u64 + 1)));
    }

    #[test]
    fn a_chunked_body_that_breaks_a_rule_is_not_stored() {
        for (later, status) in [
            ("", "400 Bad Request"),
            ("3\r\nabc\r\n", "400 Bad Request"),
            ("3\r\nabc\r\n0\r\n", "400 Bad Request"),
            ("three\r\n", "400 Bad Request"),
            ("8\r\nabcdefgh\r\n0\r\n\r\n", "413 Content Too Large"),
            ("ffffffffffff\r\nabcdefgh", "413 Content Too Large"),
        ] {
            assert_eq!(store(b"", later.as_bytes(), 7), Err(status), "{later:?}");
        }
    }
}
