//! The exercises of the book: lists them, and runs one.
//!
//! Each is a server that is nearly a stage. The reader opens its start, edits it in place, and runs it here until it
//! passes the check of that stage.

mod files;

use std::ffi::OsString;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;
use std::{env, fs};

pub use self::files::{Exercise, Header};
use crate::binary::build_for_reader;
use crate::check::{self, Stage, Subject};
use crate::options::number;
use crate::output::style::{GOOD, HEADING};
use crate::output::{Failure, indented, print, report, width};

/// Which exercise.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The exercise to build and check: 1, 2, or 3a to 3h; without it they are listed
    #[arg(value_name = "STAGE")]
    stage: Option<Stage>,

    /// Show a hint: the first, or the one with this number
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "1", value_parser = number(1_usize, 9))]
    #[arg(requires = "stage", conflicts_with = "answer")]
    hint: Option<usize>,

    /// Check the answer instead, and say where it is
    #[arg(long, requires = "stage")]
    answer: bool,
}

/// How long a server sleeps that is to sleep: longer than it takes to see it, and no longer.
const SLEEP: Duration = Duration::from_millis(500);

/// Lists the exercises, or runs one. Returns whether nothing failed.
///
/// # Errors
/// The exercises are not there, or the server can't be checked.
pub fn run(options: &Options) -> Result<bool, Failure> {
    let Some(stage) = options.stage else {
        print(&list(&Exercise::all()?)?)?;
        return Ok(true);
    };
    let exercise = Exercise::of(stage)?;
    match options.hint {
        Some(number) => show_hint(&exercise, number),
        None if options.answer => check_answer(&exercise),
        None => check_start(&exercise),
    }
}

/// The server that an exercise's start or answer is, once it is built as `program`, as the check takes it.
pub fn subject(stage: Stage, program: &Path) -> Subject {
    let mut command = vec![program.as_os_str().to_owned()];
    let mut add = |words: &[&str]| command.extend(words.iter().map(OsString::from));
    if stage == Stage::H {
        add(&["hello:app"]);
    }
    add(&["--port", "{port}"]);
    if stage.sleep().is_none() {
        return Subject::started_by(command);
    }
    add(&["--sleep", &SLEEP.as_secs_f64().to_string()]);
    Subject::started_by(command).that_sleeps(SLEEP)
}

/// All exercises: what they are about, which have passed, and how to go on.
fn list(exercises: &[Exercise]) -> Result<String, Failure> {
    let mut text = format!("{HEADING}{:<12}{:<31}open this file{HEADING:#}\n", "exercise", "what it is about");
    for exercise in exercises {
        let passed = if exercise.has_passed() { "passed" } else { "" };
        let title = exercise.explanation()?.title; // the reader may have thrown away the header of the start
        let _ = writeln!(
            text,
            "{:<4}{GOOD}{passed:<8}{GOOD:#}{title:<31}{}",
            exercise.stage.to_string(),
            shown(&exercise.start())
        );
    }
    let passed = exercises.iter().filter(|exercise| exercise.has_passed()).count();
    let _ = write!(text, "\n{passed} of {} have passed.", exercises.len());
    if let Some(next) = exercises.iter().find(|exercise| !exercise.has_passed()) {
        let (stage, file) = (next.stage, shown(&next.start()));
        let _ = write!(text, " Edit {file} and run\n  {}\nuntil it passes; --hint shows a hint.", command(stage, ""));
    }
    text.push('\n');
    Ok(text)
}

/// Builds what the reader has made of the start, and checks it.
fn check_start(exercise: &Exercise) -> Result<bool, Failure> {
    let (stage, explanation) = (exercise.stage, exercise.explanation()?);
    print(&introduction(exercise, &explanation.title, &exercise.task()?))?;
    let source = fs::read(exercise.start()).unwrap_or_default();
    let Some(program) = build_for_reader("docs", &format!("exercise-{stage}")).map_err(Failure::Cargo)? else {
        report(format_args!("{} does not compile; cargo has said why", shown(&exercise.start())));
        return Ok(false);
    };
    if !check::show(stage, &subject(stage, &program))?.holds() {
        print(&format!("\nFor a hint: {}\n", command(stage, " --hint")))?;
        return Ok(false);
    }
    // Edited while it was checked, it is not what passed; the list compares the two.
    exercise.remember(&source).unwrap_or_else(|error| report(format_args!("it is not kept that this passed: {error}")));
    print(&congratulation(exercise, &explanation, exercise.next().as_ref()))?;
    Ok(true)
}

/// What is said when an exercise is solved: why its answer is one, what to compare with, and how to go on.
fn congratulation(exercise: &Exercise, explanation: &Header, next: Option<&Exercise>) -> String {
    let stage = exercise.stage;
    let mut text = format!("{GOOD}Exercise {stage} is solved.{GOOD:#}\n");
    if let Some(why) = explanation.paragraph("Why") {
        let _ = writeln!(text, "{}", paragraph_of(&format!("Why: {why}"), 0));
    }
    let _ = write!(text, "\nTo compare: diff {} {}\n", shown(&exercise.start()), shown(&exercise.answer()));
    match next {
        Some(next) => text + &format!("The next:   {}\n", command(next.stage, "")),
        None => text + "That was the last of them: you have built a web server.\n",
    }
}

/// Builds the answer and checks it.
fn check_answer(exercise: &Exercise) -> Result<bool, Failure> {
    let stage = exercise.stage;
    print(&format!("The answer to exercise {stage} is {}\n\n", shown(&exercise.answer())))?;
    let Some(program) = build_for_reader("docs", &format!("answer-{stage}")).map_err(Failure::Cargo)? else {
        report(format_args!("{} does not compile; cargo has said why", shown(&exercise.answer())));
        return Ok(false);
    };
    Ok(check::show(stage, &subject(stage, &program))?.holds())
}

fn show_hint(exercise: &Exercise, number: usize) -> Result<bool, Failure> {
    let (stage, explanation) = (exercise.stage, exercise.explanation()?);
    let hints = explanation.hints();
    let Some(hint) = number.checked_sub(1).and_then(|index| hints.get(index)) else {
        report(format_args!("exercise {stage} has {} hints; its answer is {}", hints.len(), shown(&exercise.answer())));
        return Ok(false);
    };
    let hint = paragraph_of(&format!("Hint {number} of {}: {hint}", hints.len()), 0);
    let next = if number < hints.len() { format!(" --hint {}", number + 1) } else { " --answer".to_owned() };
    print(&format!("{hint}\n\nFor more: {}\n", command(stage, &next)))?;
    Ok(true)
}

/// What an exercise is about, as far as the header of its start still says it.
fn introduction(exercise: &Exercise, title: &str, task: &Header) -> String {
    let mut text = format!("{HEADING}Exercise {}: {title}{HEADING:#}\n\n", exercise.stage);
    for word in ["Task", "Try"] {
        if let Some(paragraph) = task.paragraph(word) {
            let _ = writeln!(text, "{}\n", paragraph_of(&format!("{word}: {paragraph}"), 2));
        }
    }
    let _ = writeln!(text, "  File: {}\n", shown(&exercise.start()));
    text
}

/// `text` in lines that fit the terminal, and what stands between backticks, such as a command, in one of them.
fn paragraph_of(text: &str, indent: usize) -> String {
    const KEPT: &str = "\u{a0}"; // a no-break space
    let pieces = text.split('`').enumerate();
    let pieces = pieces.map(|(index, piece)| if index % 2 == 1 { piece.replace(' ', KEPT) } else { piece.to_owned() });
    indented(&pieces.collect::<Vec<_>>().join("`"), width(), indent).replace(KEPT, " ")
}

/// The command that runs an exercise.
fn command(stage: Stage, option: &str) -> String {
    format!("cargo run -p client -- exercise {stage}{option}")
}

/// A path as the reader would type it here.
fn shown(path: &Path) -> String {
    let here = env::current_dir().ok();
    let relative = here.as_deref().and_then(|here| path.strip_prefix(here).ok());
    relative.unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_solved_one_is_told_why_and_how_to_go_on() {
        let all = Exercise::all().unwrap();
        let told = |index: usize| {
            let text = congratulation(&all[index], &all[index].explanation().unwrap(), all.get(index + 1));
            anstream::adapter::strip_str(&text).to_string()
        };
        let first = told(0);
        assert!(first.starts_with("Exercise 1 is solved.\nWhy: ") && first.contains("\nTo compare: diff "), "{first}");
        assert!(first.ends_with("The next:   cargo run -p client -- exercise 2\n"), "{first}");
        assert!(told(all.len() - 1).ends_with("you have built a web server.\n"));
    }

    #[test]
    fn a_command_stays_in_one_line() {
        let text = format!("{} `cargo run -p client` {}", "x ".repeat(35).trim_end(), "y ".repeat(9).trim_end());
        let lines = paragraph_of(&text, 2);
        assert!(lines.lines().count() == 2 && lines.lines().any(|line| line.starts_with("  `cargo run -p client` y")));
    }
}
