//! One look at a process: what it has open, of how much, and its children.

use std::io;

use super::processes::{self, Children};

/// What a look at a process shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// How many descriptors it has open.
    pub descriptors: usize,
    /// How many it may have open (`ulimit -n`); `None` where that can't be found out, or is without limit.
    pub limit: Option<u64>,
    /// Its children.
    pub children: Children,
}

/// Looks at process `pid`. On Linux that takes about 3 ms for 400 children: it is fit for several looks a second.
///
/// # Errors
/// There is no such process (a zombie is none), or it is another user's and may not be looked at.
pub fn look(pid: u32) -> io::Result<Look> {
    Ok(Look {
        descriptors: processes::descriptors(pid)?,
        limit: processes::descriptor_limit(pid)?,
        children: processes::children(pid)?,
    })
}
