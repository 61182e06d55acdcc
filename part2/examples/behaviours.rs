//! behaviours: an application that behaves in all the ways an application can, well and badly
//!
//! Run: `cargo run -p part2 --example behaviours`, and in a second terminal `curl -v -d abc http://localhost:8888/echo`
//! See: the path says what it does; `match` below has them all. The tests of the gateway are its users.

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Mutex;
use std::{iter, panic};

use part1::options::Stage;
use part1::{Failure, Options, print, report};
use part2::{Body, Environ, Input, StartResponse, WsgiServer};

const STAGE: Stage = Stage { name: "behaviours", source: include_str!("behaviours.rs") };
const TEXT: &[(&str, &str)] = &[("Content-Type", "text/plain")];

fn main() -> ExitCode {
    let Err(failure) = serve_forever(&Options::parse(STAGE, 5));
    report(failure);
    ExitCode::FAILURE
}

fn serve_forever(options: &Options) -> Result<Infallible, Failure> {
    let server = WsgiServer::new(options, app)?;
    print(format_args!("Serving HTTP on port {} ...", server.gateway.port()));
    server.serve_forever()
}

/// Does what the path says.
fn app<'a>(environ: Environ, start_response: &'a StartResponse) -> Body<'a> {
    let path = environ.text("PATH_INFO").into_owned();
    let start = || _ = start_response.start("200 OK", TEXT);
    match path.as_str() {
        // What it is told.
        "/echo" => match environ.input.read_up_to(u64::MAX) {
            Ok(body) => {
                start();
                Body::from(body)
            }
            Err(error) => Body::failed(error),
        },
        "/environ" => {
            start();
            let lines = environ.variables().map(|(name, value)| format!("{name}={}\n", String::from_utf8_lossy(value)));
            Body::from(lines.collect::<String>())
        }
        "/ignore" => {
            start();
            Body::from("ignored\n")
        }
        // How the body comes: a block for each byte of the request's body, as soon as it has been read.
        "/converse" => {
            start();
            let input = environ.input.clone();
            Body::fallible(iter::from_fn(move || match input.read_up_to(1) {
                Ok(end) if end.is_empty() => None,
                byte => Some(byte),
            }))
        }
        "/echo/late" => {
            let write = start_response.start("200 OK", TEXT);
            match write.send(b"begun\n").map(|()| read(&environ.input)) {
                Ok(body) => Body::from(body),
                Err(error) => Body::failed(error),
            }
        }
        "/blocks" => {
            start();
            Body::new(["one, ", "", "two\n"])
        }
        "/empty" => {
            start();
            Body::empty()
        }
        "/length" => {
            start_response.start("200 OK", &[("Content-Length", "9")]);
            Body::new(["one, ", "two\n"])
        }
        "/large" => {
            start();
            Body::new(iter::repeat_n([b'x'; 64 * 1024], 256))
        }
        "/write" => {
            let write = start_response.start("200 OK", TEXT);
            match write.send(b"written, ").and_then(|()| write.send(b"")) {
                Ok(()) => Body::from("returned\n"),
                Err(error) => Body::failed(error),
            }
        }
        // The status or a header field that the client asks for, and a body.
        "/status" => {
            start_response.start(read(&environ.input), TEXT);
            Body::from("content\n")
        }
        "/header" => {
            let field = read(&environ.input);
            let colon = field.iter().position(|&byte| byte == b':').unwrap_or(field.len());
            let (name, value) = field.split_at(colon);
            start_response.start("200 OK", &[(name, value.get(1..).unwrap_or_default())]);
            Body::from("content\n")
        }
        // When it calls start_response.
        "/late" => Body::new(iter::once_with(move || {
            start_response.start("200 OK", TEXT);
            "late\n"
        })),
        "/never" => Body::from("never started\n"),
        "/twice" => {
            start();
            start();
            Body::from("started twice\n")
        }
        "/again" => {
            start();
            match start_response.try_start("503 Again", TEXT, true) {
                Ok(_) => Body::from("started again\n"),
                Err(error) => Body::failed(error),
            }
        }
        "/again/late" => {
            start();
            Body::fallible(["begun\n"].map(Ok).into_iter().chain(iter::once_with(move || {
                let again = start_response.try_start("503 Again", TEXT, true);
                again.map(|_| "started again\n")
            })))
        }
        // How it fails.
        "/fail" => Body::failed("no luck\nat all"),
        "/fail/started" => {
            start();
            Body::failed("no luck")
        }
        "/fail/late" => {
            start();
            Body::fallible([Ok("begun\n"), Err("no luck")])
        }
        "/panic" => panic!("no luck"),
        "/panic/twice" => panic::panic_any(Closing { left: 0, close: || panic!("no luck") }), // what was thrown panics when dropped
        "/panic/late" => {
            start();
            Body::new(["begun\n", ""].into_iter().inspect(|block| assert!(!block.is_empty(), "no luck")))
        }
        "/panic/end" => {
            start();
            Body::new(Closing { left: 1, close: || panic!("no luck") })
        }
        "/short" => {
            start_response.start("200 OK", &[("Content-Length", "10")]);
            Body::from("short")
        }
        "/long" => {
            start_response.start("200 OK", &[("Content-Length", "5")]);
            Body::from("longer than it says")
        }
        // What it does not give back.
        "/close" => {
            start();
            Body::new(Closing { left: 1, close: || {} })
        }
        "/close/write" => {
            let write = start_response.start("200 OK", TEXT);
            Body::new(Closing { left: 1, close: move || _ = write.send(b"too late\n") })
        }
        "/endless" => {
            start();
            Body::new(Closing { left: usize::MAX, close: || {} })
        }
        "/keep" => {
            start();
            static KEPT: Mutex<Vec<(Input, StartResponse)>> = Mutex::new(Vec::new());
            if let Ok(mut kept) = KEPT.lock() {
                kept.push((environ.input.clone(), start_response.clone()));
            }
            Body::from("kept\n")
        }
        "/forget" => {
            start();
            std::mem::forget((environ.input.clone(), start_response.clone()));
            match environ.input.read_up_to(1) {
                Ok(_) => Body::from("forgotten\n"),
                Err(error) => Body::failed(error),
            }
        }
        _ => {
            start_response.start("404 Not Found", TEXT);
            Body::from(format!("there is no {path}\n"))
        }
    }
}

/// The body of a request; empty if it does not come.
fn read(input: &Input) -> Vec<u8> {
    input.read_up_to(u64::MAX).unwrap_or_default()
}

/// A body that says so when it is closed, and does something then.
struct Closing<F: FnMut()> {
    left: usize,
    close: F,
}

impl<F: FnMut()> Iterator for Closing<F> {
    type Item = &'static str;

    fn next(&mut self) -> Option<&'static str> {
        self.left = self.left.checked_sub(1)?;
        Some("again\n")
    }
}

impl<F: FnMut()> Drop for Closing<F> {
    fn drop(&mut self) {
        report("the body is closed");
        (self.close)();
    }
}
