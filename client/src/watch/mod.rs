//! Shows what a server has open and which children it has, live.

use crate::output::Failure;

/// What to watch.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {}

/// Watches a server until it ends or the reader has seen enough.
///
/// # Errors
/// None yet.
pub fn run(_options: &Options) -> Result<bool, Failure> {
    todo!()
}
