//! exercise-1: webserver1 in your own way
//!
//! Task: in Rust's standard library socket, bind and listen are one call, TcpListener::bind, and a loop over incoming()
//! calls accept. That is half of webserver1; the other half is what a client is told. This server seems to work: type a
//! line into `nc localhost 8888`, and Hello, World! is there. But curl shows no text, and a browser neither. Find out
//! what they miss, and send it.
//! Now: "a client is answered in HTTP/1.1" fails.
//! Try: `cargo run -p docs --example exercise-1`, and in a second terminal `curl -v http://localhost:8888/hello`

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use part1::{Options, Printable, print, report, stage};

// ---- Work here. A backslash at the end of a line joins it to the next one, without the spaces between them.
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Content-Type: text/plain\r\n\
    Connection: close\r\n\
    Hello, World!\n";

fn main() -> io::Result<()> {
    let options = Options::parse(stage!(), 1);
    let listener = TcpListener::bind((options.host.as_str(), options.port))?;
    print(format_args!("Serving HTTP on port {} ...", listener.local_addr()?.port()));

    for connection in listener.incoming() {
        connection.and_then(|connection| handle_request(connection, &options)).unwrap_or_else(report);
    }
    Ok(())
}

fn handle_request(mut connection: TcpStream, options: &Options) -> io::Result<()> {
    connection.set_read_timeout(Some(options.timeout))?;
    let mut request = [0; 16 * 1024];
    let length = connection.read(&mut request)?;
    print(Printable(&request[..length]));

    connection.write_all(RESPONSE)
} // connection goes out of scope, and that closes it
