//! answer-3a: a request is read to its end
//!
//! Hint 1: read in a loop, and add what comes to a Vec. A read that gives 0 bytes is the end of input.
//! Hint 2: request.windows(4).position(|four| four == b"\r\n\r\n") finds the end of the head. nc sends "\n\n".
//! Hint 3: the head's lines are split at ':'. The name of a header may be written in any case.
//! Why: TCP carries a stream of bytes, not messages: where a request ends is written in the request itself.

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use nix::errno::Errno;
use part1::connection::{TimeLimit, read_within};
use part3::{Defaults, Failure, Options, RESPONSE, accept, listen, print_request, report, run, stage, write_all};

fn main() -> ExitCode {
    run(stage!(), Defaults { backlog: 5, sleep: None }, serve_forever)
}

fn serve_forever(options: &Options) -> Result<Infallible, Failure> {
    let listener = listen(options)?;

    loop {
        let connection = accept(&listener).map_err(Failure::of("accept"))?;
        handle_request(&connection, options).unwrap_or_else(report);
    }
}

fn handle_request(connection: &OwnedFd, options: &Options) -> Result<(), Failure> {
    let request = read_request(connection, options)?;
    print_request(&request);
    write_all(connection, RESPONSE).map_err(Failure::of("write"))
}

fn read_request(connection: &OwnedFd, options: &Options) -> Result<Vec<u8>, Failure> {
    let mut limit = TimeLimit::new(options.server.timeout); // for the whole of it, not for each read
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !is_complete(&request) && request.len() < 2 << 20 {
        match read_within(&mut limit, connection, &mut buffer) {
            Ok(0) | Err(Errno::ETIMEDOUT) => break, // no more will come
            outcome => request.extend_from_slice(&buffer[..outcome.map_err(Failure::of("recv"))?]),
        }
    }
    Ok(request)
}

fn is_complete(request: &[u8]) -> bool {
    let end = |line: &[u8]| Some(request.windows(line.len()).position(|window| window == line)? + line.len());
    let Some(head) = end(b"\r\n\r\n").or_else(|| end(b"\n\n")) else { return false };
    let text = String::from_utf8_lossy(&request[..head]);
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let body = length.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0);
    request.len() - head >= body // not head + body, which a liar could make too large to add
}
