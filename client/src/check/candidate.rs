//! A candidate: the server that may be a stage. It is started here, afresh where a claim has spoiled it, or runs
//! already; its process is found by the listener that it has open.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::claim::Verdict;
use super::family::Family;
use super::stage::Stage;
use crate::kernel::end::{End, Watched};
use crate::kernel::look::{self, Look};
use crate::kernel::processes::{self, Process};
use crate::kernel::sockets::{self, Listener};
use crate::output::Failure;
use crate::probe::{Probe, Stop};
use crate::server::port_to_come_back_to;
use crate::target::{Permission, Target, are_here};
use crate::wait;

/// How long anything may take that should happen at once. Much longer than it takes, for a machine may be busy.
pub const SOON: Duration = Duration::from_secs(5);

/// A second, to count in.
pub const SECOND: Duration = Duration::from_secs(1);

/// How long nothing happens when nothing should.
pub const SILENCE: Duration = Duration::from_millis(300);

/// How long TCP keeps the port of a server that has closed its connections, if that does not set SO_REUSEADDR: 60 s on
/// Linux, and some more.
const PORT_RESTS: Duration = Duration::from_secs(75);

/// Which server to look at, and what is known of it.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The words of the command that starts it; `{port}` in one of them stands for a free port. None: it runs already.
    pub command: Vec<OsString>,
    /// Where it runs already. `None` stands for this machine.
    pub host: Option<String>,
    /// The port that it listens on; `None` is 8888 for one that runs already, and whichever for one that is started.
    pub port: Option<u16>,
    /// How long it sleeps after an answer, if that is not the stage's own time.
    pub sleep: Option<Duration>,
    /// How long it may take from its start until it listens.
    pub patience: Duration,
    /// Whether it may be put under load if it is on another machine.
    pub permission: Permission,
}

impl Subject {
    /// The server that a command starts.
    pub fn started_by(command: impl IntoIterator<Item = impl Into<OsString>>) -> Subject {
        let command = command.into_iter().map(Into::into).collect();
        let permission = Permission { is_given: false };
        Subject { command, host: None, port: None, sleep: None, patience: Duration::from_secs(120), permission }
    }

    /// It sleeps so long after an answer.
    #[must_use]
    pub fn that_sleeps(self, sleep: Duration) -> Subject {
        Subject { sleep: Some(sleep), ..self }
    }
}

/// The server that is looked at.
pub struct Candidate<'a> {
    /// The stage that it may be.
    pub stage: Stage,
    subject: &'a Subject,
    tell: &'a mut dyn FnMut(String),
    now: Option<Running>,
    has_run: bool,
    /// The status code of its answer to a good request, once one has been seen.
    pub status: Option<u16>,
    /// How long it was seen to sleep.
    pub slept: Option<Duration>,
    /// Whether it was seen to have a child for a connection, once that has been looked for.
    pub forks: Option<bool>,
}

/// A server that runs.
struct Running {
    address: SocketAddr,
    /// Who has the listener open, if that can be found out.
    server: Option<Process>,
    listener: Option<Listener>,
    /// How its end is noticed.
    watched: Option<Watched>,
    /// What it has when it does nothing.
    at_rest: Option<Look>,
    /// For one that was started here.
    family: Option<Family>,
}

impl<'a> Candidate<'a> {
    /// A server that is yet to be started, or found. `tell` is told what is waited for.
    pub fn new(stage: Stage, subject: &'a Subject, tell: &'a mut dyn FnMut(String)) -> Candidate<'a> {
        Candidate { stage, subject, tell, now: None, has_run: false, status: None, slept: None, forks: None }
    }

    /// Tells what is being tried.
    pub fn tell(&mut self, what: &str) {
        (self.tell)(what.to_owned());
    }

    /// Has it run, and rest: as it is if nobody has changed it, or else started afresh; where it can't be started here,
    /// it is waited for until it has done what it does.
    ///
    /// # Errors
    /// It does not start, or is not there.
    pub fn prepare(&mut self) -> Result<(), Failure> {
        let is_started_here = !self.subject.command.is_empty();
        if self.now.is_some() {
            // What the clients of before have left may take a moment to go.
            let grace = if is_started_here { Duration::from_millis(100) } else { Duration::ZERO };
            if wait::until(grace, || self.is_at_rest().then_some(())).is_some() {
                return Ok(());
            }
        }
        if is_started_here {
            return self.start(None);
        }
        if self.now.is_none() {
            return self.find();
        }
        // Who dies of the end of a child is looked at while it lives.
        if self.stage != Stage::E {
            self.wait_for_rest();
        }
        match self.has_ended() {
            true => Err(Failure::HasEnded { address: self.address() }),
            false => Ok(()),
        }
    }

    fn is_at_rest(&mut self) -> bool {
        let Some(running) = &self.now else { return false };
        if self.stage == Stage::E && running.family.is_some() {
            return false; // it may just be about to die of what the last claim did
        }
        match (running.at_rest, &running.server) {
            (Some(at_rest), Some(server)) => look::look(server.id).is_ok_and(|now| now == at_rest),
            // Nothing is known of it, and it can't be started again.
            _ => self.subject.command.is_empty(),
        }
    }

    fn wait_for_rest(&mut self) {
        let Ok(server) = self.server() else { return };
        let at_rest = self.now.as_ref().and_then(|running| running.at_rest);
        let keeps = self.stage == Stage::D;
        let limit = self.sleep_limit() + SOON;
        self.wait(limit, "the server to be done with the clients of before", || {
            let now = look::look(server.id).ok()?;
            let is_done = now.children.alive == 0;
            (is_done && (keeps || at_rest.is_none_or(|rest| now.descriptors <= rest.descriptors))).then_some(())
        });
        if let Some(running) = &mut self.now {
            running.at_rest = look::look(server.id).ok();
        }
    }

    // ------------------------------------------------------------ start, find, stop

    /// Starts it afresh, with room for `descriptors` if given. If it has served before and does not set SO_REUSEADDR,
    /// its port may have to rest first; that is waited for.
    ///
    /// # Errors
    /// It ends before it listens, does not listen within its patience, or its port is somebody else's.
    pub fn start(&mut self, descriptors: Option<u32>) -> Result<(), Failure> {
        self.stop();
        let is_first = !self.has_run;
        if let (true, Some(port)) = (is_first, self.subject.port)
            && let Some(owner) = taken_by(port)
        {
            return Err(Failure::PortTaken { port, owner });
        }
        let deadline = Instant::now() + PORT_RESTS;
        loop {
            let failure = match self.start_once(None, descriptors) {
                Err(failure @ Failure::Ended { .. }) if !is_first => failure,
                outcome => return outcome,
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(failure);
            }
            (self.tell)(format!("it does not start again; trying for {} s, its port may have to rest", left.as_secs()));
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    /// Starts it again at once, on the port of before if `{port}` is part of the command.
    ///
    /// # Errors
    /// Those of [`Candidate::start`].
    pub fn start_again(&mut self) -> Result<(), Failure> {
        let port = self.address().port();
        self.interrupt();
        self.start_once(Some(port), None)
    }

    fn start_once(&mut self, port: Option<u16>, descriptors: Option<u32>) -> Result<(), Failure> {
        let mut own_port = None;
        let mut words = Vec::new();
        for word in &self.subject.command {
            let word = match word.to_str() {
                Some(text) if text.contains("{port}") => {
                    let port = *own_port.get_or_insert(port.or(self.subject.port).or_else(port_to_come_back_to));
                    text.replace("{port}", &port.unwrap_or(8888).to_string()).into()
                }
                _ => word.clone(),
            };
            words.push(word);
        }
        let shown = words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let wanted = own_port.flatten().or(self.subject.port);

        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        let start = Family::start(&mut command, descriptors);
        let family = start.map_err(|reason| Failure::Start { command: shown.clone(), reason })?;

        let patience = self.subject.patience;
        let found = self.wait(patience, &format!("{shown} to listen"), || {
            // Only who is not to be seen among those becomes a daemon.
            let close = family.close_members().unwrap_or_default();
            let members = if close.is_empty() { family.members().unwrap_or_default() } else { close };
            match listener_of(&members, wanted) {
                Some(found) => Some(Some(found)),
                None => (members.is_empty() && family.end().is_some()).then_some(None),
            }
        });
        let Some((server, listener)) = found.flatten() else {
            let said = family.last_words(5);
            let Some(end) = family.end().filter(|_| found.is_some()) else {
                return Err(Failure::NeverListens { command: shown, patience, port: wanted, said });
            };
            return Err(Failure::Ended { command: shown, how: end.to_string(), said, taken: taken_by(8888) });
        };
        self.has_run = true;
        let at_rest = look::look(server.id).ok();
        self.now = Some(Running {
            address: listener.reachable(),
            server: Some(server),
            listener: Some(listener),
            watched: Watched::of(server.id).ok(),
            at_rest,
            family: Some(family),
        });
        Ok(())
    }

    /// Finds the one that runs.
    fn find(&mut self) -> Result<(), Failure> {
        let port = self.subject.port.unwrap_or(8888);
        let host = self.subject.host.as_deref();
        let target = Target { host: host.unwrap_or("127.0.0.1"), port };
        let addresses = target.resolve()?;
        self.subject.permission.check(
            target,
            &addresses,
            "make hundreds of connections to it, some of them badly behaved",
        )?;
        let is_here = are_here(&addresses);
        // A name may have several addresses, and the server listen on one of them.
        let found = addresses.iter().filter(|_| is_here).find_map(|address| {
            let listener = if host.is_some() { sockets::listener_at(*address).ok()? } else { listener_on(port) };
            Some((*address, listener?))
        });
        let listener = found.map(|(_, listener)| listener);
        if is_here && listener.is_none() {
            let start = target.start_of_a_server(&addresses);
            return Err(Failure::NobodyListening { target: target.to_string(), start });
        }
        let address = match (found, host) {
            (Some((_, listener)), None) => listener.reachable(),
            (Some((address, _)), Some(_)) => address,
            (None, _) => addresses[0],
        };
        let server = listener.and_then(|_| {
            let id = sockets::owner_at(address).ok().flatten()?;
            processes::all().ok()?.into_iter().find(|process| process.id == id)
        });
        let at_rest = server.as_ref().and_then(|server| look::look(server.id).ok());
        let watched = server.and_then(|server| Watched::of(server.id).ok());
        self.has_run = true;
        self.now = Some(Running { address, server, listener, watched, at_rest, family: None });
        Ok(())
    }

    /// Ends it, if it was started here.
    pub fn stop(&mut self) {
        self.now = None;
    }

    /// Asks its process to end as Ctrl-C does, and then ends all of it.
    fn interrupt(&mut self) {
        if let Some(Running { family: Some(family), server: Some(server), .. }) = &mut self.now {
            let _ = nix::sys::signal::kill(crate::server::pid(server.id), Signal::SIGINT);
            wait::until(Duration::from_millis(500), || family.members().ok()?.is_empty().then_some(()));
        }
        self.stop();
    }

    /// Whether it can be started here, and so stopped, limited and spoiled.
    ///
    /// # Errors
    /// Skipped: it can't.
    pub fn may_be_spoiled(&self) -> Result<(), Verdict> {
        if self.subject.command.is_empty() {
            return Err(skipped("the server would have to be started and stopped here: name its command behind `--`"));
        }
        Ok(())
    }

    /// Whether it has run at all.
    pub fn has_run(&self) -> bool {
        self.has_run
    }

    // ------------------------------------------------------------ what it is now

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.now.as_ref().map_or((Ipv4Addr::LOCALHOST, 8888).into(), |running| running.address)
    }

    /// Its process.
    ///
    /// # Errors
    /// Skipped: it can't be found.
    pub fn server(&mut self) -> Result<Process, Verdict> {
        let server = self.now.as_ref().and_then(|running| running.server);
        server.ok_or_else(|| {
            skipped(
                "the server's process can't be found: it is not on this machine, or another user's (run client as \
                 that user)",
            )
        })
    }

    /// The socket that it listens on, by the number that the kernel knows it by.
    pub fn listener(&self) -> Option<Listener> {
        self.now.as_ref().and_then(|running| running.listener)
    }

    /// What it has open, and its children.
    ///
    /// # Errors
    /// Skipped: its process can't be found, or looked at. Fails: it has ended.
    pub fn look(&mut self) -> Result<Look, Verdict> {
        let server = self.server()?;
        if let Some(how) = self.last_words() {
            return Err(fails(format!("the server has ended: {how}")));
        }
        look::look(server.id).map_err(|error| match self.wait_for_end(Duration::from_millis(100)) {
            Some(how) => fails(format!("the server has ended: {how}")),
            None => skipped(format!("process {} can't be looked at: {error}", server.id)),
        })
    }

    /// Waits until a look at it shows `wanted`, for `limit` at most. Returns the last look, and whether it did.
    ///
    /// # Errors
    /// Those of [`Candidate::look`].
    pub fn look_until(&mut self, limit: Duration, wanted: impl Fn(&Look) -> bool) -> Result<(Look, bool), Verdict> {
        let deadline = Instant::now() + limit;
        loop {
            let look = self.look()?;
            let is_wanted = wanted(&look);
            if is_wanted || Instant::now() >= deadline {
                return Ok((look, is_wanted));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether its process has ended. Of one whose process can't be found that is not known.
    pub fn has_ended(&mut self) -> bool {
        self.end().is_some()
    }

    /// Waits for its end, for `limit` at most. Returns how it ended and what it said last.
    pub fn wait_for_end(&mut self, limit: Duration) -> Option<String> {
        let deadline = Instant::now() + limit;
        while !self.has_ended() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.last_words()
    }

    fn end(&mut self) -> Option<End> {
        let running = self.now.as_mut()?;
        let end = running.watched.as_ref()?.ended()?;
        // A shell may have started it, and start another in its place.
        let (Some(family), Some(server)) = (&running.family, running.server) else { return Some(end) };
        if server.id == family.first() {
            return Some(end);
        }
        let port = running.address.port();
        let found = wait::until(Duration::from_millis(50), || listener_of(&family.close_members().ok()?, Some(port)));
        let Some((server, listener)) = found else { return Some(end) };
        running.server = Some(server);
        running.listener = Some(listener);
        running.watched = Watched::of(server.id).ok();
        None
    }

    /// How it ended and what it said last, if it has ended.
    pub fn last_words(&mut self) -> Option<String> {
        let end = self.end()?;
        let Some(Running { family: Some(family), server, .. }) = &mut self.now else {
            return Some(format!("it {end}"));
        };
        // A parent can tell what others may not know.
        let is_first = server.is_some_and(|server| server.id == family.first());
        let how = family.end().filter(|_| is_first).unwrap_or(end);
        let said = family.last_words(1);
        let words = said.last().map(|line| format!("; its last words: {}", shortened(line))).unwrap_or_default();
        Some(format!("it {how}{words}"))
    }

    /// How long it may take from its answer until it closes the connection: little, unless it sleeps.
    pub fn sleep_limit(&self) -> Duration {
        match (self.subject.sleep, self.slept, self.stage.sleep()) {
            (Some(sleep), ..) => sleep + SOON,
            (_, Some(seen), _) => seen + SOON,
            (.., Some(own)) => own + 2 * SOON,
            _ => Duration::from_secs(2),
        }
    }

    /// How long it has to sleep at least to be said to sleep.
    pub fn least_sleep(&self) -> Duration {
        self.subject.sleep.map_or(SILENCE, |sleep| sleep * 4 / 5)
    }

    /// How long it is known, or has to be expected, to sleep.
    pub fn sleep(&self) -> Duration {
        self.slept.or(self.subject.sleep).or(self.stage.sleep()).unwrap_or_default()
    }

    // ------------------------------------------------------------ clients

    /// Waits for something that may take long, and tells for what, and how long.
    pub fn wait<T>(&mut self, limit: Duration, what: &str, mut question: impl FnMut() -> Option<T>) -> Option<T> {
        let begin = Instant::now();
        let mut told = 0;
        wait::until(limit, || {
            let seconds = begin.elapsed().as_secs();
            if seconds > told {
                told = seconds;
                (self.tell)(format!("waiting for {what}: {seconds} s of at most {}", limit.as_secs()));
            }
            question()
        })
    }

    /// A connection to it.
    ///
    /// # Errors
    /// Fails: it can't be had.
    pub fn connect(&mut self) -> Result<Probe, Verdict> {
        self.connect_within(SOON)
    }

    /// The same, for a server that may be busy.
    ///
    /// # Errors
    /// Fails: it can't be had.
    pub fn connect_within(&mut self, limit: Duration) -> Result<Probe, Verdict> {
        Probe::open(self.address(), limit).map_err(|error| match error.kind() {
            ErrorKind::ConnectionRefused => fails("a client is refused: nobody listens any more"),
            ErrorKind::TimedOut => fails(format!(
                "a client is not connected within {}: the queue of connections that wait for accept is full",
                time(limit)
            )),
            _ => fails(format!("a client is not connected: {error}")),
        })
    }

    /// Sends `request` on `probe` and reads the answer, which has to come within `limit`.
    ///
    /// # Errors
    /// Fails: it does not, or is no answer.
    pub fn ask_on(&mut self, probe: &mut Probe, request: &[u8], limit: Duration) -> Result<Answer, Verdict> {
        let begin = Instant::now();
        // Whoever does not read all of it, and answers, will be judged by the answer.
        let sent = probe.send(request);
        let read = probe
            .read_until(begin + limit, |received| !received.is_empty())
            .map(|stop| (stop, begin.elapsed()))
            .and_then(|(_, first_byte)| Ok((probe.read_until(begin + limit, is_answer)?, first_byte)));
        let received = probe.received();
        let (stop, first_byte) = read.map_err(|error| match error.kind() {
            ErrorKind::TimedOut if received.is_empty() => {
                fails(format!("no answer within {}; a client waits", time(limit)))
            }
            ErrorKind::TimedOut => fails(format!(
                "the answer stops in the middle: {}; it is a status line, header fields, an empty line and a body",
                shown(received)
            )),
            ErrorKind::FileTooLarge => fails("the answer does not end: more than 1 MB came, and no end is in sight"),
            _ if sent.is_err() => fails(format!("the request can't be sent: {}", sent.unwrap_err())),
            _ => fails(format!("the connection breaks before the answer is complete: {error}")),
        })?;
        if received.is_empty() {
            return Err(fails("the connection is closed, and nothing was answered"));
        }
        Answer::parse(received, first_byte, stop == Stop::End).map_err(fails)
    }

    /// Connects, sends `request` and reads the answer.
    ///
    /// # Errors
    /// Those of [`Candidate::connect`] and [`Candidate::ask_on`].
    pub fn ask(&mut self, request: &[u8]) -> Result<(Probe, Answer), Verdict> {
        let mut probe = self.connect()?;
        let answer = self.ask_on(&mut probe, request, SOON)?;
        Ok((probe, answer))
    }

    /// Waits until the server closes `probe`, for `limit` at most. Returns whether it does.
    ///
    /// # Errors
    /// Fails: the connection is reset, or what comes does not end.
    pub fn is_closed_within(&mut self, probe: &mut Probe, limit: Duration) -> Result<bool, Verdict> {
        let deadline = Instant::now() + limit;
        let closed = self.wait(limit + Duration::from_secs(1), "the server to close a connection", || {
            let slice = deadline.min(Instant::now() + Duration::from_millis(250));
            match probe.read_until(slice, |_| false) {
                Ok(_) => Some(Ok(true)),
                Err(error) if error.kind() == ErrorKind::TimedOut => (slice == deadline).then_some(Ok(false)),
                Err(error) => Some(Err(error)),
            }
        });
        closed.unwrap_or(Ok(false)).map_err(|error| match error.kind() {
            ErrorKind::FileTooLarge => fails("the answer does not end: more than 1 MB came, and no end is in sight"),
            ErrorKind::ConnectionReset => fails(
                "the connection is reset instead of closed: that happens when a socket is closed while bytes wait in \
                 it unread, and may destroy the answer on its way. Read all of the request, its body too, before you \
                 close",
            ),
            _ => fails(format!("the connection breaks: {error}")),
        })
    }
}

/// An answer, as far as it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The status code, such as 200.
    pub status: u16,
    /// Whether it says how long its body is, so that a client need not wait for the end of the connection.
    pub has_length: bool,
    /// Where in what was received the body begins.
    pub body: usize,
    /// How long after the request its first byte came.
    pub first_byte: Duration,
    /// When it was complete.
    pub complete: Instant,
}

impl Answer {
    fn parse(received: &[u8], first_byte: Duration, is_at_end: bool) -> Result<Answer, String> {
        let status = status_of(received).ok_or_else(|| {
            let hint = if received.starts_with(b"\n") || received.starts_with(b"\r\n") {
                "; nothing may come before the status line, not even an empty line"
            } else {
                ""
            };
            format!("the answer begins with {}, and should with `HTTP/1.1 200 OK` or the like{hint}", shown(received))
        })?;
        let body = body_at(received).ok_or_else(|| {
            "the answer has no empty line between its head and its body: a client takes all of it for the head"
                .to_owned()
        })?;
        if is_at_end && !is_answer(received) {
            return Err(match declared_length(&received[..body]) {
                Some(length) => format!("its body ends after {} of {length} bytes", received.len() - body),
                None => "the answer has a head and no body".to_owned(),
            });
        }
        let has_length = declared_length(&received[..body]).is_some();
        Ok(Answer { status, has_length, body, first_byte, complete: Instant::now() })
    }
}

/// `HTTP/1.x NNN`.
fn status_of(received: &[u8]) -> Option<u16> {
    let rest = received.strip_prefix(b"HTTP/1.")?;
    match rest {
        [b'0'..=b'9', b' ', a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b' ' | b'\r' | b'\n', ..] => {
            Some([a, b, c].iter().fold(0, |code, digit| code * 10 + u16::from(*digit - b'0')))
        }
        _ => None,
    }
}

/// Where the body begins: behind an empty line, whose end may be a bare newline.
fn body_at(received: &[u8]) -> Option<usize> {
    (0..received.len()).filter(|&at| received[at] == b'\n').find_map(|at| match &received[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

fn declared_length(head: &[u8]) -> Option<usize> {
    let mut lines = head.split(|&byte| byte == b'\n').filter_map(|line| str::from_utf8(line).ok()?.split_once(':'));
    lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?.1.trim().parse().ok()
}

/// Whether this is a whole head and something of a body, or all of it if it says how long it is.
fn is_answer(received: &[u8]) -> bool {
    body_at(received).is_some_and(|at| match declared_length(&received[..at]) {
        Some(length) => received.len() - at >= length,
        None => received.len() > at,
    })
}

/// A verdict: it does not hold, and why.
pub fn fails(text: impl Into<String>) -> Verdict {
    Verdict::Fails(text.into())
}

/// A verdict: it could not be tried, and why.
pub fn skipped(text: impl Into<String>) -> Verdict {
    Verdict::Skipped(text.into())
}

/// A time for people: `0.8 ms`, `1.2 s`.
pub fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        ..0.01 => format!("{:.1} ms", seconds * 1e3),
        ..1.0 => format!("{:.0} ms", seconds * 1e3),
        _ if seconds.fract() < 0.05 || seconds >= 100.0 => format!("{seconds:.0} s"),
        _ => format!("{seconds:.1} s"),
    }
}

/// The beginning of what a server sent, for a line of text.
fn shown(received: &[u8]) -> String {
    let begin = &received[..received.len().min(40)];
    format!("`{}`{}", begin.escape_ascii(), if begin.len() < received.len() { " ..." } else { "" })
}

/// The beginning of a line.
fn shortened(line: &str) -> String {
    const MOST: usize = 200;
    if line.chars().count() <= MOST {
        line.to_owned()
    } else {
        format!("{} ...", line.chars().take(MOST).collect::<String>())
    }
}

/// Who listens on `port`, as a reader would look for them.
fn taken_by(port: u16) -> Option<String> {
    listener_on(port)?;
    let owner = sockets::owner(port).ok().flatten();
    Some(owner.map_or("a process of another user".to_owned(), |id| {
        format!("{} (process {id})", processes::name(id).unwrap_or_else(|_| "somebody".to_owned()))
    }))
}

/// The socket that listens on `port`, at whatever address.
fn listener_on(port: u16) -> Option<Listener> {
    sockets::listeners().ok()?.into_iter().find(|listener| listener.address.port() == port)
}

/// Of `members`, the one that has a listener open (on `port`, if that is given), and the listener. Of several it is the
/// one whose parent has not: a server that forks has its listener open in its children too, at least for a moment.
fn listener_of(members: &[Process], port: Option<u16>) -> Option<(Process, Listener)> {
    let mut listening = sockets::listening(members).ok()?;
    listening.retain(|(_, listener)| port.is_none_or(|port| listener.address.port() == port));
    let server = *sockets::topmost(listening.iter().map(|(process, _)| process))?;
    listening.into_iter().find(|(process, _)| *process == server)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(received: &[u8]) -> Result<Answer, String> {
        Answer::parse(received, Duration::ZERO, true)
    }

    #[test]
    fn an_answer_needs_a_status_an_empty_line_and_a_body() {
        let answer = parse(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nHi").unwrap();
        assert_eq!((answer.status, answer.has_length, answer.body), (200, true, 38));
        let answer = parse(b"HTTP/1.0 404 Not Found\n\nx").unwrap();
        assert_eq!((answer.status, answer.has_length), (404, false));
        for (wrong, why) in [
            (&b"\nHTTP/1.1 200 OK\n\nHi"[..], "not even an empty line"),
            (b"Hello, World!", "begins with `Hello, World!`"),
            (b"HTTP/1.1 200 OK\r\nHello, World!\r\n", "no empty line"),
            (b"HTTP/1.1 200 OK\r\n\r\n", "no body"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nHi", "2 of 3 bytes"),
            (b"HTTP/1.1 20", "begins with"),
        ] {
            assert!(parse(wrong).unwrap_err().contains(why), "{:?}", parse(wrong));
        }
        assert!(parse(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n").is_ok());
    }

    #[test]
    fn times_are_short() {
        for (milliseconds, shown) in [(0.84, "0.8 ms"), (12.4, "12 ms"), (1234.0, "1.2 s"), (60_001.0, "60 s")] {
            assert_eq!(time(Duration::from_secs_f64(milliseconds / 1e3)), shown);
        }
    }
}
