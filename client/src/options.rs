//! The command line: where to connect, how many times, and the one line that wrong usage gets.

use std::fmt::Display;
use std::process;
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;

use crate::output::report;

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

Exit code: 0 when the server answered and closed every connection, 1 when it did not, 2 for wrong usage.";

/// Makes many connections to a web server at once, and tells what became of each
#[derive(Debug, Clone, Parser)]
#[command(name = "client", version, after_help = EXAMPLES)]
pub struct Options {
    /// How many clients: each is a process of its own
    #[arg(long, value_name = "N", default_value = "1", value_parser = number(1_u32, 10_000), allow_negative_numbers = true)]
    pub max_clients: u32,

    /// How many connections each client makes
    #[arg(long, value_name = "M", default_value = "1", value_parser = number(1_u32, 100_000), allow_negative_numbers = true)]
    pub max_conns: u32,

    /// Name or address of the server
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub host: String,

    /// Port of the server
    #[arg(long, value_name = "PORT", default_value = "8888", value_parser = number(1_u16, u16::MAX), allow_negative_numbers = true)]
    pub port: u16,

    /// Time limit for each connection, from start to end; may have a fraction
    #[arg(long, value_name = "SECONDS", default_value = "20", value_parser = time_limit, allow_negative_numbers = true)]
    pub timeout: Duration,

    /// Show what the server answers: the first 64 KB of each answer
    #[arg(long)]
    pub show: bool,
}

impl Options {
    /// Reads the program's arguments.
    ///
    /// Does not return for `--help` (exit code 0) nor for wrong usage, which gets one line and exit code 2.
    pub fn parse() -> Options {
        Options::try_parse().unwrap_or_else(|error| {
            if error.use_stderr() {
                report(format_args!("{} (--help shows the options)", one_line(&error.to_string())));
                process::exit(2)
            }
            error.exit()
        })
    }
}

/// A reader of whole numbers within bounds.
fn number<T>(least: T, most: T) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync
where
    T: FromStr + PartialOrd + Display + Copy + Send + Sync,
{
    move |text| match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("not a number from {least} to {most}")),
    }
}

/// Reads a time limit in seconds.
fn time_limit(text: &str) -> Result<Duration, String> {
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
        let options = Options::try_parse_from(["client"]).unwrap();
        assert_eq!((options.max_clients, options.max_conns), (1, 1));
        assert_eq!((options.host.as_str(), options.port), ("127.0.0.1", 8888));
        assert_eq!((options.timeout, options.show), (Duration::from_secs(20), false));
    }

    #[test]
    fn numbers_have_bounds() {
        let wrong = ["--port=0", "--port=99999", "--max-clients=0", "--max-conns=0", "--max-conns=-1", "--timeout=0"];
        for option in wrong.into_iter().chain(["--timeout=-1", "--timeout=nan", "--timeout=86401", "--timeout=ten"]) {
            assert!(Options::try_parse_from(["client", option]).is_err(), "{option}");
        }
        assert_eq!(time_limit("0.5"), Ok(Duration::from_millis(500)));
    }

    #[test]
    fn wrong_usage_is_told_in_one_line_with_the_tip() {
        let error = Options::try_parse_from(["client", "--max-client"]).unwrap_err().to_string();
        let line = one_line(&error);
        assert!(line.starts_with("unexpected argument '--max-client'") && line.contains("'--max-clients'"), "{line}");
        assert_eq!(line.lines().count(), 1);
    }
}
