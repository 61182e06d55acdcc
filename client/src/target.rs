//! The server to connect to: its name, its addresses, and the request that it gets.

use std::fmt::{self, Display};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};

use crate::output::Failure;

/// A host and a port, written the way a URL and a `Host` header have them: `[::1]:8888` (RFC 9110, 7.2).
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// A name or an address.
    pub host: &'a str,
    /// The port.
    pub port: u16,
}

impl Target<'_> {
    /// Its addresses, best first. A name may have several: `localhost` is often both ::1 and 127.0.0.1.
    ///
    /// # Errors
    /// [`Failure::Resolve`].
    pub fn resolve(self) -> Result<Vec<SocketAddr>, Failure> {
        let failure = |reason| Failure::Resolve { host: self.host.to_owned(), reason };
        let mut addresses: Vec<_> = (self.host, self.port).to_socket_addrs().map_err(failure)?.collect();
        if addresses.iter().any(has_route) {
            addresses.retain(has_route);
        }
        if addresses.is_empty() { Err(failure(io::Error::other("it has no address"))) } else { Ok(addresses) }
    }

    /// The command that starts a server here; `None` if it is not here, or at a port that takes a privilege.
    /// `addresses` are what [`Target::resolve`] found.
    pub fn start_of_a_server(self, addresses: &[SocketAddr]) -> Option<String> {
        let is_here = addresses.iter().all(|address| address.ip().is_loopback());
        if !is_here || self.port < 1024 {
            return None;
        }
        let mut options = String::new();
        if !["127.0.0.1", "localhost"].contains(&self.host) {
            options += &format!(" --host {}", self.host.escape_debug());
        }
        if self.port != 8888 {
            options += &format!(" --port {}", self.port);
        }
        let separator = if options.is_empty() { "" } else { " --" };
        Some(format!("cargo run -p part3 --bin webserver3g{separator}{options}"))
    }

    /// The request that every connection sends.
    pub fn request(self) -> String {
        let agent = concat!("client/", env!("CARGO_PKG_VERSION"));
        format!("GET /hello HTTP/1.1\r\nHost: {self}\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n")
    }
}

impl Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = (self.host.escape_debug(), self.port);
        if self.host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// Whether all of `addresses` are this machine's. (0.0.0.0 and :: are: a connection to them goes to its loopback
/// address.) Binding a datagram socket sends nothing.
pub fn are_here(addresses: &[SocketAddr]) -> bool {
    addresses.iter().map(SocketAddr::ip).all(|host| host.is_loopback() || UdpSocket::bind((host, 0)).is_ok())
}

/// What it takes to put another machine under load.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Permission {
    /// Needed to put a host under load that is not this machine: you answer for what that does to it
    #[arg(long = "i-may-stress-this-host")]
    pub is_given: bool,
}

impl Permission {
    /// Refuses to put another machine under load, unless the reader has said to be responsible for it. `plan` is what
    /// would be done to `target`, such as `make 128 connections to it`; `addresses` are what [`Target::resolve`] found.
    ///
    /// # Errors
    /// [`Failure::Elsewhere`].
    pub fn check(self, target: Target, addresses: &[SocketAddr], plan: impl Display) -> Result<(), Failure> {
        if self.is_given || are_here(addresses) {
            return Ok(());
        }
        Err(Failure::Elsewhere { target: target.to_string(), plan: plan.to_string() })
    }
}

/// Whether this machine could send anything to `address`: ::1 may have a name and yet not exist here. Connecting a
/// datagram socket sends nothing, it only looks for a way.
fn has_route(address: &SocketAddr) -> bool {
    let anywhere = match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    UdpSocket::bind(anywhere).and_then(|socket| socket.connect(address)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn the_request_names_the_host_as_a_url_does() {
        let request = Target { host: "localhost", port: 8888 }.request();
        assert!(request.starts_with("GET /hello HTTP/1.1\r\nHost: localhost:8888\r\n"), "{request}");
        assert!(request.ends_with("\r\nConnection: close\r\n\r\n"), "{request}");
        assert!(Target { host: "::1", port: 80 }.request().contains("\r\nHost: [::1]:80\r\n"));
    }

    fn start_of_a_server(host: &str, port: u16) -> Option<String> {
        let target = Target { host, port };
        target.start_of_a_server(&target.resolve().unwrap())
    }

    #[test]
    fn a_server_is_started_with_options_where_the_defaults_differ() {
        for (host, port, options) in [
            ("127.0.0.1", 8888, ""),
            ("localhost", 9000, " -- --port 9000"),
            ("127.0.0.2", 8888, " -- --host 127.0.0.2"),
        ] {
            let start = start_of_a_server(host, port);
            assert_eq!(start.as_deref(), Some(format!("cargo run -p part3 --bin webserver3g{options}").as_str()));
        }
    }

    #[test]
    fn no_server_is_started_elsewhere_or_where_it_takes_a_privilege() {
        assert_eq!(start_of_a_server("192.0.2.1", 8888), None);
        assert_eq!(start_of_a_server("127.0.0.1", 80), None);
    }

    #[test]
    fn another_machine_is_put_under_load_with_permission_only() {
        // 192.0.2.1 and 2001:db8::1 are nobody's (RFC 5737, RFC 3849). Nothing is sent here in any case.
        for (host, is_here) in [("127.0.0.1", true), ("127.9.9.9", true), ("0.0.0.0", true), ("::1", true)]
            .into_iter()
            .chain([("192.0.2.1", false), ("2001:db8::1", false)])
        {
            let target = Target { host, port: 8888 };
            let addresses = [SocketAddr::from((host.parse::<IpAddr>().unwrap(), 8888))];
            let check = |is_given| Permission { is_given }.check(target, &addresses, "make 128 connections to it");
            assert!(check(true).is_ok());
            assert_eq!(check(false).is_ok(), is_here, "{host}");
        }
        let both = [[127, 0, 0, 1], [192, 0, 2, 1]].map(|host| SocketAddr::from((host, 8888)));
        assert!(!are_here(&both), "one of its addresses is elsewhere");
    }

    #[test]
    fn an_address_resolves_to_itself_and_no_host_to_a_failure() {
        let target = Target { host: "127.0.0.1", port: 8888 };
        assert_eq!(target.resolve().unwrap(), [SocketAddr::from(([127, 0, 0, 1], 8888))]);
        assert!(Target { host: "", port: 8888 }.resolve().is_err());
    }
}
