//! The terminal that a picture is drawn on, and its keyboard. Whatever way out is taken, it is as it was before.

use std::io::{self, IsTerminal, Write};
use std::panic;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use nix::errno::Errno;
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use terminal_size::terminal_size_of;

/// The alternate screen, so that what was there comes back; and no cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[2J";
const LEAVE: &str = "\x1b[0m\x1b[?25h\x1b[?1049l";

/// How the terminal was set before; `None` when it is so.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// The terminal behind standard output, while a picture is on it. Dropping it puts everything back.
#[derive(Debug)]
pub struct Terminal {
    /// What each line shows, so that only lines that change are drawn.
    shown: Vec<String>,
    width: usize,
}

impl Terminal {
    /// Takes the terminal: keys come one by one and unseen, and the screen is another one. Those keys that send a
    /// signal (Ctrl-C, Ctrl-Z) still do.
    ///
    /// # Errors
    /// Standard output is no terminal, or it can't be set.
    pub fn enter() -> io::Result<Terminal> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let report = panic::take_hook();
            panic::set_hook(Box::new(move |problem| {
                restore(); // or else the message would be on a screen that goes away
                report(problem);
            }));
        });
        let terminal = Terminal { shown: Vec::new(), width: 0 }; // dropped if it can be taken in part only
        take()?;
        Ok(terminal)
    }

    /// Gives the terminal back until [`Terminal::resume`].
    pub fn suspend(&mut self) {
        restore();
    }

    /// Takes the terminal again, after somebody else may have had it: the next picture is drawn whole.
    ///
    /// # Errors
    /// Those of [`Terminal::enter`].
    pub fn resume(&mut self) -> io::Result<()> {
        self.shown.clear();
        take()
    }

    /// How many columns and lines it has; 80 and 24 if it does not say.
    pub fn size() -> (usize, usize) {
        match terminal_size_of(io::stdout()) {
            Some((width, height)) if width.0 > 0 && height.0 > 0 => (width.0.into(), height.0.into()),
            _ => (80, 24),
        }
    }

    /// Shows `lines`, which are `width` wide at most, as the whole screen, in one write.
    ///
    /// # Errors
    /// Those of write(2).
    pub fn show(&mut self, lines: Vec<String>, width: usize) -> io::Result<()> {
        let mut text = String::new();
        if self.shown.is_empty() || self.width != width || self.shown.len() != lines.len() {
            self.shown.clear();
            text.push_str("\x1b[2J");
        }
        for (number, line) in lines.iter().enumerate() {
            if self.shown.get(number) != Some(line) {
                // The line is cleared before it is written: behind its last column, clearing would take that column.
                text.push_str(&format!("\x1b[{};1H\x1b[2K{line}", number + 1));
            }
        }
        (self.shown, self.width) = (lines, width);
        if text.is_empty() {
            return Ok(());
        }
        // Terminals that know these two show everything between them at once; the others ignore them.
        write(&format!("\x1b[?2026h{text}\x1b[?2026l"))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

/// Whether standard output is a terminal that obeys what is drawn with.
pub fn can_draw() -> bool {
    io::stdout().is_terminal() && std::env::var_os("TERM").is_some_and(|name| !name.is_empty() && name != "dumb")
}

/// Whether the reader's locale is one in which block characters are shown: the first of these that is set says.
pub fn shows_blocks() -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(std::env::var_os).find(|value| !value.is_empty());
    let locale = set.unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    locale.ends_with("utf-8") || locale.ends_with("utf8") || locale.contains(".utf-8@") || locale.contains(".utf8@")
}

fn take() -> io::Result<()> {
    // Still set is what a process finds that was stopped without notice (SIGSTOP), and its shell has undone.
    let kept = saved().clone();
    let before = kept.map_or_else(|| uninterrupted(|| tcgetattr(io::stdout())), Ok)?;
    let mut now = before.clone();
    now.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
    now.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
    now.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
    *saved() = Some(before);
    uninterrupted(|| tcsetattr(io::stdout(), SetArg::TCSADRAIN, &now))?;
    write(ENTER)
}

fn saved() -> MutexGuard<'static, Option<Termios>> {
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts everything back, once.
fn restore() {
    let before = saved().take();
    if let Some(before) = before {
        // A terminal that has hung up takes nothing any more, and needs nothing.
        let _ = write(LEAVE);
        let _ = uninterrupted(|| tcsetattr(io::stdout(), SetArg::TCSADRAIN, &before));
    }
}

fn uninterrupted<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            done => return done,
        }
    }
}

/// Writes past the buffer of `io::stdout`, which keeps what comes after a line's end.
fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
