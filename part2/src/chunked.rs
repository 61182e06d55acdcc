//! The chunked coding: a body in pieces, each behind its own length (RFC 9112, section 7.1).

use crate::Refusal;
use crate::head::{FIELD_LIMIT, is_token};

/// The most bytes that all chunk extensions of a body, and the zeros in front of its sizes, may have together. Nobody uses
/// them; without a limit, a client could send them for ever in front of a body that never grows.
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

    /// Decodes `coded`, hands each piece of the body to `body`, and returns how many bytes of `coded` it took: all, unless
    /// the body ends before.
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
/// 7.1.1). What they mean does not matter here, but where they end does: another program may look for that elsewhere in a
/// text that has not this form.
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
