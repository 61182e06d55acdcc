//! What a run of the stress client is told on the command line.

use std::time::Duration;

use crate::options::{number, time_limit};
use crate::target::Permission;

/// How many connections to make, and to whom.
#[derive(Debug, Clone, clap::Args)]
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

    /// Process id of the server, where it can't be found by its port: the table ends with what the run did to it
    #[arg(long, value_name = "PID", value_parser = number(1_u32, i32::MAX as u32), allow_negative_numbers = true)]
    pub pid: Option<u32>,

    /// Whether the server may be on another machine.
    #[command(flatten)]
    pub permission: Permission,
}
