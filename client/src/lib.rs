//! The other side of every server in this workspace: what opens connections to one, and what shows what they do to it.
//! It works with any server, and only its advice names those of this workspace.
//!
//! - [`binary`]: the programs of this workspace, for tests of packages that don't own them
//! - [`server`]: a server that is started here, to be looked at
//! - [`processes`]: the descriptors and children of a process, from the kernel's tables
//! - [`probe`]: one connection, handled step by step
//! - [`answer`]: the answer that came on one, taken apart
//! - [`misbehaviour`]: clients that behave badly
//! - [`cost`]: what a request costs a server, for benchmarks
//! - [`tools`]: what a test needs from outside
//! - [`wait`]: waiting for something to become true, with a deadline
//!
//! The program `client` puts a server under stress with many connections at once:
//!
//! - [`options`]: the command line
//! - [`target`]: the server to connect to, and the request that it gets
//! - [`stress`]: the parent, which forks the clients and gathers what they report
//! - [`worker`]: a client process and its connections
//! - [`fate`]: what became of one connection, and how it is reported
//! - [`summary`]: what became of all of them, as a table
//! - [`descriptors`]: how many descriptors a client process may have
//! - [`output`]: what is printed, and failures as one line

pub mod answer;
pub mod binary;
pub mod cost;
pub mod descriptors;
pub mod fate;
pub mod misbehaviour;
pub mod options;
pub mod output;
pub mod probe;
pub mod processes;
pub mod server;
pub mod stress;
pub mod summary;
pub mod target;
pub mod tools;
pub mod wait;
pub mod worker;
