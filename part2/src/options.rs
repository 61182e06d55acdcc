//! The command line of a server that runs an application.

use std::convert::Infallible;
use std::path::PathBuf;
use std::process::{self, ExitCode};

use clap::{Args, FromArgMatches};
use part1::options::{Stage, command, parse};
use part1::{Failure, print, report};

use crate::apps::{self, Settings};
use crate::server::{DEFAULT_MAX_BODY, Shown};
use crate::{WsgiServer, forget_inherited};

// What a server with an application takes beside `part1::Options`. (A doc comment would become the text of --help.)
#[derive(Debug, clap::Args)]
struct ApplicationOptions {
    /// The application to run
    #[arg(value_name = "MODULE:CALLABLE")]
    application: Option<String>,

    /// The most bytes that the body of a request may have; may end in K, M or G
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_MAX_BODY, value_parser = bytes)]
    #[arg(allow_negative_numbers = true)]
    max_body: u64,

    /// Where to look for Python modules first; may be given several times
    #[cfg(feature = "python")]
    #[arg(long, value_name = "DIR")]
    pythonpath: Vec<PathBuf>,

    /// The directory that files:app and files:upload serve; the current one by default
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,

    /// Print no requests
    #[arg(long)]
    quiet: bool,

    /// Print requests and responses, even where a line for each is the default: with files:app and files:upload
    #[arg(long, conflicts_with = "quiet")]
    verbose: bool,
}

impl ApplicationOptions {
    /// What concerns the application.
    fn settings(&self) -> Settings {
        #[cfg(feature = "python")]
        let pythonpath = self.pythonpath.clone();
        #[cfg(not(feature = "python"))]
        let pythonpath = Vec::new();
        Settings { pythonpath, directory: self.directory.clone(), max_body: self.max_body }
    }

    /// What is shown of the requests to the application called `name`.
    fn shown(&self, name: &str) -> Shown {
        match (self.quiet, self.verbose) {
            (true, _) => Shown::Nothing,
            (_, true) => Shown::Everything,
            _ if apps::serves_files(name) => Shown::Line,
            _ => Shown::Everything,
        }
    }
}

/// What differs from server to server.
#[derive(Debug, Clone, Copy)]
pub struct Defaults {
    /// How many connections may wait to be accepted, unless `--backlog` says otherwise.
    pub backlog: u32,
    /// Whether each request is handled in a process of its own.
    pub process_per_request: bool,
}

/// The life of a server: reads its options, loads the application, serves, and says why it could not go on.
pub fn run(
    stage: Stage,
    defaults: Defaults,
    serve_forever: fn(WsgiServer<'static>) -> Result<Infallible, Failure>,
) -> ExitCode {
    let mut command = ApplicationOptions::augment_args(command(stage, defaults.backlog));
    command = command.mut_arg("timeout", |option| {
        option.help("Time limit for a request, and again for each 64 KiB of a body; may have a fraction")
    });
    let story = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    command = command.after_help(format!("Applications:\n{}\n{story}", apps::list()));
    let matches = parse(command);
    let options = ApplicationOptions::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let server_options = part1::Options::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());

    let Some(name) = &options.application else {
        report(format_args!("Provide a WSGI application object as module:callable\n\n{}", apps::list().trim_end()));
        process::exit(2)
    };
    if options.directory.is_some() && !apps::serves_files(name) {
        report(format_args!("{name} serves no directory; --directory is for files:app and files:upload"));
        process::exit(2)
    }
    // Before the application is loaded: it may run programs, and wait for them.
    forget_inherited().unwrap_or_else(report);
    let application = apps::find(name, &options.settings()).unwrap_or_else(|error| {
        report(error);
        process::exit(2)
    });
    let server = WsgiServer::new(&server_options, application).map(|mut server| {
        server.gateway.max_body = options.max_body;
        server.gateway.shown = options.shown(name);
        server.gateway.set_process_per_request(defaults.process_per_request);
        print(format_args!("WSGIServer: Serving HTTP on port {} ...", server.gateway.port()));
        server
    });
    let Err(failure) = server.and_then(serve_forever);
    report(failure);
    ExitCode::FAILURE
}

/// Reads a number of bytes: `1000`, `64K`, `10M`, `2G`.
fn bytes(text: &str) -> Result<u64, &'static str> {
    let (digits, shift) = match text.split_at_checked(text.len().saturating_sub(1)) {
        Some((digits, "K" | "k")) => (digits, 10),
        Some((digits, "M" | "m")) => (digits, 20),
        Some((digits, "G" | "g")) => (digits, 30),
        _ => (text, 0),
    };
    let number = if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse::<u64>().ok() } else { None };
    number.and_then(|number| number.checked_mul(1 << shift)).ok_or("not a number of bytes such as 1000, 64K or 10M")
}
