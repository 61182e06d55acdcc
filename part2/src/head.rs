//! The head of a request: its request line and its header fields (RFC 9112, sections 2 to 5).
//!
//! httparse finds the parts. It is made for all sorts of peers, so it lets through what a strict server must not: bare
//! newlines, bytes beyond ASCII in a target. Those rules are kept here, and those that look at several fields together
//! in [`crate::framing`] and [`crate::target`].

use httparse::{EMPTY_HEADER, Error, Header, Request, Status};

use crate::Refusal;

/// The longest request line that is read, in bytes. RFC 9112, section 3, asks for 8000 at least.
pub const LINE_LIMIT: usize = 8 * 1024;
/// The longest head that is read, in bytes.
pub const HEAD_LIMIT: usize = 64 * 1024;
/// The most header fields that a head may have.
pub const FIELD_LIMIT: usize = 100;
/// The longest method that is passed on: those that are registered have 17 letters at most.
const METHOD_LIMIT: usize = 32;

/// A version of HTTP that is spoken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0: no chunked coding, no Expect, Host is optional (RFC 1945).
    Http10,
    /// HTTP/1.1, and any later HTTP/1 (RFC 9110, section 2.5).
    Http11,
}

impl Version {
    /// As it stands in a request line.
    pub fn as_str(self) -> &'static str {
        match self {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
        }
    }
}

/// The parts of a head, as they stand in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head<'a> {
    /// The method: any token, for which of them mean something is the application's business.
    pub method: &'a str,
    /// The request target, as it was sent.
    pub target: &'a str,
    /// The version of HTTP.
    pub version: Version,
    /// Names and values of the header fields, in order, without the white space around a value.
    pub fields: Vec<(&'a str, &'a [u8])>,
}

impl<'a> Head<'a> {
    /// The values of all fields that are called `name`.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

/// Collects a head as it comes, in pieces of any size, and looks at each byte once.
///
/// What breaks a rule is refused as soon as it is seen: whoever types a request into nc should not have to wait for the
/// time limit to learn that its first line is wrong.
#[derive(Debug, Default)]
pub struct HeadReader {
    bytes: Vec<u8>,
    /// Where the request line begins, behind the empty lines that may precede it.
    start: usize,
    /// Where the line that is being looked at begins.
    line: usize,
    /// How far the bytes have been looked at.
    seen: usize,
}

impl HeadReader {
    /// Takes what has come next.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// All that has come so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Looks at what is new. Returns the length of the head once all of it is there; what has come behind it belongs to
    /// the body.
    ///
    /// # Errors
    /// 400, 414, 431, 501 or 505: what has come so far can't become a request.
    pub fn end(&mut self) -> Result<Option<usize>, Refusal> {
        while let Some(&byte) = self.bytes.get(self.seen) {
            match byte {
                b'\r' => match self.bytes.get(self.seen + 1) {
                    Some(b'\n') => {
                        let (line, end) = (self.line, self.seen);
                        self.seen += 2;
                        self.line = self.seen;
                        if line < end && line == self.start {
                            check_request_line(&mut self.bytes[line..end + 2])?;
                        } else if line == end && line > self.start {
                            return Ok(Some(self.seen));
                        } else if line == end {
                            self.start = self.seen; // an empty line before the request (section 2.2)
                        }
                        continue;
                    }
                    Some(_) => return Err(Refusal::bad_request("a CR stands alone; a line ends in CR LF")),
                    None => break,
                },
                b'\n' => {
                    return Err(Refusal::bad_request(
                        "a line ends in LF alone; it has to end in CR LF (nc -C does so)",
                    ));
                }
                b'\t' => {}
                0..0x20 | 0x7f => return Err(Refusal::bad_request("a control character in the head")),
                _ => {}
            }
            self.seen += 1;
            if self.line == self.start && self.seen - self.line > LINE_LIMIT {
                return Err(Refusal::target_too_long(LINE_LIMIT));
            }
            if self.seen > HEAD_LIMIT {
                return Err(Refusal::headers_too_large(format!("a head may have {HEAD_LIMIT} bytes at most")));
            }
        }
        Ok(None)
    }

    /// The parts of the head, which has `length` bytes.
    ///
    /// # Errors
    /// 400 or 431: a header field is not one, or there are too many.
    pub fn parse(&self, length: usize) -> Result<Head<'_>, Refusal> {
        let mut fields = [EMPTY_HEADER; FIELD_LIMIT];
        let mut request = Request::new(&mut fields);
        request.parse(&self.bytes[self.start..length]).map_err(|error| refusal(error, &[]))?;
        let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version) else {
            return Err(Refusal::bad_request(NO_REQUEST_LINE));
        };
        let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
        let fields = request.headers.iter().map(|field: &Header| (field.name, trim(field.value))).collect();
        Ok(Head { method, target, version, fields })
    }
}

const NO_REQUEST_LINE: &str = "the first line is not of the form METHOD TARGET HTTP/1.1";

/// Looks at a request line (RFC 9112, section 3), which ends in CR LF. A later HTTP/1 becomes the one that is spoken
/// here: a server answers it with the highest version that it has.
fn check_request_line(line: &mut [u8]) -> Result<(), Refusal> {
    if let [.., b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'2'..=b'9', b'\r', b'\n'] = line {
        *minor = b'1';
    }
    let mut request = Request::new(&mut []);
    match request.parse(line) {
        Err(error) => return Err(refusal(error, line)),
        Ok(Status::Complete(_) | Status::Partial) => {}
    }
    let (Some(method), Some(target), Some(_)) = (request.method, request.path, request.version) else {
        return Err(Refusal::bad_request(NO_REQUEST_LINE));
    };
    if method.len() > METHOD_LIMIT {
        return Err(Refusal::not_implemented(format!("a method may have {METHOD_LIMIT} letters at most")));
    }
    // Its path leads to a tunnel, not to an application (RFC 9110, section 9.3.6).
    if method == "CONNECT" {
        return Err(Refusal::not_implemented("CONNECT is for proxies"));
    }
    if !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Err(Refusal::bad_request("the target has a # or something beyond ASCII; such has to be %-encoded"));
    }
    Ok(())
}

/// What an error of httparse is for the client. `line` is the request line, if that is what the error is in.
fn refusal(error: Error, line: &[u8]) -> Refusal {
    match error {
        Error::Version if has_version(line) => Refusal::version_not_supported(),
        Error::TooManyHeaders => Refusal::headers_too_large(format!("a head may have {FIELD_LIMIT} fields at most")),
        Error::HeaderName => Refusal::bad_request("a header field is not of the form NAME: VALUE"),
        Error::HeaderValue => Refusal::bad_request("the value of a header field has a character that is not allowed"),
        Error::Version | Error::Token | Error::NewLine | Error::Status => Refusal::bad_request(NO_REQUEST_LINE),
    }
}

/// Whether `line` ends with the name of a version of HTTP, one that is not spoken here.
fn has_version(line: &[u8]) -> bool {
    matches!(line, [.., b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor, b'\r', b'\n']
        if major.is_ascii_digit() && minor.is_ascii_digit())
}

/// Without spaces and tabs on either side (OWS, RFC 9110, section 5.6.3).
pub fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
