//! exercise-2: the interface in your own way
//!
//! Task: here an application is a function from a Request to a Response, and knows no more of the server than that. For
//! it to be so simple, the server has to keep from it what is no request. This one believes whatever comes. Have it
//! answer `400 Bad Request` by itself where the first line is not METHOD TARGET HTTP/1.1 (or HTTP/1.0), and where
//! HTTP/1.1 comes without a Host line. And the answer to HEAD is a head alone, which this server does not know either.
//! Now: "it judges requests: garbage gets a 4xx, a missing Host a 400, HEAD no body" fails.
//! Try: `cargo run -p docs --example exercise-2`, and in a second terminal `curl -v http://localhost:8888/hello`; then
//! type anything into `nc localhost 8888`, and an empty line

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use part3::report;
use part3::{Defaults, Failure, Options, accept, listen, read_request, run, stage, write_all};

struct Request {
    method: String,
    target: String,
}

struct Response {
    status: &'static str,
    text: String,
}

fn app(request: &Request) -> Response {
    Response { status: "200 OK", text: format!("You asked for {}\n", request.target) }
}

fn main() -> ExitCode {
    run(stage!(), Defaults { backlog: 1, sleep: None }, serve_forever)
}

fn serve_forever(options: &Options) -> Result<Infallible, Failure> {
    let listener = listen(options)?;

    loop {
        let connection = accept(&listener).map_err(Failure::of("accept"))?;
        handle_request(&connection, options).unwrap_or_else(report);
    }
}

fn handle_request(connection: &OwnedFd, options: &Options) -> Result<(), Failure> {
    let bytes = read_request(connection, options)?;
    let request = parse(&bytes);
    part3::print(format_args!("{} {}", request.method, request.target));
    let Response { status, text } = app(&request);
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", text.len());
    write_all(connection, format!("{head}{text}").as_bytes()).map_err(Failure::of("write"))
}

// ---- Work here. It has to be able to say that there is no request: Result<Request, ...>
fn parse(bytes: &[u8]) -> Request {
    let text = String::from_utf8_lossy(bytes);
    let mut words = text.split_whitespace().map(str::to_owned);
    Request { method: words.next().unwrap_or_default(), target: words.next().unwrap_or_default() }
}
