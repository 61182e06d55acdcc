//! exercise-3h: Part 2's server, concurrent
//!
//! Task: the articles end with this exercise: have the server of Part 2 handle more than one request at a time. Here is
//! its loop. Give every connection a child, as webserver3g does: no zombie stays, no descriptor is kept, and running
//! out of descriptors is survived. The application must not notice: it may have children too, and wait for them.
//! Now: "all clients at once: the last is answered first, while others are held" fails, and more.
//! Try: `cargo run -p docs --example exercise-3h -- hello:app`; in a second terminal type nothing into
//! `nc localhost 8888`, and in a third `curl http://localhost:8888/hello`

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
