//! The chunked coding: a body in pieces, each behind its own length (RFC 9112, section 7.1).

use crate::Refusal;
use crate::head::{FIELD_LIMIT, is_token};

/// The most bytes that all chunk extensions of a body, and the zeros in front of its sizes, may have together. Nobody
/// uses them; without a limit, a client could send them for ever in front of a body that never grows.
const EXTENSIONS_LIMIT: usize = 16 * 1024;
/// The most bytes that the trailer section may have.
const TRAILERS_LIMIT: usize = 16 * 1024;

/// Decodes a chunked body that comes in pieces of any size.
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
    /// The extensions of this chunk so far, with the white space around them.
    extension: Vec<u8>,
    /// How long all extensions were so far.
    extensions: usize,
    /// The trailer section so far.
    trailers: Vec<u8>,
}

/// What is expected next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// The first digit of a chunk's size.
    #[default]
    Begin,
    /// Another digit, or what follows the digits.
    Size(u64),
    /// Extensions, which are skipped.
    Extension(u64),
    /// The LF behind a size.
    SizeEnd(u64),
    /// So many bytes of a chunk.
    Data(u64),
    /// The CR, and then the LF behind a chunk.
    DataEnd(u8),
    /// The trailer section, up to an empty line.
    Trailers,
    /// Nothing.
    Complete,
}

impl Decoder {
    /// Whether the body is complete.
    pub fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    /// Decodes `coded`, hands each piece of the body to `body`, and returns how many bytes of `coded` it took: all,
    /// unless the body ends before.
    ///
    /// # Errors
    /// 400: a size, a chunk or a trailer has not the form that it must have. 431: extensions or trailers are too long.
    /// An error of `body` is passed on.
    pub fn decode<E: From<Refusal>>(
        &mut self,
        coded: &[u8],
        mut body: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<usize, E> {
        let mut rest = coded;
        while let (false, [byte, after @ ..]) = (self.is_complete(), rest) {
            if let State::Data(left) = self.state {
                let length = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let (piece, after) = rest.split_at(length);
                body(piece)?;
                rest = after;
                self.state = match left - length as u64 {
                    0 => State::DataEnd(b'\r'),
                    left => State::Data(left),
                };
            } else {
                self.state = self.step(*byte)?;
                rest = after;
            }
        }
        Ok(coded.len() - rest.len())
    }

    /// The state behind `byte`, which is not part of a chunk's data.
    fn step(&mut self, byte: u8) -> Result<State, Refusal> {
        let digit = char::from(byte).to_digit(16).map(u64::from);
        Ok(match (self.state, byte) {
            (State::Begin, _) => State::Size(digit.ok_or(Refusal::bad_request(NO_SIZE))?),
            (State::Size(0), b'0') => self.count(State::Size(0))?,
            (State::Size(size), _) if let Some(digit) = digit => {
                // 2^60 bytes is more than any limit on bodies, and far from what a number can hold.
                if size >> 56 != 0 {
                    return Err(Refusal::bad_request("a chunk is too large"));
                }
                State::Size(size << 4 | digit)
            }
            (State::Size(size), b'\r') => State::SizeEnd(size),
            (State::Size(size), b' ' | b'\t' | b';') | (State::Extension(size), b'\t' | 0x20..=0x7e | 0x80..) => {
                self.extension.push(byte);
                self.count(State::Extension(size))?
            }
            (State::Extension(size), b'\r') if is_extensions(&self.extension) => {
                self.extension.clear();
                State::SizeEnd(size)
            }
            (State::Extension(_), _) => {
                return Err(Refusal::bad_request("a chunk extension is not of the form ;NAME or ;NAME=VALUE"));
            }
            (State::SizeEnd(0), b'\n') => State::Trailers,
            (State::SizeEnd(size), b'\n') => State::Data(size),
            (State::DataEnd(b'\r'), b'\r') => State::DataEnd(b'\n'),
            (State::DataEnd(b'\n'), b'\n') => State::Begin,
            (State::DataEnd(_), _) => return Err(Refusal::bad_request("a chunk is not as long as its size says")),
            (State::Trailers, _) => self.trailer(byte)?,
            _ => return Err(Refusal::bad_request(NO_SIZE)),
        })
    }

    /// Counts a byte that adds nothing to the body.
    fn count(&mut self, state: State) -> Result<State, Refusal> {
        self.extensions += 1;
        match self.extensions {
            0..=EXTENSIONS_LIMIT => Ok(state),
            _ => Err(Refusal::headers_too_large("the chunk extensions are too long")),
        }
    }

    /// Takes a byte of the trailer section. Its fields have the form of header fields, and are dropped: the application
    /// has its environ by then (section 7.1.2 allows that).
    fn trailer(&mut self, byte: u8) -> Result<State, Refusal> {
        let is_misplaced = match self.trailers.last() {
            Some(b'\r') => byte != b'\n',
            _ => byte == b'\n',
        };
        if is_misplaced {
            return Err(Refusal::bad_request("a line of the trailer section does not end in CR LF"));
        }
        self.trailers.push(byte);
        if self.trailers.len() > TRAILERS_LIMIT {
            return Err(Refusal::headers_too_large("the trailer section is too long"));
        }
        if self.trailers != b"\r\n" && !self.trailers.ends_with(b"\r\n\r\n") {
            return Ok(State::Trailers);
        }
        match httparse::parse_headers(&self.trailers, &mut [httparse::EMPTY_HEADER; FIELD_LIMIT]) {
            Ok(_) => Ok(State::Complete),
            Err(httparse::Error::TooManyHeaders) => {
                Err(Refusal::headers_too_large("the trailer section has too many fields"))
            }
            Err(_) => Err(Refusal::bad_request("a trailer field is not of the form NAME: VALUE")),
        }
    }
}

/// Whether `text` is `;NAME` or `;NAME=VALUE`, or several of them, perhaps with white space around their signs (section
/// 7.1.1). What they mean does not matter here, but where they end does: in a text that has not this form, another
/// program may look for the end elsewhere.
fn is_extensions(mut text: &[u8]) -> bool {
    while let [b';', rest @ ..] = trim_start(text) {
        let (name, rest) = token(trim_start(rest));
        if name.is_empty() {
            return false;
        }
        text = match trim_start(rest) {
            [b'=', rest @ ..] => match trim_start(rest) {
                [b'"', rest @ ..] => match behind_quoted(rest) {
                    Some(rest) => rest,
                    None => return false,
                },
                rest => match token(rest) {
                    ([], _) => return false,
                    (_, rest) => rest,
                },
            },
            _ => rest,
        };
    }
    text.is_empty()
}

/// The token at the beginning of `text`, which may be empty, and the rest.
fn token(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|&byte| !is_token(byte)).unwrap_or(text.len()))
}

/// What follows the quoted string whose opening quote stands before `text` (RFC 9110, section 5.6.4).
fn behind_quoted(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        text = match text {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', _, rest @ ..] | [_, rest @ ..] => rest,
            [] => return None,
        };
    }
}

/// Without the spaces and tabs at the beginning of `text` (BWS, RFC 9110, section 5.6.3).
fn trim_start(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|byte| b" \t".contains(byte)).count()..]
}

const NO_SIZE: &str = "a chunk does not begin with its size";

#[cfg(test)]
mod tests {
    use super::*;

    /// The body, and how many bytes it took; `None` for one that is not complete.
    fn decode(coded: &[u8]) -> Result<Option<(Vec<u8>, usize)>, Refusal> {
        let (mut decoder, mut body) = (Decoder::default(), Vec::new());
        let taken = decoder.decode::<Refusal>(coded, |piece| {
            body.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(decoder.is_complete().then_some((body, taken)))
    }

    #[test]
    fn a_body_is_its_chunks_one_behind_the_other() {
        for (coded, expected) in [
            ("0\r\n\r\n", ""),
            ("3\r\nabc\r\n0\r\n\r\n", "abc"),
            ("1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "abc"),
            ("000A\r\n0123456789\r\n000\r\n\r\n", "0123456789"),
            ("9\r\n\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n0\r\n\r\n\r\n"),
            ("3;x\r\nabc\r\n0;y=z\r\n\r\n", "abc"),
            ("3 ; x = \"\\\"\\\\;\u{e9}\" ;y\r\nabc\r\n0\r\n\r\n", "abc"),
            ("3\r\nabc\r\n0\r\nA: b\r\nContent-Length: 5\r\n\r\n", "abc"),
        ] {
            assert_eq!(decode(coded.as_bytes()), Ok(Some((expected.into(), coded.len()))), "{coded:?}");
            let followed = format!("{coded}GET /");
            assert_eq!(decode(followed.as_bytes()), Ok(Some((expected.into(), coded.len()))), "{followed:?}");
        }
    }

    #[test]
    fn what_is_not_exactly_a_chunked_body_is_refused() {
        for coded in [
            "\r\n",
            " 3\r\n",
            "\t3\r\n",
            "+3\r\n",
            "-3\r\n",
            "0x3\r\n",
            "3h\r\n",
            "g\r\n",
            ";a\r\n",
            "3 \r\n",
            "3\t\r\n",
            "3 3\r\n",
            "3,\r\n",
            "\"3\"\r\n",
            "\u{663}\r\n",
            "3\n",
            "3\r3",
            "3\r\r\n",
            "3\0\r\n",
            "3;\r\n",
            "3;a;\r\n",
            "3;=b\r\n",
            "3;a=\r\n",
            "3;a b\r\n",
            "3;a=b c\r\n",
            "3;a \r\n",
            "3;a=\"b\r\n",
            "3;a=\"b\"c\r\n",
            "3;a=\"b\\\"\r\n",
            "3;a\n",
            "3;a\rb\n",
            "3;\0\r\n",
            "3;a\x7f\r\n",
            "3;\"a\"\r\n",
            "3;\u{e9}\r\n",
            "3\r\nabcd\r\n",
            "3\r\nab\r\n0\r\n\r\n",
            "3\r\nabc\n",
            "3\r\nabc\r3",
            "3\r\nabc0\r\n\r\n",
            "0\r\n\n",
            "0\r\n\rx",
            "0\n\r\n",
            "0\r\nA\r\n\r\n",
            "0\r\nA : b\r\n\r\n",
            "0\r\n A: b\r\n\r\n",
            "0\r\nA: b\r\n c\r\n\r\n",
            "0\r\nA: b\n\r\n",
            "0\r\nA: b\rc\r\n\r\n",
            "0\r\nA: \0\r\n\r\n",
            "0\r\n: b\r\n\r\n",
            "0\r\nGET / HTTP/1.1\r\n\r\n",
            "10000000000000000\r\n",
            "fffffffffffffffff\r\n",
        ] {
            let outcome = decode(coded.as_bytes());
            assert!(outcome.as_ref().is_err_and(|refusal| refusal.status.starts_with("400")), "{coded:?}: {outcome:?}");
        }
    }

    #[test]
    fn a_body_is_complete_with_its_last_byte_and_not_before() {
        let coded = b"3;a=b\r\nabc\r\n00\r\nA: b\r\n\r\n";
        for length in 0..coded.len() {
            assert_eq!(decode(&coded[..length]), Ok(None), "{}", coded[..length].escape_ascii());
        }
        assert!(matches!(decode(coded), Ok(Some(_))));
    }

    #[test]
    fn what_adds_nothing_to_a_body_is_limited() {
        let extensions = |length: usize| format!("1;{}\r\na\r\n", "x".repeat(length - 1)).repeat(2) + "0\r\n\r\n";
        let trailers = |length: usize| format!("0\r\nX: {}\r\n\r\n", "x".repeat(length - "X: \r\n\r\n".len()));
        let fields = |count: usize| format!("0\r\n{}\r\n", "X: y\r\n".repeat(count));
        let zeros = |count: usize| format!("{}1\r\na\r\n0\r\n\r\n", "0".repeat(count));
        for (within, beyond) in [
            (extensions(EXTENSIONS_LIMIT / 2), extensions(EXTENSIONS_LIMIT / 2 + 1)),
            (trailers(TRAILERS_LIMIT), trailers(TRAILERS_LIMIT + 1)),
            (fields(FIELD_LIMIT), fields(FIELD_LIMIT + 1)),
            (zeros(EXTENSIONS_LIMIT + 1), zeros(EXTENSIONS_LIMIT + 2)),
        ] {
            assert!(matches!(decode(within.as_bytes()), Ok(Some(_))), "{} bytes", within.len());
            let outcome = decode(beyond.as_bytes());
            assert!(outcome.is_err_and(|refusal| refusal.status.starts_with("431")), "{} bytes", beyond.len());
        }
    }

    #[test]
    fn what_takes_the_body_may_refuse_it() {
        let full = decode_until_full(b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n");
        assert_eq!(full, Err(Refusal::body_too_large(3)));
    }

    fn decode_until_full(coded: &[u8]) -> Result<usize, Refusal> {
        let mut length = 0;
        Decoder::default().decode(coded, |piece| {
            length += piece.len();
            if length > 3 { Err(Refusal::body_too_large(3)) } else { Ok(()) }
        })
    }
}
