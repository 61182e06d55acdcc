//! The lessons as a reader sees them, with curl, ps and kill, and those that need a limit which does not bind root.
//!
//! A test is skipped, and counted as ignored, where something that it needs is missing (`client::tools`).

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, process};

use client::kernel::processes::Children;
use client::probe::{self, Probe};
use client::server::{Limit, PATIENCE, Server, limit};
use client::tools::Need::{AnotherUser, Ipv6, PrivilegedPorts, Program};
use client::tools::trial;
use client::wait;
use common::{
    HELLO, LASTING, NONE, RESPONSE, SIMPLE, STAGES, application, assert_answers, binary, ending, sleep, start, stress,
};
use libtest_mimic::Arguments;
use nix::errno::Errno;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};
use part3::Failure;
use tempfile::TempDir;

fn main() {
    if let Some(end) = env::args().nth(1).and_then(|argument| argument.strip_prefix(FORK_A_CHILD).map(str::to_owned)) {
        return fork_a_child_that(&end);
    }
    let curl = Program("curl");
    let trials = vec![
        trial("curl_is_answered_by_every_stage", &[curl], curl_is_answered_by_every_stage),
        trial("curl_may_send_a_body", &[curl], curl_may_send_a_body),
        trial("curl_prints_and_waits_on_3b", &[curl], curl_prints_and_waits_on_3b),
        trial("curl_prints_and_hangs_on_3d", &[curl], curl_prints_and_hangs_on_3d),
        trial("ps_shows_a_zombie_that_kill_does_not_kill", &[Program("ps"), Program("kill")], ps_shows_a_zombie),
        trial("webserver3d_dies_of_eagain_without_processes", &[AnotherUser], webserver3d_dies_of_eagain),
        trial("other_stages_die_of_eagain_too", &[AnotherUser], other_stages_die_of_eagain),
        trial("the_last_stages_survive_eagain", &[AnotherUser], the_last_stages_survive_eagain),
        trial("a_port_below_1024_needs_a_right", &[PrivilegedPorts], a_port_below_1024_needs_a_right),
        trial("every_stage_answers_on_ipv6", &[Ipv6], every_stage_answers_on_ipv6),
        trial("the_client_speaks_ipv6", &[Ipv6], the_client_speaks_ipv6),
        trial("a_child_never_becomes_a_second_parent", &[], a_child_never_becomes_a_second_parent),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

// ---------------------------------------------------------------- curl

fn curl(server: &Server, options: &[&str]) -> Command {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--no-buffer"]).args(options);
    curl.arg(format!("http://127.0.0.1:{}/hello", server.port()));
    curl
}

/// A curl that is still running; killed when dropped.
struct Curl(Child);

impl Curl {
    /// Starts it, and waits until it has printed its line.
    fn that_prints(server: &Server) -> Curl {
        let mut curl = Curl(curl(server, &[]).stdout(Stdio::piped()).spawn().unwrap());
        let mut line = String::new();
        BufReader::new(curl.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "Hello, World!\n");
        curl
    }

    fn runs(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    fn ends(&mut self) -> bool {
        wait::until(PATIENCE, || self.0.try_wait().unwrap()).is_some_and(|status| status.success())
    }
}

impl Drop for Curl {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn curl_is_answered_by_every_stage() {
    for stage in STAGES.iter().filter(|&&stage| stage != "webserver3d") {
        let server = start(stage, &sleep(stage, "0"));
        let output = curl(&server, &["--include"]).output().unwrap();
        assert!(output.status.success(), "{stage}: {output:?}");
        assert!(output.stdout.ends_with(ending(&server)), "{stage}: {output:?}");
    }
}

fn curl_may_send_a_body() {
    let body = "x".repeat(200_000);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("body");
    fs::write(&file, body).unwrap();
    let data = format!("@{}", file.display());
    for stage in STAGES.iter().filter(|&&stage| stage != "webserver3d") {
        let server = start(stage, &sleep(stage, "0"));
        let output = curl(&server, &["--data-binary", &data]).output().unwrap();
        assert!(output.status.success(), "{stage}: {output:?}");
        let answer: &[u8] = if SIMPLE.contains(stage) { b"Hello, World!\n" } else { HELLO };
        assert_eq!(output.stdout, answer, "{stage}");
    }
}

fn curl_prints_and_waits_on_3b() {
    let begin = Instant::now();
    let server = start("webserver3b", &["--sleep", "2"]);
    let mut first = Curl::that_prints(&server);
    assert!(first.runs(), "the first curl did not wait for the end of its answer");
    let mut second = Curl::that_prints(&server);
    assert!(begin.elapsed() >= Duration::from_secs(2), "the second curl was answered beside the first");
    assert!(first.ends());
    assert!(second.ends());
    assert!(begin.elapsed() >= Duration::from_secs(4));
}

fn curl_prints_and_hangs_on_3d() {
    let server = start("webserver3d", &[]);
    let mut curl = Curl::that_prints(&server);
    assert_eq!(server.children_at_rest(), Some(Children { alive: 0, zombies: 1 }));
    assert!(curl.runs(), "the child has ended, and yet curl should wait");
    drop(server);
    assert!(curl.ends(), "nobody has the connection open any more");
}

// ---------------------------------------------------------------- ps and kill

fn ps_shows_a_zombie() {
    let server = start("webserver3d", &[]);
    let mut client = Probe::request(server.port()).unwrap();
    client.read_to(RESPONSE).unwrap();
    assert_eq!(server.children_at_rest(), Some(Children { alive: 0, zombies: 1 }));

    let zombie = the_zombie_of(&server);
    let killed = Command::new("kill").args(["-9", &zombie]).output().unwrap();
    assert!(killed.status.success(), "{killed:?}");
    assert_eq!(the_zombie_of(&server), zombie, "it can't be killed: it is dead");
}

/// The id of the one child that `ps` shows in state Z, as `<defunct>`.
fn the_zombie_of(server: &Server) -> String {
    let Output { stdout, .. } = Command::new("ps").args(["-A", "-o", "pid=,ppid=,stat=,args="]).output().unwrap();
    let table = String::from_utf8(stdout).unwrap();
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let children: Vec<_> = rows.filter(|row| row.get(1) == Some(&server.id().to_string().as_str())).collect();
    let [zombie] = &children[..] else { panic!("{children:?}") };
    assert!(zombie[2].starts_with('Z'), "{zombie:?}");
    assert!(zombie[3..].concat().contains("<defunct>"), "{zombie:?}");
    zombie[0].to_owned()
}

// ---------------------------------------------------------------- another user

/// A copy of a stage's program that any user may run, and a user whom nobody else is.
struct ForAnyone {
    folder: TempDir,
    user: u32,
}

impl ForAnyone {
    fn new(stage: &str) -> ForAnyone {
        let folder = TempDir::new_in("/tmp").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let copy = folder.path().join(stage);
        // Not by this process: what one of its threads holds open for writing, another's fork would hold open too, and
        // then the copy can't be run (ETXTBSY).
        assert!(Command::new("cp").arg(binary(stage)).arg(&copy).status().unwrap().success());
        fs::set_permissions(copy, fs::Permissions::from_mode(0o755)).unwrap();
        // What is left of an earlier test's processes counts against its user, so each test has one of its own.
        ForAnyone {
            folder,
            user: 100_000 + process::id() * 8 + STAGES.iter().position(|&s| s == stage).unwrap() as u32,
        }
    }

    fn command(&self, stage: &str) -> Command {
        let mut command = Command::new(self.folder.path().join(stage));
        command.args(application(stage));
        command.uid(self.user).gid(self.user).current_dir("/");
        command
    }
}

fn webserver3d_dies_of_eagain() {
    let for_anyone = ForAnyone::new("webserver3d");
    let mut command = for_anyone.command("webserver3d");
    command.args(["--port", "0"]);
    let mut server = Server::start(limit(&mut command, Limit::Processes, 40)).unwrap();
    let client = stress(&server, &["--max-clients", "60"]);

    assert_eq!(server.end().unwrap().code(), Some(1));
    let errors = server.errors();
    let last = errors.lines().last().unwrap_or_default();
    assert!(last.starts_with("webserver3d: fork: EAGAIN: "), "{errors}");
    assert!(last.contains("see docs/chapters/09-keep-copies-open.md; webserver3g solves it"), "{errors}");
    let kept = server.output().lines().filter_map(|line| line.parse::<u32>().ok()).max();
    assert_eq!(kept, Some(39), "40 processes are the server and 39 children");
    assert_eq!(client.status.code(), Some(1), "{client:?}");
}

fn other_stages_die_of_eagain() {
    for stage in ["webserver3c", "webserver3e", "webserver3f"] {
        let for_anyone = ForAnyone::new(stage);
        let mut command = for_anyone.command(stage);
        command.args(["--port", "0", "--timeout", "600"]).args(sleep(stage, "0"));
        let mut server = Server::start(limit(&mut command, Limit::Processes, 8)).unwrap();
        // Silent clients, so that no child ends before there is one too many. The last may find the server gone.
        let silent: Vec<_> = (0..8).map(|_| Probe::connect(server.port())).collect();
        let status = wait::until(PATIENCE, || server.ended().unwrap());
        assert_eq!(status.and_then(|status| status.code()), Some(1), "{stage}");
        drop(silent);
        server.end();
        let last_words = format!("{stage}: fork: EAGAIN: ");
        assert!(server.errors().lines().any(|line| line.starts_with(&last_words)), "{}", server.errors());
    }
}

fn the_last_stages_survive_eagain() {
    for stage in LASTING {
        let for_anyone = ForAnyone::new(stage);
        let mut command = for_anyone.command(stage);
        command.args(["--port", "0", "--timeout", "600"]);
        let mut server = Server::start(limit(&mut command, Limit::Processes, 20)).unwrap();

        // 19 silent clients occupy all the children that there can be.
        let silent: Vec<_> = (0..19).map(|_| Probe::connect(server.port()).unwrap()).collect();
        wait::until(PATIENCE, || (server.children().unwrap().alive == 19).then_some(())).unwrap();
        for _ in 0..3 {
            let mut refused = Probe::request(server.port()).unwrap();
            let outcome = refused.read_to_end().map(<[u8]>::to_vec);
            assert!(outcome.as_ref().is_ok_and(Vec::is_empty) || outcome.is_err(), "{stage}: {outcome:?}");
        }
        assert!(server.ended().unwrap().is_none(), "{}", server.errors());

        drop(silent);
        wait::until(PATIENCE, || (server.children().unwrap() == NONE).then_some(())).unwrap();
        assert_answers(&server);
        let errors = server.all_errors();
        assert_eq!(errors.matches(&format!("{stage}: fork: EAGAIN: ")).count(), 1, "{errors}");
    }
}

fn a_port_below_1024_needs_a_right() {
    for stage in STAGES {
        // Root may; so root has somebody else try.
        let for_anyone = AnotherUser.is_met().then(|| ForAnyone::new(stage));
        let command = for_anyone.as_ref().map(|for_anyone| for_anyone.command(stage));
        let output = command.unwrap_or_else(|| Command::new(binary(stage))).args(["--port", "81"]).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(errors.starts_with(&format!("{stage}: bind 127.0.0.1:81: EACCES: ")), "{errors}");
        assert!(errors.contains("--port"), "{errors}");
    }
}

// ---------------------------------------------------------------- other needs

fn every_stage_answers_on_ipv6() {
    for stage in STAGES {
        let server = start(stage, &["--host", "::1"]);
        let mut client = Probe::connect_to(std::net::Ipv6Addr::LOCALHOST.into(), server.port()).unwrap();
        client.send(probe::REQUEST).unwrap();
        client.read_to(ending(&server)).unwrap();
    }
}

fn the_client_speaks_ipv6() {
    let server = start("webserver3g", &["--host", "::1"]);
    let output = stress(&server, &["--host", "::1", "--max-clients", "3"]);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}");
    assert!(printed.starts_with(&format!("3 clients x 1 connection -> [::1]:{}\n", server.port())), "{printed}");
    assert!(server.says(&format!("\nHost: [::1]:{}\n", server.port())), "{}", server.output());
}

/// The argument by which this program becomes the one that is looked at here: a fork needs a process with one thread,
/// and that is not the one in which tests run.
const FORK_A_CHILD: &str = "--fork-a-child-that-";

fn fork_a_child_that(end: &str) {
    // SAFETY: fork copies only the thread that calls it, and this process has no other.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => part3::child(|| match end {
            "answers" => Ok(()),
            "fails" => Err(Failure::call("write", Errno::EPIPE)),
            _ => panic!("on purpose"),
        }),
        ForkResult::Parent { child } => println!("{:?}", waitpid(child, None).unwrap()),
    }
    println!("behind the fork");
}

fn a_child_never_becomes_a_second_parent() {
    for (end, status, said) in [("answers", 0, ""), ("fails", 1, "write: EPIPE"), ("panics", 101, "on purpose")] {
        let output = Command::new(env::current_exe().unwrap()).arg(format!("{FORK_A_CHILD}{end}")).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(printed.starts_with("Exited(Pid(") && printed.contains(&format!("), {status})\n")), "{end}: {printed}");
        assert_eq!(printed.matches("behind the fork").count(), 1, "only the parent may get there: {printed}");
        assert!(String::from_utf8(output.stderr).unwrap().contains(said), "{end}");
    }
}
