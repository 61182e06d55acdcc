//! Tells whether a server, in any language, is the stage that it is meant to be.
//!
//! - [`stage`]: the stages of the story
//! - [`claim`]: what is claimed of them, and in which order that is tried
//! - [`candidate`]: the server that is looked at: started afresh where a claim has spoiled it, or found
//! - [`family`]: all the processes that come of a command, so that none is left behind
//! - [`mod@report`]: what was found, for people
//!
//! The tests of the stages hold them to the same claims: see [`assert_is`].

pub mod candidate;
mod children;
pub mod claim;
pub mod family;
pub mod report;
mod shortage;
pub mod stage;
mod wire;

use std::ffi::OsString;
use std::io::{IsTerminal, stdout};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use self::candidate::Candidate;
pub use self::candidate::Subject;
use self::claim::{Claim, Verdict};
use self::report::Finding;
pub use self::report::Report;
pub use self::stage::Stage;
use crate::options::{number, time_limit, wrong_usage};
use crate::output::{Failure, print, width};
use crate::target::Permission;

const EXAMPLES: &str = "\
Examples:

  cargo run -p client -- check 3c
      is the server on port 8888 a 3c?
  cargo run -p client -- check 3c -- python3 myserver.py
      start it here: then limits can be set, and its end can be seen
  cargo run -p client -- check 3b --sleep 2 -- target/debug/webserver3b --port {port} --sleep 2
      {port} stands for a free port, and --sleep saves most of a minute
  cargo run -p client -- check --list 3c
      what is claimed of a 3c

Exit code: 0 when no claim failed, 1 when one did, 2 for wrong usage.";

/// What to check.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The stage that the server is meant to be: 1, 2, or 3a to 3h
    #[arg(value_name = "STAGE")]
    stage: Option<Stage>,

    /// List the stages and what is claimed of each
    #[arg(long, conflicts_with_all = ["port", "host", "sleep", "start_within", "command"])]
    list: bool,

    /// Try this claim only, by the name that --list shows
    #[arg(long, value_name = "NAME", value_parser = claim_named, conflicts_with = "list")]
    claim: Option<&'static Claim>,

    /// Port of the server [default: 8888, or the one on which COMMAND listens]
    #[arg(long, value_name = "PORT", value_parser = number(1_u16, u16::MAX), allow_negative_numbers = true)]
    port: Option<u16>,

    /// Name or address of a server that runs already
    #[arg(long, value_name = "HOST", conflicts_with = "command")]
    host: Option<String>,

    #[command(flatten)]
    permission: Permission,

    /// How long the server sleeps after an answer, if that is not the stage's own time
    #[arg(long, value_name = "SECONDS", value_parser = time_limit, allow_negative_numbers = true)]
    sleep: Option<Duration>,

    /// How long COMMAND may take until it listens; it may have to be built
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = time_limit, allow_negative_numbers = true)]
    start_within: Duration,

    /// The command that starts the server; it is run as it stands, without a shell
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Checks a server, or lists the claims. Returns whether no claim failed.
///
/// It has signals end the server too, so the calling program must not have started a thread yet.
///
/// # Errors
/// The server does not start, or nobody listens; or standard output fails.
pub fn run(options: &Options) -> Result<bool, Failure> {
    let Options { host, port, sleep, start_within: patience, command, permission, .. } = options.clone();
    match options.stage {
        Some(stage) if !options.list => {
            let claims = claims_of(stage, options.claim).unwrap_or_else(|why| wrong_usage(why));
            Ok(show_claims(stage, &claims, &Subject { command, host, port, sleep, patience, permission })?.holds())
        }
        None if !options.list => wrong_usage("which stage is it to be? 1, 2, or 3a to 3h; --list tells them"),
        only => {
            print(&report::list(only, width()))?;
            Ok(true)
        }
    }
}

/// Checks `subject` and prints each finding as soon as it is there, and what to do next. On a terminal, what is being
/// tried is shown meanwhile.
///
/// What asks this process to end, such as Ctrl-C, ends the server too from then on, so the calling program must not
/// have started a thread.
///
/// # Errors
/// Those of [`run`].
pub fn show(stage: Stage, subject: &Subject) -> Result<Report, Failure> {
    show_claims(stage, &stage.claims().collect::<Vec<_>>(), subject)
}

fn show_claims(stage: Stage, claims: &[&'static Claim], subject: &Subject) -> Result<Report, Failure> {
    family::end_with_this_process()?;
    let line = if stdout().is_terminal() {
        let style = ProgressStyle::with_template("{spinner} {wide_msg}").expect("a template that is right");
        let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style);
        line.enable_steady_tick(Duration::from_millis(100));
        line
    } else {
        ProgressBar::hidden()
    };
    let mut decided = |finding: &Finding| line.suspend(|| print(&finding.lines(width())));
    let found = check(stage, claims, subject, &mut |text| line.set_message(text), &mut decided);
    line.finish_and_clear();
    let report = found?;
    print(&report.conclusion(width()))?;
    Ok(report)
}

/// Checks `subject` and prints nothing.
///
/// # Errors
/// The server does not start, or nobody listens.
pub fn report(stage: Stage, subject: &Subject) -> Result<Report, Failure> {
    check(stage, &stage.claims().collect::<Vec<_>>(), subject, &mut |_| {}, &mut |_| Ok(()))
}

/// Tries one claim of `stage` on `subject`, by its name, and prints nothing.
///
/// # Errors
/// The server does not start, or nobody listens.
///
/// # Panics
/// The stage has no such claim.
pub fn verdict(stage: Stage, name: &str, subject: &Subject) -> Result<Verdict, Failure> {
    let claim = stage.claims().find(|claim| claim.name == name);
    let claim = claim.unwrap_or_else(|| panic!("{stage} has no claim {name}"));
    let report = check(stage, &[claim], subject, &mut |_| {}, &mut |_| Ok(()))?;
    Ok(report.findings[0].verdict.clone())
}

/// For tests: asserts that every claim of `stage` holds for `subject`. On Linux none may be skipped either.
///
/// # Panics
/// One does not, and the message is the whole report; or the server does not start.
pub fn assert_is(stage: &str, subject: &Subject) {
    let stage = stage.parse().unwrap_or_else(|error| panic!("{error}"));
    let report = report(stage, subject).unwrap_or_else(|failure| panic!("{:?}: {failure}", subject.command));
    let is_proven = |finding: &Finding| match finding.verdict {
        Verdict::Holds(_) => true,
        Verdict::Skipped(_) => !cfg!(target_os = "linux"),
        _ => false,
    };
    let is_whole = report.untried.is_none();
    assert!(is_whole && report.findings.iter().all(is_proven), "{:?} is no {stage}:\n{report}", subject.command);
}

/// The claim of this name.
fn claim_named(name: &str) -> Result<&'static Claim, String> {
    let named = claim::ALL.iter().find(|claim| claim.name == name);
    named.ok_or_else(|| "there is no such claim; client check --list shows their names".to_owned())
}

/// The claims to try: all of the stage's, or `only` one of them.
fn claims_of(stage: Stage, only: Option<&'static Claim>) -> Result<Vec<&'static Claim>, String> {
    match only {
        Some(claim) if !claim.stages.contains(&stage) => {
            let stages: Vec<_> = claim.stages.iter().map(|stage| stage.name()).collect();
            Err(format!("{} is not claimed of {stage}, but of {}", claim.name, stages.join(", ")))
        }
        Some(claim) => Ok(vec![claim]),
        None => Ok(stage.claims().collect()),
    }
}

/// Tries claims of `stage` one by one. `tell` is told what is going on, `decided` what was found.
fn check(
    stage: Stage,
    claims: &[&'static Claim],
    subject: &Subject,
    tell: &mut dyn FnMut(String),
    decided: &mut dyn FnMut(&Finding) -> Result<(), Failure>,
) -> Result<Report, Failure> {
    let mut findings = Vec::new();
    tell("starting the server".to_owned());
    let mut candidate = Candidate::new(stage, subject, tell);
    let mut hopeless = None;
    for (at, &claim) in claims.iter().enumerate() {
        let verdict = attempt(&mut candidate, claim, &mut hopeless);
        family::go_on_unless_ending();
        let finding = Finding { claim, verdict: verdict? };
        decided(&finding)?;
        findings.push(finding);
        if let Some(why) = hopeless {
            let untried = claims.len() - at - 1;
            return Ok(Report { stage, findings, untried: (untried > 0).then_some((untried, why)) });
        }
    }
    Ok(Report { stage, findings, untried: None })
}

/// How long a server that has begun to die may take to be dead.
const MOMENT: Duration = Duration::from_millis(100);

/// Tries a claim. Sets `hopeless` when nothing else need be tried.
///
/// # Errors
/// The server has never run.
fn attempt(candidate: &mut Candidate, claim: &Claim, hopeless: &mut Option<&'static str>) -> Result<Verdict, Failure> {
    // Where a later claim is that the server outlives its clients, it is that one which tells of its death.
    let mut later = candidate.stage.claims().skip_while(|other| other.name != claim.name).skip(1);
    let may_end = candidate.stage == Stage::E || later.any(|other| other.name == "outlives");
    // Such a server may be about to die of the claim before this one, and may not look so yet.
    let mut tries = if may_end && candidate.may_be_spoiled().is_ok() { 2 } else { 1 };
    let verdict = loop {
        match candidate.prepare() {
            // That is what this stage is known for.
            Err(failure @ Failure::HasEnded { .. }) if candidate.stage == Stage::E => {
                *hopeless = Some("the server has ended");
                return Ok(candidate::skipped(failure.to_string()));
            }
            Err(failure) if candidate.has_run() => {
                *hopeless = Some("the server has ended, and does not run again");
                return Ok(candidate::fails(failure.to_string()));
            }
            outcome => outcome?,
        }
        candidate.tell(claim.sentence);
        let verdict = (claim.attempt)(candidate).map_or_else(|verdict| verdict, Verdict::Holds);
        tries -= 1;
        let is_lost = matches!(verdict, Verdict::Fails(_)) && candidate.wait_for_end(MOMENT).is_some();
        if tries == 0 || !is_lost {
            break verdict;
        }
    };
    if claim.name == "answer" && !matches!(verdict, Verdict::Holds(_)) {
        *hopeless = Some("nothing else can be told of a server that does not answer");
    }
    // A claim that ends the server on purpose has told so, and left none.
    Ok(match verdict {
        Verdict::Holds(seen) if !may_end => match candidate.last_words() {
            Some(how) => candidate::fails(format!("{seen}; and then the server ended: {how}")),
            None => Verdict::Holds(seen),
        },
        // What it did may be that it began to die.
        Verdict::Fails(why) => match candidate.wait_for_end(MOMENT) {
            Some(how) if !why.contains(&how) => candidate::fails(format!("{why}. The server has ended: {how}")),
            _ => Verdict::Fails(why),
        },
        verdict => verdict,
    })
}
