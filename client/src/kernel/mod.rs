//! What the kernel's tables say: which process listens on a port, what it has open, which children it has.

pub mod look;
pub mod processes;
pub mod sockets;
