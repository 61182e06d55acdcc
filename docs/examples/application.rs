//! application: an application of your own, and a middleware around it
//!
//! New: a function that answers by the path, and a wrapper which the function knows nothing of.
//! Run: `cargo run -p docs --example application`, and in terminal 2 `curl http://localhost:8888/environ`
//! See: all that an application is told about a request; `/hello?loud` has the middleware at work.

use std::convert::Infallible;
use std::process::ExitCode;

use part1::options::Stage;
use part1::{Failure, Options, print, report};
use part2::{Application, Block, Body, Environ, StartResponse, WsgiServer};

fn main() -> ExitCode {
    let stage = Stage { name: "application", source: include_str!("application.rs") };
    let Err(failure) = serve_forever(&Options::parse(stage, 1));
    report(failure);
    ExitCode::FAILURE
}

fn serve_forever(options: &Options) -> Result<Infallible, Failure> {
    let server = WsgiServer::new(options, Loud(app))?;
    print(format_args!("Serving HTTP on port {} ...", server.gateway.port()));
    server.serve_forever()
}

/// The application: answers by the path.
fn app<'a>(environ: Environ, start_response: &'a StartResponse) -> Body<'a> {
    let (status, text) = match &*environ.text("PATH_INFO") {
        "/hello" => ("200 OK", "Hello, World!\n".to_owned()),
        "/environ" => ("200 OK", listed(&environ)),
        _ => ("404 Not Found", "I know /hello and /environ.\n".to_owned()),
    };
    start_response.start(status, &[("Content-Type", "text/plain; charset=utf-8")]);
    Body::from(text)
}

/// All that an application is told, a line each.
fn listed(environ: &Environ) -> String {
    let variables = environ.variables().map(|(name, value)| format!("{name}={}\n", value.escape_ascii()));
    let (threads, processes, once) = (environ.multithread, environ.multiprocess, environ.run_once);
    variables.collect::<String>()
        + &format!("wsgi.multithread={threads}\nwsgi.multiprocess={processes}\nwsgi.run_once={once}\n")
}

/// A middleware: to the server it is the application, to the application it is the server. Where the query is `loud`,
/// the body goes out in capitals.
struct Loud<A>(A);

impl<A: Application> Application for Loud<A> {
    fn call<'a>(&'a self, environ: Environ, start_response: &'a StartResponse) -> Body<'a> {
        let is_loud = environ.get("QUERY_STRING") == Some(b"loud");
        let body = self.0.call(environ, start_response);
        if !is_loud {
            return body;
        }
        Body::of_blocks(body.map(|block| match block {
            Ok(Block::Bytes(bytes)) => Ok(Block::bytes((*bytes).as_ref().to_ascii_uppercase())),
            other => other,
        }))
    }
}
