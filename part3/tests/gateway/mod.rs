//! What the tests of applications share: the two servers that run them, and a client that takes an answer apart.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

pub use client::answer::Answer;
use client::binary::built_with;
use client::probe::Probe;
use client::server::Server;

/// The servers that run applications.
pub const SERVERS: [&str; 2] = ["webserver2", "webserver3h"];

/// The features that this test was built with; the servers need the same.
const FEATURES: &[&str] = &[
    #[cfg(feature = "frameworks")]
    "frameworks",
    #[cfg(feature = "python")]
    "python",
];

/// Where the program of a server is.
pub fn binary(server: &str) -> PathBuf {
    static BUILT: OnceLock<Vec<PathBuf>> = OnceLock::new();
    let built = || built_with(FEATURES, &[("part2", "webserver2"), ("part3", "webserver3h")]).unwrap();
    BUILT.get_or_init(built)[usize::from(server != SERVERS[0])].clone()
}

/// The command that runs an application on a free port.
pub fn command(server: &str, application: &str, options: &[&str]) -> Command {
    let mut command = Command::new(binary(server));
    command.arg(application).args(["--port", "0"]).args(options);
    command
}

/// A request with these header fields, each with its line end, and this body.
pub fn request(line: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    [format!("{line}\r\nHost: localhost\r\n{fields}\r\n").as_bytes(), body].concat()
}

/// `body` with its length.
pub fn with_length(line: &str, body: &[u8]) -> Vec<u8> {
    request(line, &format!("Content-Type: {FORM}\r\nContent-Length: {}\r\n", body.len()), body)
}

/// `body` in chunks of up to `size` bytes.
pub fn in_chunks(line: &str, body: &[u8], size: usize) -> Vec<u8> {
    let chunk = |piece: &[u8]| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
    let chunks = [body.chunks(size).flat_map(chunk).collect(), b"0\r\n\r\n".to_vec()].concat();
    request(line, &format!("Content-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n"), &chunks)
}

const FORM: &str = "application/x-www-form-urlencoded";

/// Sends `request` on a connection of its own, and leaves that open for the answer.
pub fn send(server: &Server, request: &[u8]) -> Probe {
    let mut client = Probe::connect(server.port()).unwrap();
    client.send(request).unwrap();
    client
}

/// What `server` answers to `request`. The client waits for the server to close the connection.
pub fn ask(server: &Server, request: &[u8]) -> Answer {
    answer_to(&mut send(server, request), &String::from_utf8_lossy(request))
}

/// What comes as the answer on a connection; `asked` is told if that is none.
pub fn answer_to(client: &mut Probe, asked: &str) -> Answer {
    let asked: String = asked.chars().take(200).collect();
    let bytes = client.read_to_end().unwrap_or_else(|error| panic!("{asked:?}: {error}")).to_vec();
    Answer::parse(&bytes).unwrap_or_else(|what| panic!("{asked:?}: {what}: {:?}", String::from_utf8_lossy(&bytes)))
}

/// What GET gets.
pub fn get(server: &Server, target: &str) -> Answer {
    ask(server, &request(&format!("GET {target} HTTP/1.1"), "", b""))
}
