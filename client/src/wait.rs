//! Waiting for something to become true, with a deadline.

use std::thread;
use std::time::{Duration, Instant};

/// Asks `question` again and again until it has an answer, for `limit` at most; asks at least once.
pub fn until<T>(limit: Duration, mut question: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        let answer = question();
        if answer.is_some() || Instant::now() >= deadline {
            return answer;
        }
        thread::sleep(Duration::from_millis(10));
    }
}
