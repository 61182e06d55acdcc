//! The stage files tell the story: short, whole, and each step a short diff.

use std::fs;
use std::path::Path;

mod common;

use common::{STAGES, application};

fn source(stage: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/bin/{stage}.rs"));
    fs::read_to_string(path).unwrap()
}

#[test]
fn a_stage_file_has_30_to_80_lines() {
    for stage in STAGES {
        let lines = source(stage).lines().count();
        assert!((30..=80).contains(&lines), "{stage}.rs has {lines} lines");
    }
}

#[test]
fn a_stage_file_opens_with_its_lesson() {
    for stage in STAGES {
        let source = source(stage);
        let header: Vec<_> = source.lines().take_while(|line| line.starts_with("//!")).collect();
        assert!(header[0].starts_with(&format!("//! {stage}: ")), "{}", header[0]);
        let application: String = application(stage).iter().map(|name| format!(" -- {name}")).collect();
        let run = format!("//! Run: `cargo run -p part3 --bin {stage}{application}`");
        for part in [run.as_str(), "//! See: "] {
            assert!(header.iter().any(|line| line.starts_with(part)), "{stage}: no {part}");
        }
        assert!(header.iter().any(|line| line.starts_with("//! New: ") || line.starts_with("//! Wrong on purpose: ")));
        let wrong_on_purpose = header.iter().any(|line| line.starts_with("//! Wrong on purpose: "));
        assert_eq!(wrong_on_purpose, matches!(stage, "webserver3d" | "webserver3e" | "webserver3f"), "{stage}");
    }
}

#[test]
fn a_step_changes_fewer_than_30_lines() {
    for step in STAGES.windows(2) {
        let (before, after) = (source(step[0]), source(step[1]));
        let (before, after): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
        let changed = before.len() + after.len() - 2 * common_lines(&before, &after);
        assert!((1..30).contains(&changed), "{} to {} changes {changed} lines", step[0], step[1]);
    }
}

/// The length of the longest common subsequence: the lines that `diff` leaves alone.
fn common_lines(before: &[&str], after: &[&str]) -> usize {
    let mut longest = vec![0; after.len() + 1];
    for line in before {
        let mut diagonal = 0;
        for (index, other) in after.iter().enumerate() {
            let above = longest[index + 1];
            longest[index + 1] = if line == other { diagonal + 1 } else { above.max(longest[index]) };
            diagonal = above;
        }
    }
    longest[after.len()]
}

#[test]
fn the_measure_of_a_step_is_that_of_diff() {
    assert_eq!(common_lines(&["a", "b", "c"], &["a", "x", "c"]), 2);
    assert_eq!(common_lines(&["a", "b"], &["b", "a"]), 1);
    assert_eq!(common_lines(&[], &["a"]), 0);
}
