//! A call that failed, as one line: which call, on what, why, and what to do about it.

use std::fmt::{self, Display};
use std::io;

use nix::errno::Errno;

/// Why a server could not start, could not answer a client, or had to stop.
#[derive(Debug)]
pub enum Failure {
    /// The name of a host has no address (getaddrinfo(3)).
    Resolve {
        /// The name that was asked for.
        host: String,
        /// What the resolver said.
        reason: io::Error,
    },
    /// A system call failed.
    Call {
        /// The name of the call, as its man page spells it.
        call: &'static str,
        /// What it was to act on, such as an address; empty where the name of the call says it all.
        on: String,
        /// Why it failed (errno(3)).
        errno: Errno,
    },
}

impl Failure {
    /// The failure of `call`, with the reason that it gave.
    pub fn call(call: &'static str, errno: Errno) -> Failure {
        Failure::Call { call, on: String::new(), errno }
    }

    /// Makes a failure of `call` from the reason that is still to come:
    /// `accept(&listener).map_err(Failure::of("accept"))?`.
    pub fn of(call: &'static str) -> impl FnOnce(Errno) -> Failure {
        move |errno| Failure::call(call, errno)
    }

    /// The same for a call that acts on something worth naming.
    pub fn on(call: &'static str, what: impl Display) -> impl FnOnce(Errno) -> Failure {
        move |errno| Failure::Call { call, on: format!(" {what}"), errno }
    }

    /// What the reader can do about it, if there is something.
    fn advice(&self) -> Option<&'static str> {
        match self {
            Failure::Resolve { .. } => Some("give --host an address such as 127.0.0.1, or a name of this machine"),
            Failure::Call { call: "bind" | "listen", errno, .. } => match errno {
                Errno::EADDRINUSE => {
                    Some("another server is listening there; stop it, or choose another port with --port")
                }
                Errno::EACCES => Some("ports below 1024 need a privilege; choose one above with --port"),
                Errno::EADDRNOTAVAIL => Some("that is no address of this machine; choose one with --host"),
                _ => None,
            },
            Failure::Call { .. } => None,
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Resolve { host, reason } => write!(f, "resolve {}: {reason}", host.escape_debug())?,
            Failure::Call { call, on, errno } => write!(f, "{call}{on}: {errno}")?,
        }
        match self.advice() {
            Some(advice) => write!(f, " ({advice})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_call_names_itself_and_its_errno() {
        assert_eq!(Failure::call("accept", Errno::EMFILE).to_string(), "accept: EMFILE: Too many open files");
    }

    #[test]
    fn a_port_in_use_is_named_with_the_way_out() {
        let line = Failure::on("bind", "127.0.0.1:8888")(Errno::EADDRINUSE).to_string();
        assert!(line.starts_with("bind 127.0.0.1:8888: EADDRINUSE: "), "{line}");
        assert!(line.contains("--port"), "{line}");
    }
}
