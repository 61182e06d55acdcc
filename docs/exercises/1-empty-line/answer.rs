//! answer-1: webserver1 in your own way
//!
//! Hint 1: nc shows whatever comes. curl has to know which lines are headers and where the text begins. How does it?
//! Hint 2: compare what curl -v shows of this server and of webserver1.
//! Hint 3: after the last header comes an empty line.
//! Why: an empty line ends the head of a response. Without it, Hello, World! is one more header line, and a bad one.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use part1::{Options, Printable, print, report, stage};

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Content-Type: text/plain\r\n\
    Connection: close\r\n\
    \r\n\
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
