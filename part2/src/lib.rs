//! The gateway: one interface between servers and applications, WSGI (PEP 3333), told in Rust.
//!
//! A request goes through these modules, in this order:
//!
//! - [`server`]: takes a connection, and calls everything else
//! - [`head`]: the request line and the header fields; [`target`]: what is asked for; [`framing`]: where the body ends
//! - [`input`]: the body, as a file; [`chunked`]: a body in pieces
//! - [`environ`]: what the application is told
//! - [`application`]: what an application is, and its body
//! - [`response`]: start_response, and the rules that every response keeps
//! - [`refusal`]: what the server answers by itself, when there is no request to give to the application
//!
//! `tower` and `python` (Cargo features `frameworks` and `python`) make applications of what was not written for this
//! server. [`connection`] is what they all read from and write to. [`apps`] finds an application by its name, and
//! [`options`] is the command line of a server that runs one. [`process`] has the fork that such a server uses.
//! [`access`] is the line that is printed of a request, and [`date`] what times are written as.

pub mod access;
pub mod application;
pub mod apps;
pub mod chunked;
pub mod connection;
pub mod date;
pub mod environ;
pub mod framing;
pub mod head;
pub mod input;
pub mod options;
pub mod process;
#[cfg(feature = "python")]
pub mod python;
pub mod refusal;
pub mod response;
pub mod server;
pub mod target;
#[cfg(feature = "frameworks")]
pub mod tower;

use std::io;

pub use application::{AppError, Application, Block, Body, FilePart};
pub use environ::{Environ, Errors};
pub use input::Input;
pub use options::{Defaults, run};
pub use process::{forget_inherited, fork};
pub use refusal::Refusal;
pub use response::{ResponseError, StartResponse, Write};
pub use server::{Gateway, Shown, WsgiServer, make_server};

/// Says on `wsgi.errors` why an application failed. What has several lines, such as a traceback, is written at once, so
/// that it stays together.
pub(crate) fn report_application(error: &str) {
    let _ = io::Write::write_all(&mut Errors, format!("the application failed: {}\n", error.trim_end()).as_bytes());
}
