//! The server that is watched: how it is found, what it is called, and a look at it.

use std::fmt::{self, Display};
use std::io;
use std::thread;
use std::time::Duration;

use super::record::Reading;
use crate::kernel::end::{End, Watched};
use crate::kernel::look::look;
use crate::kernel::processes;
use crate::kernel::sockets::{self, Listener};
use crate::output::Failure;
use crate::wait;

/// What a server is called.
#[derive(Debug, Clone)]
pub struct Identity {
    pub(super) name: String,
    pub(super) pid: u32,
    pub(super) port: Option<u16>,
}

impl Identity {
    /// The name of its program.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// With its port, if it listens: `webserver3f (process 9105) on port 8888`.
    pub fn with_port(&self) -> String {
        self.port.map_or_else(|| self.to_string(), |port| format!("{self} on port {port}"))
    }
}

impl Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.pid)
    }
}

/// A server that is watched.
#[derive(Debug)]
pub struct Server {
    identity: Identity,
    watched: Watched,
    /// The sockets that it has open.
    sockets: Vec<u64>,
    first: Reading,
}

/// What a look shows.
#[derive(Debug, Clone, Copy)]
pub enum Seen {
    /// It is there.
    Reading(Reading),
    /// It has ended.
    End(End),
}

/// How long a process that has closed everything may take to end.
const ENDING: Duration = Duration::from_millis(500);

impl Server {
    /// The server that listens on `port`; `None` if nobody does.
    ///
    /// # Errors
    /// It is another user's, or the kernel's tables can't be read.
    pub fn on(port: u16) -> Result<Option<Server>, Failure> {
        let failure = |reason| Failure::Port { port, reason };
        let mut attempts = 0..5;
        loop {
            let server = match sockets::owner(port) {
                Ok(None) => return Ok(None),
                Ok(Some(pid)) => Server::new(pid, Some(port)),
                Err(reason) => Err(failure(reason)),
            };
            // What is about to end can't be looked at either.
            match server {
                Err(Failure::Look { .. } | Failure::Port { .. }) if attempts.next().is_some() => {
                    thread::sleep(Duration::from_millis(20));
                }
                server => return server.map(Some),
            }
        }
    }

    /// The process `pid`, whether it listens or not.
    ///
    /// # Errors
    /// There is no such process, or it is another user's.
    pub fn of(pid: u32) -> Result<Server, Failure> {
        Server::new(pid, None)
    }

    fn new(pid: u32, port: Option<u16>) -> Result<Server, Failure> {
        let failure = |reason| Failure::Look { pid, reason };
        let watched = Watched::of(pid).map_err(failure)?;
        let sockets = processes::sockets(pid).map_err(failure)?;
        let listener = listener(&sockets, port).map_err(failure)?;
        let first = Reading { look: look(pid).map_err(failure)?, listener };
        let name = processes::name(pid).map_err(failure)?;
        let port = first.listener.map(|listener| listener.address.port());
        // Whatever its program is called, it takes one column for each character.
        let name = name.chars().map(|one| if one == ' ' || one.is_ascii_graphic() { one } else { '?' }).collect();
        Ok(Server { identity: Identity { name, pid, port }, watched, sockets, first })
    }

    /// What it is called.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The look that was taken when it was found.
    pub fn first(&self) -> Reading {
        self.first
    }

    /// Looks at it.
    ///
    /// # Errors
    /// It may not be looked at any more.
    pub fn look(&mut self) -> Result<Seen, Failure> {
        let reading = self.reading();
        // A process that ends closes everything before its end is known, and its children are another's after that. So
        // the end is asked for after each look, and waited for when there is no descriptor.
        let mut end = self.watched.ended();
        if end.is_none() && reading.as_ref().map_or(true, |reading| reading.look.descriptors == 0) {
            end = wait::until(ENDING, || self.watched.ended());
        }
        match (end, reading) {
            (Some(end), _) => Ok(Seen::End(end)),
            (None, Ok(reading)) => Ok(Seen::Reading(reading)),
            (None, Err(reason)) => Err(Failure::Look { pid: self.identity.pid, reason }),
        }
    }

    fn reading(&mut self) -> io::Result<Reading> {
        let pid = self.identity.pid;
        let look = look(pid)?;
        let port = self.identity.port;
        let mut found = listener(&self.sockets, port)?;
        if found.is_none() && look.descriptors > 0 {
            self.sockets = processes::sockets(pid)?; // it may listen by now
            found = listener(&self.sockets, port)?;
            self.identity.port = found.map(|listener| listener.address.port()).or(port);
        }
        Ok(Reading { look, listener: found })
    }
}

/// The listener among `sockets`, on `port` if that is known; the one with the longest queue if there are several, as
/// for both versions of IP.
fn listener(sockets: &[u64], port: Option<u16>) -> io::Result<Option<Listener>> {
    let mine = |listener: &Listener| {
        sockets.contains(&listener.inode) && port.is_none_or(|port| port == listener.address.port())
    };
    Ok(sockets::listeners()?.into_iter().filter(mine).max_by_key(|listener| listener.waiting))
}
