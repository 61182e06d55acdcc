//! What the stages of Part 3 share, so that each of their files holds only what it teaches.
//!
//! - [`options`]: the command line of a stage, and its last words when it dies
//! - [`request`]: reading a whole request
//! - [`mod@child`]: a child that can never return into its parent's loop
//! - [`signals`]: a handler for SIGCHLD, and what it may print with
//! - [`shortage`]: how webserver3g outlives running out of something
//!
//! Sockets come from Part 1, and are passed on here so that a stage names one source.

pub mod child;
pub mod options;
pub mod request;
pub mod shortage;
pub mod signals;

pub use part1::{Failure, accept, print, report, stage, write_all};

pub use child::child;
pub use options::{Defaults, Options, listen, run};
pub use request::{print_request, read_request};
pub use shortage::Shortages;

/// What every stage answers, whatever it was asked.
///
/// Neither Content-Length nor shutdown(2) tells the client where the answer ends: the end of the connection does
/// (RFC 9112, section 6.3), and who closes the connection is what these stages are about.
pub const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nHello, World!\n";
