//! Every stage takes the same options, and says in one line what is wrong with them.

mod common;

use std::process::{Command, Output};

use client::server::{Server, port_to_come_back_to};
use common::{STAGES, application, assert_answers, binary, ending, sleep, start};

/// Runs a stage that is expected to end at once.
fn run(stage: &str, arguments: &[&str]) -> Output {
    run_without_application(stage, &[application(stage), arguments].concat())
}

fn run_without_application(stage: &str, arguments: &[&str]) -> Output {
    Command::new(binary(stage)).args(arguments).env("COLUMNS", "200").output().unwrap()
}

/// Asserts that a stage refuses to run, with `code` and with one line on standard error that holds all of `words`.
fn assert_refuses(stage: &str, arguments: &[&str], code: i32, words: &[&str]) {
    let output = run(stage, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stage} {arguments:?}: {errors}");
    assert_eq!(errors.lines().count(), 1, "{stage} {arguments:?}: {errors}");
    for word in words.iter().chain([&stage]) {
        assert!(errors.contains(word), "{stage} {arguments:?} does not say {word}: {errors}");
    }
    assert!(output.stdout.is_empty(), "{stage} {arguments:?}: {output:?}");
}

#[test]
fn wrong_usage_is_refused() {
    for stage in STAGES {
        assert_refuses(stage, &["--prot", "8888"], 2, &["'--prot'", "'--port'", "--help"]);
        assert_refuses(stage, &["8888"], 2, &["'8888'"]);
        assert_refuses(stage, &["--port", "99999"], 2, &["--port", "99999"]);
        assert_refuses(stage, &["--port", "http"], 2, &["--port", "http"]);
        assert_refuses(stage, &["--port"], 2, &["--port"]);
        assert_refuses(stage, &["--backlog", "-1"], 2, &["-1"]);
        for limit in ["0", "-1", "nan", "inf", "1e300", "soon", ""] {
            assert_refuses(stage, &[&format!("--timeout={limit}")], 2, &["--timeout"]);
        }
    }
    assert_refuses("webserver3b", &["--sleep=-1"], 2, &["--sleep"]);
    assert_refuses("webserver3a", &["--sleep", "1"], 2, &["'--sleep'"]);
}

#[test]
fn webserver3h_has_to_be_told_which_application_to_run() {
    for (arguments, said) in [
        (&[][..], "Provide a WSGI application object as module:callable\n\n  hello:app "),
        (&["--port", "0"], "Provide a WSGI application object as module:callable\n\n  hello:app "),
        (&["hello"], "\"hello\" is not of the form module:callable\n"),
        (&["hello:there"], "hello has no callable \"there\"; there is hello:app\n"),
    ] {
        let output = run_without_application("webserver3h", arguments);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.starts_with(&format!("webserver3h: {said}")), "{arguments:?}: {errors}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_place_where_it_cannot_listen_is_named() {
    let server = start("webserver3a", &[]);
    let port = server.port().to_string();
    for stage in STAGES {
        let taken = format!("127.0.0.1:{port}");
        assert_refuses(stage, &["--port", &port], 1, &[&taken, "EADDRINUSE", "--port"]);
        assert_refuses(stage, &["--host", "no.such.host.invalid"], 1, &["no.such.host.invalid", "--host"]);
        assert_refuses(stage, &["--host", ""], 1, &["--host"]);
        assert_refuses(stage, &["--host", "\x1b[2J.invalid"], 1, &["\\u{1b}[2J"]);
        // An address that is kept for documentation, so that no machine has it (RFC 5737).
        assert_refuses(stage, &["--host", "192.0.2.1", "--port", "0"], 1, &["192.0.2.1:0", "EADDRNOTAVAIL", "--host"]);
    }
}

#[test]
fn help_tells_the_story_of_the_stage() {
    for stage in STAGES {
        let output = run(stage, &["--help"]);
        let help = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0));
        for option in ["--host", "--port", "--backlog", "--timeout", "[default: 127.0.0.1]", "[default: 8888]"] {
            assert!(help.contains(option), "{stage}: {help}");
        }
        assert_eq!(help.contains("--sleep"), !sleep(stage, "").is_empty(), "{stage}: {help}");
        for part in ["Run: `cargo run -p part3 --bin ", stage, "\nSee: "] {
            assert!(help.contains(part), "{stage}: {help}");
        }
    }
}

#[test]
fn the_defaults_are_those_of_the_articles() {
    let backlogs = ["5", "5", "5", "1024", "5", "1024", "1024", "1024"];
    let sleeps = [None, Some("60"), Some("60"), None, Some("3"), None, None, None];
    for ((stage, backlog), sleep) in STAGES.iter().zip(backlogs).zip(sleeps) {
        let help = String::from_utf8(run(stage, &["--help"]).stdout).unwrap();
        let default = |option: &str| {
            let line = help.lines().find(|line| line.trim_start().starts_with(option))?;
            line.rsplit_once("[default: ")?.1.strip_suffix(']')
        };
        assert_eq!(default("--backlog"), Some(backlog), "{stage}");
        assert_eq!(default("--sleep"), sleep, "{stage}");
        assert_eq!(default("--timeout"), Some("10"), "{stage}");
    }
}

#[test]
fn a_backlog_beyond_the_systems_limit_is_no_error() {
    assert_answers(&start("webserver3a", &["--backlog", "1000000000"]));
}

#[test]
fn a_port_is_free_again_as_soon_as_its_server_has_stopped() {
    let port = port_to_come_back_to().unwrap().to_string();
    for _ in 0..2 {
        let server = Server::start(Command::new(binary("webserver3a")).args(["--port", &port])).unwrap();
        assert_answers(&server); // leaves a connection in TIME_WAIT behind
    }
}

#[test]
fn a_server_whose_output_nobody_reads_serves_on() {
    for stage in STAGES {
        // The shell's `read` takes the first line and is gone; what the server prints after that meets a closed pipe.
        let script = r#""$0" "$@" | { read -r line; echo "$line" >&2; }"#;
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).arg(binary(stage)).args(application(stage)).args(["--port", "0", "--timeout=600"]);
        shell.args(sleep(stage, "600"));
        // What Server reads is standard output, so the line goes there, by way of standard error.
        let mut outer = Command::new("sh");
        outer.args(["-c", r#"exec "$0" "$@" 2>&1"#]).arg(shell.get_program()).args(shell.get_args());
        let server = Server::start(&mut outer).unwrap();
        for _ in 0..2 {
            let mut client = client::probe::Probe::request(server.port()).unwrap();
            client.read_to(ending(&server)).unwrap();
            if stage == "webserver3b" {
                break; // it sleeps now
            }
        }
        assert!(!server.output().contains("panic"), "{}", server.output());
    }
}
