//! What holds for any bytes that come as a form with files, in pieces of any size. Property tests (`tests/forms.rs`)
//! and fuzzing (`fuzz/`) try to refute it.

use std::io::{self, Read};

use part2::apps::files::form::{Form, FormError};

/// What became of a form.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The parts, as far as they came: the names of those that are files, and what is in them.
    pub parts: Vec<(Option<String>, Vec<u8>)>,
    /// Whether it came to its end.
    pub is_complete: bool,
}

/// Gives out bytes in pieces of these sizes, over and over; 0 counts as 1.
struct Pieces {
    bytes: Vec<u8>,
    at: usize,
    sizes: Vec<usize>,
    reads: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.sizes[self.reads % self.sizes.len()].max(1);
        self.reads += 1;
        let length = size.min(buffer.len()).min(self.bytes.len() - self.at);
        buffer[..length].copy_from_slice(&self.bytes[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

/// Reads a form with the boundary `XX` that comes in pieces of these sizes. `block` is how much is read at once.
pub fn read(bytes: &[u8], sizes: &[usize], block: usize) -> Outcome {
    let input = Pieces { bytes: bytes.to_vec(), at: 0, sizes: sizes.to_vec(), reads: 0 };
    let form = Form::with_blocks("multipart/form-data; boundary=XX", input, block);
    let mut form = form.expect("the type is that of a form");
    let mut parts = Vec::new();
    let outcome = read_parts(&mut form, &mut parts);
    Outcome { parts, is_complete: outcome.is_ok() }
}

fn read_parts(form: &mut Form, parts: &mut Vec<(Option<String>, Vec<u8>)>) -> Result<(), FormError> {
    while let Some(mut part) = form.next_part()? {
        parts.push((part.file_name()?.map(str::to_owned), Vec::new()));
        while let Some(block) = part.next_block()? {
            assert!(!block.is_empty());
            if let Some((_, content)) = parts.last_mut() {
                content.extend_from_slice(&block);
            }
        }
    }
    Ok(())
}

/// Whether a form is complete; panics where a rule does not hold.
pub fn check(bytes: &[u8], sizes: &[usize]) -> bool {
    let whole = read(bytes, &[usize::MAX], 64 * 1024);
    assert_eq!(whole, read(bytes, sizes, 64 * 1024), "in one piece, and in pieces of {sizes:?}");
    // With blocks this small, every place where the form can be cut is one where it is. A head has to fit in, so that
    // what is complete in large blocks may be refused in small ones, but never read otherwise.
    let small = read(bytes, &[usize::MAX], sizes[0].max(1));
    if small.is_complete {
        assert_eq!(small, whole, "in blocks of {}", sizes[0]);
    }
    let length: usize = whole.parts.iter().map(|(_, content)| content.len()).sum();
    assert!(length <= bytes.len(), "the parts are longer than the form");
    if whole.is_complete {
        let contents: Vec<Vec<u8>> = whole.parts.iter().map(|(_, content)| content.clone()).collect();
        assert_eq!(read_simply(bytes), Some(contents));
    }
    whole.is_complete
}

/// Reads what is in the parts of a form, by a reader that knows no more rules than it needs.
fn read_simply(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let find = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|window| window == what);
    let mut rest = &bytes[find(bytes, b"--XX")? + 4..];
    let mut contents = Vec::new();
    while !rest.starts_with(b"--") {
        let head = find(rest, b"\r\n")?;
        if rest[..head].iter().any(|byte| !b" \t".contains(byte)) {
            return None;
        }
        rest = &rest[head + 2..];
        rest = &rest[find(rest, b"\r\n\r\n")? + 4..];
        let end = find(rest, b"\r\n--XX")?;
        contents.push(rest[..end].to_vec());
        rest = &rest[end + 6..];
    }
    Some(contents)
}
