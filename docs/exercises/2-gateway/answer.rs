//! answer-2: the interface in your own way
//!
//! Hint 1: have parse return Result<Request, &'static str>, where the error is the status to answer with.
//! Hint 2: a pattern can take a line apart: let [method, target, version] = words[..] else { return Err(...) };
//! Hint 3: the answer to HEAD has the head that GET would get, and no byte after its empty line.
//! Why: the server refuses what is no request, so that no application ever sees it. part2/src/head.rs, target.rs and
//! framing.rs judge a good deal more than this.

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
    let Response { status, text } = match &request {
        Ok(request) => app(request),
        Err(status) => Response { status, text: format!("{status}\n") },
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", text.len());
    let is_head = request.is_ok_and(|request| request.method == "HEAD");
    let answer = if is_head { head } else { head + &text };
    write_all(connection, answer.as_bytes()).map_err(Failure::of("write"))
}

/// Takes a request apart; or says with which status it is refused.
fn parse(bytes: &[u8]) -> Result<Request, &'static str> {
    const BAD_REQUEST: &str = "400 Bad Request";
    let text = String::from_utf8_lossy(bytes); // the body may be anything, and is not looked at
    let mut lines = text.lines();
    let words: Vec<_> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, version @ ("HTTP/1.0" | "HTTP/1.1")] = words[..] else { return Err(BAD_REQUEST) };

    let names = lines.take_while(|line| !line.is_empty()).filter_map(|line| Some(line.split_once(':')?.0));
    let hosts = names.filter(|name| name.eq_ignore_ascii_case("host")).count();
    if method.is_empty() || target.is_empty() || hosts > 1 || (hosts == 0 && version == "HTTP/1.1") {
        return Err(BAD_REQUEST);
    }
    Ok(Request { method: method.to_owned(), target: target.to_owned() })
}
