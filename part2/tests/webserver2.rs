//! webserver2 does what it teaches: the same server runs any application, and shows what goes over the wire.

mod common;

use std::process::{Command, Output};
use std::thread;

use client::check::{self, Subject};
use client::misbehaviour::{self, Misbehaviour, Outcome};
use client::probe::{self, Probe};
use client::server::{PATIENCE, Server};
use client::wait;
use common::{Answer, HELLO, WEBSERVER2, ask, assert_answers, get, request, start_hello};

/// Runs webserver2, which is expected to end at once.
fn run(arguments: &[&str]) -> Output {
    Command::new(WEBSERVER2).args(arguments).env("COLUMNS", "100").output().unwrap()
}

/// What webserver2 has said on standard output after its first line, once `last` is part of it.
fn printed(server: &Server, last: &str) -> String {
    assert!(server.says(last), "it does not print {last:?}: {}", server.output());
    server.output().split_once('\n').unwrap().1.to_owned()
}

#[test]
fn it_is_what_is_claimed_of_it() {
    check::assert_is("2", &Subject::started_by([WEBSERVER2, "hello:app", "--port", "{port}"]));
}

#[test]
fn it_says_that_it_serves_and_runs_the_application() {
    let server = start_hello(&[]);
    assert_eq!(server.output(), format!("WSGIServer: Serving HTTP on port {} ...\n", server.port()));
    assert_eq!(get(&server, "/hello").text(), HELLO);
    assert_eq!(server.errors(), "");
}

#[test]
fn it_prints_the_request_and_the_response_as_curl_does() {
    let server = start_hello(&[]);
    let answer = ask(&server, probe::REQUEST);
    let date = answer.field("Date").unwrap();
    let (software, length) = (answer.field("Server").unwrap(), HELLO.len());
    let expected = format!(
        "< GET /hello HTTP/1.1\n< Host: localhost:8888\n< \n\n\
         > HTTP/1.1 200 OK\n> Content-Type: text/plain\n> Content-Length: {length}\n> Date: {date}\n\
         > Server: {software}\n> Connection: close\n> \n> {HELLO}\n"
    );
    assert_eq!(printed(&server, HELLO), expected);
}

#[test]
fn it_prints_what_came_as_it_came_and_a_client_cannot_command_the_terminal() {
    let server = start_hello(&[]);
    ask(&server, "GET / HTTP/1.7\r\nHost: a\r\nX: \u{e9}\x1b[2J\r\n\r\n");
    let printed = printed(&server, "> 400 Bad Request: a control character in the head\n");
    assert!(printed.starts_with("< GET / HTTP/1.7\n< Host: a\n< X: \u{e9}\\u{1b}[2J\n"), "{printed}");
    assert!(!printed.contains('\x1b'));
}

#[test]
fn quiet_prints_nothing_but_where_it_serves() {
    let mut server = start_hello(&["--quiet"]);
    assert_answers(&server);
    ask(&server, "garbage\r\n\r\n");
    let port = server.port();
    assert_eq!(server.all_output(), format!("WSGIServer: Serving HTTP on port {port} ...\n"));
    assert_eq!(server.errors().lines().count(), 1, "errors are said all the same");
}

#[test]
fn it_asks_for_an_application_and_lists_those_that_there_are() {
    let output = run(&[]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(errors.starts_with("webserver2: Provide a WSGI application object as module:callable\n"), "{errors}");
    assert!(errors.contains("\n  hello:app "), "{errors}");
    assert!(output.stdout.is_empty());
}

#[test]
fn wrong_usage_gets_one_line() {
    let server = start_hello(&[]);
    let port = server.port().to_string();
    let cases: [(&[&str], i32, &str); 14] = [
        (&["hello"], 2, "\"hello\" is not of the form module:callable"),
        (&["hello:"], 2, "module:callable"),
        (&[":app"], 2, "module:callable"),
        (&[""], 2, "module:callable"),
        (&["hello:application"], 2, "hello has no callable \"application\"; there is hello:app"),
        (&["nowhere:app"], 2, "nowhere"),
        (&["hello:app", "hello:app"], 2, "'hello:app'"),
        (&["hello:app", "--max-body", "1T"], 2, "--max-body"),
        (&["hello:app", "--max-body", "-1"], 2, "--max-body"),
        (&["hello:app", "--max-body", "99999999999G"], 2, "--max-body"),
        (&["hello:app", "--prot", "1"], 2, "'--port'"),
        (&["hello:app", "--timeout", "0"], 2, "--timeout"),
        (&["hello:app", "--port", &port], 1, "EADDRINUSE"),
        (&["hello:app", "--host", "192.0.2.1"], 1, "EADDRNOTAVAIL"),
    ];
    for (arguments, code, word) in cases {
        let output = run(arguments);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{arguments:?}: {errors}");
        assert!(errors.starts_with("webserver2: ") && errors.contains(word), "{arguments:?}: {errors}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn help_tells_its_story_its_options_and_its_applications() {
    let output = run(&["--help"]);
    let help = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    for part in [
        "[MODULE:CALLABLE]",
        "--max-body <BYTES>",
        "[default: 1073741824]",
        "--quiet",
        "--backlog <N>",
        "[default: 1]",
        "hello:app",
        "Run: `cargo run -p part2 --bin webserver2 -- hello:app`",
    ] {
        assert!(help.contains(part), "no {part} in: {help}");
    }
}

#[test]
fn a_client_that_behaves_badly_harms_nobody_but_itself() {
    // Each meets a server of its own, all at once: most of the time is the servers' time limits.
    thread::scope(|scope| {
        for bad in misbehaviour::ALL {
            scope.spawn(move || meet(&bad));
        }
    });
}

fn meet(bad: &Misbehaviour) {
    // It is also the time that a client has to send what is dropped.
    let mut server = start_hello(&["--timeout", "3"]);
    let met = format!("it met a client that {}", bad.name);
    // It may be cut off while it sends more than a head may have.
    let stayed = bad.act(server.port());
    assert_answers(&server);
    if let Some(mut client) = stayed.ok().flatten().filter(|_| bad.outcome != Outcome::Nothing) {
        // Nobody who stays is left without an answer, and no answer is lost to a reset.
        let answer = client.read_to_end().unwrap_or_else(|error| panic!("{met}: {error}"));
        Answer::read(answer);
    }
    assert!(server.ended().unwrap().is_none(), "{met}");
    let errors = server.all_errors();
    assert!(errors.lines().count() <= 1 && !errors.contains("panic"), "{met}: {errors}");
}

#[test]
fn a_client_that_leaves_at_any_time_leaves_nothing_behind() {
    let mut server = start_hello(&["--timeout", "600", "--backlog", "64"]);
    let at_rest = server.descriptors().unwrap();
    let request = request("POST", "/", "HTTP/1.1", "body");
    for length in (0..=request.len()).step_by(7) {
        for is_reset in [false, true] {
            let mut client = Probe::connect(server.port()).unwrap();
            client.send(&request.as_bytes()[..length]).unwrap();
            if is_reset {
                client.reset().unwrap();
            }
        }
    }
    assert_answers(&server);
    let closed = || (server.descriptors().unwrap() == at_rest).then_some(());
    wait::until(PATIENCE, closed).expect("a connection is still open");
    assert!(!server.all_errors().contains("panic"), "{}", server.errors());
}

#[test]
fn ctrl_z_and_fg_do_no_harm() {
    let server = start_hello(&[]);
    let mut client = Probe::connect(server.port()).unwrap();
    let accepted = || (server.descriptors().unwrap() == 5).then_some(()); // the standard three, listener, connection
    wait::until(PATIENCE, accepted).unwrap();
    server.stop_and_continue().unwrap();
    client.send(probe::REQUEST).unwrap();
    assert_eq!(Answer::read(client.read_to_end().unwrap()).text(), HELLO);
}
