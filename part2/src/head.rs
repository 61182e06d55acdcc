//! The head of a request: its request line and its header fields (RFC 9112, sections 2 to 5).
//!
//! httparse finds the header fields. It is made for all sorts of peers, so it lets through what a strict server must
//! not, such as bare newlines. Those rules are kept here, and those that look at several fields together in
//! [`crate::framing`] and [`crate::target`].

use std::ops::Range;

use httparse::{EMPTY_HEADER, Error, Status, parse_headers};

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
    /// Where the line that is being looked at begins.
    line: usize,
    /// How far the bytes have been looked at.
    seen: usize,
    /// How many lines have followed the request line.
    fields: usize,
    request_line: Option<RequestLine>,
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

    /// The first line, which should be the request line, as far as it has come.
    pub fn first_line(&self) -> &[u8] {
        let begin = self.bytes.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(self.bytes.len());
        let line = &self.bytes[begin..];
        &line[..line.iter().position(|byte| b"\r\n".contains(byte)).unwrap_or(line.len()).min(LINE_LIMIT)]
    }

    /// The method, as soon as there is a request line that is one.
    pub fn method(&self) -> Option<&str> {
        self.request_line.as_ref().map(|line| self.text(&line.method))
    }

    /// Looks at what is new. Returns the length of the head once all of it is there; what has come behind it belongs to
    /// the body.
    ///
    /// # Errors
    /// 400, 414, 431, 501 or 505: what has come so far can't become a request.
    pub fn end(&mut self) -> Result<Option<usize>, Refusal> {
        loop {
            let length = match &self.bytes[self.seen..] {
                [] | [b'\r'] => return Ok(None),
                [b'\r', b'\n', ..] => 2,
                [b'\r', ..] => return Err(Refusal::bad_request("a CR stands alone; a line ends in CR LF")),
                [b'\n', ..] => {
                    return Err(Refusal::bad_request(
                        "a line ends in LF alone; it has to end in CR LF (nc -C does so)",
                    ));
                }
                [byte, ..] if byte.is_ascii_control() && *byte != b'\t' => {
                    return Err(Refusal::bad_request("a control character in the head"));
                }
                _ => 1,
            };
            self.seen += length;
            if self.seen > HEAD_LIMIT {
                return Err(Refusal::headers_too_large(format!("a head may have {HEAD_LIMIT} bytes at most")));
            }
            if length == 1 {
                if self.request_line.is_none() && self.seen - self.line > LINE_LIMIT {
                    return Err(Refusal::target_too_long(LINE_LIMIT));
                }
                continue;
            }
            let line = self.line..self.seen - length;
            self.line = self.seen;
            match (&self.request_line, line.is_empty()) {
                (None, true) => {} // an empty line before the request (section 2.2)
                (None, false) => self.request_line = Some(RequestLine::of(&self.bytes, line)?),
                (Some(_), true) => return Ok(Some(self.seen)),
                (Some(_), false) if self.fields == FIELD_LIMIT => {
                    return Err(Refusal::headers_too_large(format!("a head may have {FIELD_LIMIT} fields at most")));
                }
                (Some(_), false) => self.fields += 1,
            }
        }
    }

    /// The parts of the head, which has `length` bytes.
    ///
    /// # Errors
    /// 400: a header field is not one.
    pub fn parse(&self, length: usize) -> Result<Head<'_>, Refusal> {
        let line = self.request_line.as_ref().ok_or(Refusal::bad_request(NO_REQUEST_LINE))?;
        let mut fields = vec![EMPTY_HEADER; self.fields];
        let fields = match parse_headers(&self.bytes[line.end..length], &mut fields) {
            Ok(Status::Complete((_, fields))) => fields,
            Err(Error::HeaderValue) => {
                return Err(Refusal::bad_request("the value of a header field has a character that is not allowed"));
            }
            Ok(Status::Partial) | Err(_) => {
                return Err(Refusal::bad_request("a header field is not of the form NAME: VALUE"));
            }
        };
        Ok(Head {
            method: self.text(&line.method),
            target: self.text(&line.target),
            version: line.version,
            fields: fields.iter().map(|field| (field.name, trim(field.value))).collect(),
        })
    }

    /// What stands at `range`, which has been found to be ASCII.
    fn text(&self, range: &Range<usize>) -> &str {
        str::from_utf8(&self.bytes[range.clone()]).unwrap_or_default()
    }
}

const NO_REQUEST_LINE: &str = "the first line is not of the form METHOD TARGET HTTP/1.1";

/// Where the parts of a request line stand (RFC 9112, section 3).
#[derive(Debug)]
struct RequestLine {
    method: Range<usize>,
    target: Range<usize>,
    version: Version,
    /// Where the next line begins.
    end: usize,
}

impl RequestLine {
    /// Looks at the line at `line` of `bytes`: three parts, with one space between them.
    fn of(bytes: &[u8], line: Range<usize>) -> Result<RequestLine, Refusal> {
        let no_request_line = || Refusal::bad_request(NO_REQUEST_LINE);
        let mut parts = bytes[line.clone()].split(|&byte| byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(no_request_line());
        };
        if method.is_empty() || !method.iter().all(|&byte| is_token(byte)) || target.is_empty() {
            return Err(no_request_line());
        }
        let version = match version {
            b"HTTP/1.0" => Version::Http10,
            // A later HTTP/1 is answered with the highest version that is spoken here.
            [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1'..=b'9'] => Version::Http11,
            [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
                return Err(Refusal::version_not_supported());
            }
            _ => return Err(no_request_line()),
        };
        if method.len() > METHOD_LIMIT {
            return Err(Refusal::not_implemented(format!("a method may have {METHOD_LIMIT} letters at most")));
        }
        // Its path leads to a tunnel, not to an application (RFC 9110, section 9.3.6).
        if method == b"CONNECT" {
            return Err(Refusal::not_implemented("CONNECT is for proxies"));
        }
        if !target.iter().all(|&byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(Refusal::bad_request("the target has a # or something beyond ASCII; such has to be %-encoded"));
        }
        let target_begin = line.start + method.len() + 1;
        Ok(RequestLine {
            method: line.start..line.start + method.len(),
            target: target_begin..target_begin + target.len(),
            version,
            end: line.end + b"\r\n".len(),
        })
    }
}

/// Whether `byte` may stand in a token, such as a method or the name of a field (RFC 9110, section 5.6.2).
pub fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Without spaces and tabs on either side (OWS, RFC 9110, section 5.6.3).
pub fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a head that comes in one piece; it has to be complete.
    fn read(bytes: &[u8]) -> Result<HeadReader, Refusal> {
        let mut reader = HeadReader::default();
        reader.push(bytes);
        let length = reader.end()?.unwrap_or_else(|| panic!("it is not complete: {}", bytes.escape_ascii()));
        reader.parse(length)?;
        Ok(reader)
    }

    /// The status that `bytes` are refused with.
    fn status(bytes: &[u8]) -> &'static str {
        match read(bytes) {
            Ok(_) => "accepted",
            Err(refusal) => refusal.status.split_at(3).0,
        }
    }

    #[test]
    fn a_head_is_taken_apart() {
        let reader = read(b"POST /a?b HTTP/1.1\r\nHost: a\r\nX-Two:\t 1\t2 \r\nx-two:\r\n\r\nbody").unwrap();
        let head = reader.parse(reader.bytes().len() - b"body".len()).unwrap();
        assert_eq!((head.method, head.target, head.version), ("POST", "/a?b", Version::Http11));
        assert_eq!(head.fields, [("Host", &b"a"[..]), ("X-Two", b"1\t2"), ("x-two", b"")]);
        assert!(head.values("X-TWO").eq([&b"1\t2"[..], b""]));
    }

    #[test]
    fn a_head_is_complete_with_its_last_byte_and_not_before() {
        let bytes = b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut reader = HeadReader::default();
        for (at, byte) in bytes.iter().enumerate() {
            assert_eq!(reader.end(), Ok(None), "after {at} bytes");
            reader.push(&[*byte]);
        }
        assert_eq!(reader.end(), Ok(Some(bytes.len())));
    }

    #[test]
    fn the_method_is_known_as_soon_as_the_request_line_is() {
        let mut reader = HeadReader::default();
        reader.push(b"\r\nHEAD / HTTP/1.1");
        assert_eq!((reader.end(), reader.method()), (Ok(None), None));
        reader.push(b"\r\n\n");
        assert!(reader.end().is_err());
        assert_eq!(reader.method(), Some("HEAD"));
    }

    #[test]
    fn a_request_line_has_three_parts_and_single_spaces() {
        for (line, expected) in [
            ("GET / HTTP/1.1", "accepted"),
            ("GET / HTTP/1.0", "accepted"),
            ("GET / HTTP/1.2", "accepted"),
            ("GET / HTTP/1.9", "accepted"),
            ("get / HTTP/1.1", "accepted"),
            ("M-SEARCH * HTTP/1.1", "accepted"),
            ("!#$%&'*+-.^_`|~09azAZ / HTTP/1.1", "accepted"),
            ("GET /{|}\\^`\"<> HTTP/1.1", "accepted"), // browsers send some of these
            ("GET /", "400"),
            ("GET", "400"),
            (" GET / HTTP/1.1", "400"),
            ("GET  / HTTP/1.1", "400"),
            ("GET /  HTTP/1.1", "400"),
            ("GET / HTTP/1.1 ", "400"),
            ("GET / a HTTP/1.1", "400"),
            ("GET / a HTTP/2.0", "400"),
            ("GET  HTTP/1.1", "400"),
            (" / HTTP/1.1", "400"),
            ("GET\t/ HTTP/1.1", "400"),
            ("GET /\tHTTP/1.1", "400"),
            ("GET / HTTP/1.1\t", "400"),
            ("G(T / HTTP/1.1", "400"),
            ("GET: / HTTP/1.1", "400"),
            ("G\u{e9}T / HTTP/1.1", "400"),
            ("GET /\u{e9} HTTP/1.1", "400"),
            ("GET /# HTTP/1.1", "400"),
            ("GET / http/1.1", "400"),
            ("GET / HTTP/1.", "400"),
            ("GET / HTTP/1", "400"),
            ("GET / HTTP/1.10", "400"),
            ("GET / HTTP/01.1", "400"),
            ("GET / HTTP/1,1", "400"),
            ("GET / HTTPS/1.1", "400"),
            ("GET / HTTP /1.1", "400"),
            ("GET / ICY", "400"),
            ("GET / HTTP/0.9", "505"),
            ("GET / HTTP/2.0", "505"),
            ("GET / HTTP/3.0", "505"),
            ("PRI * HTTP/2.0", "505"),
            ("CONNECT a:443 HTTP/1.1", "501"),
        ] {
            assert_eq!(status(format!("{line}\r\nHost: a\r\n\r\n").as_bytes()), expected, "{line:?}");
        }
    }

    #[test]
    fn the_later_versions_of_http_1_are_spoken_as_the_last_that_is_known() {
        let reader = read(b"GET / HTTP/1.7\r\n\r\n").unwrap();
        assert_eq!(reader.parse(reader.bytes().len()).unwrap().version, Version::Http11);
        assert!(reader.bytes().starts_with(b"GET / HTTP/1.7\r\n"), "what came stays as it came");
    }

    #[test]
    fn a_line_ends_in_cr_lf_and_has_no_control_characters() {
        for (bytes, reason) in [
            (&b"GET / HTTP/1.1\nHost: a\n\n"[..], "LF alone"),
            (b"GET / HTTP/1.1\r\nHost: a\n\r\n", "LF alone"),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\n", "LF alone"),
            (b"\nGET / HTTP/1.1\r\n\r\n", "LF alone"),
            (b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", "CR stands alone"),
            (b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", "CR stands alone"),
            (b"\rGET / HTTP/1.1\r\n\r\n", "CR stands alone"),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", "CR stands alone"),
            (b"GET /\0 HTTP/1.1\r\n\r\n", "control character"),
            (b"GET / HTTP/1.1\r\nX: \0\r\n\r\n", "control character"),
            (b"GET / HTTP/1.1\r\nX\x0b: a\r\n\r\n", "control character"),
            (b"GET / HTTP/1.1\r\nX: \x7f\r\n\r\n", "control character"),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "control character"), // how TLS begins
        ] {
            let refusal = read(bytes).err().unwrap_or_else(|| panic!("{}", bytes.escape_ascii()));
            assert!(refusal.status.starts_with("400") && refusal.reason.contains(reason), "{refusal}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_before_the_line_ends() {
        for bytes in [&b"GET /\n"[..], b"\x00", b"GET / HTTP/1.1\r\nX\ry"] {
            let mut reader = HeadReader::default();
            reader.push(bytes);
            assert!(reader.end().is_err(), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_header_field_is_a_name_a_colon_and_a_value() {
        for (field, expected) in [
            ("X: y", "accepted"),
            ("X:", "accepted"),
            ("X:y:z", "accepted"),
            ("X: a\tb", "accepted"),
            ("X: \u{e9}", "accepted"),
            ("1!#$%&'*+-.^_`|~: y", "accepted"),
            ("X : y", "400"),
            ("X\t: y", "400"),
            (" X: y", "400"),
            ("X: y\r\n z", "400"), // a folded line (section 5.2)
            ("X: y\r\n\tz", "400"),
            ("X: y\r\n \r\nZ: z", "400"),
            (": y", "400"),
            ("X", "400"),
            ("X Y: z", "400"),
            ("X(: y", "400"),
            ("X\u{e9}: y", "400"),
            ("GET / HTTP/1.1", "400"),
        ] {
            let first = format!("GET / HTTP/1.1\r\n{field}\r\nHost: a\r\n\r\n");
            assert_eq!(status(first.as_bytes()), expected, "{field:?}");
            let last = format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
            assert_eq!(status(last.as_bytes()), expected, "{field:?} as the last one");
        }
    }

    #[test]
    fn limits_are_what_they_say() {
        let line = |length: usize| format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(length - "GET / HTTP/1.1".len()));
        assert_eq!(status(line(LINE_LIMIT).as_bytes()), "accepted");
        assert_eq!(
            status(format!("\r\n{}", line(LINE_LIMIT)).as_bytes()),
            "accepted",
            "an empty line is no part of it"
        );
        assert_eq!(status(line(LINE_LIMIT + 1).as_bytes()), "414");
        assert_eq!(status(&vec![b'x'; LINE_LIMIT + 1]), "414", "no end of the line is waited for");

        let head = |length: usize| {
            let begin = "GET / HTTP/1.1\r\nX: ";
            format!("{begin}{}\r\n\r\n", "x".repeat(length - begin.len() - 4))
        };
        assert_eq!(status(head(HEAD_LIMIT).as_bytes()), "accepted");
        assert_eq!(status(head(HEAD_LIMIT + 1).as_bytes()), "431");
        assert_eq!(status(b"\r\n".repeat(HEAD_LIMIT / 2 + 1).as_slice()), "431", "empty lines count too");

        let fields = |count: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(count));
        assert_eq!(status(fields(FIELD_LIMIT).as_bytes()), "accepted");
        assert_eq!(status(fields(FIELD_LIMIT + 1).as_bytes()), "431");

        let method = |length: usize| format!("{} / HTTP/1.1\r\n\r\n", "X".repeat(length));
        assert_eq!(status(method(METHOD_LIMIT).as_bytes()), "accepted");
        assert_eq!(status(method(METHOD_LIMIT + 1).as_bytes()), "501");
    }
}
