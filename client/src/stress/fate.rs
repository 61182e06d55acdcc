//! What became of one connection, and how a client process reports it.
//!
//! All client processes write their reports into one pipe. pipe(7) promises that a write of no more than PIPE_BUF
//! bytes, which is 512 or more, is never mixed with another's; so a report is one short line, written at once.

use std::fmt::{self, Display};
use std::time::Duration;

use nix::errno::Errno;

/// How many bytes of an answer fit into one report: as text they take twice as many.
pub const BYTES_IN_A_REPORT: usize = 200;

/// The calls that can fail for a connection; `connect`, `write` and `read` also when the time limit passes.
const CALLS: [&str; 6] = ["fork", "socket", "fcntl", "connect", "write", "read"];

/// How a connection ended, or did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The server answered and closed it: all that a client can wish for.
    Answered,
    /// An answer came, and then no end of the connection within the time limit.
    Hanging,
    /// Not a byte came within the time limit.
    Silent,
    /// Something came that may become an answer, but not the whole of its head within the time limit.
    Partial,
    /// The server closed it without a byte.
    Empty,
    /// What came is no HTTP answer.
    Foreign,
    /// A call failed. A connection that did not open within the time limit is `connect` with ETIMEDOUT.
    Failed {
        /// The name of the call, as its man page spells it.
        call: &'static str,
        /// Why it failed (errno(3)).
        errno: Errno,
    },
    /// The client process that had it ended without a report.
    Lost,
}

/// The bytes that an answer starts with (RFC 9112, 2.1), and those that its head ends with: an empty line. A line may
/// end in a bare newline (2.2).
const START: &[u8] = b"HTTP/1.";
const ENDS_OF_HEAD: [&[u8]; 2] = [b"\n\r\n", b"\n\n"];

/// Whether `bytes` hold the whole head of an HTTP answer.
fn is_answer(bytes: &[u8]) -> bool {
    let has = |end: &[u8]| bytes.windows(end.len()).any(|window| window == end);
    bytes.starts_with(START) && ENDS_OF_HEAD.into_iter().any(has)
}

impl Outcome {
    /// What it means that the server has closed the connection after `received`.
    pub fn closed(received: &[u8]) -> Outcome {
        match received {
            [] => Outcome::Empty,
            _ if is_answer(received) => Outcome::Answered,
            _ => Outcome::Foreign,
        }
    }

    /// What it means that the time limit has passed on an open connection, after `received`.
    pub fn timed_out(received: &[u8]) -> Outcome {
        match received {
            [] => Outcome::Silent,
            _ if is_answer(received) => Outcome::Hanging,
            _ if received.starts_with(START) || START.starts_with(received) => Outcome::Partial,
            _ => Outcome::Foreign,
        }
    }

    /// Whether the connection had been opened.
    pub fn was_open(self) -> bool {
        match self {
            // Only an open connection can be reset: a server may be quicker than the client's look at its socket.
            Outcome::Failed { call: "connect", errno } => matches!(errno, Errno::ECONNRESET | Errno::EPIPE),
            Outcome::Failed { call, .. } => matches!(call, "write" | "read"),
            Outcome::Lost => false,
            _ => true,
        }
    }

    /// One word for a report.
    fn word(self) -> &'static str {
        match self {
            Outcome::Answered => "answered",
            Outcome::Hanging => "hanging",
            Outcome::Silent => "silent",
            Outcome::Partial => "partial",
            Outcome::Empty => "empty",
            Outcome::Foreign => "foreign",
            Outcome::Failed { call, .. } => call,
            Outcome::Lost => "lost",
        }
    }

    fn from_word(word: &str, errno: i32) -> Option<Outcome> {
        use Outcome::{Answered, Empty, Foreign, Hanging, Lost, Partial, Silent};
        let plain = [Answered, Hanging, Silent, Partial, Empty, Foreign, Lost];
        plain.into_iter().find(|outcome| outcome.word() == word).or_else(|| {
            let call = CALLS.into_iter().find(|call| *call == word)?;
            Some(Outcome::Failed { call, errno: Errno::from_raw(errno) })
        })
    }
}

/// In the words of the table.
impl Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Outcome::Answered => "answered and closed",
            Outcome::Hanging => "left hanging",
            Outcome::Silent => "timed out without a byte",
            Outcome::Partial => "timed out within the head of an answer",
            Outcome::Empty => "closed without an answer",
            Outcome::Foreign => "answered, but not in HTTP",
            Outcome::Lost => "lost: the client process ended early",
            Outcome::Failed { call, errno } => {
                let what = match (*call, errno) {
                    ("fork", _) => "not started",
                    ("connect", Errno::ECONNREFUSED) => "refused",
                    (_, Errno::ECONNRESET | Errno::EPIPE) => "reset",
                    ("connect", Errno::ETIMEDOUT) => "timed out before it opened",
                    ("write" | "read", _) => "failed",
                    _ => "not opened",
                };
                return write!(f, "{what} ({call}: {errno:?})");
            }
        };
        f.write_str(what)
    }
}

/// An outcome, and how long it took from the start of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    /// How it ended, or did not.
    pub outcome: Outcome,
    /// When the first byte came.
    pub first_byte: Option<Duration>,
    /// When the server closed the connection.
    pub end: Option<Duration>,
}

/// What a client process tells the parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// Each of its connections is open, or has failed.
    AllOpen,
    /// One of them received this.
    Bytes(u32, Vec<u8>),
    /// What became of one of them.
    Fate(u32, Fate),
}

impl Report {
    /// As a line. The number of a connection is unique among all those of the run.
    pub fn line(&self) -> String {
        match self {
            Report::AllOpen => "open\n".to_owned(),
            Report::Bytes(connection, bytes) => {
                let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
                let hexadecimal: String = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
                format!("bytes {connection} {hexadecimal}\n")
            }
            Report::Fate(connection, Fate { outcome, first_byte, end }) => {
                let errno = if let Outcome::Failed { errno, .. } = outcome { *errno as i32 } else { 0 };
                let times = format!("{} {}", nanoseconds(*first_byte), nanoseconds(*end));
                format!("fate {connection} {} {errno} {times}\n", outcome.word())
            }
        }
    }

    /// Reads a line without its newline; `None` if it is no report.
    pub fn parse(line: &str) -> Option<Report> {
        let fields: Vec<&str> = line.split(' ').collect();
        match fields[..] {
            ["open"] => Some(Report::AllOpen),
            ["bytes", connection, hexadecimal] => {
                let pairs = (0..hexadecimal.len()).step_by(2).map(|at| hexadecimal.get(at..at + 2));
                let bytes = pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect::<Option<_>>()?;
                Some(Report::Bytes(connection.parse().ok()?, bytes))
            }
            ["fate", connection, word, errno, first_byte, end] => {
                let outcome = Outcome::from_word(word, errno.parse().ok()?)?;
                let time = |text: &str| text.parse().ok().map(Duration::from_nanos);
                let fate = Fate { outcome, first_byte: time(first_byte), end: time(end) };
                Some(Report::Fate(connection.parse().ok()?, fate))
            }
            _ => None,
        }
    }
}

/// A time as a number, and the lack of one as "-".
fn nanoseconds(time: Option<Duration>) -> String {
    time.map_or("-".to_owned(), |time| time.as_nanos().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_http_with_a_whole_head() {
        assert!(is_answer(b"HTTP/1.1 200 OK\r\n\r\n"));
        assert!(is_answer(b"HTTP/1.0 404 Not Found\r\nA: b\r\n\r\nbody"));
        assert!(is_answer(b"HTTP/1.1 200 OK\nA: b\n\nbody"));
        for other in
            [&b""[..], b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\nA: b\n", b"SSH-2.0-x\r\n\r\n", b"\r\n\r\nHTTP/1.1"]
        {
            assert!(!is_answer(other), "{other:?}");
        }
    }

    #[test]
    fn what_came_before_the_end_decides() {
        let head = b"HTTP/1.1 200 OK\r\n\r\n";
        assert_eq!([Outcome::closed(head), Outcome::timed_out(head)], [Outcome::Answered, Outcome::Hanging]);
        assert_eq!([Outcome::closed(b""), Outcome::timed_out(b"")], [Outcome::Empty, Outcome::Silent]);
        assert_eq!([Outcome::closed(b"HTT"), Outcome::timed_out(b"HTT")], [Outcome::Foreign, Outcome::Partial]);
        assert_eq!([Outcome::closed(b"SSH"), Outcome::timed_out(b"SSH")], [Outcome::Foreign, Outcome::Foreign]);
    }

    #[test]
    fn failures_are_named_by_call_and_errno() {
        let failed = |call, errno| Outcome::Failed { call, errno };
        for (outcome, name, was_open) in [
            (failed("connect", Errno::ECONNREFUSED), "refused (connect: ECONNREFUSED)", false),
            (failed("connect", Errno::ECONNRESET), "reset (connect: ECONNRESET)", true),
            (failed("read", Errno::ECONNRESET), "reset (read: ECONNRESET)", true),
            (failed("write", Errno::EPIPE), "reset (write: EPIPE)", true),
            (failed("write", Errno::ENOBUFS), "failed (write: ENOBUFS)", true),
            (failed("connect", Errno::ETIMEDOUT), "timed out before it opened (connect: ETIMEDOUT)", false),
            (failed("socket", Errno::EMFILE), "not opened (socket: EMFILE)", false),
            (failed("fork", Errno::EAGAIN), "not started (fork: EAGAIN)", false),
        ] {
            assert_eq!((outcome.to_string().as_str(), outcome.was_open()), (name, was_open));
        }
    }

    #[test]
    fn a_report_is_read_as_it_was_written_and_fits_into_one_write() {
        let mut reports = vec![Report::AllOpen, Report::Bytes(u32::MAX, vec![0xa0; BYTES_IN_A_REPORT])];
        reports.extend((0..=255).map(|byte| Report::Bytes(0, vec![byte])));
        let (first_byte, end) = (Some(Duration::from_nanos(1)), Some(Duration::from_secs(86_400)));
        for call in CALLS {
            let outcome = Outcome::Failed { call, errno: Errno::ECONNREFUSED };
            reports.push(Report::Fate(u32::MAX, Fate { outcome, first_byte: None, end: None }));
        }
        for outcome in [Outcome::Answered, Outcome::Hanging, Outcome::Silent, Outcome::Partial].into_iter().chain([
            Outcome::Empty,
            Outcome::Foreign,
            Outcome::Lost,
        ]) {
            reports.push(Report::Fate(7, Fate { outcome, first_byte, end }));
        }
        for report in reports {
            let line = report.line();
            assert!(line.len() <= 512, "{line}");
            assert_eq!(Report::parse(line.trim_end()), Some(report), "{line}");
        }
        for garbage in ["", "bytes 1 abc", "bytes 1 zz", "fate 1 unheard-of 0 - -", "fate x answered 0 - -"] {
            assert_eq!(Report::parse(garbage), None, "{garbage}");
        }
    }
}
