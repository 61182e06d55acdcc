//! The command line of a stage, and its last words when it dies.

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, FromArgMatches};
use nix::errno::Errno;
use part1::options::{Stage, command, parse, seconds};
use part1::{Failure, port_of, print, report};
use part2::forget_inherited;

/// What differs from stage to stage in the options.
#[derive(Debug, Clone, Copy)]
pub struct Defaults {
    /// How many connections may wait to be accepted, unless `--backlog` says otherwise.
    pub backlog: u32,
    /// How many seconds the stage sleeps after its answer unless `--sleep` says otherwise; a stage that doesn't sleep
    /// has no such option.
    pub sleep: Option<u32>,
}

/// What a stage was told on its command line.
#[derive(Debug, Clone)]
pub struct Options {
    /// The options of every server.
    pub server: part1::Options,
    /// How long to sleep after an answer, before the connection is closed.
    pub sleep: Duration,
}

impl Options {
    /// Reads the program's arguments; ends the program after `--help`, and for wrong usage.
    fn parse(stage: Stage, defaults: Defaults) -> Options {
        let mut command = command(stage, defaults.backlog);
        if let Some(sleep) = defaults.sleep {
            command = command.arg(
                Arg::new("sleep")
                    .long("sleep")
                    .value_name("SECONDS")
                    .help("How long to sleep before closing; may have a fraction")
                    .allow_negative_numbers(true)
                    .default_value(sleep.to_string())
                    .value_parser(seconds),
            );
        }
        let matches = parse(command);
        let server = part1::Options::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        let sleep = matches.try_get_one("sleep").ok().flatten().copied().unwrap_or_default();
        Options { server, sleep }
    }
}

/// The life of a stage: reads its options, serves, and says why it could not go on. Serving never ends well: a stage is
/// stopped by a signal, or fails.
pub fn run(stage: Stage, defaults: Defaults, serve_forever: fn(&Options) -> Result<Infallible, Failure>) -> ExitCode {
    let options = Options::parse(stage, defaults);
    let Err(failure) = forget_inherited().map_or_else(Err, |()| serve_forever(&options));
    match explanation(stage.name, &failure) {
        Some(explanation) => report(format_args!("{failure} ({explanation})")),
        None => report(failure),
    }
    ExitCode::FAILURE
}

/// Makes the listening socket and announces it: the first line of every server.
///
/// # Errors
/// Those of [`part1::listen`].
pub fn listen(options: &Options) -> Result<OwnedFd, Failure> {
    let listener = part1::listen(&options.server)?;
    print(format_args!("Serving HTTP on port {} ...", port_of(&listener)?));
    Ok(listener)
}

/// For a death that the story leads to: where it is explained, and which stage solves it.
fn explanation(stage: &str, failure: &Failure) -> Option<&'static str> {
    let Failure::Call { call, errno, .. } = failure else { return None };
    match (stage, *call, *errno) {
        ("webserver3d", "accept", Errno::EMFILE) => Some(
            "every connection kept open takes a descriptor: see docs/chapters/09-keep-copies-open.md; webserver3e solves it",
        ),
        (_, "fork", Errno::EAGAIN) => Some(
            "every child counts as a process, and so does every zombie: see docs/chapters/09-keep-copies-open.md; \
             webserver3g solves it",
        ),
        ("webserver3e", "accept", Errno::EINTR) => {
            Some("a signal's handler interrupted it: see docs/chapters/10-wait-in-a-handler.md; webserver3f solves it")
        }
        _ => None,
    }
}
