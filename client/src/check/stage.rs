//! A stage: one of the servers that the story leads through, known by the end of its name, as in webserver3c.

use std::fmt::{self, Display};
use std::str::FromStr;
use std::time::Duration;

/// A stage of the story.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is told in TITLES")]
pub enum Stage {
    One,
    Two,
    A,
    B,
    C,
    D,
    E,
    F,
    G,
    H,
}

/// Every stage, in the order of the story.
pub const ALL: [Stage; 10] =
    [Stage::One, Stage::Two, Stage::A, Stage::B, Stage::C, Stage::D, Stage::E, Stage::F, Stage::G, Stage::H];

/// The name of each, what it is, and where it is explained: the one place that knows how chapters are called.
const TITLES: [(&str, &str, &str); 10] = [
    ("1", "a web server in one file, which reads once", "docs/chapters/02-answer-one-client.md"),
    ("2", "one interface: judges requests, one client at a time", "docs/chapters/04-call-an-application.md"),
    ("3a", "iterative: one client after the other", "docs/chapters/06-serve-one-after-the-other.md"),
    ("3b", "iterative, and sleeps after each answer", "docs/chapters/07-watch-one-wait.md"),
    ("3c", "a child for each connection", "docs/chapters/08-fork-a-child.md"),
    ("3d", "wrong on purpose: keeps its copies open", "docs/chapters/09-keep-copies-open.md"),
    ("3e", "wrong on purpose: an interrupted call ends it", "docs/chapters/10-wait-in-a-handler.md"),
    ("3f", "wrong on purpose: misses children that end together", "docs/chapters/11-call-accept-again.md"),
    ("3g", "leaves nothing behind, and outlives running out", "docs/chapters/12-reap-every-child.md"),
    ("3h", "the server of 2 with the loop of 3g", "docs/chapters/13-fork-for-any-application.md"),
];

impl Stage {
    /// Its name, such as `3c`.
    pub fn name(self) -> &'static str {
        TITLES[self as usize].0
    }

    /// What it is, in a few words.
    pub fn title(self) -> &'static str {
        TITLES[self as usize].1
    }

    /// The chapter that explains it.
    pub fn chapter(self) -> &'static str {
        TITLES[self as usize].2
    }

    /// The stage that follows it.
    pub fn next(self) -> Option<Stage> {
        ALL.get(self as usize + 1).copied()
    }

    /// How long it sleeps after its answer, before it closes the connection, unless it is told otherwise. `None` for a
    /// stage that does not sleep.
    pub fn sleep(self) -> Option<Duration> {
        match self {
            Stage::B | Stage::C => Some(Duration::from_secs(60)),
            Stage::E => Some(Duration::from_secs(3)),
            _ => None,
        }
    }

    /// Whether it has a child for each connection.
    pub fn forks(self) -> bool {
        self >= Stage::C
    }
}

impl Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Stage {
    type Err = String;

    /// Reads `3c`, and `webserver3c` too.
    fn from_str(text: &str) -> Result<Stage, String> {
        let name = text.strip_prefix("webserver").unwrap_or(text);
        ALL.into_iter().find(|stage| stage.name() == name).ok_or_else(|| {
            let names: Vec<_> = ALL.iter().map(|stage| stage.name()).collect();
            format!("there is no such stage; there are {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_read_by_either_name() {
        for stage in ALL {
            assert_eq!(stage.name().parse(), Ok(stage));
            assert_eq!(format!("webserver{stage}").parse(), Ok(stage));
        }
        assert!("3i".parse::<Stage>().unwrap_err().contains("3g, 3h"));
        assert!("".parse::<Stage>().is_err());
    }

    #[test]
    fn the_stages_follow_each_other() {
        assert_eq!(Stage::Two.next(), Some(Stage::A));
        assert_eq!(Stage::H.next(), None);
    }
}
