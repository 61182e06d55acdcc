//! exercise-3b: answered, and kept waiting
//!
//! Task: this server is to answer, to sleep, and only then to close the connection, so that you can watch a client wait
//! for the end of an answer that it has. But curl ends at once. The server does sleep: a second client has to wait. So
//! the connection is closed before that. By whom, for no line says so? Have it closed after the sleep.
//! Now: "the answer comes at once, and the server sleeps before it closes the connection" fails, and more.
//! Try: `cargo run -p docs --example exercise-3b -- --sleep 5`, and in a second terminal
//! `time curl http://localhost:8888/hello`

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::thread;

use part3::{Defaults, Failure, Options, RESPONSE, accept, listen, print_request, read_request, report, run};
use part3::{stage, write_all};

fn main() -> ExitCode {
    run(stage!(), Defaults { backlog: 5, sleep: Some(60) }, serve_forever)
}

// ---- Work here.
fn serve_forever(options: &Options) -> Result<Infallible, Failure> {
    let listener = listen(options)?;

    loop {
        let connection = accept(&listener).map_err(Failure::of("accept"))?;
        handle_request(connection, options).unwrap_or_else(report);
        thread::sleep(options.sleep);
    }
}

fn handle_request(connection: OwnedFd, options: &Options) -> Result<(), Failure> {
    let request = read_request(&connection, options)?;
    print_request(&request);
    write_all(&connection, RESPONSE).map_err(Failure::of("write"))
}
