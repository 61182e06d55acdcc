//! webserver3a: an iterative server, one client after the other
//!
//! New: it reads a request to its end (src/request.rs), where webserver1 reads once.
//! Run: `cargo run -p part3 --bin webserver3a`, `nc localhost 8888` in a second terminal, and in a third
//! `curl http://localhost:8888/hello`
//! See: curl waits, for nc says nothing and is served first, until the server's patience (`--timeout`) is over.

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use part3::report;
use part3::{Defaults, Failure, Options, RESPONSE, accept, listen, print_request, read_request, run, stage, write_all};

fn main() -> ExitCode {
    run(stage!(), Defaults { backlog: 5, sleep: None }, serve_forever)
}

fn serve_forever(options: &Options) -> Result<Infallible, Failure> {
    let listener = listen(options)?;

    loop {
        let connection = accept(&listener).map_err(Failure::of("accept"))?;
        handle_request(&connection, options).unwrap_or_else(report);
        drop(connection); // close(2): the client sees the end of its answer
    }
}

fn handle_request(connection: &OwnedFd, options: &Options) -> Result<(), Failure> {
    let request = read_request(connection, options)?;
    print_request(&request);
    write_all(connection, RESPONSE).map_err(Failure::of("write"))?;
    Ok(())
}
