//! What PEP 3333 asks of a server, both servers do for Python's applications; and what an application does wrong harms
//! nobody else. The applications are in part2/tests/python; GET / of checkapp.py lists what each route is for.

mod gateway;

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use client::kernel::processes::Children;
use client::probe::Probe;
use client::server::{PATIENCE, Server};
use client::tools::{Need, python, trial};
use client::wait;
use gateway::{Answer, SERVERS, answer_to, ask, command, get, in_chunks, request, send, with_length};
use libtest_mimic::{Arguments, Trial};
use nix::sys::signal::Signal;
use tempfile::TempDir;

/// What the names of claims and the claims themselves are.
macro_rules! claims {
    ($($claim:ident),* $(,)?) => { [$((stringify!($claim), $claim as _)),*] };
}

/// What is claimed of a server that runs an application.
type Claim = fn(&mut Running);

fn main() {
    let of_servers: [(&str, Claim); _] = claims![
        the_environ_is_complete,
        the_environ_is_what_the_request_was,
        a_body_of_any_length_is_read_in_any_way,
        a_body_that_breaks_off_is_told_to_the_client_and_the_application,
        a_client_that_is_too_slow_with_its_body_is_told,
        a_client_that_waits_to_be_asked_for_its_body_is_asked,
        errors_are_written_to_standard_error,
        blocks_are_sent_before_the_next_is_asked_for,
        start_response_may_come_late,
        start_response_without_exc_info_may_come_once,
        exc_info_replaces_what_was_not_sent,
        exc_info_raises_what_can_no_longer_be_told,
        exceptions_are_for_standard_error_and_not_for_the_client,
        an_exception_after_the_first_block_cuts_the_answer_off,
        the_end_of_an_application_is_not_that_of_the_server,
        close_is_called_once_whatever_happens,
        close_is_called_when_the_client_goes_away,
        a_client_that_goes_away_costs_one_line,
        what_close_raises_spoils_nothing,
        what_is_kept_after_the_request_does_nothing,
        a_traceback_that_is_kept_does_not_keep_the_connection_open,
        headers_that_must_not_go_out_are_refused,
        statuses_that_must_not_go_out_are_refused,
        a_character_of_a_header_is_a_byte,
        no_more_is_sent_than_content_length_says,
        less_than_content_length_says_is_reported,
        an_answer_without_a_body_has_none,
        what_is_no_body_of_bytes_is_an_error,
        odd_iterables_do_no_harm,
        subclasses_are_taken_for_what_they_hold,
        a_single_block_gets_a_content_length,
        large_bodies_arrive_whole,
        files_are_sent_and_closed,
        programs_tell_the_application_how_they_ended,
        every_request_has_random_numbers_of_its_own,
        other_threads_run_while_the_server_waits,
        what_an_application_prints_is_seen,
        the_process_is_the_one_that_environ_promises,
    ];
    let of_validated: [(&str, Claim); _] = claims![
        the_validator_has_no_complaint_about_checkapp,
        the_validator_has_no_complaint_about_wsgiapp,
        the_validator_has_no_complaint_about_flaskapp,
        the_validator_has_no_complaint_about_pyramidapp,
        the_validator_has_no_complaint_about_djangoapp,
    ];
    let alone: [(&str, fn()); _] = claims![
        a_fork_that_fails_costs_one_connection,
        requests_leave_nothing_behind_in_python,
        requests_leave_no_memory_and_no_descriptor_behind,
        a_module_that_is_not_there_is_named,
        what_a_module_lacks_is_named,
        an_exception_at_import_is_told_with_its_place,
        what_is_not_a_callable_is_refused,
        a_virtual_environment_that_does_not_fit_is_refused,
        pythonpath_comes_first_and_in_order,
        built_in_names_are_never_pythons,
        ctrl_c_ends_a_server_whose_application_imports_signal,
    ];
    let mut trials = Vec::new();
    for server in SERVERS {
        trials.extend(of_servers.map(|(name, claim)| on(server, name, "checkapp:app", &[], claim)));
        let modules = [("check", None), ("wsgi", None), ("flask", Some("flask")), ("pyramid", Some("pyramid"))];
        let modules = modules.into_iter().chain([("django", Some("django"))]);
        trials.extend(of_validated.into_iter().zip(modules).map(|((name, claim), (application, module))| {
            let needs: Vec<_> = module.into_iter().map(Need::PythonModule).collect();
            on(server, name, &format!("validated:{application}"), &needs, claim)
        }));
    }
    let ps: &[Need] = &[Need::Program("ps")];
    trials.extend(alone.map(|(name, test)| {
        trial(name, if name == "requests_leave_no_memory_and_no_descriptor_behind" { ps } else { &[] }, test)
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// Where the applications for tests are.
fn applications() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../part2/tests/python")
}

/// The command that runs one of them.
fn running(server: &str, application: &str, options: &[&str]) -> Command {
    let mut command = command(server, application, options);
    command.arg("--pythonpath").arg(applications());
    // Those that would change what is tested here.
    for variable in ["PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONHOME", "PYTHONWARNINGS"] {
        command.env_remove(variable);
    }
    command
}

/// A server with an application, and a folder for what that tells by files.
struct Running {
    name: &'static str,
    server: Server,
    folder: TempDir,
    /// Whether the test has looked at standard error.
    has_errors: bool,
}

impl Running {
    fn start(name: &'static str, application: &str, options: &[&str]) -> Running {
        let server = Server::start(&mut running(name, application, options)).unwrap();
        Running { name, server, folder: TempDir::new().unwrap(), has_errors: false }
    }

    fn forks(&self) -> bool {
        self.name == "webserver3h"
    }

    fn get(&self, target: &str) -> Answer {
        get(&self.server, target)
    }

    fn post(&self, target: &str, body: &[u8]) -> Answer {
        ask(&self.server, &with_length(&format!("POST {target} HTTP/1.1"), body))
    }

    /// A file of the folder, as a query.
    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Asserts that the application has failed, and that the client is not told more than that.
    #[track_caller]
    fn assert_fails(&self, target: &str) {
        let answer = self.get(target);
        let text = "500 Internal Server Error: the application failed; its errors say why\n";
        answer.assert_is("500 Internal Server Error", text);
        assert_eq!(answer.field("x-first"), None, "{target}");
    }

    /// Asserts that a file comes to say that close() was called, and once.
    #[track_caller]
    fn assert_closed(&self, name: &str) {
        let read = || fs::read_to_string(self.folder.path().join(name)).ok().filter(|text| !text.is_empty());
        assert_eq!(wait::until(PATIENCE, read).as_deref(), Some("closed\n"), "{name}");
    }

    /// Stops the server, which must be alive, and returns what is on its standard error.
    #[track_caller]
    fn errors(&mut self) -> String {
        assert!(self.server.ended().unwrap().is_none(), "it has ended: {}", self.server.errors());
        self.has_errors = true;
        self.server.all_errors()
    }

    /// Stops the server and asserts that each of these is on its standard error.
    #[track_caller]
    fn assert_errors(&mut self, words: &[&str]) {
        let errors = self.errors();
        for word in words {
            assert!(errors.contains(word), "no {word:?} in: {errors}");
        }
    }
}

/// The test of a claim about `server` with an application. What is on standard error it looks at itself, or there is
/// nothing.
fn on(server: &'static str, name: &str, application: &str, needs: &[Need], claim: Claim) -> Trial {
    let application = application.to_owned();
    trial(format!("{name}_on_{server}"), needs, move || {
        let mut running = Running::start(server, &application, &[]);
        claim(&mut running);
        if !running.has_errors {
            assert_eq!(running.errors(), "");
        }
    })
}

// ---------------------------------------------------------------- environ and input

fn the_environ_is_complete(running: &mut Running) {
    running.get("/required").assert_is("200 OK", "ok\n");
    running.post("/required", b"abc").assert_is("200 OK", "ok\n");
    ask(&running.server, b"GET /required HTTP/1.0\r\n\r\n").assert_is("200 OK", "ok\n");
}

fn the_environ_is_what_the_request_was(running: &mut Running) {
    let fields = "Content-Type: text/x-test\r\nX-Two: one\r\nx-two: two\r\nCookie: a=1\r\nCookie: b=2\r\n\
                  Proxy: http://evil/\r\nX_Two: three\r\nContent_Length: 7\r\nContent-Length: 3\r\n";
    let line = "PUT /environ/a%2Fb%20caf%C3%A9?x=%20y&z HTTP/1.1";
    let answer = ask(&running.server, &request(line, fields, b"abc"));
    let text = answer.text();
    let lines: Vec<&str> = text.lines().collect();
    let port = running.server.port();
    let forks = if running.forks() { "True" } else { "False" };
    let expected = [
        "CONTENT_LENGTH str '3'",
        "CONTENT_TYPE str 'text/x-test'",
        "GATEWAY_INTERFACE str 'CGI/1.1'",
        "HTTP_COOKIE str 'a=1; b=2'",
        "HTTP_HOST str 'localhost'",
        "HTTP_X_TWO str 'one, two'",
        "PATH_INFO str '/environ/a/b cafÃ©'",
        "QUERY_STRING str 'x=%20y&z'",
        "REMOTE_ADDR str '127.0.0.1'",
        "REMOTE_PORT str *",
        "REQUEST_METHOD str 'PUT'",
        "REQUEST_URI str '/environ/a%2Fb%20caf%C3%A9?x=%20y&z'",
        "SCRIPT_NAME str ''",
        "SERVER_NAME str '127.0.0.1'",
        &format!("SERVER_PORT str '{port}'"),
        "SERVER_PROTOCOL str 'HTTP/1.1'",
        "SERVER_SOFTWARE str 'WSGIServer/*",
        "wsgi.errors TextIOWrapper *",
        "wsgi.file_wrapper type <class 'wsgiref.util.FileWrapper'>",
        "wsgi.input Input *",
        "wsgi.multiprocess bool *",
        "wsgi.multithread bool False",
        "wsgi.run_once bool *",
        "wsgi.url_scheme str 'http'",
        "wsgi.version tuple (1, 0)",
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        match expected.strip_suffix('*') {
            Some(begin) if begin.contains("multiprocess") || begin.contains("run_once") => {
                assert_eq!(*line, format!("{begin}{forks}"));
            }
            Some(begin) => assert!(line.starts_with(begin), "{line:?} is not {expected:?}"),
            None => assert_eq!(*line, expected),
        }
    }
    let bare = ask(&running.server, b"GET /environ HTTP/1.0\r\n\r\n");
    for missing in ["HTTP_", "CONTENT_TYPE"] {
        assert!(!bare.text().contains(missing), "{missing} is in {}", bare.text());
    }
}

const LINES: &[u8] = b"one\ntwo\nthree and no newline";

fn a_body_of_any_length_is_read_in_any_way(running: &mut Running) {
    for (target, expected) in [
        ("/read/10", "10\n10\n8\n"),
        ("/read/1000", "28\n"),
        ("/readline", "b'one\\n'\nb'two\\n'\nb'three and no newline'\n"),
        ("/readline/4", "b'one\\n'\nb'two\\n'\nb'thre'\nb'e an'\nb'd no'\nb' new'\nb'line'\n"),
        ("/readline/-1", "b'one\\n'\nb'two\\n'\nb'three and no newline'\n"),
        ("/readlines", "b'one\\n'\nb'two\\n'\nb'three and no newline'\n"),
        ("/readlines/-1", "b'one\\n'\nb'two\\n'\nb'three and no newline'\n"),
        ("/readlines/4", "b'one\\n'\n"),
        ("/readlines/5", "b'one\\n'\nb'two\\n'\n"),
        ("/iterate", "b'one\\n'\nb'two\\n'\nb'three and no newline'\n"),
        // The connection stays open all the while: to read more than there is would wait for ever.
        ("/read-past-end", "28 of 28\nnothing more\n"),
    ] {
        running.post(target, LINES).assert_is("200 OK", expected);
        for size in [1, 5, 100] {
            let chunked = in_chunks(&format!("POST {target} HTTP/1.1"), LINES, size);
            ask(&running.server, &chunked).assert_is("200 OK", expected);
        }
    }
    for target in ["/read/10", "/readline", "/readlines", "/iterate", "/read"] {
        running.get(target).assert_is("200 OK", "");
        running.post(target, b"").assert_is("200 OK", "");
    }
    running.get("/read-past-end").assert_is("200 OK", "0 of 0\nnothing more\n");

    let large: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    let bodies = [with_length("POST /read HTTP/1.1", &large), in_chunks("POST /read HTTP/1.1", &large, 70_000)];
    for body in bodies {
        let answer = ask(&running.server, &body);
        assert!(answer.body == large && answer.is_complete, "{answer:?}");
    }
}

fn a_body_that_breaks_off_is_told_to_the_client_and_the_application(running: &mut Running) {
    let mut client = send(&running.server, &request("POST /read HTTP/1.1", "Content-Length: 10\r\n", b"abc"));
    client.finish_sending().unwrap();
    let text = "400 Bad Request: the body is shorter than Content-Length says\n";
    answer_to(&mut client, "/read").assert_is("400 Bad Request", text);
    let reset = send(&running.server, &request("POST /read HTTP/1.1", "Content-Length: 10\r\n", b"abc"));
    thread::sleep(Duration::from_millis(100)); // so that it is the application which reads in vain
    reset.reset().unwrap();
    running.get("/pid");
    running.assert_errors(&["checkapp.py", "Error: the body is shorter than Content-Length says"]);
}

fn a_client_that_is_too_slow_with_its_body_is_told(running: &mut Running) {
    let mut impatient = Running::start(running.name, "checkapp:app", &["--timeout", "0.5"]);
    let mut client = send(&impatient.server, &request("POST /read HTTP/1.1", "Content-Length: 10\r\n", b"abc"));
    let answer = answer_to(&mut client, "/read");
    answer.assert_is("408 Request Timeout", "408 Request Timeout: the body came too slowly\n");
    impatient.assert_errors(&["TimeoutError: the body came too slowly"]);
}

fn a_client_that_waits_to_be_asked_for_its_body_is_asked(running: &mut Running) {
    let expected = "Content-Length: 3\r\nExpect: 100-continue\r\n";
    let mut client = send(&running.server, &request("POST /read/5 HTTP/1.1", expected, b""));
    client.read_to(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
    client.send(b"abc").unwrap();
    assert!(client.read_to_end().unwrap().ends_with(b"\r\n\r\n3\n"));
    // An application that does not read does not ask.
    let mut client = send(&running.server, &request("POST /pid HTTP/1.1", expected, b""));
    assert_eq!(answer_to(&mut client, "/pid").status, "200 OK");
}

fn errors_are_written_to_standard_error(running: &mut Running) {
    running.get("/errors").assert_is("200 OK", "written\n");
    let expected = "checkapp: write\ncheckapp: writelines 1\ncheckapp: writelines 2 café\n";
    assert_eq!(running.errors(), expected);
}

// ---------------------------------------------------------------- start_response, write and the iterable

fn blocks_are_sent_before_the_next_is_asked_for(running: &mut Running) {
    for route in ["write-step", "generator-step"] {
        let file = running.file(route);
        let mut client = send(&running.server, &request(&format!("GET /{route}?{file} HTTP/1.1"), "", b""));
        client.read_to(b"\r\n\r\n4\r\none\n\r\n").unwrap();
        fs::write(file, "").unwrap();
        answer_to(&mut client, route).assert_is("200 OK", "one\ntwo\n");
    }
    for route in ["/write", "/generator"] {
        let answer = running.get(route);
        answer.assert_is("200 OK", "one\ntwo\nthree\n");
        assert_eq!((answer.field("content-length"), answer.field("transfer-encoding")), (None, Some("chunked")));
    }
}

fn start_response_may_come_late(running: &mut Running) {
    running.get("/late-start").assert_is("200 OK", "late but fine\n");
    running.assert_fails("/empty-first");
    running.assert_fails("/no-start");
    running.assert_errors(&["start_response was not called before the first block"]);
}

fn start_response_without_exc_info_may_come_once(running: &mut Running) {
    running.get("/double-start").assert_is("200 OK", "refused: ValueError\n");
    running.assert_fails("/double-start?uncaught");
    running.assert_errors(&["in double_start", "ValueError: start_response was called twice"]);
}

fn exc_info_replaces_what_was_not_sent(running: &mut Running) {
    for target in ["/exc-info-before", "/exc-info-empty"] {
        let answer = running.get(target);
        answer.assert_is("500 Replaced", "replaced\n");
        assert_eq!((answer.field("x-first"), answer.field("x-second")), (None, Some("yes")), "{target}");
    }
}

fn exc_info_raises_what_can_no_longer_be_told(running: &mut Running) {
    running.get("/exc-info-after").assert_is("200 OK", "first\nraised again\n");
    let answer = running.get("/exc-info-after?uncaught");
    assert_eq!((answer.status.as_str(), answer.text().as_str(), answer.is_complete), ("200 OK", "first\n", false));
    running.assert_errors(&["KeyError: 'late'"]);
}

fn exceptions_are_for_standard_error_and_not_for_the_client(running: &mut Running) {
    running.assert_fails("/raise");
    running.assert_fails("/raise-started");
    running.assert_fails("/recursion");
    running.assert_fails("/error-without-text");
    running.assert_fails("/error-with-surrogate");
    let errors = running.errors();
    for words in [
        "the application failed: Traceback (most recent call last):\n",
        "checkapp.py\", line ",
        ", in raise_\n",
        "\nRuntimeError: checkapp raises\n",
        "\nRuntimeError: checkapp raises once started\n",
        "\nRecursionError: ",
        "Mute",
        "\nRuntimeError: checkapp raises \\udcff\n",
    ] {
        assert!(errors.contains(words), "no {words:?} in {errors}");
    }
    assert_eq!(errors.matches("the application failed: ").count(), 5, "{errors}");
}

fn an_exception_after_the_first_block_cuts_the_answer_off(running: &mut Running) {
    for target in ["/raise-late", "/non-bytes-late"] {
        let answer = running.get(target);
        assert_eq!(
            (answer.status.as_str(), answer.text().as_str(), answer.is_complete),
            ("200 OK", "first\n", false),
            "{target}"
        );
    }
    running.assert_errors(&[
        "RuntimeError: checkapp raises late",
        "TypeError: a block of the body has to be bytes, not str",
    ]);
}

fn the_end_of_an_application_is_not_that_of_the_server(running: &mut Running) {
    running.assert_fails("/exit");
    running.assert_fails("/interrupt");
    running.get("/required").assert_is("200 OK", "ok\n");
    running.assert_errors(&["SystemExit: 3", "KeyboardInterrupt"]);
}

fn close_is_called_once_whatever_happens(running: &mut Running) {
    let target = |route: &str, name: &str| format!("/{route}?{}", running.file(name));
    running.get(&target("close", "end")).assert_is("200 OK", "one\ntwo\n");
    running.assert_closed("end");

    assert_eq!(
        ask(&running.server, &request(&format!("HEAD {} HTTP/1.1", target("close", "head")), "", b"")).body,
        b""
    );
    running.assert_closed("head");

    for route in ["close-unread", "iter-fails", "iter-missing"] {
        running.assert_fails(&target(route, route));
        running.assert_closed(route);
    }

    let answer = running.get(&target("close-raise", "raise"));
    assert_eq!((answer.text().as_str(), answer.is_complete), ("one\n", false));
    running.assert_closed("raise");

    running.get(&target("len-fails", "len")).assert_is("200 OK", "one\ntwo\n");
    running.assert_closed("len");

    running.get(&target("list-subclass", "list")).assert_is("200 OK", "iterated\n");
    running.assert_closed("list");
    running.assert_errors(&["checkapp can't be iterated", "checkapp raises while it is iterated", "not iterable"]);
}

fn close_is_called_when_the_client_goes_away(running: &mut Running) {
    for (name, end) in [("closed", drop as fn(Probe)), ("reset", |client| client.reset().unwrap())] {
        let target = format!("/close-hangup?{}", running.file(name));
        let mut client = send(&running.server, &request(&format!("GET {target} HTTP/1.1"), "", b""));
        assert!(!client.is_silent_for(PATIENCE).unwrap());
        end(client);
        running.assert_closed(name);
    }
    let errors = running.errors();
    assert!(errors.lines().count() <= 2 && !errors.contains("Traceback"), "{errors}");
}

fn a_client_that_goes_away_costs_one_line(running: &mut Running) {
    for _ in 0..5 {
        let mut client = send(&running.server, &request("GET /big?100 HTTP/1.1", "", b""));
        assert!(!client.is_silent_for(PATIENCE).unwrap());
        drop(client);
    }
    running.get("/required").assert_is("200 OK", "ok\n");
    let nobody = || (running.server.children().unwrap() == Children { alive: 0, zombies: 0 }).then_some(());
    assert!(wait::until(PATIENCE, nobody).is_some());
    let errors = running.errors();
    assert_eq!(errors.lines().count(), 5, "{errors}");
    assert!(errors.lines().all(|line| line.contains("send: E")), "{errors}");
}

fn what_close_raises_spoils_nothing(running: &mut Running) {
    running.get("/close-fails").assert_is("200 OK", "whole\n");
    running.get("/close-missing").assert_is("200 OK", "whole\n");
    running.assert_errors(&["RuntimeError: checkapp raises in close()", "RuntimeError: checkapp has no close today"]);
}

fn what_is_kept_after_the_request_does_nothing(running: &mut Running) {
    running.get("/keep").assert_is("200 OK", "first\n");
    // A child has only kept what was its parent's.
    let second = if running.forks() { "first\n" } else { "refused: ValueError\n" };
    running.get("/keep").assert_is("200 OK", second);
    running.post("/keep-input", LINES).assert_is("200 OK", "first\n");
    let second = if running.forks() { "first\n" } else { "b''\n" };
    running.post("/keep-input", LINES).assert_is("200 OK", second);
}

fn a_traceback_that_is_kept_does_not_keep_the_connection_open(running: &mut Running) {
    let at_rest = running.server.descriptors().unwrap();
    for _ in 0..20 {
        running.get("/cycle").assert_is("200 OK", "RuntimeError True\n");
    }
    let closed = || (running.server.descriptors().unwrap() == at_rest).then_some(());
    assert!(wait::until(PATIENCE, closed).is_some(), "{at_rest} became {}", running.server.descriptors().unwrap());
}

// ---------------------------------------------------------------- what must not go out

fn headers_that_must_not_go_out_are_refused(running: &mut Running) {
    let refused = [
        ("/bad-header-newline", "ValueError", "the header X-Bad has a control character in its value"),
        ("/bad-header-name", "ValueError", "the header name \"X Bad:\" is no token"),
        ("/bad-header-type", "TypeError", "the value of a header has to be a str, not bytes"),
        ("/bad-header-type?name", "TypeError", "the name of a header has to be a str, not bytes"),
        ("/bad-header-type?pair", "TypeError", "a header has to be a tuple of its name and its value"),
        ("/bad-header-type?list", "TypeError", "the headers have to be a list of (name, value) tuples"),
        ("/wide-header", "ValueError", "the value of a header has a character beyond U+00FF"),
        ("/hop", "ValueError", "the header Connection is between server and client (hop-by-hop)"),
    ];
    for (target, error, _) in refused {
        running.assert_fails(target);
        let caught = if target.contains('?') { "&caught" } else { "?caught" };
        running.get(&format!("{target}{caught}")).assert_is("200 OK", &format!("refused: {error}\n"));
    }
    let errors = refused.map(|(_, error, words)| format!("{error}: {words}"));
    running.assert_errors(&errors.each_ref().map(String::as_str));
}

fn statuses_that_must_not_go_out_are_refused(running: &mut Running) {
    for status in ["", "200", "abc", "abc%20OK", "2000%20OK", "20%20OK", "099%20OK", "100%20Continue", "+20%20OK"] {
        running.get(&format!("/bad-status?{status}&caught")).assert_is("200 OK", "refused: ValueError\n");
    }
    for status in ["200%20OK%0D%0AX:%20y", "200%20OK%0AX:%20y", "200%20OK%00", "200"] {
        running.assert_fails(&format!("/bad-status?{status}"));
    }
    running.get("/bad-status?299%20Caf%E9%20au%20lait").assert_is("299 Café au lait", "accepted\n");
    running.assert_errors(&["ValueError: the status \"200\" is not of the form `200 OK`"]);
}

fn a_character_of_a_header_is_a_byte(running: &mut Running) {
    let answer = running.get("/latin1/caf%C3%A9%2Fx%FF");
    answer.assert_is("200 OK", "'/latin1/caf\\xc3\\xa9/x\\xff'\n");
    assert_eq!(answer.field("x-latin1"), Some("caf\u{e9}"));
}

// ---------------------------------------------------------------- bodies

fn no_more_is_sent_than_content_length_says(running: &mut Running) {
    running.get("/length-short").assert_is("200 OK", "12345");
    running.get("/length-write").assert_is("200 OK", "12345");
    running.assert_errors(&[
        "the application failed: the application sent more than its Content-Length says",
        "checkapp: write beyond Content-Length refused: ValueError",
    ]);
}

fn less_than_content_length_says_is_reported(running: &mut Running) {
    let answer = running.get("/length-long");
    assert_eq!((answer.text().as_str(), answer.is_complete), ("12345678901", false), "{answer:?}");
    running.assert_errors(&["the application sent 9 bytes less than its Content-Length says"]);
}

fn an_answer_without_a_body_has_none(running: &mut Running) {
    for (target, status) in [("/204", "204 No Content"), ("/304", "304 Not Modified")] {
        for target in [target.to_owned(), format!("{target}?body")] {
            let answer = running.get(&target);
            answer.assert_is(status, "");
            assert_eq!((answer.field("content-length"), answer.field("transfer-encoding")), (None, None), "{target}");
            assert_eq!(answer.field("x-empty"), Some("yes"));
        }
    }
    let bytes = send(&running.server, &request("HEAD /head HTTP/1.1", "", b"")).read_to_end().unwrap().to_vec();
    let head = String::from_utf8(bytes).unwrap();
    assert!(head.ends_with("\r\n\r\n") && head.contains("\r\nContent-Length: 13\r\n"), "{head}");
    assert!(head.contains("\r\nX-Method: HEAD\r\n"), "{head}");
    running.get("/head").assert_is("200 OK", "not for HEAD\n");
    let empty = running.get("/empty");
    empty.assert_is("200 OK", "");
    assert_eq!(empty.field("content-length"), Some("0"));
}

fn what_is_no_body_of_bytes_is_an_error(running: &mut Running) {
    for target in ["/non-bytes", "/non-iterable", "/none", "/string", "/bytearray"] {
        running.assert_fails(target);
    }
    running.assert_errors(&[
        "TypeError: a block of the body has to be bytes, not str",
        "TypeError: 'int' object is not iterable",
        "TypeError: 'NoneType' object is not iterable",
        "TypeError: a block of the body has to be bytes, not int",
        "TypeError: a block of the body has to be bytes, not bytearray",
    ]);
}

fn odd_iterables_do_no_harm(running: &mut Running) {
    running.get("/generator-returns").assert_is("200 OK", "fine\n");
    let answer = running.get("/headers-changed");
    answer.assert_is("200 OK", "fine\n");
    assert_eq!((answer.field("x-first"), answer.field("x-bad")), (Some("yes"), None));
}

fn subclasses_are_taken_for_what_they_hold(running: &mut Running) {
    let answer = running.get("/str-subclass");
    answer.assert_is("200 OK", "fine\n");
    assert_eq!((answer.field("x-text"), answer.field("content-type")), (Some("as it is"), Some("text/plain")));
    let answer = running.get("/bytes-subclass");
    answer.assert_is("200 OK", "fine\n");
    assert_eq!(answer.field("content-length"), Some("5"));
}

fn a_single_block_gets_a_content_length(running: &mut Running) {
    for target in ["/one-of-one", "/one-of-one?object"] {
        let answer = running.get(target);
        answer.assert_is("200 OK", "alone\n");
        assert_eq!(answer.field("content-length"), Some("6"), "{target}");
    }
}

fn large_bodies_arrive_whole(running: &mut Running) {
    let answer = running.get("/big?5");
    assert_eq!((answer.body.len(), answer.is_complete), (5 << 20, true));
    assert!(answer.body.chunks(1 << 20).zip(b'A'..).all(|(block, letter)| block.iter().all(|byte| *byte == letter)));
}

fn files_are_sent_and_closed(running: &mut Running) {
    let at_rest = running.server.descriptors().unwrap();
    for target in ["/file", "/file?object"] {
        for _ in 0..5 {
            let answer = running.get(target);
            assert_eq!(answer.field("x-wrapper"), Some("yes"));
            assert!(answer.is_complete && answer.body == b"0123456789".repeat(9_999), "{answer:?}");
        }
    }
    let closed = || (running.server.descriptors().unwrap() == at_rest).then_some(());
    assert!(wait::until(PATIENCE, closed).is_some(), "{at_rest} became {}", running.server.descriptors().unwrap());
}

// ---------------------------------------------------------------- processes and threads

fn programs_tell_the_application_how_they_ended(running: &mut Running) {
    for _ in 0..3 {
        // On webserver3h all of them are served at once, and the ends of children and of programs come together.
        let mut clients: Vec<_> =
            (0..20).map(|_| send(&running.server, &request("GET /subprocess HTTP/1.1", "", b""))).collect();
        for client in &mut clients {
            answer_to(client, "/subprocess").assert_is("200 OK", "3\n");
        }
    }
}

fn every_request_has_random_numbers_of_its_own(running: &mut Running) {
    let numbers: BTreeSet<String> = (0..20).map(|_| running.get("/random").text().to_owned()).collect();
    assert_eq!(numbers.len(), 20, "{numbers:?}");
}

fn other_threads_run_while_the_server_waits(running: &mut Running) {
    let number = |answer: &Answer| answer.text().lines().last().unwrap().parse::<u32>().unwrap();
    // Each of these waits is long enough for 50 rounds of a thread that sleeps 10 ms. A busy machine may have time for
    // a few only, and a server that holds Python's lock has it for none.
    let long = Duration::from_millis(500);

    let before = number(&running.get("/thread"));
    thread::sleep(long);
    let after = number(&running.get("/thread"));
    assert!(after >= before + 5, "for a connection: {before}, {after}");

    let mut client = send(&running.server, &request("POST /thread-reading HTTP/1.1", "Content-Length: 3\r\n", b""));
    thread::sleep(long);
    client.send(b"abc").unwrap();
    let count = number(&answer_to(&mut client, "/thread-reading"));
    assert!(count >= 5, "for a body: {count}");

    for target in ["/thread-writing", "/thread-sending"] {
        let mut client = send(&running.server, &request(&format!("GET {target} HTTP/1.1"), "", b""));
        thread::sleep(long);
        let answer = answer_to(&mut client, target);
        let count = str::from_utf8(&answer.body[30_000_001..]).unwrap().trim_end().parse::<u32>().unwrap();
        assert!(count >= 5, "{target}: {count}");
    }
}

fn what_an_application_prints_is_seen(running: &mut Running) {
    running.get("/print").assert_is("200 OK", "printed\n");
    assert!(running.server.says("checkapp: printed\ncheckapp: without an end"), "{}", running.server.output());
}

fn the_process_is_the_one_that_environ_promises(running: &mut Running) {
    let ids: BTreeSet<String> = (0..3).map(|_| running.get("/pid").text().trim_end().to_owned()).collect();
    let is_servers = ids.contains(&running.server.id().to_string());
    assert_eq!((ids.len(), is_servers), if running.forks() { (3, false) } else { (1, true) }, "{ids:?}");
}

// ---------------------------------------------------------------- wsgiref.validate

/// Routes that keep to the rules, so that a complaint about one of them is one about the server.
fn the_validator_has_no_complaint_about_checkapp(running: &mut Running) {
    let targets = ["required", "environ", "errors", "write", "generator", "late-start", "exc-info-before", "random"];
    for target in targets.into_iter().chain(["length-write", "head", "empty", "big?1", "file", "latin1/%C3%A9"]) {
        assert_ne!(running.get(&format!("/{target}")).status, "500 Internal Server Error", "{target}");
    }
    for target in ["read/10", "readline", "iterate", "readlines"] {
        assert_eq!(running.post(&format!("/{target}"), LINES).status, "200 OK", "{target}");
    }
    ask(&running.server, &request("HEAD /head HTTP/1.1", "", b"")).status.starts_with("200");
    let errors = running.errors();
    let own = errors.lines().filter(|line| line.starts_with("checkapp: ")).count();
    assert_eq!(own, errors.lines().count(), "{errors}");
}

fn the_validator_has_no_complaint_about_wsgiapp(running: &mut Running) {
    assert_is_valid(running, "/hello");
    assert_eq!(running.post("/greet", b"name=Ada").status, "200 OK");
}

fn the_validator_has_no_complaint_about_flaskapp(running: &mut Running) {
    assert_routes_are_valid(running);
}

fn the_validator_has_no_complaint_about_pyramidapp(running: &mut Running) {
    assert_routes_are_valid(running);
}

fn the_validator_has_no_complaint_about_djangoapp(running: &mut Running) {
    assert_routes_are_valid(running);
}

fn assert_is_valid(running: &Running, target: &str) {
    let answer = running.get(target);
    assert!(answer.status == "200 OK" && answer.is_complete, "{target}: {answer:?}");
    let head =
        send(&running.server, &request(&format!("HEAD {target} HTTP/1.1"), "", b"")).read_to_end().unwrap().to_vec();
    assert!(head.starts_with(b"HTTP/1.1 200 ") && head.ends_with(b"\r\n\r\n"), "{:?}", String::from_utf8(head));
}

fn assert_routes_are_valid(running: &Running) {
    for target in ["/hello", "/hello/caf%C3%A9", "/nap", "/count"] {
        assert_is_valid(running, target);
    }
    running.post("/greet", b"name=Ada").assert_is("200 OK", "Hello, Ada!\n");
    ask(&running.server, &in_chunks("POST /greet HTTP/1.1", b"name=Ada", 3)).assert_is("200 OK", "Hello, Ada!\n");
    assert_eq!(running.get("/nowhere").status.to_lowercase(), "404 not found");
    assert!(running.get("/greet").status.starts_with('4'));
}

// ---------------------------------------------------------------- what stays behind

fn a_fork_that_fails_costs_one_connection() {
    const UNLUCKY: &str = "import os, errno
fork = os.fork
failures = [OSError(errno.EAGAIN, 'no more'), OSError(errno.ENOMEM, 'none'), RuntimeError('odd'), SystemExit(3)]
def unlucky():
    if failures:
        raise failures.pop(0)
    return fork()
os.fork = unlucky
def app(environ, start_response):
    start_response('200 OK', [])
    return [b'lucky']
";
    let folder = modules(&[("unlucky", UNLUCKY)]);
    let mut command = running("webserver3h", "unlucky:app", &[]);
    let mut server = Server::start(command.arg("--pythonpath").arg(folder.path())).unwrap();
    for _ in 0..4 {
        let mut client = send(&server, &request("GET / HTTP/1.1", "", b""));
        let answer = client.read_to_end();
        assert!(answer.is_err() || answer.is_ok_and(<[u8]>::is_empty), "{:?}", client.received());
    }
    get(&server, "/").assert_is("200 OK", "lucky");
    let errors = server.all_errors();
    for words in ["webserver3h: fork: EAGAIN: ", "webserver3h: fork: ENOMEM: ", "RuntimeError: odd", "SystemExit: 3"] {
        assert!(errors.contains(words), "no {words:?} in {errors}");
    }
}

/// Requests of all kinds, some of which fail.
const ALL_KINDS: [&str; 22] = [
    "/environ",
    "/read",
    "/iterate",
    "/write",
    "/empty-first",
    "/no-start",
    "/double-start",
    "/exc-info-before",
    "/exc-info-after",
    "/raise",
    "/raise-late",
    "/exit",
    "/close-fails",
    "/iter-fails",
    "/iter-missing",
    "/bad-header-newline",
    "/bad-header-type",
    "/hop",
    "/length-short",
    "/non-bytes",
    "/non-iterable",
    "/file?object",
];

fn requests_leave_nothing_behind_in_python() {
    let mut running = Running::start("webserver2", "checkapp:app", &["--quiet"]);
    let allocated = || running.get("/allocated").text().trim_end().parse::<i64>().unwrap();
    let mut before = allocated();
    // Python fills its caches for a thousand requests or so, and then needs nothing more. Had one kind of request left
    // one object behind, there would be 20 more each time.
    let growth = || {
        (0..20).for_each(|_| ALL_KINDS.iter().for_each(|target| drop(running.post(target, LINES))));
        let after = allocated();
        after - std::mem::replace(&mut before, after)
    };
    let growths: Vec<i64> = std::iter::repeat_with(growth)
        .take(12)
        .scan(false, |is_flat, growth| (!std::mem::replace(is_flat, growth.abs() < 10)).then_some(growth))
        .collect();
    assert!(growths.last().is_some_and(|growth| growth.abs() < 10), "blocks of memory grew by {growths:?}");
    running.errors();
}

fn requests_leave_no_memory_and_no_descriptor_behind() {
    let running = Running::start("webserver2", "wsgiapp:app", &["--quiet"]);
    // Each names 20 headers that nobody has heard of.
    let ask_some = |numbers: Range<u32>| {
        for number in numbers {
            let fields: String = (0..20).map(|field| format!("X-{number}-{field}: {field}\r\n")).collect();
            let request = request("POST /hello HTTP/1.1", &format!("{fields}Content-Length: 3\r\n"), b"abc");
            assert_eq!(ask(&running.server, &request).status, "200 OK");
        }
    };
    ask_some(0..500);
    let (before, descriptors) = (resident(running.server.id()), running.server.descriptors().unwrap());
    ask_some(500..3500);
    let after = resident(running.server.id());
    // 200 bytes of each request would be 600 KiB.
    assert!(after < before + 500, "{before} KiB became {after} KiB");
    let closed = || (running.server.descriptors().unwrap() <= descriptors).then_some(());
    assert!(wait::until(PATIENCE, closed).is_some());
}

/// How much of a process is in memory, in KiB.
fn resident(process: u32) -> u64 {
    let ps = Command::new("ps").args(["-o", "rss=", "-p", &process.to_string()]).output().unwrap();
    String::from_utf8(ps.stdout).unwrap().trim().parse().unwrap()
}

// ---------------------------------------------------------------- how a server does not start

/// Runs a server that is expected to end at once: with a folder that holds one module, if there is one, and with this
/// virtual environment instead of the one that is active.
fn starting(server: &str, application: &str, folder: Option<&Path>, environment: Option<&Path>) -> Output {
    let mut command = running(server, application, &[]);
    if let Some(folder) = folder {
        command.arg("--pythonpath").arg(folder);
    }
    if let Some(environment) = environment {
        command.env("VIRTUAL_ENV", environment);
    }
    let mut process = command.current_dir("/").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    if wait::until(PATIENCE, || process.try_wait().unwrap()).is_none() {
        process.kill().unwrap(); // it serves, which its output will show
    }
    process.wait_with_output().unwrap()
}

/// Asserts that no server runs this application, and that each says why: in one line that holds all of `words`.
#[track_caller]
fn assert_refused(application: &str, folder: Option<&Path>, environment: Option<&Path>, words: &[&str]) {
    for server in SERVERS {
        let output = starting(server, application, folder, environment);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{server} {application}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{server} {application}: {errors}");
        assert!(errors.starts_with(&format!("{server}: ")), "{errors}");
        for word in words {
            assert!(errors.contains(word), "{server} {application} does not say {word:?}: {errors}");
        }
        assert!(!String::from_utf8_lossy(&output.stdout).contains("Serving"), "{output:?}");
    }
}

/// A folder with these modules.
fn modules(modules: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, text) in modules {
        fs::write(folder.path().join(format!("{name}.py")), text).unwrap();
    }
    folder
}

fn a_module_that_is_not_there_is_named() {
    let looked_for = "it is looked for in --pythonpath, the current directory and part2/python";
    assert_refused("nowhere:app", None, None, &["No module named 'nowhere'", looked_for]);
    assert_refused("nowhere.at.all:app", None, None, &["No module named 'nowhere'", looked_for]);
    assert_refused("email.nowhere:app", None, None, &["No module named 'email.nowhere'", looked_for]);
    for name in ["", "wsgiapp", "wsgiapp:", ":app"] {
        assert_refused(name, None, None, &[&format!("{name:?} is not of the form module:callable")]);
    }
}

fn what_a_module_lacks_is_named() {
    let folder = modules(&[("needy", "import not_installed_anywhere\n")]);
    let advice = "install it into the virtual environment that is active";
    assert_refused("needy:app", Some(folder.path()), None, &["No module named 'not_installed_anywhere'", advice]);

    // A virtual environment without any package.
    let environment = folder.path().join("environment");
    let made = Command::new(python()).args(["-m", "venv", "--without-pip"]).arg(&environment).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    for (application, module) in [("flaskapp:app", "flask"), ("pyramidapp:app", "pyramid"), ("djangoapp:app", "django")]
    {
        let missing = format!("No module named '{module}'");
        let advice = "python3 -m pip install -r part2/python/requirements.txt";
        assert_refused(application, None, Some(&environment), &[&missing, advice]);
    }
    // It is the one that counts, whatever else is active.
    for server in SERVERS {
        Server::start(running(server, "wsgiapp:app", &[]).env("VIRTUAL_ENV", &environment)).unwrap();
    }
}

fn an_exception_at_import_is_told_with_its_place() {
    let folder = modules(&[
        ("fails", "\n\nraise RuntimeError('on purpose\\nin two lines')\n"),
        ("fails_inside", "def inside():\n    return 1 / 0\n\ninside()\n"),
        ("misspelt", "def app(environ, start_response)\n    return []\n"),
        ("exits", "import sys\nsys.exit(3)\n"),
        ("exits_well", "import sys\nsys.exit()\n"),
        ("interrupted", "raise KeyboardInterrupt\n"),
    ]);
    let place = |name: &str, line| format!("{}, line {line}", folder.path().join(format!("{name}.py")).display());
    for (name, line, error) in [
        ("fails", 3, "RuntimeError: on purpose; in two lines"),
        ("fails_inside", 2, "ZeroDivisionError: division by zero"),
        ("exits", 2, "SystemExit: 3"),
        ("exits_well", 2, "SystemExit"),
        ("interrupted", 1, "KeyboardInterrupt"),
    ] {
        assert_refused(&format!("{name}:app"), Some(folder.path()), None, &[error, &place(name, line)]);
    }
    assert_refused("misspelt:app", Some(folder.path()), None, &["SyntaxError: expected ':'", "misspelt.py, line 1"]);
}

fn what_is_not_a_callable_is_refused() {
    let folder = modules(&[
        ("odd", "number = 5\ntext = 'text'\nclass Odd:\n    __call__ = None\n"),
        ("dynamic", "def __getattr__(name):\n    raise RuntimeError('no ' + name)\n"),
    ]);
    let folder = Some(folder.path());
    assert_refused("odd:app", folder, None, &["the Python module odd has no callable \"app\""]);
    assert_refused("odd:number", folder, None, &["odd:number can't be called: it is of type int"]);
    assert_refused("odd:text", folder, None, &["odd:text can't be called: it is of type str"]);
    assert_refused("dynamic:app", folder, None, &["dynamic:app can't be had: RuntimeError: no app"]);
}

fn a_virtual_environment_that_does_not_fit_is_refused() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("missing");
    assert_refused("wsgiapp:app", None, Some(&missing), &[missing.to_str().unwrap(), "can't be used", "deactivate"]);
    fs::create_dir_all(folder.path().join("lib/python3.5")).unwrap();
    let other = ["is for Python 3.5, and this program has Python 3.", "-m venv"];
    assert_refused("wsgiapp:app", None, Some(folder.path()), &other);
    // What is built in needs no Python.
    for server in SERVERS {
        Server::start(running(server, "hello:app", &[]).env("VIRTUAL_ENV", &missing)).unwrap();
    }
}

fn pythonpath_comes_first_and_in_order() {
    let app = |name: &str| {
        format!("def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'{name}']\n")
    };
    let first = modules(&[("which", &app("first"))]);
    let second = modules(&[("which", &app("second")), ("wsgiapp", &app("shadow")), ("json", &app("json"))]);
    let current = modules(&[("which", &app("current")), ("here", &app("here")), ("flaskapp", &app("no flask"))]);
    let get_of = |server, application, folders: &[&TempDir]| {
        let mut command = command(server, application, &[]);
        for folder in folders {
            command.arg("--pythonpath").arg(folder.path());
        }
        let server = Server::start(command.env_remove("PYTHONPATH").current_dir(current.path())).unwrap();
        get(&server, "/").text().to_owned()
    };
    for server in SERVERS {
        assert_eq!(get_of(server, "which:app", &[&first, &second]), "first");
        assert_eq!(get_of(server, "which:app", &[&second, &first]), "second");
        assert_eq!(get_of(server, "which:app", &[]), "current");
        assert_eq!(get_of(server, "here:app", &[&first, &second]), "here");
        assert_eq!(get_of(server, "flaskapp:app", &[]), "no flask");
        assert_eq!(get_of(server, "wsgiapp:app", &[&second]), "shadow");
        assert_eq!(get_of(server, "wsgiapp:app", &[]), "Hello world from a simple WSGI application!\n");
    }
}

fn built_in_names_are_never_pythons() {
    let shadow =
        "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'shadow']\nother = app\n";
    let folder = modules(&[("hello", shadow), ("axumapp", shadow)]);
    for server in SERVERS {
        let server = Server::start(running(server, "hello:app", &[]).arg("--pythonpath").arg(folder.path())).unwrap();
        get(&server, "/").assert_is("200 OK", "Hello world from a simple WSGI application!\n");
    }
    let other = "hello has no callable \"other\"; there is hello:app";
    assert_refused("hello:other", Some(folder.path()), None, &[other]);
    #[cfg(not(feature = "frameworks"))]
    assert_refused("axumapp:app", Some(folder.path()), None, &["axumapp:app needs the feature frameworks"]);
}

/// checkapp does so by way of subprocess, as many do.
fn ctrl_c_ends_a_server_whose_application_imports_signal() {
    for name in SERVERS {
        let mut running = Running::start(name, "checkapp:app", &[]);
        running.get("/required").assert_is("200 OK", "ok\n");
        running.server.signal_group(Signal::SIGINT).unwrap();
        assert_eq!(running.server.end().and_then(|end| end.signal()), Some(Signal::SIGINT as i32), "{name}");
    }
}
