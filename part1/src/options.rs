//! The options that every server takes, by the same words everywhere.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;
use std::{io, process};

use clap::{ArgMatches, Args, Command, FromArgMatches};
use nix::sys::socket::Backlog;

use crate::{Failure, report};

/// Where a server listens, and how long it waits.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Name or address to listen on
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub host: String,

    /// Port to listen on; 0 takes any that is free
    #[arg(long, value_name = "PORT", default_value = "8888", value_parser = port, allow_negative_numbers = true)]
    pub port: u16,

    /// How many connections may wait to be accepted
    // The default is each server's own: `command` puts it here.
    #[arg(long, value_name = "N", default_value = "5", value_parser = backlog, allow_negative_numbers = true)]
    pub backlog: u32,

    /// Time limit for a whole request; may have a fraction
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = time_limit, allow_negative_numbers = true)]
    pub timeout: Duration,
}

impl Options {
    /// Reads the arguments of a server that takes just these options; `backlog` is its default for that one.
    pub fn parse(stage: Stage, backlog: u32) -> Options {
        let matches = parse(command(stage, backlog));
        Options::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// The address to listen on: that of `--host`, with `--port`. Of several, an IPv4 address is preferred: `localhost`
    /// is often both ::1 and 127.0.0.1, and clients try the latter in any case.
    ///
    /// # Errors
    /// The host has no address.
    pub fn address(&self) -> Result<SocketAddr, Failure> {
        let failure = |reason| Failure::Resolve { host: self.host.clone(), reason };
        let mut addresses: Vec<_> = (self.host.as_str(), self.port).to_socket_addrs().map_err(failure)?.collect();
        addresses.sort_by_key(SocketAddr::is_ipv6);
        addresses.first().copied().ok_or_else(|| failure(io::Error::other("it has no address")))
    }

    /// `--backlog`, as far as it goes: the kernel uses its own limit for anything larger, and nix refuses anything
    /// above SOMAXCONN (4096 on Linux with glibc, 128 with musl and on macOS), so that is the most.
    pub fn backlog(&self) -> Backlog {
        let wanted = i32::try_from(self.backlog).ok();
        wanted.and_then(|wanted| Backlog::new(wanted).ok()).unwrap_or(Backlog::MAXCONN)
    }
}

/// A server's own file, whose `//!` header is the text of its `--help`: told once, in the place where it is read most.
#[derive(Debug, Clone, Copy)]
pub struct Stage {
    /// The name of the binary, such as `webserver1`.
    pub name: &'static str,
    /// The text of its file.
    pub source: &'static str,
}

/// The [`Stage`] of the binary or example that says `stage!()`. (Cargo calls rustc in the folder of the workspace, and
/// the members stand side by side in it.)
#[macro_export]
macro_rules! stage {
    () => {
        $crate::options::Stage {
            name: env!("CARGO_BIN_NAME"),
            source: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../", file!())),
        }
    };
}

impl Stage {
    /// What stands in its header: the first line, and what follows it.
    fn header(&self) -> (&'static str, String) {
        let mut lines = self.source.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
        let title = lines.next().unwrap_or_default();
        (title, lines.collect::<Vec<_>>().join("\n").trim().to_owned())
    }
}

/// The command line of a server: its own story, and the options that all servers share.
pub fn command(stage: Stage, backlog: u32) -> Command {
    let (title, story) = stage.header();
    Options::augment_args(Command::new(stage.name).version(env!("CARGO_PKG_VERSION")))
        .mut_arg("backlog", |option| option.default_value(backlog.to_string()))
        .about(title)
        .after_help(story)
}

/// Reads the program's arguments as `command` describes them.
///
/// Does not return for `--help` (exit code 0) nor for wrong usage, which gets one line and exit code 2.
pub fn parse(command: Command) -> ArgMatches {
    command.try_get_matches().unwrap_or_else(|error| {
        if error.use_stderr() {
            report(format_args!("{} (--help shows the options)", one_line(&error.to_string())));
            process::exit(2)
        }
        error.exit()
    })
}

fn port(text: &str) -> Result<u16, &'static str> {
    text.parse().map_err(|_| "not a number from 0 to 65535")
}

fn backlog(text: &str) -> Result<u32, &'static str> {
    text.parse().map_err(|_| "not a number from 0 to 4294967295")
}

/// Reads a number of seconds; fractions are allowed.
///
/// # Errors
/// What is wrong, for clap to show: not a number, negative, or beyond a day.
pub fn seconds(text: &str) -> Result<Duration, String> {
    const A_DAY: f64 = 86_400.0;
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=A_DAY).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(format!("not a number of seconds from 0 to {A_DAY}")),
    }
}

/// The same for a time limit, which can't be 0.
fn time_limit(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        limit if limit < Duration::from_millis(1) => Err("a time limit is at least 0.001 seconds".to_owned()),
        limit => Ok(limit),
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

    const STAGE: Stage =
        Stage { name: "webserver0", source: "//! webserver0: does nothing\n//!\n//! New: all\n\n// code\n" };

    #[test]
    fn the_header_of_a_stage_is_its_help() {
        assert_eq!(STAGE.header(), ("webserver0: does nothing", "New: all".to_owned()));
        let help = command(STAGE, 7).render_help().to_string();
        assert!(help.contains("does nothing") && help.contains("New: all") && help.contains("[default: 7]"), "{help}");
    }

    #[test]
    fn a_backlog_beyond_the_systems_is_the_systems() {
        for (wanted, used) in
            [("0", 0), ("5", 5), ("1000000", Backlog::MAXCONN.into()), ("4294967295", Backlog::MAXCONN.into())]
        {
            let matches = command(STAGE, 1).get_matches_from(["webserver0", "--backlog", wanted]);
            assert_eq!(i32::from(Options::from_arg_matches(&matches).unwrap().backlog()), used, "{wanted}");
        }
    }

    #[test]
    fn seconds_may_have_a_fraction_and_are_bounded() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("60"), Ok(Duration::from_secs(60)));
        for wrong in ["", "-1", "nan", "inf", "1e300", "86401", "ten"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert!(time_limit("0").is_err());
    }

    #[test]
    fn wrong_usage_is_told_in_one_line_with_the_tip() {
        let explanation =
            "error: unexpected argument '--prot' found\n\n  tip: a similar argument exists: '--port'\n\nUsage: x";
        assert_eq!(
            one_line(explanation),
            "unexpected argument '--prot' found; tip: a similar argument exists: '--port'"
        );
    }
}
