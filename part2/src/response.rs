//! `start_response`, and the rules that every response keeps, whoever made it (PEP 3333, "The start_response()
//! Callable"; RFC 9110 and 9112).

use std::fmt::{self, Display};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use nix::errno::Errno;

use crate::FilePart;
use crate::connection::{Connection, Pace};
use crate::environ::SOFTWARE;
use crate::head::{Version, is_token};

/// What an application calls to begin its response.
///
/// Clones are handles of one and the same response. After the request, none of them does anything: an application that
/// keeps one, perhaps in a traceback, does not keep the connection open.
#[derive(Clone)]
pub struct StartResponse(Arc<Mutex<Option<Response>>>);

impl StartResponse {
    pub(crate) fn new(response: Response) -> StartResponse {
        StartResponse(Arc::new(Mutex::new(Some(response))))
    }

    /// Sets the status, such as `200 OK`, and the headers. Nothing is sent before there is a block to send with them.
    ///
    /// Whoever calls it wrongly, twice or with a header that can't be sent, has made an error in the application, and
    /// the client gets a 500 as for any other. [`StartResponse::try_start`] returns it instead.
    ///
    /// What this returns can send blocks before the body is returned; most applications do not need it.
    pub fn start<N: AsRef<[u8]>, V: AsRef<[u8]>>(&self, status: impl AsRef<[u8]>, headers: &[(N, V)]) -> Write {
        if let Err(error) = self.try_start(status, headers, false)
            && let Some(response) = &mut *self.lock()
        {
            response.fault = Some(error);
        }
        Write(self.clone())
    }

    /// The same, and says what is wrong. With `again`, it replaces what was set before: for an application that meets
    /// an error after it has begun (`exc_info` in PEP 3333).
    ///
    /// # Errors
    /// [`ResponseError::Misuse`], or [`ResponseError::Begun`] when part of the response has been sent: it can't be
    /// replaced then.
    pub fn try_start<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        status: impl AsRef<[u8]>,
        headers: &[(N, V)],
        again: bool,
    ) -> Result<Write, ResponseError> {
        let mut response = self.lock();
        let response = response.as_mut().ok_or(ResponseError::Over)?;
        match &response.stage {
            Stage::Ended => return Err(ResponseError::Over),
            Stage::Sending(_) if again => return Err(ResponseError::Begun),
            Stage::Sending(_) | Stage::Started(_) if !again => {
                return Err(misuse("start_response was called twice (the second time without exc_info)"));
            }
            _ => {}
        }
        response.stage = Stage::Started(Started::new(status.as_ref(), headers)?);
        response.fault = None;
        Ok(Write(self.clone()))
    }

    /// Sends a block. `is_all` says that it is the whole body.
    pub(crate) fn send(&self, block: Content, is_all: bool) -> Result<(), ResponseError> {
        self.lock().as_mut().ok_or(ResponseError::Over)?.send(block, is_all)
    }

    /// Ends the response.
    pub(crate) fn finish(&self) -> Result<(), ResponseError> {
        self.lock().as_mut().ok_or(ResponseError::Over)?.finish()
    }

    /// Takes the response from all handles.
    pub(crate) fn take_back(&self) -> Option<Response> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Response>> {
        // Nothing in here panics between two steps that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for StartResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StartResponse")
    }
}

/// The `write` of PEP 3333: sends a block at once, before the body is returned.
#[derive(Debug, Clone)]
pub struct Write(StartResponse);

impl Write {
    /// Sends `block`.
    ///
    /// # Errors
    /// Start_response has failed, the block is more than Content-Length allows, the client is gone, or the request
    /// over.
    pub fn send(&self, block: &[u8]) -> Result<(), ResponseError> {
        self.0.send(Content::Bytes(block), false)
    }
}

impl io::Write for Write {
    fn write(&mut self, block: &[u8]) -> io::Result<usize> {
        self.send(block).map_err(|error| match error {
            ResponseError::Connection(errno) => errno.into(),
            error => io::Error::other(error),
        })?;
        Ok(block.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why a response could not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseError {
    /// The application has broken a rule; this one.
    Misuse(String),
    /// Part of the response has been sent, so that it can't be replaced.
    Begun,
    /// The request is over.
    Over,
    /// The client is gone, or too slow (ETIMEDOUT).
    Connection(Errno),
}

fn misuse(what: impl Into<String>) -> ResponseError {
    ResponseError::Misuse(what.into())
}

impl Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResponseError::Misuse(what) => f.write_str(what),
            ResponseError::Begun => f.write_str("part of the response has been sent; it can't be replaced"),
            ResponseError::Over => f.write_str("the request is over"),
            ResponseError::Connection(errno) => write!(f, "the client can't be reached: {errno}"),
        }
    }
}

impl std::error::Error for ResponseError {}

/// The response to one request, as far as it has come.
pub(crate) struct Response {
    connection: Arc<Connection>,
    pace: Pace,
    /// Whether the request was HEAD: it gets the head of what GET would get.
    is_head: bool,
    version: Version,
    stage: Stage,
    /// What [`StartResponse::start`] did not return.
    fault: Option<ResponseError>,
    /// What is printed of it, if it is to be printed.
    shown: Option<Transcript>,
    /// The status code, once the head has been sent, and how many bytes of the body have.
    sent: Option<(u16, u64)>,
}

enum Stage {
    /// The application has not called start_response.
    Waiting,
    /// It has; nothing has been sent.
    Started(Started),
    /// The head has been sent.
    Sending(Sending),
    /// All of it has been sent.
    Ended,
}

/// The head of a response that may still be replaced.
struct Started {
    code: u16,
    /// The status line and the header fields, but for those that the server adds.
    head: Vec<u8>,
    content_length: Option<u64>,
    has_date: bool,
    has_server: bool,
}

/// A response whose head has been sent.
struct Sending {
    coding: Coding,
    /// How many bytes are still to come, if that has been declared.
    left: Option<u64>,
}

/// How the end of a body is told (RFC 9112, section 6.3).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    /// There is none: HEAD, 204, 304. Whatever the application makes is dropped.
    Nothing,
    /// By Content-Length, or else by the end of the connection.
    Plain,
    /// By the last chunk.
    Chunked,
}

impl Response {
    /// The response to a request of this version.
    pub(crate) fn new(connection: Arc<Connection>, pace: Pace, is_head: bool, version: Version) -> Response {
        Response { connection, pace, is_head, version, stage: Stage::Waiting, fault: None, shown: None, sent: None }
    }

    /// Keeps what is to be printed.
    pub(crate) fn shown(mut self, is_shown: bool) -> Response {
        self.shown = is_shown.then(Transcript::default);
        self
    }

    /// Whether part of it has been sent.
    pub(crate) fn has_begun(&self) -> bool {
        matches!(self.stage, Stage::Sending(_) | Stage::Ended)
    }

    /// The status code, and how many bytes of the body have been sent; `None` if the head has not.
    pub(crate) fn sent(&self) -> Option<(u16, u64)> {
        self.sent
    }

    /// Whether the end of the connection is the only sign of its end.
    pub(crate) fn ends_with_connection(&self) -> bool {
        matches!(self.stage, Stage::Sending(Sending { coding: Coding::Plain, left: None }))
    }

    /// What is to be printed of it.
    pub(crate) fn take_shown(&mut self) -> Option<Transcript> {
        self.shown.take()
    }

    /// Forgets what the application has set, and answers with a text instead; only if nothing has been sent.
    pub(crate) fn replace(&mut self, status: &str, text: &str) -> Result<(), ResponseError> {
        self.fault = None;
        self.stage = Stage::Started(Started::new(status.as_bytes(), &[("Content-Type", "text/plain; charset=utf-8")])?);
        self.send(Content::Bytes(text.as_bytes()), true)?;
        self.finish()
    }

    fn send(&mut self, block: Content, is_all: bool) -> Result<(), ResponseError> {
        self.check_started()?;
        let block_length = block.length();
        // The head waits for the first block that has something in it: until then it may be replaced.
        if block_length == 0 {
            return Ok(());
        }
        let mut bytes = self.begin(is_all.then_some(block_length));
        let Stage::Sending(sending) = &mut self.stage else { return Ok(()) };

        // More than was declared would be taken for another response.
        let allowed = match sending.left {
            Some(left) => block.up_to(left),
            None => block,
        };
        let length = allowed.length();
        if let Some(left) = &mut sending.left {
            *left -= length;
        }
        let coding = sending.coding;
        if coding != Coding::Nothing
            && let Some(shown) = &mut self.shown
        {
            shown.add(&allowed);
        }
        match coding {
            Coding::Nothing => self.put(bytes, &Content::Bytes(b""))?,
            Coding::Plain => self.put(bytes, &allowed)?,
            Coding::Chunked => {
                let _ = write!(bytes, "{length:x}\r\n");
                match allowed {
                    Content::Bytes(block) if block.len() <= JOINED => {
                        bytes.extend_from_slice(block);
                        self.put(bytes, &Content::Bytes(b"\r\n"))?;
                    }
                    allowed => {
                        self.put(bytes, &allowed)?;
                        self.put(Vec::new(), &Content::Bytes(b"\r\n"))?;
                    }
                }
            }
        }
        if coding != Coding::Nothing
            && let Some((_, sent)) = &mut self.sent
        {
            *sent += length;
        }
        match coding {
            Coding::Plain if length < block_length => {
                Err(misuse("the application sent more than its Content-Length says; the rest is dropped"))
            }
            _ => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<(), ResponseError> {
        self.check_started()?;
        let mut bytes = self.begin(Some(0));
        let Stage::Sending(Sending { coding, left }) = std::mem::replace(&mut self.stage, Stage::Ended) else {
            return Ok(());
        };
        if coding == Coding::Chunked {
            bytes.extend_from_slice(b"0\r\n\r\n");
        }
        self.put(bytes, &Content::Bytes(b""))?;
        match left {
            Some(left @ 1..) if coding == Coding::Plain => {
                Err(misuse(format!("the application sent {left} bytes less than its Content-Length says")))
            }
            _ => Ok(()),
        }
    }

    /// The head, if it has not been sent: it is about to be. `known_length` is that of the whole body, if it is known.
    fn begin(&mut self, known_length: Option<u64>) -> Vec<u8> {
        let Stage::Started(started) = &self.stage else { return Vec::new() };
        let (head, sending) = started.finish(known_length, self.is_head, self.version);
        self.sent = Some((started.code, 0));
        if let Some(shown) = &mut self.shown {
            shown.head.extend_from_slice(&head);
        }
        self.stage = Stage::Sending(sending);
        head
    }

    fn check_started(&mut self) -> Result<(), ResponseError> {
        match (self.fault.take(), &self.stage) {
            (Some(fault), _) => Err(fault),
            (None, Stage::Ended) => Err(ResponseError::Over),
            (None, Stage::Waiting) => Err(misuse("start_response was not called before the first block")),
            (None, _) => Ok(()),
        }
    }

    /// Sends `first` and then `second`: together, if `second` is small.
    fn put(&mut self, mut first: Vec<u8>, second: &Content) -> Result<(), ResponseError> {
        let second = match second {
            Content::Bytes(second) => second,
            Content::File(part) => {
                self.put(first, &Content::Bytes(b""))?;
                let sent = self.connection.answer_from(&mut self.pace, &part.file, part.range.clone());
                return match sent.map_err(ResponseError::Connection)? {
                    true => Ok(()),
                    false => Err(misuse("a file became shorter while it was sent")),
                };
            }
        };
        let is_joined = !first.is_empty() && second.len() <= JOINED;
        if is_joined {
            first.extend_from_slice(second);
        }
        for bytes in [&first[..], if is_joined { b"" } else { second }] {
            if !bytes.is_empty() {
                self.connection.answer(&mut self.pace, bytes).map_err(ResponseError::Connection)?;
            }
        }
        Ok(())
    }
}

/// What is sent of a body at once.
pub(crate) enum Content<'a> {
    Bytes(&'a [u8]),
    File(FilePart),
}

impl Content<'_> {
    /// How many bytes it has.
    pub(crate) fn length(&self) -> u64 {
        match self {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::File(part) => part.range.end.saturating_sub(part.range.start),
        }
    }

    /// Its first `most` bytes.
    fn up_to(self, most: u64) -> Self {
        match self {
            Content::Bytes(bytes) => {
                Content::Bytes(&bytes[..bytes.len().min(usize::try_from(most).unwrap_or(usize::MAX))])
            }
            Content::File(FilePart { file, range }) => {
                let end = range.end.min(range.start.saturating_add(most));
                Content::File(FilePart { file, range: range.start..end })
            }
        }
    }
}

/// Up to this size, copying a block is cheaper than another call of send.
const JOINED: usize = 16 * 1024;

impl Started {
    /// Looks at what the application has set, and refuses what must not go out.
    fn new<N: AsRef<[u8]>, V: AsRef<[u8]>>(status: &[u8], headers: &[(N, V)]) -> Result<Started, ResponseError> {
        let code = status_code(status)?;
        let mut head = Vec::with_capacity(512);
        head.extend_from_slice(b"HTTP/1.1 ");
        head.extend_from_slice(status);
        head.extend_from_slice(b"\r\n");
        let mut started = Started { code, head, content_length: None, has_date: false, has_server: false };
        for (name, value) in headers {
            started.add(name.as_ref(), value.as_ref())?;
        }
        Ok(started)
    }

    fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), ResponseError> {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        if name.is_empty() || !name.iter().all(|&byte| is_token(byte)) {
            return Err(misuse(format!("the header name {:?} is no token", String::from_utf8_lossy(name))));
        }
        let named = |what: &str| misuse(format!("the header {} {what}", String::from_utf8_lossy(name)));
        // With a line break in it, what an application took from a request could become headers of its response.
        if value.iter().any(u8::is_ascii_control) {
            return Err(named("has a control character in its value"));
        }
        if HOP_BY_HOP.iter().any(|other| is(other)) {
            return Err(named("is between server and client (hop-by-hop), and not the application's"));
        }
        if is("content-length") {
            let digits = str::from_utf8(value).ok().filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
            let length = digits.and_then(|digits| digits.parse().ok());
            let length = length.ok_or_else(|| named("is not a number"))?;
            // It is written when it is known whether there may be one.
            return match self.content_length.replace(length) {
                None => Ok(()),
                Some(_) => Err(named("is there twice")),
            };
        }
        self.has_date |= is("date");
        self.has_server |= is("server");
        for part in [name, b": ", value, b"\r\n"] {
            self.head.extend_from_slice(part);
        }
        Ok(())
    }

    /// The whole head, with what the server adds, and how the body is to be sent. `known_length` is that of the whole
    /// body, if it is known.
    fn finish(&self, known_length: Option<u64>, is_head: bool, version: Version) -> (Vec<u8>, Sending) {
        // 205 asks the client to clear a form, and can't have content (RFC 9110, section 15.3.6).
        let has_no_body = matches!(self.code, 204 | 205 | 304);
        let length = match self.code {
            204 => None, // must not have one (RFC 9110, section 8.6)
            205 => Some(0),
            // That of a body which is not sent. What it would have been, only the application knows; unless it has made
            // the body for HEAD too.
            304 => self.content_length,
            _ if is_head => self.content_length.or(known_length.filter(|length| *length > 0)),
            _ => self.content_length.or(known_length),
        };
        let coding = match length {
            _ if is_head || has_no_body => Coding::Nothing,
            None if version == Version::Http11 => Coding::Chunked,
            _ => Coding::Plain,
        };
        let mut head = self.head.clone();
        if let Some(length) = length {
            let _ = write!(head, "Content-Length: {length}\r\n");
        }
        if coding == Coding::Chunked {
            head.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        if !self.has_date {
            let _ = write!(head, "Date: {}\r\n", httpdate::fmt_http_date(SystemTime::now()));
        }
        if !self.has_server {
            let _ = write!(head, "Server: {SOFTWARE}\r\n");
        }
        head.extend_from_slice(b"Connection: close\r\n\r\n");
        (head, Sending { coding, left: length })
    }
}

/// Header fields that concern a single connection (RFC 9110, section 7.6.1), which is the server's business.
pub const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];

/// Reads a status: three digits, a space and a phrase, which may be empty (RFC 9112, section 4).
fn status_code(status: &[u8]) -> Result<u16, ResponseError> {
    let code = match status {
        [a @ b'2'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b' ', phrase @ ..]
            if !phrase.iter().any(u8::is_ascii_control) =>
        {
            Some([a, b, c].iter().fold(0, |code, digit| code * 10 + u16::from(**digit - b'0')))
        }
        _ => None,
    };
    let what = || format!("the status {:?} is not of the form `200 OK`", String::from_utf8_lossy(status));
    code.ok_or_else(|| misuse(what()))
}

/// What is printed of a response: its head, and the first part of its body.
#[derive(Default)]
pub(crate) struct Transcript {
    head: Vec<u8>,
    body: Vec<u8>,
    left_out: u64,
}

impl Transcript {
    /// The most bytes of a body that are printed.
    const LIMIT: usize = 1024;

    fn add(&mut self, block: &Content) {
        let most = Transcript::LIMIT - self.body.len();
        let before = self.body.len();
        match block {
            Content::Bytes(bytes) => self.body.extend_from_slice(&bytes[..bytes.len().min(most)]),
            Content::File(part) => {
                let mut begin = vec![0; usize::try_from(block.length()).map_or(most, |length| length.min(most))];
                let length = part.file.read_at(&mut begin, part.range.start).unwrap_or_default();
                self.body.extend_from_slice(&begin[..length]);
            }
        }
        self.left_out += block.length().saturating_sub((self.body.len() - before) as u64);
    }

    /// What has been sent, as text.
    pub(crate) fn lines(&self) -> Vec<u8> {
        let mut text = [&self.head[..], &self.body].concat();
        if self.left_out > 0 {
            let _ = write!(text, "\n... and {} more bytes", self.left_out);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;

    /// What a client gets of a response with these headers and one block: the bytes from the third to the eighth of a
    /// file of so many digits.
    fn sent(version: Version, headers: &[(&str, &str)], digits: usize) -> (Result<(), ResponseError>, String) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&b"0123456789"[..digits]).unwrap();
        let (server, mut client) = UnixStream::pair().unwrap();
        let connection = Arc::new(Connection::new(server.into()));
        let response = Response::new(connection, Pace::new(Duration::from_secs(30)), false, version);
        let start_response = StartResponse::new(response);
        start_response.start("200 OK", headers);
        let part = FilePart { file: Arc::new(file), range: 2..8 };
        let outcome = start_response.send(Content::File(part), false).and_then(|()| start_response.finish());
        drop(start_response.take_back());
        let mut sent = String::new();
        client.read_to_string(&mut sent).unwrap();
        (outcome, sent.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    #[test]
    fn a_part_of_a_file_is_framed_as_any_block() {
        assert_eq!(sent(Version::Http11, &[], 10), (Ok(()), "6\r\n234567\r\n0\r\n\r\n".to_owned()));
        assert_eq!(sent(Version::Http10, &[], 10), (Ok(()), "234567".to_owned()));
        assert_eq!(sent(Version::Http11, &[("Content-Length", "6")], 10), (Ok(()), "234567".to_owned()));
    }

    #[test]
    fn a_part_of_a_file_is_never_more_than_was_declared_and_is_known_to_be_less() {
        let (outcome, body) = sent(Version::Http11, &[("Content-Length", "5")], 10);
        assert!(matches!(outcome, Err(ResponseError::Misuse(_))), "{outcome:?}");
        assert_eq!(body, "23456");
        let (outcome, body) = sent(Version::Http11, &[("Content-Length", "6")], 5);
        assert_eq!(outcome, Err(misuse("a file became shorter while it was sent")));
        assert_eq!(body, "234");
    }
}
