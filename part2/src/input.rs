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
