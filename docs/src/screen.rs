//! What a terminal shows: the lines that come of what programs write to it, with no end to their number and length.
//!
//! Of the control sequences it knows those that move the cursor and erase (ECMA-48), for progress bars use them, and
//! ignores the others, colours among them.

use std::mem;

/// The lines of a terminal, from the first that was ever shown.
#[derive(Debug, Default)]
pub struct Screen {
    lines: Vec<Vec<char>>,
    row: usize,
    column: usize,
    /// Bytes of a character or of a control sequence that is not complete yet.
    pending: Vec<u8>,
    /// What was said by [`END`].
    end: bool,
}

/// How a terminal's shell says that a command has ended: `ESC ] 777 ; END BEL`, which terminals ignore. It comes in
/// order with what the command wrote.
pub const END: &str = "777;END";

impl Screen {
    /// Takes what a program has written.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        let pending = mem::take(&mut self.pending);
        let mut rest = &pending[..];
        while let Some(length) = self.take(rest) {
            rest = &rest[length..];
        }
        self.pending = rest.to_vec();
    }

    /// Takes one character or control sequence; returns its length, `None` if it is not complete.
    fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        match bytes {
            [] => None,
            [0x1b, rest @ ..] => self.take_escape(rest).map(|length| length + 1),
            [b'\n', ..] => {
                self.row += 1;
                Some(1)
            }
            [b'\r', ..] => {
                self.column = 0;
                Some(1)
            }
            [0x08, ..] => {
                self.column = self.column.saturating_sub(1);
                Some(1)
            }
            [b'\t', ..] => {
                let target = (self.column / 8 + 1) * 8;
                while self.column < target {
                    self.put(' ');
                }
                Some(1)
            }
            [0..0x20 | 0x7f, ..] => Some(1),
            [first, ..] => {
                let length = match first {
                    0xc0..=0xdf => 2,
                    0xe0..=0xef => 3,
                    0xf0..=0xf7 => 4,
                    _ => 1,
                };
                let character = bytes.get(..length)?;
                String::from_utf8_lossy(character).chars().for_each(|character| self.put(character));
                Some(length)
            }
        }
    }

    /// Takes a control sequence behind its ESC.
    fn take_escape(&mut self, bytes: &[u8]) -> Option<usize> {
        match bytes.first()? {
            b'[' => {
                let length = bytes[1..].iter().position(|byte| (0x40..0x7f).contains(byte))?;
                let parameters = String::from_utf8_lossy(&bytes[1..=length]).into_owned();
                let number: usize = parameters.split(';').next().and_then(|number| number.parse().ok()).unwrap_or(0);
                self.control(bytes[length + 1], number);
                Some(length + 2)
            }
            b']' => {
                let length = bytes.iter().position(|byte| *byte == 0x07)?;
                let text = String::from_utf8_lossy(&bytes[1..length]);
                self.end |= text == END;
                Some(length + 1)
            }
            b'(' | b')' => bytes.get(1).map(|_| 2),
            _ => Some(1),
        }
    }

    fn control(&mut self, name: u8, number: usize) {
        let steps = number.max(1);
        match name {
            b'A' | b'F' => self.row = self.row.saturating_sub(steps),
            b'B' | b'E' => self.row += steps,
            b'C' => self.column += steps,
            b'D' => self.column = self.column.saturating_sub(steps),
            b'G' => self.column = steps - 1,
            b'K' => {
                if let Some(line) = self.lines.get_mut(self.row) {
                    match number {
                        0 => line.truncate(self.column),
                        1 => line.iter_mut().take(self.column + 1).for_each(|character| *character = ' '),
                        _ => line.clear(),
                    }
                }
            }
            b'J' if number == 0 => {
                if let Some(line) = self.lines.get_mut(self.row) {
                    line.truncate(self.column);
                }
                self.lines.truncate(self.row + 1);
            }
            _ => {}
        }
        if matches!(name, b'E' | b'F') {
            self.column = 0;
        }
    }

    fn put(&mut self, character: char) {
        if self.lines.len() <= self.row {
            self.lines.resize(self.row + 1, Vec::new());
        }
        let line = &mut self.lines[self.row];
        if line.len() <= self.column {
            line.resize(self.column + 1, ' ');
        }
        line[self.column] = character;
        self.column += 1;
    }

    /// The lines from `from` on. The last one is not complete, and may be empty.
    pub fn lines_from(&self, from: usize) -> Vec<String> {
        let line = |row: usize| self.lines.get(row).map_or_else(String::new, |line| line.iter().collect());
        (from..=self.row).map(line).collect()
    }

    /// The number of the line that comes next. A line that is not complete is left behind.
    pub fn next_line(&mut self) -> usize {
        if self.column > 0 {
            self.row += 1;
            self.column = 0;
        }
        self.row
    }

    /// Whether a command has ended; once for each.
    pub fn take_end(&mut self) -> bool {
        mem::take(&mut self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(written: &str) -> Vec<String> {
        let mut screen = Screen::default();
        for byte in written.as_bytes() {
            screen.feed(&[*byte]);
        }
        screen.lines_from(0)
    }

    #[test]
    fn colours_are_ignored_and_carriage_returns_obeyed() {
        assert_eq!(lines("a\r\n\x1b[1;32mb\x1b[0m µ\r\n"), ["a", "b µ", ""]);
        assert_eq!(lines("12 of 99\r34\r\n"), ["34 of 99", ""]);
        assert_eq!(lines("a\tb"), ["a       b"]);
    }

    #[test]
    fn a_progress_bar_leaves_what_comes_after_it() {
        assert_eq!(lines("[#  ] 1\r\x1b[2K[## ] 2\r\x1b[2Kdone\r\n"), ["done", ""]);
        assert_eq!(lines("one\r\ntwo\x1b[1A\r\x1b[Jthree"), ["three"]);
    }

    #[test]
    fn the_end_of_a_command_comes_in_order() {
        let mut screen = Screen::default();
        screen.feed(b"a\r\n\x1b]777;E");
        assert!(!screen.take_end());
        screen.feed(b"ND\x07b");
        assert_eq!((screen.take_end(), screen.take_end()), (true, false));
        assert_eq!(screen.lines_from(1), ["b"]);
    }
}
