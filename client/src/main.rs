//! client: makes many connections to a web server at once, and tells what became of each

use std::process::ExitCode;

use client::options::Options;
use client::{output, stress};

fn main() -> ExitCode {
    match stress::run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            output::report(failure);
            ExitCode::FAILURE
        }
    }
}
