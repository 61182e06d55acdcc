//! The exercises of the book: lists them, and runs one.

use crate::output::Failure;

/// Which exercise.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {}

/// Runs an exercise.
///
/// # Errors
/// None yet.
pub fn run(_options: &Options) -> Result<bool, Failure> {
    todo!()
}
