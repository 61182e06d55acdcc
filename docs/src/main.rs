//! docs: brings the book up to date with the code, and shows what its commands really show

use std::env;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use docs::chapter::{Chapter, chapters};
use docs::run::{self, Pace};

const USAGE: &str = "\
Usage: cargo run -p docs -- show NAME   run the chapter whose file begins with NAME, and print what really comes
       cargo run -p docs -- test NAME   run it, and say where the page differs";

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["show", name] => each(name, |chapter| run::show(chapter, Pace::default(), &mut io::stdout().lock())),
        ["test", name] => each(name, |chapter| run::run(chapter, Pace::default())),
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

/// Does something with every chapter whose file's name begins with `name`.
fn each(name: &str, mut what: impl FnMut(&Chapter) -> Result<run::Report, docs::chapter::Fault>) -> Result<(), String> {
    let chapters = chapters(&docs::root(), Path::new(docs::CHAPTERS)).map_err(|error| error.to_string())?;
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
