//! What a watch is told on the command line.

use std::time::Duration;

use crate::options::{number, time_limit};

const MORE: &str = "\
On a terminal it draws a picture four times a second; q or Ctrl-C ends it. It may be started before the server, and \
ends when the server does. Whatever ends it, a summary is printed.

Start it, and in another terminal: cargo run -p client -- --max-clients 128";

/// What to watch, and how.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = MORE)]
pub struct Options {
    /// Port that the server listens on
    #[arg(long, value_name = "PORT", default_value = "8888", value_parser = number(1_u16, u16::MAX), allow_negative_numbers = true)]
    #[arg(conflicts_with = "pid")]
    pub port: u16,

    /// Process to watch, instead of the one that listens on a port
    #[arg(long, value_name = "PID", value_parser = number(1_u32, i32::MAX as u32), allow_negative_numbers = true)]
    pub pid: Option<u32>,

    /// Watch for so long, and wait for a server no longer than that; may have a fraction
    #[arg(long = "for", value_name = "SECONDS", value_parser = time_limit, allow_negative_numbers = true)]
    pub duration: Option<Duration>,

    /// Print a line for each change, as it is done when standard output is no terminal
    #[arg(long)]
    pub plain: bool,
}
