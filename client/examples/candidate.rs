//! Servers for the tests of `client check`: one that is written in another way than the stages, and some that no check
//! may hang on, or leave behind.
//!
//! Run: `cargo run -p client --example candidate -- KIND PORT`

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::process;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, listen as listen_on, socket};
use nix::unistd::{ForkResult, fork, setsid};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nHello, World!\n";
const FOR_EVER: Duration = Duration::from_secs(3600);

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let kind = arguments.next().unwrap_or_default();
    let port = arguments.next().and_then(|port| port.parse().ok()).unwrap_or(8888);
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    match kind.as_str() {
        // A thread for each connection.
        "threads" => each_in_a_thread(listen()?, |mut connection| {
            read_request(&mut connection)?;
            connection.write_all(ANSWER)
        }),
        "ends-at-once" => {
            eprintln!("candidate: no mood to serve");
            process::exit(3)
        }
        "never-listens" => loop {
            thread::sleep(FOR_EVER);
        },
        "never-accepts" => {
            let _listener = listen()?;
            thread::sleep(FOR_EVER);
            Ok(())
        }
        "never-answers" => each_in_a_thread(listen()?, |_connection| {
            thread::sleep(FOR_EVER);
            Ok(())
        }),
        "endless" => each_in_a_thread(listen()?, |mut connection| {
            connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            loop {
                connection.write_all(&[b'x'; 65_536])?;
            }
        }),
        // Nothing that asks it to end does.
        "stubborn" => {
            for number in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
                // SAFETY: ignores the signal; no handler is installed.
                unsafe { signal(number, SigHandler::SigIgn) }?;
            }
            SigSet::all().thread_block()?;
            one_after_the_other(listen()?)
        }
        // It leaves its process group, its session and its parent.
        "daemon" => {
            become_daemon()?;
            one_after_the_other(listen()?)
        }
        // More children than anybody needs, each of which leaves the group.
        "flood" => {
            let listener = listen()?;
            for _ in 0..100 {
                // SAFETY: this process has one thread, so no lock is held that the child would wait for.
                if let ForkResult::Child = unsafe { fork() }? {
                    setsid()?;
                    loop {
                        thread::sleep(FOR_EVER);
                    }
                }
            }
            one_after_the_other(listener)
        }
        // Its port has to rest when it has ended: std sets SO_REUSEADDR, and this does not.
        "without-reuseaddr" => {
            let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None)?;
            bind(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, port))?;
            listen_on(&socket, Backlog::new(5)?)?;
            one_after_the_other(TcpListener::from(socket))
        }
        // It answers once, and listens no more.
        "closes-its-listener" => {
            let listener = listen()?;
            let (mut connection, _) = listener.accept()?;
            read_request(&mut connection)?;
            connection.write_all(ANSWER)?;
            drop((listener, connection));
            loop {
                thread::sleep(FOR_EVER);
            }
        }
        // It answers a few, and dies.
        "dies-of-the-third" => {
            let listener = listen()?;
            for connection in listener.incoming().take(2) {
                let mut connection = connection?;
                read_request(&mut connection)?;
                connection.write_all(ANSWER)?;
            }
            eprintln!("candidate: two clients are enough");
            process::exit(4)
        }
        _ => {
            eprintln!("candidate: there is no such kind of server: {kind:?}");
            process::exit(2)
        }
    }
}

fn each_in_a_thread(
    listener: TcpListener,
    serve: impl Fn(TcpStream) -> io::Result<()> + Copy + Send + 'static,
) -> io::Result<()> {
    for connection in listener.incoming() {
        let connection = connection?;
        thread::spawn(move || serve(connection));
    }
    Ok(())
}

fn one_after_the_other(listener: TcpListener) -> io::Result<()> {
    for connection in listener.incoming() {
        let mut connection = connection?;
        let _ = read_request(&mut connection).and_then(|()| connection.write_all(ANSWER));
        let _ = connection.shutdown(Shutdown::Both);
    }
    Ok(())
}

/// Reads until the head is complete, and the body if its length is declared, or until the client has no more to send.
fn read_request(connection: &mut TcpStream) -> io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                return Ok(());
            }
        }
        match connection.read(&mut buffer)? {
            0 => return Ok(()),
            length => request.extend_from_slice(&buffer[..length]),
        }
    }
}

fn become_daemon() -> io::Result<()> {
    for _ in 0..2 {
        // SAFETY: this process has one thread, so no lock is held that the child would wait for.
        if let ForkResult::Parent { .. } = unsafe { fork() }? {
            process::exit(0);
        }
        let _ = setsid();
    }
    Ok(())
}
