//! The body of a response that comes from a file, piece by piece: however large the file is, little of it is in memory.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::{Block, FilePart};

/// Up to this size a part is read, and goes out together with the head. What is larger is for the kernel to send: half
/// the CPU time of reading and writing it (`benches/files.rs`).
const SMALL: u64 = 16 * 1024;
/// How much the kernel is asked to send at once: what has been sent is counted, and so told in the log, in such steps.
const LARGE: u64 = 1024 * 1024;

/// A part of a body.
pub enum Piece {
    /// Text between parts of the file.
    Text(String),
    /// This part of the file.
    Part(Range<u64>),
}

/// The blocks of a body that is made of these pieces.
///
/// A file that has become shorter since its length was announced is an error: the response ends there, with less than
/// it had announced, and so the client knows. A file that has grown is sent as long as it was.
pub struct Blocks {
    file: Arc<File>,
    pieces: std::vec::IntoIter<Piece>,
    /// What is left to send of a part.
    left: Range<u64>,
}

impl Blocks {
    /// The blocks of `pieces`, which are parts of `file`.
    pub fn new(file: File, pieces: Vec<Piece>) -> Blocks {
        Blocks { file: Arc::new(file), pieces: pieces.into_iter(), left: 0..0 }
    }

    /// Takes the next block from what is left of a part.
    fn block(&mut self) -> io::Result<Block<'static>> {
        let begin = self.left.start;
        let length = (self.left.end - begin).min(LARGE);
        self.left.start += length;
        if length > SMALL {
            return Ok(Block::File(FilePart { file: Arc::clone(&self.file), range: begin..begin + length }));
        }
        let mut bytes = vec![0; length as usize];
        match self.file.read_exact_at(&mut bytes, begin) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(io::Error::other("a file became shorter while it was sent"))
            }
            outcome => outcome.map(|()| Block::bytes(bytes)),
        }
    }
}

impl Iterator for Blocks {
    type Item = io::Result<Block<'static>>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.left.is_empty() {
            match self.pieces.next()? {
                Piece::Text(text) => return Some(Ok(Block::bytes(text))),
                Piece::Part(part) => self.left = part,
            }
        }
        Some(self.block())
    }
}
