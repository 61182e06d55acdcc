//! exercise-3a: a request is read to its end
//!
//! Task: this iterative server reads once, as webserver1 does, but up to 64 KB: enough for any request, thought its
//! author. But bytes come when they come, and a read gives what is there at the moment: half a head, or a head whose
//! body is still on its way. Read until the request is complete: until the empty line that ends its head, and then as
//! many bytes of body as its Content-Length says, if it has one.
//! Now: "it reads a request to its end: half of one is not answered, the whole is" fails, and more.
//! Try: `cargo run -p docs --example exercise-3a`, and in a second terminal type a request into `nc localhost 8888`,
//! line by line: `GET /hello HTTP/1.1`, then `Host: localhost`, and an empty line

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

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

// ---- Work here.
fn read_request(connection: &OwnedFd, options: &Options) -> Result<Vec<u8>, Failure> {
    let mut limit = TimeLimit::new(options.server.timeout);
    let mut request = vec![0; 64 * 1024];
    let length = read_within(&mut limit, connection, &mut request).map_err(Failure::of("recv"))?;
    request.truncate(length);
    Ok(request)
}
