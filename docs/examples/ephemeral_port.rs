//! Which port does a client get? It asks for none: connect has the kernel choose one that is free, an *ephemeral port*.
//!
//! A connection has two ends, and each is a socket with an address of its own and that of the other: the *socket pair*.

use std::io::{Error, Result};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, SockaddrIn};
use nix::sys::socket::{bind, connect, getpeername, getsockname, listen, socket};

fn main() -> Result<()> {
    let listener = stream()?;
    bind(listener.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0))?; // 0: a listener may let the kernel choose too
    listen(&listener, Backlog::new(1)?)?;
    let address: SockaddrIn = getsockname(listener.as_raw_fd())?;
    println!("the server listens on {address}");

    let client = stream()?;
    connect(client.as_raw_fd(), &address)?;
    let server = part1::accept(&listener).map_err(Error::from)?;
    show("client", &client)?;
    show("server", &server)
}

/// A socket for TCP.
fn stream() -> Result<OwnedFd> {
    Ok(socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None)?)
}

fn show(name: &str, end: &OwnedFd) -> Result<()> {
    let own: SockaddrIn = getsockname(end.as_raw_fd())?;
    let other: SockaddrIn = getpeername(end.as_raw_fd())?;
    println!("the {name}'s end is {own}, and the other end is {other}");
    Ok(())
}
