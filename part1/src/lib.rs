//! What Part 1 taught, once, for the parts that follow.
//!
//! `src/bin/webserver1.rs` is where the story starts, and it makes every call of its own. Later servers make the
//! same calls and are about something else; they take them from here:
//!
//! - [`listener`]: socket, setsockopt, bind, listen, accept
//! - [`connection`]: reading with a time limit, and writing all of an answer
//! - [`options`]: `--host`, `--port`, `--backlog`, `--timeout`, and the one line that wrong usage gets
//! - [`failure`]: a call that failed, as one line that says what to do
//! - [`output`]: whole lines on standard output and standard error

pub mod connection;
pub mod failure;
pub mod listener;
pub mod options;
pub mod output;

pub use connection::write_all;
pub use failure::Failure;
pub use listener::{accept, listen, port_of};
pub use options::Options;
pub use output::{Printable, print, report};
