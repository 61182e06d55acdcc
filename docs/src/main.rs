//! docs: brings the book up to date with the code, and shows what its commands really show

use std::env;
use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use docs::chapter::{Chapter, Fault, chapters};
use docs::run::{self, Pace};
use docs::{check, quote};

const USAGE: &str = "\
Usage: cargo run -p docs -- update      bring the excerpts and diffs of the book up to date with the code
       cargo run -p docs -- show NAME   run the chapter whose file begins with NAME, and print what really comes
       cargo run -p docs -- test NAME   check it and run it, and say where the page differs";

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["update"] => update(),
        ["show", name] => each(name, |chapter| run::show(chapter, Pace::default(), &mut io::stdout().lock())),
        ["test", name] => each(name, test),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
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
    for fault in faults {
        eprintln!("{fault}");
    }
    run::run(chapter, Pace::default())
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
