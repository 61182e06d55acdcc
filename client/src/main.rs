//! client: makes many connections to a web server at once, and tells what became of each; watches servers, checks them

use std::process::ExitCode;

use client::options::{Arguments, Verb};
use client::{check, exercise, output, stress, watch};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.verb {
        None => stress::run(&arguments.stress),
        Some(Verb::Watch(options)) => watch::run(options),
        Some(Verb::Check(options)) => check::run(options),
        Some(Verb::Exercise(options)) => exercise::run(options),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            output::report(failure);
            ExitCode::FAILURE
        }
    }
}
