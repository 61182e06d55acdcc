//! The chunked coding: a body in pieces, each behind its own length (RFC 9112, section 7.1).

use crate::Refusal;
use crate::head::FIELD_LIMIT;

/// The most bytes that all chunk extensions of a body may have together. Nobody uses them; without a limit, a client
/// could send them for ever in front of a body that never grows.
const EXTENSIONS_LIMIT: usize = 16 * 1024;
/// The most bytes that the trailer section may have.
const TRAILERS_LIMIT: usize = 16 * 1024;

/// Decodes a chunked body that comes in pieces of any size.
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
    /// The bytes of all extensions so far.
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
    /// White space behind the size, which only an extension may follow.
    Space(u64),
    /// An extension, which is skipped.
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
            (State::Size(size), _) if let Some(digit) = digit => {
                // 2^60 bytes is more than any limit on bodies, and far from what a number can hold.
                if size >> 56 != 0 {
                    return Err(Refusal::bad_request("a chunk is too large"));
                }
                State::Size(size << 4 | digit)
            }
            (State::Size(size) | State::Extension(size), b'\r') => State::SizeEnd(size),
            (State::Size(size) | State::Space(size), b' ' | b'\t') => self.extension(State::Space(size))?,
            (State::Size(size) | State::Space(size), b';') => self.extension(State::Extension(size))?,
            (State::Extension(size), b'\t' | 0x20..=0x7e | 0x80..) => self.extension(State::Extension(size))?,
            (State::SizeEnd(0), b'\n') => State::Trailers,
            (State::SizeEnd(size), b'\n') => State::Data(size),
            (State::DataEnd(b'\r'), b'\r') => State::DataEnd(b'\n'),
            (State::DataEnd(b'\n'), b'\n') => State::Begin,
            (State::DataEnd(_), _) => return Err(Refusal::bad_request("a chunk is not as long as its size says")),
            (State::Trailers, _) => self.trailer(byte)?,
            _ => return Err(Refusal::bad_request(NO_SIZE)),
        })
    }

    /// Counts a byte of an extension.
    fn extension(&mut self, state: State) -> Result<State, Refusal> {
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

const NO_SIZE: &str = "a chunk does not begin with its size";
