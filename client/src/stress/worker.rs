//! A client process: opens its connections, holds them until every client has opened its own, and reports what became
//! of each.
//!
//! It waits for all of them at once with poll(2), so that a silent one keeps none of the others waiting.

use std::net::SocketAddr;
use std::ops::ControlFlow::{self, Break, Continue};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, getsockopt, socket, sockopt};
use nix::unistd::{read, write};

use crate::output::report;
use crate::stress::fate::{BYTES_IN_A_REPORT, Fate, Outcome, Report};

/// How many connections are started between two looks at those that are under way.
const BATCH: usize = 64;

/// How much of an answer is kept: enough for its head, by which it is judged.
const KEPT: usize = 8 * 1024;

/// How much of it is kept, and shown, if it is to be shown.
const KEPT_TO_SHOW: usize = 64 * 1024;

/// How many more reads a connection gets at most when its time limit has passed: a server may send for ever.
const LAST_READS: usize = 64;

/// What every client does.
#[derive(Debug)]
pub struct Plan {
    /// The addresses of the server; the next is tried where one refuses.
    pub addresses: Vec<SocketAddr>,
    /// What each connection sends.
    pub request: Vec<u8>,
    /// How many connections each client makes.
    pub connections: u32,
    /// How long each may take from its start to its end.
    pub timeout: Duration,
    /// Whether the parent wants to see the answers.
    pub show: bool,
}

/// A client's ends of the pipes to its parent. It reads nothing from them: their closing is the message.
#[derive(Debug)]
pub struct Pipes {
    /// Closes when all clients may start.
    pub start: OwnedFd,
    /// Closes when all clients have opened their connections, or failed to.
    pub release: OwnedFd,
    /// Closes when the parent has gone, however it went.
    pub parent: OwnedFd,
    /// Where the reports are written to.
    pub reports: OwnedFd,
}

/// Does the work of client number `client`, and ends this process.
pub fn run(client: u32, plan: &Plan, pipes: &Pipes) -> ! {
    // A child that returned or unwound from here would run on as a second parent.
    let code = match catch_unwind(AssertUnwindSafe(|| Client::new(client, plan, pipes).work())) {
        Ok(Ok(()) | Err(Errno::EPIPE)) => 0,
        Ok(Err(errno)) => {
            report(format_args!("client process {client}: {errno}"));
            1
        }
        Err(_) => 1,
    };
    // SAFETY: _exit(2) takes a number and ends this process at once.
    unsafe { libc::_exit(code) }
}

/// The connections of one client. Each method's errors are EPIPE when the parent has gone, and those of poll(2).
struct Client<'a> {
    plan: &'a Plan,
    pipes: &'a Pipes,
    to_start: Range<u32>,
    connections: Vec<Connection>,
    said_all_open: bool,
    released: bool,
}

impl<'a> Client<'a> {
    fn new(client: u32, plan: &'a Plan, pipes: &'a Pipes) -> Client<'a> {
        let first = client * plan.connections;
        let to_start = first..first + plan.connections;
        Client { plan, pipes, to_start, connections: Vec::new(), said_all_open: false, released: false }
    }

    fn work(mut self) -> nix::Result<()> {
        while read(&self.pipes.start, &mut [0]) == Err(Errno::EINTR) {}
        while !self.to_start.is_empty() || !self.connections.is_empty() {
            self.start_some()?;
            let ready = self.wait()?;
            self.go_on_with(&ready)?;
            self.let_go();
        }
        Ok(())
    }

    /// Starts the next connections.
    fn start_some(&mut self) -> nix::Result<()> {
        for number in self.to_start.by_ref().take(BATCH) {
            let mut connection = Connection::new(number, self.plan);
            let progress = connection.open(self.plan);
            connection.record(progress, self.plan, self.pipes)?;
            self.connections.push(connection);
        }
        let opening = self.connections.iter().any(|connection| connection.state == State::Opening);
        if self.to_start.is_empty() && !opening && !self.said_all_open {
            tell(self.pipes, &Report::AllOpen)?;
            self.said_all_open = true;
        }
        Ok(())
    }

    /// Waits until something happens, or a time limit passes. Returns the places of the connections that can go on.
    fn wait(&mut self) -> nix::Result<Vec<usize>> {
        let awaited = self.connections.iter().enumerate();
        let (places, mut polled): (Vec<usize>, Vec<PollFd>) =
            awaited.filter_map(|(place, connection)| Some((place, connection.awaits(self.plan)?))).unzip();
        if !self.released {
            polled.push(PollFd::new(self.pipes.release.as_fd(), PollFlags::POLLIN));
        }
        polled.push(PollFd::new(self.pipes.parent.as_fd(), PollFlags::POLLIN));

        let under_way = self.connections.iter().filter(|connection| connection.state != State::Over);
        let deadline = under_way.map(|connection| connection.deadline).min().or(self.last_deadline());
        let wait = match deadline {
            Some(deadline) if self.to_start.is_empty() => {
                milliseconds(deadline.saturating_duration_since(Instant::now()))
            }
            _ => PollTimeout::ZERO,
        };
        match poll(&mut polled, wait) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }

        let mut happened: Vec<bool> = polled.iter().map(|one| one.any().unwrap_or(true)).collect();
        if happened.pop() == Some(true) {
            return Err(Errno::EPIPE);
        }
        if !self.released {
            self.released = happened.pop() == Some(true);
        }
        Ok(places.into_iter().zip(happened).filter_map(|(place, happened)| happened.then_some(place)).collect())
    }

    fn go_on_with(&mut self, ready: &[usize]) -> nix::Result<()> {
        for &place in ready {
            let connection = &mut self.connections[place];
            let progress = connection.go_on(self.plan);
            connection.record(progress, self.plan, self.pipes)?;
        }
        let now = Instant::now();
        for connection in &mut self.connections {
            if connection.state != State::Over && connection.deadline <= now {
                let outcome = connection.time_out(self.plan);
                connection.record(Break(outcome), self.plan, self.pipes)?;
            }
        }
        Ok(())
    }

    /// Closes the connections that are over, if nobody still opens others: when the parent says so; or when the last
    /// time limit has passed, which was everybody's.
    fn let_go(&mut self) {
        if self.released || self.last_deadline() <= Some(Instant::now()) {
            self.connections.retain(|connection| connection.state != State::Over);
        }
    }

    fn last_deadline(&self) -> Option<Instant> {
        self.connections.last().map(|connection| connection.deadline)
    }
}

/// Where a connection stands.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Opening,
    Open,
    /// Its fate is reported; it may still be held open.
    Over,
}

/// `Break` when the connection is over.
type Progress = ControlFlow<Outcome>;

struct Connection {
    number: u32,
    state: State,
    socket: Option<OwnedFd>,
    /// How many addresses have refused.
    refused: usize,
    sent: usize,
    received: Vec<u8>,
    shown: usize,
    started: Instant,
    deadline: Instant,
    first_byte: Option<Duration>,
    end: Option<Duration>,
}

impl Connection {
    fn new(number: u32, plan: &Plan) -> Connection {
        let started = Instant::now();
        Connection {
            number,
            state: State::Opening,
            socket: None,
            refused: 0,
            sent: 0,
            received: Vec::new(),
            shown: 0,
            started,
            deadline: started + plan.timeout,
            first_byte: None,
            end: None,
        }
    }

    /// Makes a socket and starts to connect it. Whether it gets through is seen later, when poll says that it is ready.
    fn open(&mut self, plan: &Plan) -> Progress {
        let address = plan.addresses[self.refused];
        match start_connecting(address) {
            Ok(socket) => {
                self.socket = Some(socket);
                Continue(())
            }
            Err((call, errno)) => self.not_opened(call, errno, plan),
        }
    }

    fn not_opened(&mut self, call: &'static str, errno: Errno, plan: &Plan) -> Progress {
        if errno == Errno::ECONNREFUSED && self.refused + 1 < plan.addresses.len() {
            self.refused += 1;
            return self.open(plan);
        }
        Break(Outcome::Failed { call, errno })
    }

    /// What it waits for.
    fn awaits(&self, plan: &Plan) -> Option<PollFd<'_>> {
        let events = match self.state {
            State::Opening => PollFlags::POLLOUT,
            State::Open if self.sent < plan.request.len() => PollFlags::POLLIN | PollFlags::POLLOUT,
            State::Open => PollFlags::POLLIN,
            State::Over => return None,
        };
        Some(PollFd::new(self.socket.as_ref()?.as_fd(), events))
    }

    /// Does what it can do now.
    fn go_on(&mut self, plan: &Plan) -> Progress {
        let Some(socket) = &self.socket else { return Continue(()) };
        if self.state == State::Opening {
            match getsockopt(socket, sockopt::SocketError) {
                Ok(0) => self.state = State::Open,
                Ok(number) => return self.not_opened("connect", Errno::from_raw(number), plan),
                Err(errno) => return Break(Outcome::Failed { call: "connect", errno }),
            }
        }
        self.send(plan)?;
        self.receive(plan)?;
        Continue(())
    }

    fn send(&mut self, plan: &Plan) -> Progress {
        while let Some(socket) = &self.socket
            && self.sent < plan.request.len()
        {
            match write(socket, &plan.request[self.sent..]) {
                Ok(length) => self.sent += length,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                Err(errno) => return Break(Outcome::Failed { call: "write", errno }),
            }
        }
        Continue(())
    }

    /// Reads once. Returns how many bytes there were.
    fn receive(&mut self, plan: &Plan) -> ControlFlow<Outcome, usize> {
        let Some(socket) = &self.socket else { return Continue(0) };
        let mut buffer = [0; 16 * 1024];
        match read(socket, &mut buffer) {
            Ok(0) => {
                self.end = Some(self.started.elapsed());
                Break(Outcome::closed(&self.received))
            }
            Ok(length) => {
                self.first_byte.get_or_insert_with(|| self.started.elapsed());
                let most = if plan.show { KEPT_TO_SHOW } else { KEPT };
                let kept = length.min(most - self.received.len());
                self.received.extend_from_slice(&buffer[..kept]);
                Continue(length)
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Continue(0),
            Err(errno) => Break(Outcome::Failed { call: "read", errno }),
        }
    }

    /// What it means that its time limit has passed. It may be this process that is late, because it was stopped
    /// (Ctrl-Z); so what the server has sent by now counts.
    fn time_out(&mut self, plan: &Plan) -> Outcome {
        if self.state == State::Opening {
            return Outcome::Failed { call: "connect", errno: Errno::ETIMEDOUT };
        }
        for _ in 0..LAST_READS {
            match self.receive(plan) {
                Continue(0) => break,
                Continue(_) => {}
                Break(outcome) => return outcome,
            }
        }
        Outcome::timed_out(&self.received)
    }

    /// Reports what it received, if that is to be shown, and what became of it, if it is over.
    fn record(&mut self, progress: Progress, plan: &Plan, pipes: &Pipes) -> nix::Result<()> {
        if plan.show {
            for bytes in self.received[self.shown..].chunks(BYTES_IN_A_REPORT) {
                tell(pipes, &Report::Bytes(self.number, bytes.to_vec()))?;
            }
            self.shown = self.received.len();
        }
        if let Break(outcome) = progress {
            self.state = State::Over;
            self.received = Vec::new();
            if matches!(outcome, Outcome::Failed { .. }) {
                self.socket = None; // There is nothing to hold open, and others may need the descriptor.
            }
            let fate = Fate { outcome, first_byte: self.first_byte, end: self.end };
            tell(pipes, &Report::Fate(self.number, fate))?;
        }
        Ok(())
    }
}

/// connect(2) would wait; on a socket that does not block it says EINPROGRESS and goes on by itself. A SYN that finds
/// the server's queue full is sent again by the kernel, after a second and then again and again.
fn start_connecting(address: SocketAddr) -> Result<OwnedFd, (&'static str, Errno)> {
    let family = if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let socket = socket(family, SockType::Stream, SockFlag::empty(), None).map_err(|errno| ("socket", errno))?;
    fcntl(&socket, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|errno| ("fcntl", errno))?;
    match connect(socket.as_raw_fd(), &SockaddrStorage::from(address)) {
        Ok(()) | Err(Errno::EINPROGRESS | Errno::EINTR) => Ok(socket),
        Err(errno) => Err(("connect", errno)),
    }
}

/// Writes a report, in one write(2).
fn tell(pipes: &Pipes, report: &Report) -> nix::Result<()> {
    let line = report.line();
    loop {
        match write(&pipes.reports, line.as_bytes()) {
            Err(Errno::EINTR) => {}
            outcome => return outcome.map(|_| ()),
        }
    }
}

/// poll(2) counts in milliseconds. Rounded up, for the last fraction of one would be spent in a busy loop.
fn milliseconds(left: Duration) -> PollTimeout {
    PollTimeout::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use nix::sys::socket::{SockaddrIn, bind, getsockname};

    use super::*;

    #[test]
    fn the_start_of_an_answer_is_kept() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let timeout = Duration::from_secs(30);
        for (show, kept) in [(false, 8 * 1024), (true, 64 * 1024)] {
            let addresses = vec![listener.local_addr().unwrap()];
            let plan = Plan { addresses, request: b"GET".to_vec(), connections: 1, timeout, show };
            let mut connection = Connection::new(0, &plan);
            assert_eq!(connection.open(&plan), Continue(()));
            let (mut server, _) = listener.accept().unwrap();
            let server = std::thread::spawn(move || {
                server.read_exact(&mut [0; 3]).unwrap();
                server.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
                server.write_all(&[b'x'; 200_000]).unwrap();
            });
            let mut progress = Continue(());
            while progress.is_continue() {
                poll(&mut [connection.awaits(&plan).unwrap()], milliseconds(timeout)).unwrap();
                progress = connection.go_on(&plan);
            }
            server.join().unwrap();
            assert_eq!((progress, connection.received.len()), (Break(Outcome::Answered), kept));
        }
    }

    #[test]
    fn where_one_address_refuses_the_next_is_tried() {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = TcpListener::bind(anywhere).unwrap();
        // Bound, but not listening: it refuses.
        let silent = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).unwrap();
        bind(silent.as_raw_fd(), &SockaddrStorage::from(anywhere)).unwrap();
        let refusing = SocketAddr::from(getsockname::<SockaddrIn>(silent.as_raw_fd()).unwrap());

        for (last, reached) in [(listener.local_addr().unwrap(), true), (refusing, false)] {
            let addresses = vec![refusing, last];
            let timeout = Duration::from_secs(30);
            let plan = Plan { addresses, request: b"GET".to_vec(), connections: 1, timeout, show: false };
            let mut connection = Connection::new(0, &plan);
            let mut progress = connection.open(&plan);
            while progress.is_continue() && connection.state == State::Opening {
                poll(&mut [connection.awaits(&plan).unwrap()], milliseconds(timeout)).unwrap();
                progress = connection.go_on(&plan);
            }
            let expected = Break(Outcome::Failed { call: "connect", errno: Errno::ECONNREFUSED });
            assert_eq!(progress, if reached { Continue(()) } else { expected });
        }
    }
}
