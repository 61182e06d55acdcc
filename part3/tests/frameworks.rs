//! Every application in part2, on both servers that run applications: one table, one set of claims.
//!
//! Those of frameworks are there when the tests are built with the features that have them built:
//! `cargo test -p part3 --features frameworks,python --test frameworks`. Python's packages come from outside, so that a
//! test of them is skipped, and counted as ignored, where they are missing; part2/python/test installs them.

mod gateway;

use std::time::{Duration, Instant};

use client::kernel::processes::Children;
use client::server::{PATIENCE, Server};
use client::tools::Need;
use client::tools::trial;
use client::wait;
use gateway::{Answer, SERVERS, answer_to, ask, command, get, in_chunks, request, send, with_length};
use libtest_mimic::{Arguments, Trial};

/// An application, and what is particular about it.
#[derive(Clone, Copy)]
struct Application {
    module: &'static str,
    /// What it answers to /hello.
    hello: &'static str,
    /// Whether it looks at the path; one that does not gives the same answer to everything.
    has_routes: bool,
    needs: &'static [Need],
}

const BARE: &str = "Hello world from a simple WSGI application!\n";

const APPLICATIONS: &[Application] = &[
    Application { module: "hello", hello: BARE, has_routes: false, needs: &[] },
    #[cfg(feature = "frameworks")]
    Application { module: "axumapp", hello: "Hello world from axum!\n", has_routes: true, needs: &[] },
    #[cfg(feature = "frameworks")]
    Application { module: "warpapp", hello: "Hello world from warp!\n", has_routes: true, needs: &[] },
    #[cfg(feature = "frameworks")]
    Application { module: "poemapp", hello: "Hello world from poem!\n", has_routes: true, needs: &[] },
    #[cfg(feature = "python")]
    Application { module: "wsgiapp", hello: BARE, has_routes: false, needs: &[] },
    #[cfg(feature = "python")]
    Application {
        module: "flaskapp",
        hello: "Hello world from Flask!\n",
        has_routes: true,
        needs: &[Need::PythonModule("flask")],
    },
    #[cfg(feature = "python")]
    Application {
        module: "pyramidapp",
        hello: "Hello world from Pyramid!\n",
        has_routes: true,
        needs: &[Need::PythonModule("pyramid")],
    },
    #[cfg(feature = "python")]
    Application {
        module: "djangoapp",
        hello: "Hello world from Django!\n",
        has_routes: true,
        needs: &[Need::PythonModule("django")],
    },
];

/// What is claimed of an application that runs on a server.
type Claim = fn(&Application, &Server);

/// Those that every application keeps, and those that need one with routes.
const OF_ALL: [(&str, Claim); 4] = [
    ("says_hello", says_hello),
    ("answers_head_without_a_body", answers_head_without_a_body),
    ("answers_a_client_of_http_1_0", answers_a_client_of_http_1_0),
    ("answers_many_requests_in_a_row", answers_many_requests_in_a_row),
];
const OF_ROUTES: [(&str, Claim); 6] = [
    ("decodes_the_path", decodes_the_path),
    ("reads_a_form_by_length_and_by_chunks", reads_a_form_by_length_and_by_chunks),
    ("streams_block_by_block", streams_block_by_block),
    ("may_take_its_time", may_take_its_time),
    ("knows_what_it_does_not_have", knows_what_it_does_not_have),
    ("refuses_a_wrong_method", refuses_a_wrong_method),
];

fn main() {
    let mut trials = Vec::new();
    for application in APPLICATIONS {
        for server in SERVERS {
            let of_routes: &[_] = if application.has_routes { &OF_ROUTES } else { &[] };
            trials
                .extend(OF_ALL.iter().chain(of_routes).map(|(what, claim)| claimed(application, server, what, *claim)));
        }
        trials.push(claimed(application, "webserver3h", "serves_32_clients_at_once", serves_32_clients_at_once));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// The test of a claim, on a server of its own, which has nothing to complain of and stays alive.
fn claimed(application: &'static Application, server: &'static str, what: &str, claim: Claim) -> Trial {
    let name = format!("{}_on_{server}_{what}", application.module);
    trial(name, application.needs, move || {
        let mut server = Server::start(&mut command(server, &format!("{}:app", application.module), &[])).unwrap();
        claim(application, &server);
        assert!(server.ended().unwrap().is_none(), "{}", server.errors());
        assert_eq!(server.all_errors(), "");
    })
}

fn assert_hello(application: &Application, answer: &Answer) {
    answer.assert_is("200 OK", application.hello);
    assert!(answer.field("content-type").is_some_and(|value| value.starts_with("text/plain")), "{answer:?}");
}

fn says_hello(application: &Application, server: &Server) {
    let answer = get(server, "/hello");
    assert_hello(application, &answer);
    assert_eq!(answer.field("content-length"), Some(application.hello.len().to_string().as_str()));
    assert_eq!(answer.field("connection"), Some("close"));
    assert!(answer.field("date").is_some() && answer.field("server").is_some(), "{answer:?}");
}

fn answers_head_without_a_body(application: &Application, server: &Server) {
    for target in ["/hello", "/count", "/nowhere"] {
        let bytes = send(server, &request(&format!("HEAD {target} HTTP/1.1"), "", b"")).read_to_end().unwrap().to_vec();
        assert!(bytes.starts_with(b"HTTP/1.1 ") && bytes.ends_with(b"\r\n\r\n"), "{:?}", String::from_utf8(bytes));
        // Not every framework answers HEAD where it answers GET, nor does everyone know the length then.
        let head = String::from_utf8(bytes).unwrap().to_lowercase();
        let length = head.split_once("content-length: ").map(|(_, rest)| rest.lines().next().unwrap_or_default());
        if target == "/hello" && head.starts_with("http/1.1 200 ") && length.is_some() {
            assert_eq!(length, Some(application.hello.len().to_string().as_str()));
        }
    }
}

fn answers_a_client_of_http_1_0(application: &Application, server: &Server) {
    assert_hello(application, &ask(server, b"GET /hello HTTP/1.0\r\n\r\n"));
    if application.has_routes {
        // Such a client does not know chunks.
        let streamed = ask(server, b"GET /count HTTP/1.0\r\n\r\n");
        streamed.assert_is("200 OK", "1\n2\n3\n");
        assert_eq!((streamed.field("transfer-encoding"), streamed.field("content-length")), (None, None));
        let form =
            b"POST /greet HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 8\r\n\r\n";
        ask(server, &[&form[..], b"name=Ada"].concat()).assert_is("200 OK", "Hello, Ada!\n");
    }
}

fn answers_many_requests_in_a_row(application: &Application, server: &Server) {
    let ask_some = |count| (0..count).for_each(|_| assert_hello(application, &get(server, "/hello")));
    ask_some(10);
    let at_rest = server.descriptors().unwrap();
    ask_some(200);
    let closed = || (server.descriptors().unwrap() == at_rest).then_some(());
    assert!(wait::until(PATIENCE, closed).is_some(), "{at_rest} descriptors became {}", server.descriptors().unwrap());
    let reaped = || (server.children().unwrap() == Children { alive: 0, zombies: 0 }).then_some(());
    assert!(wait::until(PATIENCE, reaped).is_some(), "{:?}", server.children());
}

fn decodes_the_path(_: &Application, server: &Server) {
    for (target, name) in [
        ("/hello/Ada", "Ada"),
        ("/hello/caf%C3%A9", "café"),
        ("/hello/%E2%98%83%F0%9F%A6%80", "☃🦀"),
        ("/hello/Ada%20L.?name=Grace", "Ada L."),
        ("/hello/a+b%2B%3F%25", "a+b+?%"),
    ] {
        get(server, target).assert_is("200 OK", &format!("Hello, {name}!\n"));
    }
}

fn reads_a_form_by_length_and_by_chunks(_: &Application, server: &Server) {
    let long = "x".repeat(100_000);
    for (value, name) in [("Ada", "Ada"), ("caf%C3%A9+au%20lait", "café au lait"), (&long, &long)] {
        let form = format!("name={value}").into_bytes();
        let greeted = format!("Hello, {name}!\n");
        ask(server, &with_length("POST /greet HTTP/1.1", &form)).assert_is("200 OK", &greeted);
        for size in [3, 4000, 200_000] {
            ask(server, &in_chunks("POST /greet HTTP/1.1", &form, size)).assert_is("200 OK", &greeted);
        }
    }
}

fn streams_block_by_block(_: &Application, server: &Server) {
    // A machine that is busy elsewhere may hand two blocks over at once, but not every time.
    assert!((0..5).any(|_| blocks_arrive_apart(server)), "all blocks come at once");
}

/// Whether the blocks of /count come when they are made: there are 200 ms before the second and the third.
fn blocks_arrive_apart(server: &Server) -> bool {
    let mut client = send(server, &request("GET /count HTTP/1.1", "", b""));
    let arrived =
        ["\r\n\r\n2\r\n1\n\r\n", "2\r\n2\n\r\n"].map(|block| client.read_to(block.as_bytes()).map(|()| Instant::now()));
    let answer = answer_to(&mut client, "/count");
    let end = Instant::now();
    answer.assert_is("200 OK", "1\n2\n3\n");
    assert_eq!((answer.field("content-length"), answer.field("transfer-encoding")), (None, Some("chunked")));
    let [Ok(first), Ok(second)] = arrived else { return false };
    [second - first, end - second].iter().all(|gap| *gap > Duration::from_millis(100))
}

fn may_take_its_time(_: &Application, server: &Server) {
    let begin = Instant::now();
    get(server, "/nap").assert_is("200 OK", "Awake again!\n");
    assert!(begin.elapsed() >= Duration::from_millis(50), "it did not sleep");
}

fn knows_what_it_does_not_have(_: &Application, server: &Server) {
    for target in ["/", "/nowhere", "/hello/Ada/more", "/Hello"] {
        let answer = get(server, target);
        assert!(answer.status.to_lowercase() == "404 not found" && answer.is_complete, "{target}: {answer:?}");
    }
}

fn refuses_a_wrong_method(_: &Application, server: &Server) {
    for (line, body) in
        [("POST /hello HTTP/1.1", "name=Ada"), ("DELETE /count HTTP/1.1", ""), ("GET /greet HTTP/1.1", "")]
    {
        let answer = ask(server, &with_length(line, body.as_bytes()));
        assert!(answer.status.starts_with('4') && answer.is_complete, "{line}: {answer:?}");
    }
}

fn serves_32_clients_at_once(application: &Application, server: &Server) {
    // None of them is finished before all of them are being served, and the last one is the first to be finished.
    let mut clients: Vec<_> = (0..32).map(|_| send(server, b"GET /hello HTTP/1.1\r\n")).collect();
    let served = wait::until(PATIENCE, || (server.children().unwrap().alive == 32).then_some(()));
    assert!(served.is_some(), "{:?}", server.children());
    for client in clients.iter_mut().rev() {
        client.send(b"Host: localhost\r\n\r\n").unwrap();
        assert_hello(application, &answer_to(client, "/hello"));
    }
    let reaped = || (server.children().unwrap() == Children { alive: 0, zombies: 0 }).then_some(());
    assert!(wait::until(PATIENCE, reaped).is_some(), "{:?}", server.children());
}
