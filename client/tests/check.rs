//! `client check` tells the stages apart, knows servers of other languages for what they are, and leaves nothing
//! running whatever a server does.
//!
//! A test is skipped, and counted as ignored, where something that it needs is missing (`client::tools`).

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use client::check::claim::Verdict;
use client::check::{self, Report, Stage, Subject};
use client::probe::Probe;
use client::server::{PATIENCE, Server, pid, start_afresh};
use client::signals::ENDING;
use client::tools::Need::Program;
use client::tools::{python, trial};
use client::wait;
use libtest_mimic::Arguments;
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{SigHandler, Signal, kill};

fn main() {
    let (python, nc) = (Program("python3"), Program("nc"));
    let trials = vec![
        trial("matrix", &[], matrix),
        trial("every_other_claim_fails_where_it_should", &[], other_claims),
        trial("servers_in_python_are_known_for_what_they_are", &[python], servers_in_python),
        trial("what_is_wrong_with_a_server_in_python_is_found", &[python], flaws_in_python),
        trial("python_hides_the_lesson_of_3e", &[python], python_hides_a_lesson),
        trial("a_server_with_threads_has_no_children", &[], a_server_with_threads),
        trial("a_server_by_nc_serves_one_client_at_a_time_at_best", &[nc], a_server_by_nc),
        trial("a_port_that_has_to_rest_is_found_out", &[], a_port_that_has_to_rest),
        trial("a_server_that_does_not_start_says_why", &[], a_server_that_does_not_start),
        trial("no_server_makes_a_check_hang_or_is_left_behind", &[], hostile_servers),
        trial("a_death_is_told_with_its_last_words", &[], a_death_is_told),
        trial("whatever_ends_a_check_ends_the_server", &[], signals_end_the_server),
        trial("a_check_that_is_ended_blames_nobody", &[], an_end_by_a_signal),
        trial("a_signal_that_is_ignored_ends_no_check", &[], ignored_signals),
        trial("a_stop_makes_no_claim_fail", &[], stops),
        trial("a_server_that_runs_already_is_looked_at_and_left_running", &[], a_server_that_runs_already),
        trial("a_server_on_all_addresses_of_ipv4_is_none_on_those_of_ipv6", &[], an_address_of_another_version),
        trial("a_server_that_sleeps_is_waited_for", &[], a_server_that_sleeps),
        trial("a_server_that_dies_is_seen_to_do_so", &[], a_server_that_dies),
        trial("a_port_that_is_taken_is_told_with_its_owner", &[], a_port_that_is_taken),
        trial("another_machine_is_not_checked_unasked", &[], another_machine),
        trial("exit_codes_and_wrong_usage", &[], exit_codes),
        trial("the_list_reads_well_in_80_columns", &[], the_list),
        trial("on_a_terminal_lines_fit_and_progress_is_shown", &[], on_a_terminal),
    ];
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(8); // most of their time is waiting
    libtest_mimic::run(&arguments, trials).exit();
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

/// Those claims that give nobody away in the matrix fail where they should, too.
fn other_claims() {
    use Stage::{A, B, C, D, E, G, H};
    let cases = [
        (A, "in-turn", C),
        (B, "in-turn-sleeping", A),
        (B, "in-turn-sleeping", C),
        (C, "at-once", A),
        (C, "sleep", G),
        (D, "emfile-dies", E),
        (D, "emfile-dies", G),
        (G, "emfile-lives", C),
        (H, "close", C),
        (H, "close", D),
    ];
    let servers = check::stage::ALL.map(webserver);
    in_parallel(&cases, |&(checked, claim, server)| {
        let subject = slept(checked, servers[server as usize].clone());
        let verdict = check::verdict(checked, claim, &subject).unwrap();
        assert!(matches!(verdict, Verdict::Fails(_)), "server {server}, check {checked}, {claim}: {verdict:?}");
    });
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

// ---------------------------------------------------------------- servers of other languages

/// A server in tests/candidates, started by `program`.
fn script(program: impl AsRef<Path>, name: &str, arguments: &[&str]) -> Subject {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/candidates").join(name);
    let mut words: Vec<OsString> = vec![program.as_ref().into(), path.into()];
    words.extend(arguments.iter().map(Into::into));
    Subject::started_by(words)
}

fn in_python(kind: &str, sleep: &str) -> Subject {
    script(python(), "webserver.py", &[kind, "{port}", sleep])
}

/// The names of the claims that failed.
fn failed(report: &Report) -> Vec<&'static str> {
    report.failed().map(|(claim, _)| claim.name).collect()
}

fn servers_in_python() {
    let kinds = [("3a", "0"), ("3c", "1"), ("3d", "0"), ("3f", "0"), ("3g", "0")];
    in_parallel(&kinds, |&(kind, sleep)| {
        let stage: Stage = kind.parse().unwrap();
        check::assert_is(kind, &slept(stage, in_python(kind, sleep)));
    });
}

fn flaws_in_python() {
    let flaws: [(Stage, &str, &[&str]); 4] = [
        (Stage::C, "once", &["whole-head", "body"]),
        (Stage::C, "copy", &["listener"]),
        (Stage::A, "fragile", &["misbehaviour"]),
        (Stage::G, "threads", &["child", "emfile-lives"]),
    ];
    in_parallel(&flaws, |(stage, kind, claims)| {
        let sleep = if *stage == Stage::C { "1" } else { "0" };
        let report = check(*stage, in_python(kind, sleep));
        assert_eq!(failed(&report), *claims, "{report}");
    });
}

fn python_hides_a_lesson() {
    let report = check(Stage::E, in_python("3e", "1"));
    let Some(Verdict::Hidden(why)) = report.verdict("eintr-dies") else { panic!("{report}") };
    assert!(why.contains("Python (since 3.5, PEP 475)") && why.contains("go on with docs/chapters/11-"), "{why}");
    assert!(report.holds(), "{report}");
}

/// A server of examples/candidate.rs. Nobody else's command holds `mark`.
fn candidate(kind: &str, mark: &str) -> Subject {
    let program = client::binary::built_example("client", "candidate").unwrap();
    let words: [OsString; 4] = [program.into(), kind.into(), "{port}".into(), mark.into()];
    Subject::started_by(words)
}

fn a_server_with_threads() {
    let report = check(Stage::G, candidate("threads", ""));
    assert_eq!(failed(&report), ["child", "emfile-lives"], "{report}");
    // Of what it does not have nothing is said.
    for claim in ["listener", "outlives", "burst-nothing"] {
        assert!(matches!(report.verdict(claim), Some(Verdict::Skipped(_))), "{claim}: {report}");
    }
}

fn a_server_by_nc() {
    let report = check(Stage::One, script("sh", "nc.sh", &["{port}"]));
    for (claim, holds) in
        [("answer", true), ("close", true), ("no-judge", true), ("no-child", true), ("in-turn", false)]
    {
        assert_eq!(matches!(report.verdict(claim), Some(Verdict::Holds(_))), holds, "{claim}: {report}");
    }
}

fn a_port_that_has_to_rest() {
    let verdict = check::verdict(Stage::A, "port", &candidate("without-reuseaddr", "")).unwrap();
    let Verdict::Fails(why) = verdict else { panic!("{verdict:?}") };
    assert!(why.contains("SO_REUSEADDR") && why.contains("Address already in use"), "{why}");
}

// ---------------------------------------------------------------- servers that no check may hang on

fn a_server_that_does_not_start() {
    let failure = check::report(Stage::A, &candidate("ends-at-once", "")).unwrap_err().to_string();
    for part in ["exited with code 3 before it listened", "candidate: no mood to serve"] {
        assert!(failure.contains(part), "{failure}");
    }
    let patience = Duration::from_secs(1);
    let begin = Instant::now();
    let mark = format!("mark-mute-{}", std::process::id());
    let failure = check::report(Stage::A, &Subject { patience, ..candidate("never-listens", &mark) }).unwrap_err();
    assert!(failure.to_string().contains("does not listen on port"), "{failure}");
    assert!(begin.elapsed() < PATIENCE);
    assert_nothing_is_left(&mark);
    let failure = check::report(Stage::A, &Subject::started_by(["/no/such/server"])).unwrap_err();
    assert!(failure.to_string().starts_with("start /no/such/server: "), "{failure}");
}

/// Asserts that no process is there whose command holds `mark`.
#[track_caller]
fn assert_nothing_is_left(mark: &str) {
    if cfg!(target_os = "linux") {
        assert_eq!(left(mark), Vec::<String>::new());
    }
}

/// The commands of the processes that hold `mark`. One that has ended has none.
fn left(mark: &str) -> Vec<String> {
    let folders = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let commands = folders.filter_map(|folder| std::fs::read(folder.path().join("cmdline")).ok());
    commands
        .map(|command| String::from_utf8_lossy(&command).replace('\0', " "))
        .filter(|command| command.contains("candidate") && command.contains(mark))
        .collect()
}

fn hostile_servers() {
    let kinds: [(&str, &[&str]); 7] = [
        ("never-accepts", &["answer"]),
        ("never-answers", &["answer"]),
        ("endless", &["close", "body", "in-turn"]),
        ("stubborn", &[]),
        ("daemon", &[]),
        ("flood", &["no-child"]),
        ("closes-its-listener", &["in-turn", "misbehaviour"]),
    ];
    in_parallel(&kinds, |(kind, claims)| {
        let mark = format!("mark-{kind}-{}", std::process::id());
        let subject = candidate(kind, &mark);
        let begin = Instant::now();
        let report = check(Stage::A, subject);
        assert!(begin.elapsed() < Duration::from_secs(60), "{kind} took {:?}", begin.elapsed());
        let failed = failed(&report);
        assert!(claims.iter().all(|claim| failed.contains(claim)), "{kind}: {report}");
        assert_eq!(claims.is_empty(), failed.is_empty(), "{kind}: {report}");
        assert_nothing_is_left(&mark);
    });
}

fn a_death_is_told() {
    let report = check(Stage::A, candidate("dies-of-the-third", ""));
    let told = report.failed().filter(|(_, why)| {
        why.contains("exited with code 4") && why.contains("its last words: candidate: two clients are enough")
    });
    assert!(told.count() > 1, "{report}");
}

// ---------------------------------------------------------------- the program

/// The command `client check` with these arguments.
fn client_check(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_client"));
    command.arg("check").args(arguments).env_remove("CLICOLOR_FORCE");
    command
}

/// The command that checks `subject`, which is one that is started.
fn client_check_of(arguments: &[&str], subject: &Subject) -> Command {
    let mut command = client_check(arguments);
    command.arg("--").args(&subject.command);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn signals_end_the_server() {
    in_parallel(&ENDING, |&signal| {
        let mark = format!("mark-{signal}-{}", std::process::id());
        let mut check = client_check_of(&["3a"], &candidate("daemon", &mark));
        start_afresh(&mut check);
        let mut check = check.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(check.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(first.starts_with("ok "), "{first}");
        if cfg!(target_os = "linux") {
            assert_ne!(left(&mark), Vec::<String>::new(), "it should run, to be ended");
        }
        kill(pid(check.id()), signal).unwrap();
        let status = wait::until(PATIENCE, || check.try_wait().unwrap()).unwrap();
        assert_eq!(status.signal(), Some(signal as i32));
        assert_nothing_is_left(&mark);
    });
}

/// A server that is killed by the check has not failed.
fn an_end_by_a_signal() {
    for last_words in ["it has a child for each", "it outlives the end", "no connection is kept"] {
        let mut check = client_check_of(&["3g"], &webserver(Stage::G));
        start_afresh(&mut check);
        let mut check = check.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(check.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|line| line.contains(last_words)), "{last_words}");
        thread::sleep(Duration::from_millis(50)); // into the next claim
        kill(pid(check.id()), Signal::SIGINT).unwrap();
        assert_eq!(lines.find(|line| line.starts_with("FAIL")), None, "after {last_words}");
        assert_eq!(check.wait().unwrap().signal(), Some(Signal::SIGINT as i32));
    }
}

fn ignored_signals() {
    in_parallel(&ENDING, |&ignored| {
        let mark = format!("mark-ignored-{ignored}-{}", std::process::id());
        let mut check = client_check_of(&["3a"], &candidate("daemon", &mark));
        start_afresh(&mut check);
        let ignore = move || {
            // SAFETY: ignores the signal; no handler is installed.
            unsafe { nix::sys::signal::signal(ignored, SigHandler::SigIgn) }?;
            Ok(())
        };
        // SAFETY: `ignore` makes only a plain system call: it is safe between fork and exec.
        unsafe { check.pre_exec(ignore) };
        let mut check = check.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(check.stdout.take().unwrap()).lines();
        assert!(lines.next().unwrap().unwrap().starts_with("ok "));
        kill(pid(check.id()), ignored).unwrap();
        let last = lines.map(Result::unwrap).last().unwrap();
        let status = wait::until(PATIENCE, || check.try_wait().unwrap()).unwrap();
        assert!(status.code().is_some(), "it went on to its end: {status:?}, {last}");
        assert_nothing_is_left(&mark);
    });
}

/// Ctrl-Z and `fg`, again and again, while a client has to see that nothing comes.
fn stops() {
    let server = start(Stage::A, &[]);
    let mut check = client_check(&["3a", "--claim", "whole-head", "--port", &server.port().to_string()]);
    let mut check = check.stdout(Stdio::piped()).spawn().unwrap();
    let end = wait::until(PATIENCE, || {
        let send = |signal| kill(pid(check.id()), signal).unwrap();
        send(Signal::SIGSTOP);
        thread::sleep(Duration::from_millis(5));
        send(Signal::SIGCONT);
        thread::sleep(Duration::from_millis(20));
        check.try_wait().unwrap()
    });
    let mut printed = String::new();
    check.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    assert_eq!(end.and_then(|status| status.code()), Some(0), "{printed}");
}

/// A stage that is started here, and not by the check.
fn start(stage: Stage, options: &[&str]) -> Server {
    let program = client::binary::built("part3", &format!("webserver{stage}")).unwrap();
    Server::start(Command::new(program).args(["--port", "0"]).args(options)).unwrap()
}

fn a_server_that_runs_already() {
    let mut server = start(Stage::G, &[]);
    let output = client_check(&["3g", "--port", &server.port().to_string()]).output().unwrap();
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{printed}{}", text(&output.stderr));
    // It can't be limited: it is not started here.
    assert!(printed.contains("skipped it outlives running out of descriptors"), "{printed}");
    assert!(printed.contains("12 of 13 claims of 3g hold, 1 skipped."), "{printed}");
    assert!(!printed.contains('\x1b'), "{printed}");
    assert!(server.ended().unwrap().is_none());
    Probe::request(server.port()).unwrap().read_to_end().unwrap();
}

/// A name may have an address of each version of IP, and a server listen on all addresses of one of them.
fn an_address_of_another_version() {
    let server = start(Stage::A, &["--host", "0.0.0.0"]);
    let port = server.port().to_string();
    let checked = |host| client_check(&["3a", "--claim", "answer", "--port", &port, "--host", host]).output().unwrap();
    let output = checked("127.0.0.1");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let output = checked("::1");
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(1), ""));
    assert!(text(&output.stderr).starts_with("client: nobody is listening on [::1]:"), "{}", text(&output.stderr));
}

fn a_server_that_dies() {
    // It is not started afresh for a claim, and its first child's end is its own: by then all else has to be tried.
    let mut server = start(Stage::E, &["--sleep", "8"]);
    let port = server.port().to_string();
    let output = client_check(&["3e", "--sleep", "8", "--port", &port]).output().unwrap();
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{printed}{}", text(&output.stderr));
    assert!(printed.contains("ok      it reaps a child that has ended, and dies"), "{printed}");
    assert!(printed.contains("8 of 10 claims of 3e hold, 2 skipped."), "{printed}");
    assert_eq!(server.end().unwrap().code(), Some(1));
    let output = client_check(&["3e", "--port", &port]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("nobody is listening on 127.0.0.1:"), "{}", text(&output.stderr));
}

fn a_server_that_sleeps() {
    // It is not started afresh for a claim, so each has to wait until it has slept for the one before.
    let server = start(Stage::B, &["--sleep", "0.5"]);
    let port = server.port().to_string();
    let output = client_check(&["3b", "--sleep", "0.5", "--port", &port]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(text(&output.stdout).contains("All 9 claims of 3b hold."), "{}", text(&output.stdout));
}

fn a_port_that_is_taken() {
    let server = start(Stage::A, &[]);
    let port = server.port().to_string();
    let output = client_check_of(&["3a", "--port", &port], &webserver(Stage::A)).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let taken = format!("client: port {port} is taken by webserver3a (process {})", server.id());
    assert!(text(&output.stderr).starts_with(&taken), "{}", text(&output.stderr));
}

fn another_machine() {
    // 192.0.2.1 is nobody's (RFC 5737), and is not tried.
    let output = client_check(&["3a", "--host", "192.0.2.1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("--i-may-stress-this-host"), "{}", text(&output.stderr));
}

fn exit_codes() {
    for (stage, code) in [("3a", 0), ("webserver3a", 0), ("1", 1)] {
        let output = client_check_of(&[stage], &webserver(Stage::A)).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{stage}: {}", text(&output.stdout));
    }
    for (claim, code) in [("close", 0), ("one-read", 1)] {
        let output = client_check_of(&["1", "--claim", claim], &webserver(Stage::A)).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{claim}: {}", text(&output.stdout));
    }
    for (arguments, why) in [
        (&[][..], "which stage"),
        (&["3i"], "there are 1, 2, 3a"),
        (&["3a", "--claim", "nonsense"], "--list"),
        (&["3a", "--claim", "judge"], "judge is not claimed of 3a, but of 2, 3h"),
        (&["3a", "--port", "0"], "--port"),
        (&["3a", "--sleep", "-1"], "--sleep"),
        (&["3a", "--host", "localhost", "--", "true"], "--host"),
        (&["--list", "--port", "8888"], "--list"),
    ] {
        let output = client_check(arguments).output().unwrap();
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.lines().count() == 1 && errors.contains(why), "{arguments:?}: {errors}");
    }
}

fn the_list() {
    let output = client_check(&["--list"]).output().unwrap();
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0));
    assert!(printed.lines().all(|line| line.chars().count() <= 80), "{printed}");
    for stage in check::stage::ALL {
        let line = format!("{:<4}{}\n", stage.name(), stage.title());
        assert!(printed.contains(&line), "{line} is not in\n{printed}");
        let one = text(&client_check(&["--list", stage.name()]).output().unwrap().stdout);
        assert!(one.starts_with(&line) && printed.contains(one.trim_end()), "{one}");
        assert_eq!(
            one.lines().filter(|line| line.starts_with("    ") && !line.starts_with("     ")).count(),
            stage.claims().count()
        );
    }
}

fn on_a_terminal() {
    let size = Winsize { ws_row: 24, ws_col: 50, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = openpty(&size, None).unwrap();
    let slave = || Stdio::from(terminal.slave.try_clone().unwrap());
    let mut command = client_check_of(&["3a"], &webserver(Stage::A));
    command.env_remove("NO_COLOR").env("TERM", "xterm");
    let mut check = command.stdin(slave()).stdout(slave()).stderr(slave()).spawn().unwrap();
    drop((command, terminal.slave));
    let mut shown = Vec::new();
    // Its end is an error on Linux: nobody has the other side open any more.
    let _ = File::from(terminal.master).read_to_end(&mut shown);
    assert!(check.wait().unwrap().success());
    let shown = text(&shown);
    assert!(shown.contains("\x1b[32mok"), "{shown:?}");
    assert!(shown.contains("one client at a time: a second is "), "progress is shown: {shown:?}");
    let plain = anstream::adapter::strip_str(&shown).to_string();
    for line in plain.split(['\r', '\n']) {
        assert!(line.chars().count() <= 50, "{line:?}");
    }
    assert!(plain.contains("All 10 claims of 3a hold."), "{plain}");
}
