//! webserver2: a web server that runs any application
//!
//! New: the server reads and judges the request; an application, which it knows nothing else of, makes the response.
//! Run: `cargo run -p part2 --bin webserver2 -- hello:app`, and in terminal 2 `curl -v http://localhost:8888/hello`
//! See: the request behind `<` and the response behind `>`; curl shows which headers the application did not set.
//!
//! The server itself is in the library, for webserver3h has the same one.
//! part2/src/lib.rs lists its modules in the order in which a request goes through them.

use std::process::ExitCode;

use part1::stage;
use part2::{Defaults, WsgiServer, run};

fn main() -> ExitCode {
    run(stage!(), Defaults { backlog: 1, process_per_request: false }, |server: WsgiServer| server.serve_forever())
}
