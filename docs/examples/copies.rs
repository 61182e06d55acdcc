//! When is a connection closed? When the last copy of its descriptor is: the kernel counts them.

use std::io::Result;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, socketpair};
use nix::unistd::dup;

fn main() -> Result<()> {
    // Two sockets that are connected with each other, as a server's and a client's are.
    let (server, client) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::empty())?;
    let copy = dup(&server)?;
    println!("the server has two copies of its end: {}", look(&client)?);
    drop(server);
    println!("one of them is closed:                {}", look(&client)?);
    drop(copy);
    println!("both are closed:                      {}", look(&client)?);
    Ok(())
}

/// What the client sees if it reads now, and does not wait.
fn look(client: &OwnedFd) -> Result<&'static str> {
    match recv(client.as_raw_fd(), &mut [0; 16], MsgFlags::MSG_DONTWAIT) {
        Ok(0) => Ok("the client sees the end"),
        Err(Errno::EAGAIN) => Ok("the client would wait"),
        Ok(_) => Ok("the client has read something"),
        Err(errno) => Err(errno.into()),
    }
}
