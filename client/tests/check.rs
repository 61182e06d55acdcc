//! `client check` tells the stages apart, knows servers of other languages for what they are, and leaves nothing running
//! whatever a server does.
//!
//! A test is skipped, and counted as ignored, where something that it needs is missing (`client::tools`).

use std::ffi::OsString;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use client::check::claim::Verdict;
use client::check::{self, Report, Stage, Subject};
use client::tools::trial;
use libtest_mimic::Arguments;

fn main() {
    let trials = vec![trial("matrix", &[], matrix)];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

// ---------------------------------------------------------------- our own stages

/// How long the stages that sleep do so here.
const SLEEP: Duration = Duration::from_secs(1);

/// The server of a stage, started by its own command.
fn webserver(stage: Stage) -> Subject {
    let (package, options) = match stage {
        Stage::One => ("part1", ""),
        Stage::Two => ("part2", "hello:app --quiet"),
        Stage::B | Stage::C | Stage::E => ("part3", "--sleep 1 --backlog 128"),
        Stage::A => ("part3", "--backlog 128"),
        Stage::H => ("part3", "hello:app --quiet"),
        _ => ("part3", ""),
    };
    let mut words: Vec<OsString> = vec![client::binary::built(package, &format!("webserver{stage}")).unwrap().into()];
    words.extend(options.split_whitespace().map(Into::into));
    words.extend(["--port", "{port}"].map(Into::into));
    Subject::started_by(words)
}

/// `subject` where `stage` is checked: if that sleeps, `subject` is said to sleep for [`SLEEP`].
fn slept(stage: Stage, subject: Subject) -> Subject {
    if stage.sleep().is_some() { subject.that_sleeps(SLEEP) } else { subject }
}

/// Checks `subject` against all claims of `stage`.
fn check(stage: Stage, subject: Subject) -> Report {
    check::report(stage, &slept(stage, subject)).unwrap_or_else(|failure| panic!("{stage}: {failure}"))
}

/// The claim of stage `checked` that must fail for the server of another stage.
fn gives_away(checked: Stage, server: Stage) -> &'static str {
    use Stage::{A, B, C, D, E, F, G, H, One, Two};
    match (checked, server) {
        (One, A) => "one-read",
        (Two | H, One | G) => "judge",
        (A, One) => "whole-head",
        (One | A, Two) | (G, H) => "no-judge",
        (Two, A) => "judge",
        (Two | A | B, C | D | E | F | G | H) => "no-child",
        (A, B) => "close",
        (B, A) => "sleep",
        (C | D | E | F | G | H, Two | A | B) => "child",
        (C, D) => "no-copy",
        (C, E | F | G | H) | (D, F | G | H) => "zombies",
        (D, C | E) => "copies",
        (E, C | D | F | G | H) => "eintr-dies",
        (F | G | H, C | D | E) => "outlives",
        (F, G | H) => "burst-zombies",
        (G | H, F) => "burst-nothing",
        _ => unreachable!("{checked} is not checked with {server}"),
    }
}

fn matrix() {
    use Stage::{A, B, C, D, E, F, G, H, One, Two};
    let story = [A, B, C, D, E, F, G, H];
    let mut pairs: Vec<_> = story.iter().flat_map(|&checked| story.map(|server| (checked, server))).collect();
    pairs.extend([
        (One, One),
        (One, Two),
        (One, A),
        (Two, One),
        (Two, Two),
        (Two, A),
        (Two, H),
        (A, One),
        (A, Two),
        (H, Two),
    ]);
    let servers = check::stage::ALL.map(webserver); // built before the threads are at it

    let found = in_parallel(&pairs, |&(checked, server)| {
        let subject = servers[server as usize].clone();
        if checked == server {
            let report = check(checked, subject);
            let holds = report.findings.iter().all(|finding| matches!(finding.verdict, Verdict::Holds(_)));
            return if holds { Ok("ok") } else { Err(report.to_string()) };
        }
        let name = gives_away(checked, server);
        match check::verdict(checked, name, &slept(checked, subject)).unwrap() {
            Verdict::Fails(_) => Ok(name),
            other => Err(format!("{name}: {other:?}")),
        }
    });
    let mut wrong = Vec::new();
    let mut table = format!("{:8}", "check");
    table.extend(check::stage::ALL.map(|server| format!("{server:15}")));
    for checked in check::stage::ALL {
        table += &format!("\n{checked:8}");
        for server in check::stage::ALL {
            let cell = match pairs.iter().position(|&pair| pair == (checked, server)).map(|at| &found[at]) {
                None => "",
                Some(Ok(cell)) => cell,
                Some(Err(why)) => {
                    wrong.push(format!("server {server}, check {checked}:\n{why}"));
                    "WRONG"
                }
            };
            table += &format!("{cell:15}");
        }
    }
    println!("\nWhich claim gives each server (column) away when it is checked as another stage (row):\n\n{table}\n");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Does `work` for each of `items`, several at once: most of the time is waiting.
fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    const WORKERS: usize = 24;
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some((at, item)) = Some(next.fetch_add(1, Relaxed)).and_then(|at| Some((at, items.get(at)?)))
                {
                    let result = work(item);
                    done.lock().unwrap().push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}
