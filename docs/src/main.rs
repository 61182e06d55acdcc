//! docs: brings the book up to date with the code, and shows what its commands really show

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use docs::chapter::{Chapter, Fault, chapters};
use docs::run::{self, Pace};
use docs::{check, quote};

/// Brings the book up to date with the code, and shows what its commands really show
#[derive(Parser)]
#[command(name = "docs", version, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Brings the excerpts and diffs of the book up to date with the code
    Update,
    /// Runs a chapter, and prints what really comes
    Show {
        /// How the name of the chapter's file begins, such as 08
        name: String,
    },
    /// Checks a chapter and runs it, and says where the page differs
    Test {
        /// How the name of the chapter's file begins, such as 08
        name: String,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Update => update(),
        Verb::Show { name } => each(&name, |chapter| run::show(chapter, Pace::default(), &mut io::stdout().lock())),
        Verb::Test { name } => each(&name, test),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("docs: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// All that the tests hold against a chapter.
fn test(chapter: &Chapter) -> Result<run::Report, Fault> {
    let all = all().map_err(|what| chapter.fault(1, what))?;
    let mut faults = quote::faults(&docs::root(), chapter);
    faults.extend(check::links_that_lead_nowhere(&docs::root(), &all).into_iter().filter(|f| f.file == chapter.file));
    faults.extend(check::commands_that_cannot_be_run(chapter));
    for fault in &faults {
        eprintln!("{fault}");
    }
    let report = run::run(chapter, Pace::default())?;
    match faults.len() {
        0 => Ok(report),
        count => Err(chapter.fault(1, format!("what is run is as shown, but see above for what is wrong: {count}"))),
    }
}

/// Brings excerpts and diffs up to date.
fn update() -> Result<(), String> {
    let mut problems = Vec::new();
    for chapter in all()? {
        match quote::updated(&docs::root(), &chapter) {
            Ok(text) if text == chapter.text => {}
            Ok(text) => {
                fs::write(docs::root().join(&chapter.file), text).map_err(|error| error.to_string())?;
                println!("{} is up to date now", chapter.file.display());
            }
            Err(faults) => problems.extend(faults.iter().map(Fault::to_string)),
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

fn all() -> Result<Vec<Chapter>, String> {
    chapters(&docs::root(), Path::new(docs::CHAPTERS)).map_err(|error| error.to_string())
}

/// Does something with every chapter whose file's name begins with `name`.
fn each(name: &str, mut what: impl FnMut(&Chapter) -> Result<run::Report, docs::chapter::Fault>) -> Result<(), String> {
    let chapters = all()?;
    let is_meant =
        |chapter: &&Chapter| chapter.file.file_name().is_some_and(|file| file.to_string_lossy().starts_with(name));
    let mut meant = chapters.iter().filter(is_meant).peekable();
    if meant.peek().is_none() {
        return Err(format!("no chapter in {} has a name that begins with {name}", docs::CHAPTERS));
    }
    for chapter in meant {
        let report = what(chapter).map_err(|fault| fault.to_string())?;
        println!("\n{}: {} blocks were run", chapter.file.display(), report.run);
        for block in report.not_run {
            println!("{block}");
        }
    }
    Ok(())
}
