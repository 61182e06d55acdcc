//! The book: every chapter's commands are run, and what they show is what the page shows.

use std::path::Path;

use client::tools::trial;
use docs::chapter::chapters;
use docs::run::{Pace, needs, run};
use libtest_mimic::{Arguments, Trial};

fn main() {
    let mut arguments = Arguments::from_args();
    // Chapters wait most of the time.
    arguments.test_threads.get_or_insert(8);
    let mut trials: Vec<Trial> = Vec::new();
    for chapter in chapters(&docs::root(), Path::new(docs::CHAPTERS)).unwrap_or_default() {
        let name = chapter.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match needs(&chapter) {
            Ok(needs) => trials.push(trial(name, &needs, move || {
                let report = run(&chapter, Pace::default()).unwrap_or_else(|fault| panic!("{fault}"));
                for block in report.not_run {
                    eprintln!("skipped: {block}");
                }
            })),
            Err(fault) => trials.push(Trial::test(name, move || Err(fault.to_string().into()))),
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}
