//! Whole lines on standard output and standard error.
//!
//! Several processes share the terminal as soon as a server forks, and their lines would mix if one line took several
//! write(2)s, as `println!` and `eprintln!` may. So a line is built first and written once. And where `println!`
//! panics when nobody reads (`webserver3g | head -1`), these go on: a client must not lose its answer because of it.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;

/// Writes `text` and a newline to standard output.
pub fn print(text: impl Display) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(format!("{text}\n").as_bytes()).and_then(|()| out.flush());
}

/// Writes a line to standard error: the name of the program, then `problem`.
pub fn report(problem: impl Display) {
    let _ = io::stderr().write_all(format!("{}: {problem}\n", program()).as_bytes());
}

/// The name that this program was started by, without its folder.
fn program() -> String {
    let path = std::env::args_os().next().unwrap_or_default();
    Path::new(&path).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What a client sent, fit for a terminal: lines end in a bare newline, other control characters are shown instead of
/// obeyed (a client must not be able to paint the reader's screen), and what is not UTF-8 becomes U+FFFD.
pub fn printable(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for character in String::from_utf8_lossy(bytes).replace("\r\n", "\n").chars() {
        match character {
            '\n' | '\t' => shown.push(character),
            _ if character.is_control() => shown.extend(character.escape_default()),
            _ => shown.push(character),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_printed_as_it_reads_and_cannot_command_the_terminal() {
        assert_eq!(printable(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "GET / HTTP/1.1\nHost: a\n\n");
        assert_eq!(printable("tab\t\u{e9}".as_bytes()), "tab\t\u{e9}");
        assert_eq!(printable(b"\x1b[2J\x00\r\xff"), "\\u{1b}[2J\\u{0}\\r\u{fffd}");
    }
}
