//! The other side of every server in this workspace: what opens connections to one, and what shows what they do to it.
//! It works with any server, and knows none.
//!
//! - [`binary`]: the programs of this workspace, for tests of packages that don't own them
//! - [`server`]: a server that is started here, to be looked at
//! - [`processes`]: the descriptors and children of a process, from the kernel's tables
//! - [`probe`]: one connection, handled step by step
//! - [`wait`]: waiting for something to become true, with a deadline

pub mod binary;
pub mod probe;
pub mod processes;
pub mod server;
pub mod wait;
