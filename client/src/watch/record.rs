//! What the looks at a server have shown so far: the first, the last, the most, and a history to draw.

use std::collections::VecDeque;
use std::time::Duration;

use crate::kernel::look::Look;
use crate::kernel::sockets::Listener;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Open descriptors.
    Descriptors,
    /// Children that run, sleep or are stopped.
    Children,
    /// Children that have ended, and that the server has not waited for.
    Zombies,
    /// Connections that the server has yet to accept.
    Queue,
}

impl Quantity {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Quantity; 4] = [Quantity::Descriptors, Quantity::Children, Quantity::Zombies, Quantity::Queue];

    /// What it is called where there is room.
    pub fn name(self) -> &'static str {
        match self {
            Quantity::Descriptors => "descriptors",
            Quantity::Children => "children alive",
            Quantity::Zombies => "zombies",
            Quantity::Queue => "accept queue",
        }
    }

    /// What it is called where there is little.
    pub fn short_name(self) -> &'static str {
        match self {
            Quantity::Descriptors => "descriptors",
            Quantity::Children => "children",
            Quantity::Zombies => "zombies",
            Quantity::Queue => "queue",
        }
    }
}

/// What one look shows of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The process.
    pub look: Look,
    /// Its listener, whose queue is the fullest if it has several; `None` if it has none.
    pub listener: Option<Listener>,
}

impl Reading {
    /// The number of `quantity`; `None` for the queue of a process that does not listen.
    pub fn count(&self, quantity: Quantity) -> Option<usize> {
        match quantity {
            Quantity::Descriptors => Some(self.look.descriptors),
            Quantity::Children => Some(self.look.children.alive),
            Quantity::Zombies => Some(self.look.children.zombies),
            Quantity::Queue => self.listener.map(|listener| listener.waiting),
        }
    }

    /// How many there may be; `None` where there is no such limit, or nobody knows it.
    pub fn limit(&self, quantity: Quantity) -> Option<u64> {
        match quantity {
            Quantity::Descriptors => self.look.limit,
            Quantity::Children | Quantity::Zombies => None,
            Quantity::Queue => self.listener?.backlog.map(|backlog| backlog as u64),
        }
    }

    /// Whether as many wait to be accepted as can. Linux lets one more in than listen(2) was told; what comes then is
    /// dropped, and if that is the last step of the handshake, the client takes its connection for open.
    pub fn queue_is_full(&self) -> bool {
        self.listener.is_some_and(|listener| listener.backlog.is_some_and(|backlog| listener.waiting > backlog))
    }
}

/// A number for each of [`Quantity::ALL`].
pub type Counts = [usize; 4];

/// How many columns of history are kept: more than any terminal is wide.
const KEPT: usize = 1000;

/// How long something has to last to be called lasting: longer than the children of a burst live.
const LASTING: Duration = Duration::from_secs(1);

/// What the looks have shown.
#[derive(Debug)]
pub struct Record {
    first: Reading,
    last: Reading,
    most: Counts,
    /// The highest of each in the looks since the last column.
    highest: Counts,
    /// Whether there was no look since then.
    is_new: bool,
    columns: VecDeque<Counts>,
    /// The looks of the last second, and one before them.
    recent: VecDeque<(Duration, Reading)>,
    descriptors_fell: bool,
    queue_was_full: bool,
}

impl Record {
    /// A record that begins with `first`.
    pub fn new(first: Reading) -> Record {
        let mut record = Record {
            first,
            last: first,
            most: [0; 4],
            highest: [0; 4],
            is_new: true,
            columns: VecDeque::new(),
            recent: VecDeque::new(),
            descriptors_fell: false,
            queue_was_full: false,
        };
        record.add(Duration::ZERO, first);
        record
    }

    /// Adds a look; `at` is the time since the first.
    pub fn add(&mut self, at: Duration, reading: Reading) {
        self.descriptors_fell |= reading.look.descriptors < self.last.look.descriptors;
        self.queue_was_full |= reading.queue_is_full();
        for (quantity, (most, highest)) in Quantity::ALL.into_iter().zip(self.most.iter_mut().zip(&mut self.highest)) {
            let count = reading.count(quantity).unwrap_or_default();
            *most = count.max(*most);
            *highest = if self.is_new { count } else { count.max(*highest) };
        }
        self.is_new = false;
        self.recent.push_back((at, reading));
        while self.recent.get(1).is_some_and(|(second, _)| at.saturating_sub(*second) >= LASTING) {
            self.recent.pop_front();
        }
        self.last = reading;
    }

    /// Ends a column of the history: the highest of all looks since the one before it, which it returns too.
    pub fn end_column(&mut self) -> Counts {
        if self.columns.len() == KEPT {
            self.columns.pop_front();
        }
        self.columns.push_back(self.highest);
        self.is_new = true;
        self.highest
    }

    /// The first look.
    pub fn first(&self) -> &Reading {
        &self.first
    }

    /// The last look.
    pub fn last(&self) -> &Reading {
        &self.last
    }

    /// The highest number seen.
    pub fn most(&self, quantity: Quantity) -> usize {
        self.most[quantity as usize]
    }

    /// The number that it has not fallen below for the last second; 0 before a second has passed.
    pub fn lasting(&self, quantity: Quantity) -> usize {
        if self.recent_span() < LASTING {
            return 0;
        }
        self.recent.iter().filter_map(|(_, reading)| reading.count(quantity)).min().unwrap_or_default()
    }

    /// Whether the last second has shown nothing but what the last look shows.
    pub fn is_calm(&self) -> bool {
        self.recent_span() >= LASTING && self.recent.iter().all(|(_, reading)| *reading == self.last)
    }

    fn recent_span(&self) -> Duration {
        let ends = self.recent.back().zip(self.recent.front());
        ends.map(|((last, _), (first, _))| last.saturating_sub(*first)).unwrap_or_default()
    }

    /// The last `width` columns of its history, oldest first.
    pub fn history(&self, quantity: Quantity, width: usize) -> impl ExactSizeIterator<Item = usize> {
        self.columns.iter().skip(self.columns.len().saturating_sub(width)).map(move |column| column[quantity as usize])
    }

    /// Whether one look has shown fewer descriptors than the look before it.
    pub fn descriptors_fell(&self) -> bool {
        self.descriptors_fell
    }

    /// Whether the accept queue has been seen full.
    pub fn queue_was_full(&self) -> bool {
        self.queue_was_full
    }
}

#[cfg(test)]
#[allow(missing_docs)]
pub mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::kernel::processes::Children;

    /// A look: descriptors of 1024, children alive, zombies, and connections that wait, where 5 may.
    pub fn reading([descriptors, alive, zombies, waiting]: Counts) -> Reading {
        Reading {
            look: Look { descriptors, limit: Some(1024), children: Children { alive, zombies } },
            listener: Some(Listener {
                address: (Ipv4Addr::LOCALHOST, 8888).into(),
                inode: 4711,
                waiting,
                backlog: Some(5),
                user: None,
            }),
        }
    }

    /// A record of looks, a tenth of a second and a column each.
    pub fn record(looks: &[Counts]) -> Record {
        let mut record = Record::new(reading(looks[0]));
        for (number, look) in looks.iter().enumerate() {
            record.add(Duration::from_millis(100) * number as u32, reading(*look));
            record.end_column();
        }
        record
    }

    #[test]
    fn a_column_is_the_highest_since_the_one_before_it() {
        let mut record = Record::new(reading([4, 0, 0, 0]));
        record.end_column();
        for (at, zombies) in [(10, 0), (20, 70), (30, 2)] {
            record.add(Duration::from_millis(at), reading([4, 0, zombies, 0]));
        }
        assert_eq!(record.end_column()[Quantity::Zombies as usize], 70);
        record.add(Duration::from_millis(40), reading([4, 0, 2, 0]));
        record.end_column();
        assert_eq!(record.history(Quantity::Zombies, 80).collect::<Vec<_>>(), [0, 70, 2]);
        assert_eq!(record.history(Quantity::Zombies, 2).collect::<Vec<_>>(), [70, 2]);
        assert_eq!((record.most(Quantity::Zombies), record.most(Quantity::Descriptors)), (70, 4));
    }

    #[test]
    fn the_history_is_bounded() {
        let record = record(&[[4, 0, 0, 0]; KEPT + 10]);
        assert_eq!(record.history(Quantity::Queue, usize::MAX).len(), KEPT);
    }

    #[test]
    fn what_lasts_is_what_a_whole_second_has_shown() {
        let zombies = |counts: &[usize]| {
            record(&counts.iter().map(|zombies| [4, 0, *zombies, 0]).collect::<Vec<_>>()).lasting(Quantity::Zombies)
        };
        assert_eq!(zombies(&[9; 10]), 0, "0.9 s");
        assert_eq!(zombies(&[9; 11]), 9, "1.0 s");
        assert_eq!(zombies(&[&[9; 30][..], &[3], &[9; 5]].concat()), 3);
        assert_eq!(zombies(&[&[9; 30][..], &[3], &[9; 11]].concat()), 9);
    }

    #[test]
    fn a_queue_is_full_with_one_more_than_the_backlog() {
        assert!(!record(&[[4, 0, 0, 5]]).queue_was_full());
        assert!(record(&[[4, 0, 0, 6], [4, 0, 0, 0]]).queue_was_full());
    }
}
