//! The other side of every server in this workspace: what opens connections to one, and what shows what they do to it.
//! It works with any server, and only its advice names those of this workspace.
//!
//! The program `client`:
//!
//! - [`options`]: the command line
//! - [`stress`]: makes many connections at once, and tells what became of them
//! - [`watch`]: shows what a server has open, live
//! - [`check`]: tells whether a server is the stage that it is meant to be
//! - [`exercise`]: the exercises of the book
//!
//! What these stand on, and the tests of the workspace too:
//!
//! - [`kernel`]: what the kernel's tables say of a process
//! - [`target`]: the server to connect to, and the request that it gets
//! - [`server`]: a server that is started here, to be looked at
//! - [`probe`]: one connection, handled step by step
//! - [`misbehaviour`]: clients that behave badly
//! - [`binary`]: the programs of this workspace, for whom cargo does not tell where they are
//! - [`cost`]: CPU time, and what a request costs a server of it
//! - [`signals`]: the signals that ask a program to end
//! - [`wait`]: waiting for something to become true, with a deadline
//! - [`output`]: what is printed, and failures as one line
//!
//! For tests and benchmarks alone:
//!
//! - [`answer`]: the answer that came on a connection, taken apart
//! - [`tools`]: what a test needs from outside

pub mod answer;
pub mod binary;
pub mod check;
pub mod cost;
pub mod exercise;
pub mod kernel;
pub mod misbehaviour;
pub mod options;
pub mod output;
pub mod probe;
pub mod server;
pub mod signals;
pub mod stress;
pub mod target;
pub mod tools;
pub mod wait;
pub mod watch;
