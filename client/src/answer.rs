//! The answer of a server, taken apart: what has come on a connection by the time that it ends.

use std::fmt;

/// An answer in HTTP/1.1 (RFC 9112).
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code and its phrase, such as `200 OK`.
    pub status: String,
    /// The header fields. Each byte of a value is a character.
    pub fields: Vec<(String, String)>,
    /// What follows the head: the body with its coding.
    pub coded: Vec<u8>,
    /// The body, as far as it has come.
    pub body: Vec<u8>,
    /// Whether the body is all that the head has promised.
    pub is_complete: bool,
}

impl Answer {
    /// Takes apart what a server has sent.
    ///
    /// # Errors
    /// It is no answer, or its body is not of the form that its head tells.
    pub fn parse(bytes: &[u8]) -> Result<Answer, &'static str> {
        let at = bytes.windows(4).position(|end| end == b"\r\n\r\n").ok_or("no whole head")?;
        let (head, coded) = (&bytes[..at], &bytes[at + 4..]);
        let head: String = head.iter().map(|byte| char::from(*byte)).collect();
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).ok_or("no status line")?.to_owned();
        let field = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
        let fields = lines.map(field).collect::<Option<Vec<_>>>().ok_or("no header field")?;
        let mut answer = Answer { status, fields, coded: coded.to_vec(), body: coded.to_vec(), is_complete: true };
        match (answer.field("Content-Length"), answer.field("Transfer-Encoding")) {
            (Some(_), Some(_)) => return Err("two lengths"),
            (Some(length), None) => {
                let length: usize = length.parse().map_err(|_| "a length that is no number")?;
                answer.is_complete = coded.len() == length;
            }
            (None, Some("chunked")) => (answer.body, answer.is_complete) = without_chunks(coded)?,
            (None, Some(_)) => return Err("an unknown coding"),
            (None, None) => {} // the end of the connection is the end of the body
        }
        Ok(answer)
    }

    /// The same for an answer that has to be one.
    ///
    /// # Panics
    /// It is none.
    #[track_caller]
    pub fn read(bytes: &[u8]) -> Answer {
        Answer::parse(bytes).unwrap_or_else(|what| panic!("{what} in {:?}", bytes.escape_ascii().to_string()))
    }

    /// The value of the header field that is called `name`.
    ///
    /// # Panics
    /// There is more than one.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} is there twice: {self:?}");
        value
    }

    /// The body as text, as far as it has come.
    ///
    /// # Panics
    /// It is not UTF-8.
    #[track_caller]
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap_or_else(|_| panic!("no text: {self:?}"))
    }

    /// Asserts that this is a whole answer with this status and this text.
    ///
    /// # Panics
    /// It is not.
    #[track_caller]
    pub fn assert_is(&self, status: &str, text: &str) {
        assert_eq!((self.status.as_str(), self.text().as_str(), self.is_complete), (status, text, true), "{self:?}");
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begin = &self.body[..self.body.len().min(2000)];
        let body = format_args!("{} bytes: {:?}", self.body.len(), String::from_utf8_lossy(begin));
        write!(f, "{} {:?} {body}, complete: {}", self.status, self.fields, self.is_complete)
    }
}

/// A body without its chunks (RFC 9112, section 7.1), and whether the last one has come.
fn without_chunks(mut coded: &[u8]) -> Result<(Vec<u8>, bool), &'static str> {
    let mut body = Vec::new();
    while !coded.is_empty() {
        let at = coded.windows(2).position(|end| end == b"\r\n").ok_or("a chunk without a length")?;
        let digits = str::from_utf8(&coded[..at]).map_err(|_| "a chunk without a length")?;
        let length = usize::from_str_radix(digits, 16).map_err(|_| "a chunk without a length")?;
        let rest = &coded[at + 2..];
        if length == 0 {
            return if rest == b"\r\n" { Ok((body, true)) } else { Err("something behind the last chunk") };
        }
        let (piece, rest) = rest.split_at_checked(length).ok_or("a chunk that is cut off")?;
        body.extend_from_slice(piece);
        coded = rest.strip_prefix(b"\r\n").ok_or("a chunk without an end")?;
    }
    Ok((body, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_apart() {
        let answer =
            Answer::read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: \xe9\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        answer.assert_is("200 OK", "abc");
        assert_eq!((answer.field("x"), answer.field("y")), (Some("\u{e9}"), None));
        assert!(!Answer::read(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc").is_complete);
        assert!(!Answer::read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").is_complete);
        assert!(Answer::read(b"HTTP/1.1 200 OK\r\n\r\nabc").is_complete);
        for wrong in [
            &b"HTTP/1.1 200 OK\r\n"[..],
            b"HTTP/1.0 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n",
        ] {
            assert!(Answer::parse(wrong).is_err(), "{}", wrong.escape_ascii());
        }
    }
}
