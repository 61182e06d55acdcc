//! How webserver3g outlives running out of something: one connection suffers, and serving goes on.

use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use part1::{Failure, report};

/// How long to leave accept alone when there is no descriptor to be had. The connection waits in the queue meanwhile,
/// and asking again at once would fail again, as fast as the processor can.
const PAUSE: Duration = Duration::from_millis(100);

/// What a server has run out of so far; each shortage is reported the first time.
#[derive(Debug, Default)]
pub struct Shortages {
    reported: Vec<(&'static str, Errno)>,
}

impl Shortages {
    /// Gets over a failed `call`: reports it if it is new, and pauses where trying again at once would be of no use.
    ///
    /// # Errors
    /// The failure itself, if it is not one that passes.
    pub fn survive(&mut self, call: &'static str, errno: Errno) -> Result<(), Failure> {
        let remedy = match errno {
            // accept(2): the client gave up while it was in the queue, or its network failed.
            Errno::ECONNABORTED | Errno::EPROTO | Errno::ENETDOWN | Errno::ENETUNREACH => "one connection is lost",
            Errno::EHOSTDOWN | Errno::EHOSTUNREACH | Errno::ENOPROTOOPT | Errno::EOPNOTSUPP => "one connection is lost",
            // The process or the whole system has no descriptor left, or no memory.
            Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM if call == "accept" => {
                thread::sleep(PAUSE);
                "connections wait in the queue"
            }
            // fork(2): no process left for this user, or no memory for another.
            Errno::EAGAIN | Errno::ENOMEM if call == "fork" => "one connection is closed unanswered",
            _ => return Err(Failure::call(call, errno)),
        };
        if !self.reported.contains(&(call, errno)) {
            self.reported.push((call, errno));
            report(format_args!("{}: {remedy}, and serving goes on (reported once)", Failure::call(call, errno)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn what_passes_is_survived_and_reported_once() {
        let mut shortages = Shortages::default();
        for (call, errno) in [
            ("accept", Errno::ECONNABORTED),
            ("accept", Errno::EMFILE),
            ("accept", Errno::ENFILE),
            ("accept", Errno::EMFILE),
            ("fork", Errno::EAGAIN),
            ("fork", Errno::ENOMEM),
            ("fork", Errno::EAGAIN),
        ] {
            assert!(shortages.survive(call, errno).is_ok(), "{call}: {errno}");
        }
        assert_eq!(shortages.reported.len(), 5);
    }

    #[test]
    fn without_descriptors_there_is_a_pause_before_the_next_try() {
        let begin = Instant::now();
        Shortages::default().survive("accept", Errno::EMFILE).unwrap();
        assert!(begin.elapsed() >= Duration::from_millis(50));
    }

    #[test]
    fn what_does_not_pass_is_a_failure() {
        let mut shortages = Shortages::default();
        for (call, errno) in [("accept", Errno::EBADF), ("accept", Errno::EINVAL), ("fork", Errno::ENOSYS)] {
            assert!(shortages.survive(call, errno).is_err(), "{call}: {errno}");
        }
    }
}
