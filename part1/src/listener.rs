//! A listening socket: socket, setsockopt, bind, listen, and then accept.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, SockaddrStorage, sockopt};

use crate::{Failure, Options};

/// Makes a socket that listens where `options` say.
///
/// # Errors
/// The host has no address, or one of socket(2), setsockopt(2), bind(2), listen(2) failed.
pub fn listen(options: &Options) -> Result<OwnedFd, Failure> {
    let address = options.address()?;
    let family = if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let listener = socket::socket(family, SockType::Stream, SockFlag::empty(), None).map_err(Failure::of("socket"))?;
    // A server that was just stopped leaves connections in TIME_WAIT; without this its port stays taken until they go.
    socket::setsockopt(&listener, sockopt::ReuseAddr, &true).map_err(Failure::of("setsockopt"))?;
    socket::bind(listener.as_raw_fd(), &SockaddrStorage::from(address)).map_err(Failure::on("bind", address))?;
    socket::listen(&listener, options.backlog()).map_err(Failure::on("listen", address))?;
    Ok(listener)
}

/// Takes the next connection from the queue; waits until there is one (accept(2)).
///
/// # Errors
/// Those of accept(2), EINTR among them: what to do about a signal is the caller's lesson.
pub fn accept(listener: &OwnedFd) -> Result<OwnedFd, Errno> {
    let connection = socket::accept(listener.as_raw_fd())?;
    // SAFETY: accept has just made this descriptor, and nothing else has seen its number.
    Ok(unsafe { OwnedFd::from_raw_fd(connection) })
}

/// The port that `listener` listens on: the kernel's choice after `--port 0` (getsockname(2)).
///
/// # Errors
/// Those of getsockname(2).
pub fn port_of(listener: &OwnedFd) -> Result<u16, Failure> {
    let address: SockaddrStorage = socket::getsockname(listener.as_raw_fd()).map_err(Failure::of("getsockname"))?;
    let v4 = address.as_sockaddr_in().map(SockaddrIn::port);
    let v6 = address.as_sockaddr_in6().map(SockaddrIn6::port);
    Ok(v4.or(v6).unwrap_or_default())
}
