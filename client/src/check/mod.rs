//! Tells whether a server, in any language, is the stage that it is meant to be.

use crate::output::Failure;

/// What to check.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {}

/// Checks a server.
///
/// # Errors
/// None yet.
pub fn run(_options: &Options) -> Result<bool, Failure> {
    todo!()
}
