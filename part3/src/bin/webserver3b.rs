//! webserver3b: an iterative server that sleeps after each answer, so that you can watch it wait
//!
//! New: after each answer it sleeps, before it closes the connection.
//! Run: `cargo run -p part3 --bin webserver3b`, then in two more terminals `curl -v http://localhost:8888/hello`
//! See: the first curl has its answer and waits for the end; the second is connected, and waits for its answer.

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use part3::report;
use part3::{Defaults, Failure, Options, RESPONSE, accept, listen, print_request, read_request, run, stage, write_all};

fn main() -> ExitCode {
    run(stage!(), Defaults { backlog: 5, sleep: Some(60) }, serve_forever)
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
    std::thread::sleep(options.sleep);
    Ok(())
}
