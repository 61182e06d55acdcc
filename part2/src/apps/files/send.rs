//! The body of a response that comes from a file, piece by piece: however large the file is, little of it is in memory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

/// How much is read and sent at once.
pub const BLOCK: usize = 64 * 1024;

/// A part of a body.
pub enum Piece {
    /// Text between parts of the file.
    Text(String),
    /// This part of the file.
    Part(Range<u64>),
}

/// The blocks of a body that is made of these pieces.
pub struct Blocks {
    file: File,
    pieces: std::vec::IntoIter<Piece>,
    /// What is left to send of a part.
    left: Range<u64>,
}

impl Blocks {
    /// The blocks of `pieces`, which are parts of `file`.
    pub fn new(file: File, pieces: Vec<Piece>) -> Blocks {
        Blocks { file, pieces: pieces.into_iter(), left: 0..0 }
    }

    /// Reads the next block of a part.
    ///
    /// A file that has become shorter since its length was announced is an error: the response ends there, with less
    /// than it had announced, and so the client knows. A file that has grown is sent as long as it was.
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let length = (self.left.end - self.left.start).min(BLOCK as u64);
        // What is not there yet need not be zero before it comes, as it would be in a vector of that length.
        let mut block = Vec::with_capacity(BLOCK);
        (&self.file).take(length).read_to_end(&mut block)?;
        if block.is_empty() {
            return Err(io::Error::other("a file became shorter while it was sent"));
        }
        self.left.start += block.len() as u64;
        Ok(block)
    }
}

impl Iterator for Blocks {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.left.is_empty() {
            match self.pieces.next()? {
                Piece::Text(text) => return Some(Ok(text.into_bytes())),
                Piece::Part(part) => {
                    if let Err(error) = self.file.seek(SeekFrom::Start(part.start)) {
                        return Some(Err(error));
                    }
                    self.left = part;
                }
            }
        }
        Some(self.read())
    }
}
