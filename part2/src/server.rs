//! The server: takes a connection, reads a request, calls the application, sends its response.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{SockaddrStorage, getpeername};
use part1::{Failure, Printable, accept, listen, port_of, report};

use crate::access;
use crate::connection::{Connection, Pace};
use crate::environ::ServerFacts;
use crate::framing::Framing;
use crate::head::{Head, HeadReader, Version};
use crate::input::{Incoming, StoreError, store_chunked};
use crate::response::{Content, Response, ResponseError};
use crate::target::Target;
use crate::{Application, Block, Environ, Input, Refusal, StartResponse, report_application};

/// A server for one application.
pub struct WsgiServer<'a> {
    /// The socket that it listens on.
    pub listener: OwnedFd,
    /// What it does with a connection.
    pub gateway: Gateway<'a>,
}

/// Makes a server that listens on `address`, a host and a port, for `application`:
///
/// ```no_run
/// use part2::{Body, Environ, StartResponse, make_server};
///
/// fn app<'a>(_environ: Environ, start_response: &'a StartResponse) -> Body<'a> {
///     start_response.start("200 OK", &[("Content-Type", "text/plain")]);
///     Body::from("Hello, World!\n")
/// }
///
/// let Err(failure) = make_server(("127.0.0.1", 8888), app).and_then(|server| server.serve_forever());
/// eprintln!("{failure}");
/// ```
///
/// # Errors
/// The host has no address, or the socket can't listen there.
pub fn make_server<'a>(
    (host, port): (&str, u16),
    application: impl Application + 'a,
) -> Result<WsgiServer<'a>, Failure> {
    let options = part1::Options { host: host.to_owned(), port, backlog: 1, timeout: Duration::from_secs(10) };
    WsgiServer::new(&options, application)
}

impl<'a> WsgiServer<'a> {
    /// Makes a server as `options` say.
    ///
    /// # Errors
    /// Those of [`part1::listen`].
    pub fn new(options: &part1::Options, application: impl Application + 'a) -> Result<WsgiServer<'a>, Failure> {
        let listener = listen(options)?;
        let server = ServerFacts { name: name(&options.host), port: port_of(&listener)?, process_per_request: false };
        let gateway = Gateway {
            application: Box::new(application),
            server,
            timeout: options.timeout,
            max_body: DEFAULT_MAX_BODY,
            shown: Shown::Nothing,
        };
        Ok(WsgiServer { listener, gateway })
    }

    /// Serves one connection after the other, for ever.
    ///
    /// # Errors
    /// Those of accept(2), but for those that concern only one client. What goes wrong with a client is reported.
    pub fn serve_forever(&self) -> Result<Infallible, Failure> {
        loop {
            match accept(&self.listener) {
                Ok(connection) => self.gateway.handle_one_request(connection).unwrap_or_else(report),
                // A signal that the application handles, or a client that gave up while it was in the queue.
                Err(Errno::EINTR | Errno::ECONNABORTED | Errno::EPROTO) => {}
                Err(errno) => return Err(Failure::call("accept", errno)),
            }
        }
    }
}

/// The most bytes that a body may have, unless `--max-body` says otherwise: 1 GiB.
pub const DEFAULT_MAX_BODY: u64 = 1 << 30;

/// SERVER_NAME for a server that listens on `host`: an IPv6 address stands in brackets (RFC 3875, section 4.1.14), and
/// where it listens on all addresses, it has the name of the machine.
fn name(host: &str) -> String {
    match host.parse() {
        Ok(IpAddr::V6(address)) if !address.is_unspecified() => format!("[{address}]"),
        Ok(address) if address.is_unspecified() => {
            nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_else(|| host.to_owned())
        }
        _ => host.to_owned(),
    }
}

/// What stands between a connection and an application.
pub struct Gateway<'a> {
    application: Box<dyn Application + 'a>,
    server: ServerFacts,
    timeout: Duration,
    /// The most bytes that the body of a request may have.
    pub max_body: u64,
    /// What is printed of requests and responses, on standard output.
    pub shown: Shown,
}

/// What a server prints of requests and responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// The head of each request behind `<`, and each response behind `>`.
    Everything,
    /// A line for each request, once it is answered ([`crate::access`]).
    Line,
    /// Nothing.
    Nothing,
}

/// A request, as far as it can be told by its head and what came with it.
struct Request {
    environ: Environ,
    input: Input,
    is_head: bool,
    version: Version,
}

/// Why there is nothing to give to the application.
enum NoRequest {
    /// The client has closed the connection, and had sent nothing.
    Nothing,
    /// It is the server that answers: `OPTIONS *`. With whether all of the request has been received.
    OptionsOfServer(bool),
    /// The client is told what is wrong.
    Refused(Refusal),
    /// The connection failed.
    Failed(Failure),
}

impl From<Refusal> for NoRequest {
    fn from(refusal: Refusal) -> NoRequest {
        NoRequest::Refused(refusal)
    }
}

impl From<StoreError> for NoRequest {
    fn from(error: StoreError) -> NoRequest {
        match error {
            StoreError::Refused(refusal) => NoRequest::Refused(refusal),
            StoreError::Failed(failure) => NoRequest::Failed(failure),
        }
    }
}

impl Gateway<'_> {
    /// Says whether each request is handled in a process of its own (`wsgi.multiprocess`).
    pub fn set_process_per_request(&mut self, is_so: bool) {
        self.server.process_per_request = is_so;
    }

    /// The port that the server listens on.
    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// Reads a request from `connection`, has the application answer it, and closes the connection.
    ///
    /// What is wrong with the request is told to the client, and what is wrong with the application to `wsgi.errors`.
    ///
    /// # Errors
    /// The connection failed, so that there is nobody to tell.
    pub fn handle_one_request(&self, connection: OwnedFd) -> Result<(), Failure> {
        let connection = Arc::new(Connection::new(connection));
        let mut head = HeadReader::default();
        let outcome = match self.read_request(&connection, &mut head) {
            Ok(request) => self.run_application(&connection, &head, request),
            Err(NoRequest::Nothing) => return Ok(()),
            Err(NoRequest::Failed(failure)) => return Err(failure),
            Err(NoRequest::OptionsOfServer(is_complete)) => {
                self.answer(&connection, &head, "200 OK", "").map(|()| Ending::after(is_complete))
            }
            Err(NoRequest::Refused(refusal)) => {
                report(format_args!("a request is refused: {refusal}"));
                self.answer(&connection, &head, refusal.status, &format!("{refusal}\n")).map(|()| Ending::MoreMayCome)
            }
        };
        // All that held the connection has been taken back, so that this is the last handle.
        if let Some(connection) = Arc::into_inner(connection) {
            match outcome {
                Ok(Ending::AllReceived) => connection.close(true, self.timeout),
                Ok(Ending::MoreMayCome) | Err(_) => connection.close(false, self.timeout),
                Ok(Ending::CutShort) => connection.reset(),
            }
        }
        outcome.map(drop)
    }

    /// Reads the head of a request, and its body if that is chunked, and makes the environ.
    fn read_request(&self, connection: &Arc<Connection>, reader: &mut HeadReader) -> Result<Request, NoRequest> {
        let mut pace = Pace::new(self.timeout);
        let length = self.read_head(connection, &mut pace, reader);
        if self.shown == Shown::Everything {
            let came = reader.bytes();
            print_lines("< ", &came[..*length.as_ref().unwrap_or(&came.len())]);
        }
        let length = length?;
        let head = reader.parse(length)?;
        let target = Target::of(&head)?;
        let framing = Framing::of(&head)?;
        let is_expected = expects_continue(&head)?;
        let first = &reader.bytes()[length..];

        let (input, content_length) = match framing {
            Framing::Length(length) if length > self.max_body => {
                return Err(Refusal::body_too_large(self.max_body).into());
            }
            Framing::Length(length) => {
                let body = Incoming::new(Arc::clone(connection), pace, first.to_vec(), length).expected(is_expected);
                (Input::incoming(body), head.values("content-length").next().map(|_| length))
            }
            Framing::Chunked => {
                if is_expected && first.is_empty() {
                    let continued = connection.send(&mut pace, crate::input::CONTINUE);
                    continued.map_err(|errno| NoRequest::Failed(Failure::call("send", errno)))?;
                }
                let (body, length) = store_chunked(connection, &mut pace, first, self.max_body)?;
                (Input::stored(body), Some(length))
            }
        };
        if target == Target::Server {
            return Err(NoRequest::OptionsOfServer(input.take_back().is_complete));
        }
        let environ = Environ::new(&self.server, peer(connection), &head, &target, content_length, input.clone());
        Ok(Request { environ, input, is_head: head.method == "HEAD", version: head.version })
    }

    /// Reads until the head is complete, and returns its length.
    fn read_head(&self, connection: &Connection, pace: &mut Pace, reader: &mut HeadReader) -> Result<usize, NoRequest> {
        let mut buffer = [0; 2048];
        loop {
            match connection.receive(pace, &mut buffer) {
                Ok(0) if reader.bytes().is_empty() => return Err(NoRequest::Nothing),
                Ok(0) => return Err(Refusal::bad_request("the request ends in the middle of its head").into()),
                Ok(length) => reader.push(&buffer[..length]),
                Err(Errno::ETIMEDOUT) => {
                    let seconds = self.timeout.as_secs_f64();
                    return Err(Refusal::timeout(format!("the head of a request has to come in {seconds} s")).into());
                }
                Err(errno) => return Err(NoRequest::Failed(Failure::call("recv", errno))),
            }
            if let Some(length) = reader.end()? {
                return Ok(length);
            }
        }
    }

    /// Has the application answer.
    fn run_application(
        &self,
        connection: &Arc<Connection>,
        head: &HeadReader,
        request: Request,
    ) -> Result<Ending, Failure> {
        let Request { environ, input, is_head, version } = request;
        let response = Response::new(Arc::clone(connection), Pace::new(self.timeout), is_head, version);
        let start_response = StartResponse::new(response.shown(self.shown == Shown::Everything));

        let outcome = panic::catch_unwind(AssertUnwindSafe(|| self.finish_response(environ, &start_response, is_head)));
        let leftover = input.take_back();
        let Some(mut response) = start_response.take_back() else { return Ok(Ending::MoreMayCome) };
        let ending = Ending::after(leftover.is_complete);
        let outcome = match outcome {
            Ok(Ok(())) => Ok(ending),
            Ok(Err(Trouble::Client(errno))) => Err(Failure::call("send", errno)),
            failed => {
                if let Ok(Err(Trouble::Application(error))) = &failed {
                    report_application(error);
                }
                std::mem::forget(failed); // the payload of a panic: to drop it might panic again
                if response.ends_with_connection() {
                    Ok(Ending::CutShort)
                } else if response.has_begun() {
                    Ok(ending) // the client sees that something is missing: the connection ends before the body does
                } else {
                    // The application may have failed because its input did.
                    let refusal = leftover.refusal.unwrap_or_else(Refusal::application_failed);
                    match response.replace(refusal.status, &format!("{refusal}\n")) {
                        Err(ResponseError::Connection(errno)) => Err(Failure::call("send", errno)),
                        _ => Ok(ending),
                    }
                }
            }
        };
        self.show(connection, head, &mut response);
        outcome
    }

    /// Calls the application, and sends its body block by block.
    fn finish_response(&self, environ: Environ, start_response: &StartResponse, is_head: bool) -> Result<(), Trouble> {
        let mut body = self.application.call(environ, start_response);
        let is_all = body.has_one_block();
        for block in body.by_ref() {
            let block = block.map_err(|error| Trouble::Application(error.to_string()))?;
            let content = match &block {
                Block::Bytes(bytes) => Content::Bytes((**bytes).as_ref()),
                Block::File(part) => Content::File(part.clone()),
            };
            let is_empty = content.length() == 0;
            start_response.send(content, is_all)?;
            if is_head && !is_empty {
                break; // the head is sent, and nothing else will be
            }
        }
        start_response.finish()?;
        drop(body); // its close()
        Ok(())
    }

    /// Prints what is to be seen of a response that is over.
    fn show(&self, connection: &Connection, head: &HeadReader, response: &mut Response) {
        if let Some(shown) = response.take_shown() {
            print_lines("> ", &shown.lines());
        }
        if self.shown == Shown::Line {
            part1::print(access::line(peer(connection), head.first_line(), response.sent()));
        }
    }

    /// Answers without the application.
    fn answer(&self, connection: &Arc<Connection>, head: &HeadReader, status: &str, text: &str) -> Result<(), Failure> {
        let is_head = head.method() == Some("HEAD");
        let response = Response::new(Arc::clone(connection), Pace::new(self.timeout), is_head, Version::Http11);
        let mut response = response.shown(self.shown == Shown::Everything);
        let outcome = response.replace(status, text);
        self.show(connection, head, &mut response);
        match outcome {
            Err(ResponseError::Connection(errno)) => Err(Failure::call("send", errno)),
            _ => Ok(()),
        }
    }
}

/// How a connection is to be closed, when its response has been sent.
enum Ending {
    /// All of the request has been received.
    AllReceived,
    /// The client may still be sending.
    MoreMayCome,
    /// The response is not complete, and only a reset says so: its end would have been that of the connection (RFC
    /// 9112, section 8).
    CutShort,
}

impl Ending {
    fn after(is_request_complete: bool) -> Ending {
        if is_request_complete { Ending::AllReceived } else { Ending::MoreMayCome }
    }
}

/// What kept a response from its end.
enum Trouble {
    /// The application failed; what it says.
    Application(String),
    /// The client is gone.
    Client(Errno),
}

impl From<ResponseError> for Trouble {
    fn from(error: ResponseError) -> Trouble {
        match error {
            ResponseError::Connection(errno) => Trouble::Client(errno),
            error => Trouble::Application(error.to_string()),
        }
    }
}

/// Whether the client waits for `100 Continue` before it sends the body (RFC 9110, section 10.1.1).
fn expects_continue(head: &Head) -> Result<bool, Refusal> {
    let mut is_expected = false;
    for value in head.values("expect").filter(|_| head.version == Version::Http11) {
        match value.eq_ignore_ascii_case(b"100-continue") {
            true => is_expected = true,
            false => return Err(Refusal::expectation_failed()),
        }
    }
    Ok(is_expected)
}

/// The address of the client.
fn peer(connection: &Connection) -> Option<SocketAddr> {
    let address: SockaddrStorage = getpeername(connection.descriptor().as_raw_fd()).ok()?;
    let v4 = address.as_sockaddr_in().map(|address| SocketAddr::V4((*address).into()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| SocketAddr::V6((*address).into())))
}

/// Prints `text` with `mark` before each line, as `curl -v` does; all of it in one write.
fn print_lines(mark: &str, text: &[u8]) {
    if text.is_empty() {
        return;
    }
    let mut lines = String::with_capacity(text.len() * 2);
    for line in Printable(text).to_string().lines() {
        let _ = writeln!(lines, "{mark}{line}");
    }
    part1::print(lines);
}
