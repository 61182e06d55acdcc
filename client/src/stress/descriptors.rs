//! How many descriptors a client process may have: a connection takes one.

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

use crate::output::Failure;

/// What a process needs besides its connections: the standard streams, pipes, and whatever it was started with.
const OTHERS: u64 = 64;

/// What macOS allows at most where the hard limit says "unlimited" (OPEN_MAX, setrlimit(2)).
const OPEN_MAX: u64 = 10_240;

/// The limit of this process and of those that it forks (`ulimit -n`).
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// As it was found.
    pub before: u64,
    /// As it is now.
    pub now: u64,
}

impl Limit {
    /// Raises the soft limit, as far as the hard limit allows, so that `connections` fit below it.
    ///
    /// # Errors
    /// getrlimit(2) failed. That the limit can't be raised is no error: it is what the run will show.
    pub fn raise_for(connections: u32) -> Result<Limit, Failure> {
        let (before, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(Failure::of("getrlimit"))?;
        let most = if cfg!(target_os = "macos") && hard == RLIM_INFINITY { OPEN_MAX } else { hard };
        let wanted = (u64::from(connections) + OTHERS).min(most);
        let raised = wanted > before && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok();
        Ok(Limit { before, now: if raised { wanted } else { before } })
    }
}
