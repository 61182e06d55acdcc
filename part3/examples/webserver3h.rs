//! For the tests: the loop of webserver3h, from its own file, with an application that does what one should not do.

use std::error::Error;
use std::io::{Write, stdout};
use std::process::{Command, exit};
use std::time::Duration;

use part2::{Body, Environ, StartResponse, WsgiServer};

#[expect(dead_code, reason = "its main has applications found by name")]
#[path = "../src/bin/webserver3h.rs"]
mod webserver3h;

fn main() -> Result<(), Box<dyn Error>> {
    let timeout = Duration::from_secs(600);
    let options = part1::Options { host: "127.0.0.1".to_owned(), port: 0, backlog: 1024, timeout };
    let server = WsgiServer::new(&options, app)?;
    writeln!(stdout(), "Serving HTTP on port {} ...", server.gateway.port())?;
    let Err(failure) = webserver3h::serve_forever(server);
    Err(failure.into())
}

/// Does what the path says.
fn app<'a>(environ: Environ, start_response: &'a StartResponse) -> Body<'a> {
    let answer = match &*environ.text("PATH_INFO") {
        "/reads" => environ.input.read_up_to(u64::MAX).map(|body| format!("{} bytes", body.len())),
        "/runs-a-program" => Command::new("sh").args(["-c", "exit 3"]).status().map(|status| status.to_string()),
        "/panics" => panic!("on purpose"),
        "/exits" => exit(0),
        path => Ok(path.to_owned()),
    };
    start_response.start("200 OK", &[("Content-Type", "text/plain")]);
    Body::from(answer.unwrap_or_else(|error| error.to_string()))
}
