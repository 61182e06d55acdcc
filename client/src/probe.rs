//! One connection, handled step by step: what a server does on it, and when.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};

use crate::server::PATIENCE;

/// The request of the articles.
pub const REQUEST: &[u8] = b"GET /hello HTTP/1.1\r\nHost: localhost:8888\r\n\r\n";

/// How much [`Probe::read_until`] takes in of an answer that does not end, in bytes.
const MOST: usize = 1 << 20;

/// Why [`Probe::read_until`] has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// What was received is enough.
    Enough,
    /// The server has closed the connection.
    End,
}

/// A connection to a server.
#[derive(Debug)]
pub struct Probe {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Probe {
    /// Connects to `port` of 127.0.0.1.
    ///
    /// # Errors
    /// Those of connect(2), and that it takes longer than [`PATIENCE`].
    pub fn connect(port: u16) -> io::Result<Probe> {
        Probe::connect_to(Ipv4Addr::LOCALHOST.into(), port)
    }

    /// Connects to `port` of `host`.
    ///
    /// # Errors
    /// Those of connect(2), and that it takes longer than [`PATIENCE`].
    pub fn connect_to(host: IpAddr, port: u16) -> io::Result<Probe> {
        Probe::open((host, port).into(), PATIENCE)
    }

    /// Connects to `address`, for `limit` at most, which is also how long a write may take.
    ///
    /// # Errors
    /// Those of connect(2), and that it takes longer.
    pub fn open(address: SocketAddr, limit: Duration) -> io::Result<Probe> {
        let stream = TcpStream::connect_timeout(&address, limit)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(limit))?;
        Ok(Probe { stream, received: Vec::new() })
    }

    /// Connects, and sends the request of the articles.
    ///
    /// # Errors
    /// Those of [`Probe::connect`] and [`Probe::send`].
    pub fn request(port: u16) -> io::Result<Probe> {
        let mut probe = Probe::connect(port)?;
        probe.send(REQUEST)?;
        Ok(probe)
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// Those of write(2), and that it takes longer than [`PATIENCE`].
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Says that nothing more will be sent (shutdown(2)); what the server answers can still be read.
    ///
    /// # Errors
    /// Those of shutdown(2).
    pub fn finish_sending(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Gives up so that the server is told by a reset, not by an orderly end (SO_LINGER of 0 seconds, socket(7)).
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn reset(self) -> io::Result<()> {
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        Ok(setsockopt(&self.stream, sockopt::Linger, &linger)?)
    }

    /// A second handle of the same connection, so that it can be written to while it is read.
    ///
    /// # Errors
    /// Those of dup(2).
    pub fn try_clone(&self) -> io::Result<Probe> {
        Ok(Probe { stream: self.stream.try_clone()?, received: Vec::new() })
    }

    /// Reads until what has been received ends with `ending`, for [`PATIENCE`] at most.
    ///
    /// # Errors
    /// The connection ended before (UnexpectedEof), was reset, or stayed silent (TimedOut).
    pub fn read_to(&mut self, ending: &[u8]) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.received.ends_with(ending) {
            if self.read_some(deadline)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// Reads until the server closes the connection, for [`PATIENCE`] at most. Returns all that was received.
    ///
    /// # Errors
    /// The connection was reset, or has not ended (TimedOut).
    pub fn read_to_end(&mut self) -> io::Result<&[u8]> {
        let deadline = Instant::now() + PATIENCE;
        while self.read_some(deadline)? > 0 {}
        Ok(&self.received)
    }

    /// Reads until `enough` says so of what has been received, or the connection ends, or `deadline` is over.
    ///
    /// # Errors
    /// The connection was reset, has said too little by the deadline (TimedOut), or sends without end (FileTooLarge).
    pub fn read_until(&mut self, deadline: Instant, enough: impl Fn(&[u8]) -> bool) -> io::Result<Stop> {
        while !enough(&self.received) {
            if self.received.len() > MOST {
                return Err(ErrorKind::FileTooLarge.into());
            }
            if self.read_some(deadline)? == 0 {
                return Ok(Stop::End);
            }
        }
        Ok(Stop::Enough)
    }

    /// Whether nothing comes for `time`, not even the end of the connection.
    ///
    /// # Errors
    /// The connection was reset.
    pub fn is_silent_for(&mut self, time: Duration) -> io::Result<bool> {
        match self.read_some(Instant::now() + time) {
            Err(error) if error.kind() == ErrorKind::TimedOut => Ok(true),
            other => other.map(|_| false),
        }
    }

    /// What has been received so far.
    pub fn received(&self) -> &[u8] {
        &self.received
    }

    fn read_some(&mut self, deadline: Instant) -> io::Result<usize> {
        let mut buffer = [0; 4096];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            self.stream.set_read_timeout(Some(left))?;
            match self.stream.read(&mut buffer) {
                // With a time limit, a stop (Ctrl-Z and fg) interrupts it on Linux without any handler (signal(7)).
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(ErrorKind::TimedOut.into()),
                Err(error) => return Err(error),
                Ok(length) => {
                    self.received.extend_from_slice(&buffer[..length]);
                    return Ok(length);
                }
            }
        }
    }
}
