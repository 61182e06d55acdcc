//! The command line: where to connect, how many times, and the one line that wrong usage gets.

use std::fmt::Display;
use std::process;
use std::str::FromStr;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::output::report;
use crate::{check, exercise, stress, watch};

const EXAMPLES: &str = "\
Examples, with a server running in another terminal:

  cargo run -p client -- --show
      send one request, show the answer
  cargo run -p client -- --max-clients 128
      128 clients at once, with a connection each
  cargo run -p client -- --max-clients 2 --max-conns 500
      2 clients at once, with 500 connections each

Every connection sends its request as soon as it is open. None is closed before all are open, so the server has all \
of them at once, as far as it takes them.

Where the server runs on this machine, the table ends with what the run did to it: its open descriptors, its children \
and its zombies, before and after.

Exit code: 0 when the server answered and closed every connection, 1 when it did not, 2 for wrong usage.";

/// Makes many connections to a web server at once, and tells what became of each
#[derive(Debug, Clone, Parser)]
#[command(name = "client", version, after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub struct Arguments {
    /// What else to do than to make connections.
    #[command(subcommand)]
    pub verb: Option<Verb>,

    /// The options of the stress client, which is what `client` is without a verb.
    #[command(flatten)]
    pub stress: stress::Options,
}

/// What `client` does besides.
#[derive(Debug, Clone, Subcommand)]
pub enum Verb {
    /// Watches the descriptors, children and zombies of a server, live
    Watch(watch::Options),
    /// Checks whether a server, in any language, is the stage that it is meant to be
    Check(check::Options),
    /// Lists the exercises, or runs one
    Exercise(exercise::Options),
}

impl Arguments {
    /// Reads the program's arguments.
    ///
    /// Does not return for `--help` (exit code 0) nor for wrong usage, which gets one line and exit code 2.
    pub fn parse() -> Arguments {
        Arguments::try_parse().unwrap_or_else(|error| {
            if error.use_stderr() {
                wrong_usage(one_line(&error.to_string()));
            }
            error.exit()
        })
    }
}

/// Ends the program after one line that says what is wrong with its arguments.
pub fn wrong_usage(why: impl Display) -> ! {
    report(format_args!("{why} (--help shows the options)"));
    process::exit(2)
}

/// A reader of whole numbers within bounds.
pub fn number<T>(least: T, most: T) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync
where
    T: FromStr + PartialOrd + Display + Copy + Send + Sync,
{
    move |text| match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("not a number from {least} to {most}")),
    }
}

/// Reads a time limit in seconds.
pub fn time_limit(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.001..=86_400.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("not a number of seconds from 0.001 to 86400 (a day)".to_owned()),
    }
}

/// clap explains wrong usage in several paragraphs; the first says what is wrong, a `tip:` what may have been meant.
fn one_line(explanation: &str) -> String {
    let mut lines = explanation.lines().map(str::trim);
    let wrong = lines.next().unwrap_or_default();
    let tips = lines.filter(|line| line.starts_with("tip: "));
    std::iter::once(wrong.trim_start_matches("error: ")).chain(tips).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_options_it_makes_one_connection_to_port_8888_here() {
        let options = Arguments::try_parse_from(["client"]).unwrap().stress;
        assert_eq!((options.max_clients, options.max_conns), (1, 1));
        assert_eq!((options.host.as_str(), options.port), ("127.0.0.1", 8888));
        assert_eq!((options.timeout, options.show), (Duration::from_secs(20), false));
    }

    #[test]
    fn numbers_have_bounds() {
        let wrong = ["--port=0", "--port=99999", "--max-clients=0", "--max-conns=0", "--max-conns=-1", "--timeout=0"];
        for option in wrong.into_iter().chain(["--timeout=-1", "--timeout=nan", "--timeout=86401", "--timeout=ten"]) {
            assert!(Arguments::try_parse_from(["client", option]).is_err(), "{option}");
        }
        assert_eq!(time_limit("0.5"), Ok(Duration::from_millis(500)));
    }

    #[test]
    fn wrong_usage_is_told_in_one_line_with_the_tip() {
        let error = Arguments::try_parse_from(["client", "--max-client"]).unwrap_err().to_string();
        let line = one_line(&error);
        assert!(line.starts_with("unexpected argument '--max-client'") && line.contains("'--max-clients'"), "{line}");
        assert_eq!(line.lines().count(), 1);
    }
}
