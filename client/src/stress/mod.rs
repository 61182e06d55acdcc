//! The stress client: many connections at once, and what became of each. This is the parent: it looks at the server,
//! forks the clients, fires the starting gun, gathers their reports, looks at the server again, and prints what became
//! of it all.
//!
//! Between it and the clients are four pipes. One carries the reports; its end of file says that all clients are done.
//! The others carry nothing: closing a pipe tells every reader at once, and the kernel does it for a parent that dies.

pub mod descriptors;
pub mod fate;
mod options;
pub mod summary;
pub mod traces;
pub mod worker;

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pipe};

use self::descriptors::Limit;
use self::fate::{Fate, Outcome, Report};
pub use self::options::Options;
use self::summary::{Summary, Tally};
use self::traces::Subject;
use self::worker::{Pipes, Plan};
use crate::output::{Failure, counted, print, printable};
use crate::target::Target;

/// Makes the connections that `options` ask for, and prints what became of them. Returns whether the server answered
/// and closed every one.
///
/// It forks, so the calling process must have one thread only: a lock that another thread holds would stay locked in
/// the clients for ever.
///
/// # Errors
/// The run can't be started or is refused, nobody is listening, or standard output fails.
pub fn run(options: &Options) -> Result<bool, Failure> {
    let limit = Limit::raise_for(options.max_conns)?;
    let target = Target { host: &options.host, port: options.port };
    let plan = Plan {
        addresses: target.resolve()?,
        request: target.request().into_bytes(),
        connections: options.max_conns,
        timeout: options.timeout,
        show: options.show,
    };
    let planned = options.max_clients * options.max_conns;
    if planned > 1 {
        let plan_in_words = format_args!("make {} to it", counted(planned as usize, "connection", "connections"));
        options.permission.check(target, &plan.addresses, plan_in_words)?;
    }
    let subject = Subject::find(options.pid, &plan.addresses)?;

    let clients = Clients::start(options.max_clients, &plan)?;
    let mut tally = Tally::new(planned);
    if let Some(errno) = clients.refused {
        let outcome = Outcome::Failed { call: "fork", errno };
        for _ in 0..planned - clients.count() * options.max_conns {
            tally.add(&Fate { outcome, first_byte: None, end: None });
        }
    }
    clients.gather(&mut tally, options.timeout)?;
    tally.close();

    if tally.is_all(Outcome::Failed { call: "connect", errno: Errno::ECONNREFUSED }) {
        return Err(Failure::NobodyListening {
            target: target.to_string(),
            start: target.start_of_a_server(&plan.addresses),
        });
    }
    let answered = tally.is_all(Outcome::Answered);
    if !(options.show && planned == 1 && answered) {
        let gap = if options.show && planned == 1 { "\n" } else { "" };
        let summary = Summary { clients: options.max_clients, connections: options.max_conns, target, limit };
        let traces = subject.map(Subject::look_again);
        print(&format!("{gap}{}", summary.text(&tally, traces.as_ref())))?;
    }
    Ok(answered)
}

/// How often the parent looks up from waiting for reports.
const TICK: Duration = Duration::from_millis(100);

/// How long it waits beyond the time limit for clients that report nothing: they may be stopped.
const GRACE: Duration = Duration::from_secs(3);

/// The client processes, and the parent's ends of the pipes to them.
struct Clients {
    children: Vec<Pid>,
    /// Why fork(2) made no more of them.
    refused: Option<Errno>,
    start: OwnedFd,
    release: OwnedFd,
    parent: OwnedFd,
    reports: OwnedFd,
}

impl Clients {
    /// Forks `count` clients, which wait for the starting gun.
    fn start(count: u32, plan: &Plan) -> Result<Clients, Failure> {
        let [start, release, parent, reports] = [pipe(), pipe(), pipe(), pipe()];
        let (start_read, start) = start.map_err(Failure::of("pipe"))?;
        let (release_read, release) = release.map_err(Failure::of("pipe"))?;
        let (parent_read, parent) = parent.map_err(Failure::of("pipe"))?;
        let (reports, reports_write) = reports.map_err(Failure::of("pipe"))?;
        let pipes = Pipes { start: start_read, release: release_read, parent: parent_read, reports: reports_write };

        let mut clients = Clients { children: Vec::new(), refused: None, start, release, parent, reports };
        for client in 0..count {
            // SAFETY: this process has one thread, so no lock is held that the child would wait for.
            match unsafe { fork() } {
                Ok(ForkResult::Child) => {
                    drop(clients); // A pipe is closed when nobody has its other end any more.
                    worker::run(client, plan, &pipes)
                }
                Ok(ForkResult::Parent { child }) => clients.children.push(child),
                Err(errno) => {
                    clients.refused = Some(errno);
                    break;
                }
            }
        }
        Ok(clients)
    }

    fn count(&self) -> u32 {
        self.children.len() as u32
    }

    /// Lets the clients start, counts what they report until all of them are done, and reaps them.
    fn gather(self, tally: &mut Tally, timeout: Duration) -> Result<(), Failure> {
        let bar = progress_bar(tally, timeout);
        drop(self.start);
        let gathered = receive(self.reports, self.release, self.children.len(), tally, timeout, &bar);
        bar.finish_and_clear();
        drop(self.parent);
        for child in self.children {
            // It has ended, or nobody waits for it any more; one that is stopped would not end by itself.
            let _ = kill(child, Signal::SIGKILL);
            while waitpid(child, None) == Err(Errno::EINTR) {}
        }
        gathered
    }
}

/// Counts what `clients` processes report, and closes `release` as soon as all of them have opened their connections.
/// Returns when all of them have ended, or are overdue.
fn receive(
    reports: OwnedFd,
    release: OwnedFd,
    clients: usize,
    tally: &mut Tally,
    timeout: Duration,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let mut answers = Answers { pending: HashMap::new(), alone: tally.planned() == 1 };
    let mut release = Some(release);
    let mut opening = clients;
    let mut reports = BufReader::new(File::from(reports));
    let mut line = String::new();
    let mut patience = timeout + GRACE;
    while next_line(&mut reports, &mut line, &mut patience, bar) {
        let text = match Report::parse(line.trim_end()) {
            Some(Report::AllOpen) => {
                opening -= 1;
                if opening == 0 {
                    release = None;
                }
                String::new()
            }
            Some(Report::Bytes(connection, bytes)) => answers.add(connection, &bytes),
            Some(Report::Fate(connection, fate)) => {
                tally.add(&fate);
                bar.inc(1);
                answers.end(connection)
            }
            None => String::new(), // A killed client's last words: what it had to say is counted as lost.
        };
        if !text.is_empty() {
            bar.suspend(|| print(&text))?;
        }
    }
    drop(release);
    Ok(())
}

/// Reads the next report, and keeps the bar's clock going until there is one. (indicatif could do that by a thread of
/// its own, which can't be had when the limit of processes is reached.) Returns whether there was one.
///
/// Each tick without a report takes from `patience`, and there is none when that is used up. A clock would be wrong: it
/// goes on while this process and the clients are stopped together (Ctrl-Z).
fn next_line(reports: &mut BufReader<File>, line: &mut String, patience: &mut Duration, bar: &ProgressBar) -> bool {
    while reports.buffer().is_empty() && is_quiet(reports.get_ref()) {
        bar.tick();
        *patience = patience.saturating_sub(TICK);
        if patience.is_zero() {
            return false;
        }
    }
    line.clear();
    reports.read_line(line).is_ok_and(|length| length > 0)
}

/// Whether nothing comes for a tick.
fn is_quiet(file: &File) -> bool {
    let mut polled = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
    matches!(poll(&mut polled, TICK.as_millis() as u16), Ok(0) | Err(Errno::EINTR))
}

/// A bar on standard error while the clients are at work; nothing where that is no terminal.
fn progress_bar(tally: &Tally, timeout: Duration) -> ProgressBar {
    let bar = ProgressBar::new(tally.planned().into()).with_position(tally.count().into());
    if let Ok(style) = ProgressStyle::with_template("{pos} of {len} done {wide_bar} {elapsed} of {msg} at most") {
        bar.set_style(style);
        bar.set_message(format!("{}s", timeout.as_secs_f64()));
    }
    bar
}

/// What the connections have received and the reader has not yet seen.
struct Answers {
    pending: HashMap<u32, Vec<u8>>,
    /// Whether there is only one connection: its lines need not wait for the answer's end.
    alone: bool,
}

impl Answers {
    /// Takes what a connection has received. Returns what can be printed now.
    fn add(&mut self, connection: u32, bytes: &[u8]) -> String {
        let answer = self.pending.entry(connection).or_default();
        answer.extend_from_slice(bytes);
        if !self.alone {
            return String::new();
        }
        let whole_lines = answer.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        printable(&answer.drain(..whole_lines).collect::<Vec<_>>())
    }

    /// Returns what is left of a connection's answer; several answers have an empty line between them.
    fn end(&mut self, connection: u32) -> String {
        let mut text = printable(&self.pending.remove(&connection).unwrap_or_default());
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        if !text.is_empty() && !self.alone {
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_single_answer_are_shown_at_once() {
        let mut answers = Answers { pending: HashMap::new(), alone: true };
        assert_eq!(answers.add(0, b"HTTP/1.1 200 OK\r\n\r\nHel"), "HTTP/1.1 200 OK\n\n");
        assert_eq!(answers.add(0, b"lo"), "");
        assert_eq!(answers.end(0), "Hello\n");
    }

    #[test]
    fn several_answers_are_shown_one_after_the_other() {
        let mut answers = Answers { pending: HashMap::new(), alone: false };
        assert_eq!(answers.add(0, b"a\r\n") + &answers.add(1, b"b\n") + &answers.add(0, b"a"), "");
        assert_eq!(answers.end(1) + &answers.end(0) + &answers.end(2), "b\n\na\na\n\n");
    }
}
