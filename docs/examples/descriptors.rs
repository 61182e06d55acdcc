//! Which numbers have standard input, output and error, and which does a new socket get? The lowest that is free.

use std::io::{Result, stderr, stdin, stdout};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

fn main() -> Result<()> {
    println!(
        "standard input is {}, output {}, error {}",
        stdin().as_raw_fd(),
        stdout().as_raw_fd(),
        stderr().as_raw_fd()
    );

    let first = stream()?;
    let second = stream()?;
    println!("two sockets are {} and {}", first.as_raw_fd(), second.as_raw_fd());

    let number = first.as_raw_fd();
    drop(first);
    println!("{number} is closed, and the next socket is {}", stream()?.as_raw_fd());
    Ok(())
}

/// A socket for TCP.
fn stream() -> Result<OwnedFd> {
    Ok(socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None)?)
}
