//! Where a watch is shown: as a picture on a terminal, or as plain lines.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anstream::ColorChoice;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::read;

use super::lines::Lines;
use super::picture::Canvas;
use super::record::{Counts, Record};
use super::server::Identity;
use super::signals;
use super::terminal::{self, Terminal};
use crate::output::{Failure, print};

/// Where a watch is shown.
#[derive(Debug)]
pub enum View {
    /// A picture, redrawn again and again.
    Picture(Terminal),
    /// A line for each change.
    Lines(Lines),
}

/// What ended a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The time was over.
    Time,
    /// The picture has to be drawn again: the terminal has changed, or somebody else has had it.
    Redraw,
    /// The reader has seen enough, or there is none any more.
    End,
}

impl View {
    /// A picture where standard output is a terminal that can show one, unless lines are wanted.
    ///
    /// # Errors
    /// The terminal can't be set.
    pub fn new(plain: bool) -> Result<View, Failure> {
        signals::note_ends().map_err(Failure::Terminal)?;
        if plain || !terminal::can_draw() {
            return Ok(View::Lines(Lines::default()));
        }
        signals::note_changes().map_err(Failure::Terminal)?;
        Ok(View::Picture(Terminal::enter().map_err(Failure::Terminal)?))
    }

    /// Shows that a server is waited for: `text` says where, `start` is the command that starts one. Lines tell it only
    /// when that `begins`.
    ///
    /// # Errors
    /// Standard output fails.
    pub fn waiting(&mut self, text: &str, start: Option<&str>, begins: bool) -> Result<(), Failure> {
        match self {
            View::Picture(terminal) => draw(terminal, |canvas| canvas.draw_waiting(text, start)),
            View::Lines(_) if begins => print(&format!("{text}\n")),
            View::Lines(_) => Ok(()),
        }
    }

    /// Shows that the watch of `server` begins.
    ///
    /// # Errors
    /// Standard output fails.
    pub fn begin(&mut self, server: &Identity) -> Result<(), Failure> {
        match self {
            View::Picture(_) => Ok(()),
            View::Lines(_) => print(&format!("watching {}\n", server.with_port())),
        }
    }

    /// Shows what `record` has to show at `watched`, the time since its first look; `highest` is its last column.
    ///
    /// # Errors
    /// Standard output fails.
    pub fn show(
        &mut self,
        server: &Identity,
        watched: Duration,
        record: &Record,
        highest: Counts,
    ) -> Result<(), Failure> {
        match self {
            View::Picture(_) => self.redraw(server, watched, record),
            View::Lines(lines) => match lines.changes(watched, record, highest) {
                text if text.is_empty() => Ok(()),
                text => print(&text),
            },
        }
    }

    /// Draws the picture again, if it is one.
    ///
    /// # Errors
    /// Standard output fails.
    pub fn redraw(&mut self, server: &Identity, watched: Duration, record: &Record) -> Result<(), Failure> {
        match self {
            View::Picture(terminal) => draw(terminal, |canvas| canvas.draw(server, watched, record)),
            View::Lines(_) => Ok(()),
        }
    }

    /// Waits until `deadline`, for less if something happens.
    ///
    /// # Errors
    /// The terminal can't be set after a stop.
    pub fn pause(&mut self, deadline: Instant) -> Result<Event, Failure> {
        loop {
            if signals::end() {
                return Ok(Event::End);
            }
            if let View::Picture(terminal) = self {
                let stops = signals::suspend();
                if stops {
                    terminal.suspend();
                    signals::stop().map_err(Failure::Terminal)?;
                }
                if signals::resume() || stops {
                    terminal.resume().map_err(Failure::Terminal)?;
                    return Ok(Event::Redraw);
                }
                if signals::redraw() {
                    return Ok(Event::Redraw);
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Event::Time);
            }
            if self.is_over(left).map_err(Failure::of("poll"))? {
                return Ok(Event::End);
            }
        }
    }

    /// Waits for `time`, for less if a signal comes or a key is pressed. Returns whether the key is one that ends it,
    /// or nobody can read standard output any more.
    fn is_over(&self, time: Duration) -> nix::Result<bool> {
        let (stdin, stdout) = (io::stdin(), io::stdout());
        let polled = match self {
            View::Picture(_) if stdin.is_terminal() => Some(PollFd::new(stdin.as_fd(), PollFlags::POLLIN)),
            View::Picture(_) => None,
            View::Lines(_) => Some(PollFd::new(stdout.as_fd(), PollFlags::empty())), // for its end alone
        };
        let mut polled: Vec<_> = polled.into_iter().collect();
        // Rounded up: a pause of less than a millisecond would be none.
        let milliseconds = time.as_micros().div_ceil(1000);
        match poll(&mut polled, PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)) {
            Ok(0) | Err(Errno::EINTR) => return Ok(false),
            Ok(_) => {}
            Err(errno) => return Err(errno),
        }
        if matches!(self, View::Lines(_)) {
            return Ok(true);
        }
        let mut keys = [0; 64];
        // Past the buffer of `io::stdin`: what it holds back, poll(2) would not tell.
        match read(stdin, &mut keys) {
            Ok(0) => Ok(true),
            Ok(length) => Ok(keys[..length].iter().any(|key| matches!(key, b'q' | b'Q'))),
            Err(errno) => Ok(errno != Errno::EINTR), // EIO: the terminal has hung up
        }
    }
}

/// Draws what `lines` makes for the terminal's size.
fn draw(terminal: &mut Terminal, lines: impl FnOnce(&Canvas) -> Vec<String>) -> Result<(), Failure> {
    let (width, height) = Terminal::size();
    let colours = anstream::AutoStream::choice(&io::stdout()) != ColorChoice::Never;
    let canvas = Canvas { width, height, blocks: terminal::shows_blocks(), colours };
    terminal.show(lines(&canvas), width).map_err(Failure::Output)
}
