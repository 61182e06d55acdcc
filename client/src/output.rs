//! What the client writes: to standard output what it was asked for, to standard error what went wrong.

use std::fmt::{self, Display};
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;

/// Why nothing, or nothing more, could be found out about a server.
#[derive(Debug)]
pub enum Failure {
    /// The name of the server's host has no address (getaddrinfo(3)).
    Resolve {
        /// The name that was asked for.
        host: String,
        /// What the resolver said.
        reason: io::Error,
    },
    /// A system call failed that the whole run depends on.
    Call {
        /// The name of the call, as its man page spells it.
        call: &'static str,
        /// Why it failed (errno(3)).
        errno: Errno,
    },
    /// Every connection was refused.
    NobodyListening {
        /// Host and port that were tried.
        target: String,
        /// The command that starts a server there, if the reader can.
        start: Option<String>,
    },
    /// The exercises, or a file of one, are not where they should be.
    NoExercises {
        /// Where they should be.
        folder: PathBuf,
        /// Why they can't be read.
        reason: io::Error,
    },
    /// Cargo can't be run.
    Cargo(io::Error),
    /// A server can't be started.
    Start {
        /// The command that was tried.
        command: String,
        /// Why not: there may be no such program.
        reason: io::Error,
    },
    /// A server that was started ended before it listened.
    Ended {
        /// The command that was started.
        command: String,
        /// How it ended.
        how: String,
        /// What it said last.
        said: Vec<String>,
        /// Who listens on port 8888, which may be the reason.
        taken: Option<String>,
    },
    /// A server that was started runs, and does not listen.
    NeverListens {
        /// The command that was started.
        command: String,
        /// How long that was waited for.
        patience: Duration,
        /// Where it was to listen, if that matters.
        port: Option<u16>,
        /// What it said last.
        said: Vec<String>,
    },
    /// A server that ran has ended, and is not known how to be started.
    HasEnded {
        /// Where it listened.
        address: SocketAddr,
    },
    /// Somebody else listens already where a server is to be started.
    PortTaken {
        /// The port.
        port: u16,
        /// Who listens.
        owner: String,
    },
    /// The server is not on this machine, and nobody has said that it may be put under load.
    Elsewhere {
        /// Host and port.
        target: String,
        /// What would be done to it.
        plan: String,
    },
    /// A process can't be looked at.
    Look {
        /// Its id.
        pid: u32,
        /// Why not, as [`crate::kernel`] tells it.
        reason: io::Error,
    },
    /// What listens on a port can't be looked at.
    Port {
        /// The port.
        port: u16,
        /// Why not, as [`crate::kernel`] tells it.
        reason: io::Error,
    },
    /// The terminal can't be set.
    Terminal(io::Error),
    /// What was found out could not be written to standard output.
    Output(io::Error),
}

impl Failure {
    /// Turns the errno of `call` into a failure: `pipe().map_err(Failure::of("pipe"))?`.
    pub fn of(call: &'static str) -> impl FnOnce(Errno) -> Failure {
        move |errno| Failure::Call { call, errno }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Resolve { host, reason } => write!(
                f,
                "resolve {:?}: {reason} (give --host a name or an address alone; the port goes to --port)",
                host
            ),
            Failure::Call { call, errno: errno @ Errno::EMFILE } => {
                write!(f, "{call}: {errno} (raise this shell's limit: ulimit -n)")
            }
            Failure::Call { call, errno } => write!(f, "{call}: {errno}"),
            Failure::NobodyListening { target, start: None } => write!(f, "nobody is listening on {target}"),
            Failure::NobodyListening { target, start: Some(start) } => {
                write!(f, "nobody is listening on {target}; start a server in another terminal: {start}")
            }
            Failure::NoExercises { folder, reason } => {
                write!(f, "read {}: {reason} (git checkout docs/exercises brings the exercises back)", folder.display())
            }
            Failure::Cargo(error) => write!(f, "run cargo: {error}"),
            Failure::Start { command, reason } => write!(f, "start {command}: {reason} (it is run without a shell)"),
            Failure::Ended { command, how, said, taken } => {
                write!(f, "{command} {how} before it listened{}", last_words(said))?;
                taken.as_ref().map_or(Ok(()), |owner| write!(f, " (port 8888 is taken by {owner})"))
            }
            Failure::NeverListens { command, patience, port, said } => {
                let port = port.map_or(String::new(), |port| format!(" on port {port}"));
                let seconds = patience.as_secs_f64();
                write!(f, "{command} does not listen{port} within {seconds} s{}", last_words(said))?;
                write!(f, " (--start-within gives it more time)")
            }
            Failure::HasEnded { address } => {
                write!(f, "the server on {address} has ended (name its command behind `--` to have it started afresh)")
            }
            Failure::PortTaken { port, owner } => {
                write!(f, "port {port} is taken by {owner}; stop that, or choose another port")
            }
            Failure::Elsewhere { target, plan } => write!(
                f,
                "{target} is not this machine, and this would {plan}; if you answer for that, add \
                 --i-may-stress-this-host"
            ),
            Failure::Look { pid, reason } => {
                let advice = match reason.kind() {
                    ErrorKind::NotFound => " (ps -A lists those that there are)",
                    ErrorKind::PermissionDenied => " (run client as that user)",
                    _ => "",
                };
                write!(f, "look at process {pid}: {reason}{advice}")
            }
            Failure::Port { port, reason } => {
                let advice = match reason.kind() {
                    ErrorKind::PermissionDenied => " (run client as that user)",
                    _ => "",
                };
                write!(f, "look at port {port}: {reason}{advice}")
            }
            Failure::Terminal(error) => write!(f, "set the terminal: {error} (--plain does without)"),
            Failure::Output(error) => write!(f, "write to standard output: {error}"),
        }
    }
}

impl std::error::Error for Failure {}

/// What a program said last, in one line.
fn last_words(said: &[String]) -> String {
    if said.is_empty() { "; it said nothing".to_owned() } else { format!("; it said: {}", said.join(" / ")) }
}

/// Writes `text` to standard output, without its colours where nobody would see them. That the reader has seen enough
/// (`client | head -1`) is no failure.
///
/// # Errors
/// [`Failure::Output`], such as a full disk.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::Output(error)),
        _ => Ok(()),
    }
}

/// How wide a text is that fits into a narrow terminal.
pub const WIDTH: usize = 78;

/// `text` in lines of `width` columns at most, broken between words. A word that is wider has a line of its own.
pub fn wrapped(text: &str, width: usize) -> String {
    let mut lines = String::new();
    let mut used = 0;
    for (number, paragraph) in text.split('\n').enumerate() {
        if number > 0 {
            lines.push('\n');
            used = 0;
        }
        for (number, word) in paragraph.split(' ').enumerate() {
            let needed = word.chars().count();
            if used > 0 && used + 1 + needed > width {
                lines.push('\n');
                used = 0;
            } else if number > 0 {
                lines.push(' ');
                used += 1;
            }
            lines.push_str(word);
            used += needed;
        }
    }
    lines
}

/// The same, where each line begins with `indent` blanks; there is always room for a short word or two behind them.
pub fn indented(text: &str, width: usize, indent: usize) -> String {
    let blanks = " ".repeat(indent);
    let lines = wrapped(text, width.saturating_sub(indent).max(20));
    lines.split('\n').map(|line| format!("{blanks}{line}")).collect::<Vec<_>>().join("\n")
}

/// The colours of what is printed. None of them tells what the words beside it do not.
pub mod style {
    use anstyle::{AnsiColor, Style};

    /// As everything else.
    pub const PLAIN: Style = Style::new();
    /// What is below it, or beside it.
    pub const HEADING: Style = Style::new().bold();
    /// What need not be read.
    pub const FAINT: Style = Style::new().dimmed();
    /// As it should be.
    pub const GOOD: Style = AnsiColor::Green.on_default();
    /// It may be a fault, or not.
    pub const DOUBTFUL: Style = AnsiColor::Yellow.on_default();
    /// A fault.
    pub const BAD: Style = AnsiColor::Red.on_default();
}

/// Writes a line to standard error, in one write so that it does not mix with those of other processes.
pub fn report(problem: impl Display) {
    let _ = io::stderr().write_all(format!("client: {problem}\n").as_bytes());
}

/// What a server sent, fit for a terminal: lines end in a bare newline, other control characters are shown instead of
/// obeyed (a server must not be able to paint the reader's screen), and what is not UTF-8 becomes U+FFFD.
pub fn printable(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for character in String::from_utf8_lossy(bytes).replace("\r\n", "\n").chars() {
        match character {
            '\n' | '\t' => shown.push(character),
            // Unicode's Bidi_Control: they turn the direction of the text around them.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                shown.extend(character.escape_default());
            }
            _ if character.is_control() => shown.extend(character.escape_default()),
            _ => shown.push(character),
        }
    }
    shown
}

/// `1 child`, `2 children`.
pub fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// How wide the lines may be: as the terminal, or as most are.
pub fn width() -> usize {
    let terminal = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    terminal.filter(|width| *width > 0).unwrap_or(80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_printed_as_it_reads_and_cannot_command_the_terminal() {
        assert_eq!(printable(b"HTTP/1.1 200 OK\r\n\r\nHello, World!\n"), "HTTP/1.1 200 OK\n\nHello, World!\n");
        assert_eq!(printable(b"\x1b[2J\x00\t\r\xff"), "\\u{1b}[2J\\u{0}\t\\r\u{fffd}");
        assert_eq!(printable("\u{9b}2J".as_bytes()), "\\u{9b}2J");
    }

    #[test]
    fn a_text_is_broken_between_words() {
        assert_eq!(wrapped("short", 78), "short");
        assert_eq!(wrapped("as wide as that", 7), "as wide\nas that");
        assert_eq!(wrapped("a wider-than-that word", 7), "a\nwider-than-that\nword");
        assert_eq!(wrapped("two\nlines that stay", 80), "two\nlines that stay");
        assert_eq!(
            indented("one two three four five\nsix", 28, 8),
            "        one two three four\n        five\n        six"
        );
        let long = wrapped(&"twelve bytes ".repeat(20), WIDTH);
        assert!(long.lines().all(|line| line.len() <= WIDTH && !line.starts_with(' ')), "{long}");
    }
}
