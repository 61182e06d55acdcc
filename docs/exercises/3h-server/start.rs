//! exercise-3h: the server of Part 2 for many clients at once
//!
//! Task: the articles end with this exercise: "make the server from Part 2 able to handle more than one request at a
//! time". This is that server's loop. Give every connection a child, as in webserver3g: it leaves no zombie, keeps no
//! descriptor, and outlives running out of descriptors. And the application must not notice: it may have children of
//! its own, and wait for them.
//! Now: CLAIM
//! Try: `cargo run -p docs --example exercise-3h -- hello:app`, and in a second terminal
//! `cargo run -p client -- --max-clients 128`; for one who is slow, type nothing into `nc localhost 8888`

use std::convert::Infallible;
use std::process::ExitCode;

use nix::errno::Errno;
use part2::{Defaults, WsgiServer, run};
use part3::{Failure, accept, report, stage};

fn main() -> ExitCode {
    run(stage!(), Defaults { backlog: 1024, process_per_request: true }, serve_forever)
}

// ---- Work here. `listener` is a socket; `gateway` reads a request, has the application answer it, and sends that.
fn serve_forever(server: WsgiServer) -> Result<Infallible, Failure> {
    let WsgiServer { listener, gateway } = server;

    loop {
        match accept(&listener) {
            Ok(connection) => gateway.handle_one_request(connection).unwrap_or_else(report),
            Err(Errno::EINTR | Errno::ECONNABORTED | Errno::EPROTO) => {}
            Err(errno) => return Err(Failure::call("accept", errno)),
        }
    }
}
