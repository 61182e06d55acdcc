//! Every exercise starts with what its header says, and has an answer: the start fails the claim that is named there,
//! and the answer passes the check of its stage.

use std::collections::BTreeSet;
use std::fs;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::thread;

use client::binary::{built, built_examples};
use client::check::{self, stage};
use client::exercise::{Exercise, subject};

fn exercises() -> Vec<Exercise> {
    Exercise::all().unwrap()
}

/// Does `work` for every exercise, for a few of them at once: most of it is waiting. Panics with all that is wrong.
fn for_each(work: impl Fn(&Exercise) -> Result<(), String> + Sync) {
    let exercises = exercises();
    let queue = Mutex::new(exercises.iter());
    let next = || queue.lock().unwrap().next();
    let wrong: Vec<_> = thread::scope(|scope| {
        let worker = || std::iter::from_fn(next).filter_map(|exercise| work(exercise).err()).collect::<Vec<_>>();
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// How many servers are checked at once by a test.
const AT_ONCE: usize = 5;

/// An example of this package.
fn example(name: &str) -> PathBuf {
    built_examples("docs").unwrap().join(name)
}

/// What to do about a start that the reader has changed.
fn it_may_be_yours(exercise: &Exercise) -> String {
    let start = exercise.start().display().to_string();
    format!("If that is your own work, all is well: `git stash` puts it aside, `git checkout {start}` throws it away.")
}

#[test]
fn every_stage_has_an_exercise_with_both_files_in_the_order_of_the_story() {
    let exercises = exercises();
    let stages: Vec<_> = exercises.iter().map(|exercise| exercise.stage).collect();
    assert_eq!(stages, stage::ALL);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("exercises");
    assert_eq!(fs::read_dir(folder).unwrap().count(), exercises.len(), "a folder whose name begins with no stage");
    for exercise in &exercises {
        let stage = exercise.stage;
        for (kind, path) in [("exercise", exercise.start()), ("answer", exercise.answer())] {
            let source = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(source.starts_with(&format!("//! {kind}-{stage}: ")), "{}", path.display());
        }
    }
}

#[test]
fn every_header_says_what_to_do_and_every_answer_has_hints() {
    for exercise in exercises() {
        let (stage, task, explanation) = (exercise.stage, exercise.task().unwrap(), exercise.explanation().unwrap());
        assert_eq!(task.title, explanation.title, "{stage}");
        assert!(task.title.len() <= 30, "{stage}: the list has no room for {}", task.title);
        for word in ["Task", "Now", "Try"] {
            assert!(task.paragraph(word).is_some(), "{stage}: no {word}. {}", it_may_be_yours(&exercise));
        }
        let source = fs::read_to_string(exercise.start()).unwrap();
        assert!(source.contains("// ---- Work here"), "{stage}: where is the place to work at?");
        assert!(task.paragraph("Try").unwrap().contains(&format!("--example exercise-{stage}")), "{stage}");
        assert!(explanation.paragraph("Why").is_some() && explanation.hints().len() >= 2, "{stage}");
        let hints: BTreeSet<_> = explanation.hints().into_iter().collect();
        assert_eq!(hints.len(), explanation.hints().len(), "{stage}");
    }
}

#[test]
fn every_start_fails_the_claim_that_its_header_names() {
    for_each(|exercise| {
        let stage = exercise.stage;
        let now = exercise.task().unwrap().paragraph("Now").unwrap_or("no word of it").to_owned();
        let report = check::report(stage, &subject(stage, &example(&format!("exercise-{stage}")))).unwrap();
        let failed: Vec<_> = report.failed().map(|(claim, _)| claim.sentence).collect();
        match failed[..] {
            [] => Err(format!("exercise {stage} passes its check. {}", it_may_be_yours(exercise))),
            // What else fails follows of it, and the header says that it does.
            [first, ref more @ ..] if now.starts_with(&format!("{first:?} fails")) => {
                let wanted = if more.is_empty() { " fails." } else { " fails, and more." };
                if now.ends_with(wanted) { Ok(()) } else { Err(format!("{stage}: {now}\n{report}")) }
            }
            _ => Err(format!("{stage}: {now}\n{}\n{report}", it_may_be_yours(exercise))),
        }
    });
}

#[test]
fn every_answer_passes_the_check_of_its_stage() {
    for_each(|exercise| {
        let stage = exercise.stage;
        let program = example(&format!("answer-{stage}"));
        let assertion = || check::assert_is(stage.name(), &subject(stage, &program));
        // Its message has been printed by then.
        panic::catch_unwind(assertion).map_err(|_| format!("answer {stage} does not pass"))
    });
}

/// Runs `client exercise` in the folder of the workspace, as the README has it done.
fn client(arguments: &[&str]) -> Output {
    let mut client = Command::new(built("client", "client").unwrap());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    client.current_dir(root).arg("exercise").args(arguments).output().unwrap()
}

fn printed(output: &Output) -> &str {
    str::from_utf8(&output.stdout).unwrap()
}

#[test]
fn the_list_names_every_exercise_and_its_file_within_80_columns() {
    let output = client(&[]);
    assert_eq!(output.status.code(), Some(0));
    let printed = printed(&output);
    for exercise in exercises() {
        let file = exercise.start();
        let file = file.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()).unwrap();
        let line = printed.lines().find(|line| line.ends_with(&format!(" {}", file.display()))).unwrap();
        assert!(line.starts_with(&format!("{} ", exercise.stage)), "{line}");
        assert!(line.contains(&exercise.task().unwrap().title), "{line}");
    }
    assert!(printed.lines().all(|line| line.chars().count() <= 80), "{printed}");
    assert!(printed.contains(" of 10 have passed."), "{printed}");
}

#[test]
fn a_start_is_built_and_fails_with_its_task_and_the_way_to_a_hint() {
    let output = client(&["1"]);
    let printed = printed(&output);
    assert_eq!(output.status.code(), Some(1), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    for part in ["Exercise 1: webserver1 in your own way\n", "Task: ", "FAIL    a client is answered", "1 --hint\n"] {
        assert!(printed.contains(part), "{part} is missing in {printed}");
    }
    assert!(!printed.contains("is solved"), "{printed}");
}

#[test]
fn an_answer_passes_and_is_shown() {
    let output = client(&["webserver3d", "--answer"]);
    let printed = printed(&output);
    assert_eq!(output.status.code(), Some(0), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("docs/exercises/3d-keep/answer.rs\n"), "{printed}");
    assert!(printed.contains("claims of 3d hold."), "{printed}");
}

#[test]
fn hints_are_shown_one_by_one() {
    for (arguments, hint, next) in [
        (&["3d", "--hint"][..], "Hint 1 of 3: ", "exercise 3d --hint 2\n"),
        (&["3d", "--hint", "2"], "Hint 2 of 3: ", "exercise 3d --hint 3\n"),
        (&["3d", "--hint=3"], "Hint 3 of 3: ", "exercise 3d --answer\n"),
    ] {
        let output = client(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        let printed = printed(&output);
        assert!(printed.starts_with(hint) && printed.ends_with(next), "{printed}");
    }
    let output = client(&["3d", "--hint", "4"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("has 3 hints") && said.contains("3d-keep/answer.rs"), "{said}");
}

#[test]
fn wrong_usage_is_told_in_one_line() {
    for arguments in [&["3i"][..], &["--hint"], &["--answer"], &["3d", "--hint", "0"], &["3d", "--hint", "--answer"]] {
        let output = client(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{arguments:?}: {said}");
    }
}
