//! A claim: a sentence about a server that holds or does not, and the way to find out.

use super::candidate::Candidate;
use super::stage::Stage::{self, A, B, C, D, E, F, G, H, One, Two};
use super::{children, shortage, wire};

/// What a stage is claimed to do, or on purpose not to do.
#[derive(Debug)]
pub struct Claim {
    /// A short name, by which tests and exercises refer to it.
    pub name: &'static str,
    /// What is claimed.
    pub sentence: &'static str,
    /// The stage in whose chapter it is told.
    pub told: Stage,
    /// The stages that it is claimed of.
    pub stages: &'static [Stage],
    /// Finds out. What is returned is what was seen, if it holds.
    pub(super) attempt: fn(&mut Candidate) -> Result<String, Verdict>,
}

/// What came of trying a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It holds; and what was seen.
    Holds(String),
    /// It does not: what was seen, why that happens, and what to change.
    Fails(String),
    /// The runtime of the server's language does by itself what the stage is to show the lack of.
    Hidden(String),
    /// It could not be tried, and why.
    Skipped(String),
}

/// All but 3e, which dies of what many of the others do.
const ALL_BUT_E: &[Stage] = &[One, Two, A, B, C, D, F, G, H];
const FORKING: &[Stage] = &[C, D, E, F, G, H];

/// Every claim, in the order in which they are tried: what others depend on comes first.
pub static ALL: &[Claim] = &[
    Claim {
        name: "answer",
        sentence: "a client is answered in HTTP/1.1",
        told: One,
        stages: &super::stage::ALL,
        attempt: wire::answer,
    },
    Claim {
        name: "close",
        sentence: "the connection is closed right after the answer",
        told: One,
        stages: &[One, Two, A, F, G, H],
        attempt: wire::close,
    },
    Claim {
        name: "sleep",
        sentence: "the answer comes at once, and the server sleeps before it closes the connection",
        told: B,
        stages: &[B, C, E],
        attempt: wire::sleep,
    },
    Claim {
        name: "one-read",
        sentence: "it reads once: a single line is answered",
        told: One,
        stages: &[One],
        attempt: wire::one_read,
    },
    Claim {
        name: "whole-head",
        sentence: "it reads a request to its end: half of one is not answered, the whole is",
        told: A,
        stages: &[Two, A, B, C, D, E, F, G, H],
        attempt: wire::whole_head,
    },
    Claim {
        name: "body",
        sentence: "it reads a body too: a client that sends 200 KB is answered, not reset",
        told: A,
        stages: &[Two, A, B, C, D, E, F, G, H],
        attempt: wire::body,
    },
    Claim {
        name: "no-judge",
        sentence: "it judges nothing: garbage gets the same answer",
        told: One,
        stages: &[One, A, B, C, D, E, F, G],
        attempt: wire::no_judge,
    },
    Claim {
        name: "judge",
        sentence: "it judges requests: garbage gets a 4xx, a missing Host a 400, HEAD no body",
        told: Two,
        stages: &[Two, H],
        attempt: wire::judge,
    },
    Claim {
        name: "in-turn",
        sentence: "one client at a time: a second is connected at once, and answered after the first",
        told: A,
        stages: &[One, Two, A],
        attempt: wire::in_turn,
    },
    Claim {
        name: "in-turn-sleeping",
        sentence: "one client at a time: while it sleeps, a second is connected, and not answered",
        told: B,
        stages: &[B],
        attempt: wire::in_turn_sleeping,
    },
    Claim {
        name: "at-once",
        sentence: "all clients at once: the last is answered first, while others are held",
        told: C,
        stages: FORKING,
        attempt: wire::at_once,
    },
    Claim {
        name: "no-child",
        sentence: "it does everything itself: it has no child",
        told: A,
        stages: &[One, Two, A, B],
        attempt: children::none,
    },
    Claim {
        name: "child",
        sentence: "it has a child for each connection",
        told: C,
        stages: FORKING,
        attempt: children::one_each,
    },
    Claim {
        name: "outlives",
        sentence: "it outlives the end of a child, which is reaped",
        told: F,
        stages: &[F, G, H],
        attempt: children::outlives_one,
    },
    Claim {
        name: "listener",
        sentence: "a child has not the listener open",
        told: C,
        stages: FORKING,
        attempt: children::without_listener,
    },
    Claim {
        name: "no-copy",
        sentence: "no connection is kept: after many clients it has the descriptors of before",
        told: D,
        stages: ALL_BUT_D,
        attempt: children::no_copy,
    },
    Claim {
        name: "copies",
        sentence: "every connection is kept: the children have ended, and the clients see no end",
        told: D,
        stages: &[D],
        attempt: children::copies,
    },
    Claim {
        name: "zombies",
        sentence: "every child that has ended stays a zombie",
        told: D,
        stages: &[C, D],
        attempt: children::zombies,
    },
    Claim {
        name: "emfile-dies",
        sentence: "when descriptors run out it dies, and all its clients see the end",
        told: D,
        stages: &[D],
        attempt: shortage::dies,
    },
    Claim {
        name: "eintr-dies",
        sentence: "it reaps a child that has ended, and dies: the signal interrupts accept",
        told: E,
        stages: &[E],
        attempt: children::dies_of_one,
    },
    Claim {
        name: "burst-zombies",
        sentence: "128 children that end together leave zombies: signals do not queue",
        told: F,
        stages: &[F],
        attempt: children::burst_leaves_zombies,
    },
    Claim {
        name: "burst-nothing",
        sentence: "128 children that end together, three times, leave no zombie and no descriptor",
        told: G,
        stages: &[G, H],
        attempt: children::burst_leaves_nothing,
    },
    Claim {
        name: "emfile-lives",
        sentence: "it outlives running out of descriptors: clients wait, and are answered then",
        told: G,
        stages: &[G, H],
        attempt: shortage::lives,
    },
    Claim {
        name: "misbehaviour",
        sentence: "clients that leave, reset or say nothing harm nobody else",
        told: A,
        stages: ALL_BUT_E,
        attempt: wire::misbehaviour,
    },
    Claim {
        name: "port",
        sentence: "its port is free again as soon as it has stopped",
        told: A,
        stages: &[One, Two, A],
        attempt: wire::port_is_free,
    },
];

const ALL_BUT_D: &[Stage] = &[One, Two, A, B, C, E, F, G, H];

impl Stage {
    /// What is claimed of it.
    pub fn claims(self) -> impl Iterator<Item = &'static Claim> {
        ALL.iter().filter(move |claim| claim.stages.contains(&self))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_differ_and_sentences_are_short() {
        let names: BTreeSet<_> = ALL.iter().map(|claim| claim.name).collect();
        assert_eq!(names.len(), ALL.len());
        for claim in ALL {
            assert!(claim.sentence.len() <= 85, "{}", claim.sentence);
            assert!(!claim.stages.is_empty());
        }
    }
}
