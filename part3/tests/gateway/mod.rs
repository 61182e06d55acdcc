//! What the tests of applications share: the two servers that run them, and a client that takes an answer apart.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fmt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

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

/// An answer, taken apart.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// Such as `200 OK`.
    pub status: String,
    /// The header fields, with names in lower case. Each byte of a value is a character.
    pub fields: Vec<(String, String)>,
    /// The body, without its coding.
    pub body: Vec<u8>,
    /// Whether the body is all that the head has promised.
    pub is_complete: bool,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Result<Answer, &'static str> {
        let at = bytes.windows(4).position(|end| end == b"\r\n\r\n").ok_or("no whole head")?;
        let (head, body) = (&bytes[..at], &bytes[at + 4..]);
        let head: String = head.iter().map(|byte| char::from(*byte)).collect();
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).ok_or("no status line")?;
        let field = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        let fields = lines.map(field).collect::<Option<Vec<_>>>().ok_or("no header field")?;
        let mut answer = Answer { status: status.to_owned(), fields, body: body.to_vec(), is_complete: true };
        match (answer.field("content-length"), answer.field("transfer-encoding")) {
            (Some(_), Some(_)) => return Err("two lengths"),
            (Some(length), None) => {
                let length: usize = length.parse().map_err(|_| "a length that is no number")?;
                answer.is_complete = body.len() == length;
            }
            (None, Some("chunked")) => (answer.body, answer.is_complete) = without_chunks(body)?,
            (None, Some(_)) => return Err("an unknown coding"),
            (None, None) => {} // the end of the connection is the end of the body
        }
        Ok(answer)
    }

    /// The value of the header field that is called `name`, of which there may be one only.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert!(values.next().is_none(), "{name} is there twice: {self:?}");
        value
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap_or_else(|_| panic!("no text: {self:?}"))
    }

    /// Asserts that this is a whole answer with this status and this text.
    #[track_caller]
    pub fn assert_is(&self, status: &str, text: &str) {
        assert_eq!((self.status.as_str(), self.text(), self.is_complete), (status, text, true), "{self:?}");
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begin = &self.body[..self.body.len().min(2000)];
        let body = format_args!("{} bytes: {:?}", self.body.len(), String::from_utf8_lossy(begin));
        write!(f, "{} {:?} {body}, complete: {}", self.status, self.fields, self.is_complete)
    }
}

/// A body without its chunks, and whether the last one has come.
fn without_chunks(mut coded: &[u8]) -> Result<(Vec<u8>, bool), &'static str> {
    let mut body = Vec::new();
    while !coded.is_empty() {
        let at = coded.windows(2).position(|end| end == b"\r\n").ok_or("a chunk without a length")?;
        let digits = str::from_utf8(&coded[..at]).map_err(|_| "a chunk without a length")?;
        let length = usize::from_str_radix(digits, 16).map_err(|_| "a chunk without a length")?;
        let rest = &coded[at + 2..];
        if length == 0 {
            return if rest == b"\r\n" { Ok((body, true)) } else { Err("something behind the last chunk") };
        }
        let (piece, rest) = rest.split_at_checked(length).ok_or("a chunk that is cut off")?;
        body.extend_from_slice(piece);
        coded = rest.strip_prefix(b"\r\n").ok_or("a chunk without an end")?;
    }
    Ok((body, false))
}
