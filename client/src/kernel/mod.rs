//! What the kernel's tables say: which process listens on a port, what it has open, which children it has, how it
//! ended.
//!
//! Linux shows processes as files in /proc (proc(5)) and sockets by netlink (sock_diag(7)). macOS has neither, so its
//! `ps`, `lsof` and `netstat` are asked there.
//!
//! Errors mean the same everywhere here: [`NotFound`](std::io::ErrorKind::NotFound) that there is no such process (any
//! more), [`PermissionDenied`](std::io::ErrorKind::PermissionDenied) that it is another user's and may not be looked
//! at.

#[cfg(any(not(target_os = "linux"), test))]
mod commands;
pub mod end;
pub mod look;
#[cfg(target_os = "linux")]
mod netlink;
pub mod processes;
pub mod sockets;
