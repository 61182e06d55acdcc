//! answer-3b: answered, and kept waiting
//!
//! Hint 1: no line says close. Where else does a Rust program close a descriptor?
//! Hint 2: an OwnedFd is closed when its owner goes out of scope. Who owns the connection during the sleep?
//! Why: handle_request took the connection, and closed it at its end, before the sleep. Lent to it (&connection) it
//! stays open until the loop is done with it.

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::thread;

use part3::{Defaults, Failure, Options, RESPONSE, accept, listen, print_request, read_request, report, run};
use part3::{stage, write_all};

fn main() -> ExitCode {
    run(stage!(), Defaults { backlog: 5, sleep: Some(60) }, serve_forever)
}

fn serve_forever(options: &Options) -> Result<Infallible, Failure> {
    let listener = listen(options)?;

    loop {
        let connection = accept(&listener).map_err(Failure::of("accept"))?;
        handle_request(&connection, options).unwrap_or_else(report);
        thread::sleep(options.sleep);
        drop(connection); // the end of the scope would do it too, but it is what this server is about
    }
}

fn handle_request(connection: &OwnedFd, options: &Options) -> Result<(), Failure> {
    let request = read_request(connection, options)?;
    print_request(&request);
    write_all(connection, RESPONSE).map_err(Failure::of("write"))
}
