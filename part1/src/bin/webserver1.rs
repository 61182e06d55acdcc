//! webserver1: a web server in one file
//!
//! New: a socket, bound to an address, listens; a connection is accepted; a request is text, and so is a response.
//! Run: `cargo run -p part1 --bin webserver1`, and in a second terminal `curl -v http://localhost:8888/hello`
//! See: Hello, World! in curl, in a browser and in `nc localhost 8888`, whatever is sent; the server prints it.
//!
//! Every call that makes it a server stands in this file; its library parses the options and prints whole lines.

use std::convert::Infallible;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::ExitCode;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, sockopt};
use nix::sys::socket::{accept, bind, listen, setsockopt, socket};
use nix::sys::time::TimeVal;
use nix::unistd::{read, write};
use part1::{Failure, Options, Printable, port_of, print, report, stage};

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nHello, World!\n";

fn main() -> ExitCode {
    let Err(failure) = serve_forever(&Options::parse(stage!(), 1));
    report(failure);
    ExitCode::FAILURE
}

fn serve_forever(options: &Options) -> Result<Infallible, Failure> {
    // An address is a host and a port. The host may be a name, which has to be looked up.
    let address = options.address()?;
    let family = if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };

    // A socket is what a process talks to the network through, known to it by a small number: its descriptor. This one
    // is a stream: bytes arrive in order, and that is TCP.
    let listener = socket(family, SockType::Stream, SockFlag::empty(), None).map_err(Failure::of("socket"))?;
    // A server that was just stopped may leave its port busy for a minute; this lets the next one have it at once.
    setsockopt(&listener, sockopt::ReuseAddr, &true).map_err(Failure::of("setsockopt"))?;
    bind(listener.as_raw_fd(), &SockaddrStorage::from(address)).map_err(Failure::on("bind", address))?;
    // From here on the kernel accepts connections for us, and keeps about `backlog` of them until we ask.
    listen(&listener, options.backlog()).map_err(Failure::on("listen", address))?;
    print(format_args!("Serving HTTP on port {} ...", port_of(&listener)?));

    loop {
        let connection = accept(listener.as_raw_fd()).map_err(Failure::of("accept"))?;
        // SAFETY: accept has just made this descriptor, and nothing else has seen its number.
        let connection = unsafe { OwnedFd::from_raw_fd(connection) };
        handle_request(&connection, options).unwrap_or_else(report);
        drop(connection); // close(2): the client sees that nothing more will come
    }
}

fn handle_request(connection: &OwnedFd, options: &Options) -> Result<(), Failure> {
    let limit = TimeVal::new(options.timeout.as_secs() as _, options.timeout.subsec_micros() as _);
    setsockopt(connection, sockopt::ReceiveTimeout, &limit).map_err(Failure::of("setsockopt"))?;

    // One read, and whatever it brought is taken for the request. That is a trap: what comes later, or does not fit, is
    // never read, and closing a connection with something unread resets it. Parts 2 and 3 read to the end.
    let mut request = [0; 16 * 1024];
    let length = loop {
        match read(connection, &mut request) {
            Err(Errno::EINTR) => {}        // stopped by Ctrl-Z, and continued
            Err(Errno::EAGAIN) => break 0, // the time limit has passed
            outcome => break outcome.map_err(Failure::of("read"))?,
        }
    };
    print(Printable(&request[..length]));

    // write may take less than it is given, and says how much it took.
    let mut rest = RESPONSE;
    while !rest.is_empty() {
        rest = &rest[write(connection, rest).map_err(Failure::of("write"))?..];
    }
    Ok(())
}
