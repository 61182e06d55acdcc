//! Whole lines on standard output and standard error.
//!
//! Several processes share the terminal as soon as a server forks, and their lines would mix if one line took several
//! write(2)s, as `println!` and `eprintln!` may. So a line is built first and written at once (which keeps up to
//! PIPE_BUF bytes together even in a pipe, pipe(7)). And where `println!` panics when nobody reads any more, as in
//! `webserver3g | head -1`, these go on: a client must not lose its answer because of it.

use std::fmt::{self, Display, Write};
use std::io;
use std::path::Path;

use crate::write_all;

/// Writes `text` and a newline to standard output.
pub fn print(text: impl Display) {
    let _ = write_all(io::stdout(), format!("{text}\n").as_bytes());
}

/// Writes a line to standard error: the name of the program, then `problem`.
pub fn report(problem: impl Display) {
    let _ = write_all(io::stderr(), format!("{}: {problem}\n", program()).as_bytes());
}

/// Whether a terminal does something with `character` instead of showing it: a control character, or one that turns the
/// direction of the text around it (Unicode's Bidi_Control), but not the two that are wanted.
pub fn is_obeyed(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => character.is_control(),
    }
}

/// The name that this program was started by, without its folder.
fn program() -> String {
    let path = std::env::args_os().next().unwrap_or_default();
    Path::new(&path).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What a client sent, fit for a terminal: lines end in a bare newline, other characters that a terminal would obey are
/// shown instead (a client must not be able to paint the reader's screen), and what is not UTF-8 becomes U+FFFD.
#[derive(Debug, Clone, Copy)]
pub struct Printable<'a>(pub &'a [u8]);

impl Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            let mut text = chunk.valid();
            while let Some(at) = text.find(is_obeyed) {
                f.write_str(&text[..at])?;
                let control = text[at..].chars().next().unwrap_or_default();
                text = &text[at + control.len_utf8()..];
                if control != '\r' || !text.starts_with('\n') {
                    write!(f, "{}", control.escape_default())?;
                }
            }
            f.write_str(text)?;
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_printed_as_it_reads_and_cannot_command_the_terminal() {
        assert_eq!(Printable(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").to_string(), "GET / HTTP/1.1\nHost: a\n\n");
        assert_eq!(Printable("tab\t\u{e9}".as_bytes()).to_string(), "tab\t\u{e9}");
        assert_eq!(Printable("\u{202e}".as_bytes()).to_string(), "\\u{202e}");
        assert_eq!(Printable(b"\x1b[2J\x00\r\xff").to_string(), "\\u{1b}[2J\\u{0}\\r\u{fffd}");
    }
}
