//! What the server makes of requests: it gives the application those that keep the rules, and refuses the others.

mod common;

use std::thread;
use std::time::Duration;

use client::probe::Probe;
use client::server::{PATIENCE, Server};
use client::wait;
use common::{Answer, HELLO, ask, assert_answers, codes, get, request, start_behaviours, start_hello};

/// A POST to `path` with these fields, lines that end in CR LF, and what follows the head.
fn post(path: &str, fields: &str, rest: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{rest}")
}

/// A body in chunks of these bytes.
fn chunked(chunks: &[&[u8]]) -> Vec<u8> {
    let mut coded = Vec::new();
    for chunk in chunks {
        coded.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        coded.extend_from_slice(chunk);
        coded.extend_from_slice(b"\r\n");
    }
    coded.extend_from_slice(b"0\r\n\r\n");
    coded
}

/// The value of a variable, in the answer of `/environ`.
fn variable<'a>(environ: &'a str, name: &str) -> Option<&'a str> {
    environ.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

#[test]
fn a_refusal_says_why_to_the_client_and_in_one_line_to_the_reader() {
    let mut server = start_hello(&["--quiet", "--max-body", "1000", "--timeout", "0.5"]);
    let long = "x".repeat(9000);
    let many = "X: y\r\n".repeat(101);
    let mut expected = String::new();
    for (request, status, reason) in [
        ("GET /\r\n\r\n", "400 Bad Request", "the first line is not of the form METHOD TARGET HTTP/1.1"),
        ("GET / HTTP/1.1\r\n\r\n", "400 Bad Request", "there is no Host field"),
        ("GET / HTTP/1.1\nHost: a\n\n", "400 Bad Request", "a line ends in LF alone"),
        ("GET / HTTP/1.1\r\nHo", "408 Request Timeout", "the head of a request has to come in 0.5 s"),
        ("", "408 Request Timeout", "the head of a request has to come in 0.5 s"),
        (&post("/", "Content-Length: 1001\r\n", ""), "413 Content Too Large", "--max-body"),
        (&post("/", "Content-Length: 99999999999999999999\r\n", ""), "413 Content Too Large", "1000 bytes"),
        (&format!("GET /{long} HTTP/1.1\r\n\r\n"), "414 URI Too Long", "8192 bytes"),
        (&post("/", "Expect: cake\r\n", ""), "417 Expectation Failed", "100-continue"),
        ("GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "421 Misdirected Request", "http: only"),
        (&post("/", &many, ""), "431 Request Header Fields Too Large", "100 fields"),
        (&post("/", &format!("X: {}\r\n", long.repeat(8)), ""), "431 Request Header Fields Too Large", "65536 bytes"),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", "501 Not Implemented", "CONNECT"),
        (&post("/", "Transfer-Encoding: gzip, chunked\r\n", ""), "501 Not Implemented", "chunked"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 HTTP Version Not Supported", "HTTP/1.1 and 1.0"),
    ] {
        let answer = ask(&server, request);
        assert_eq!(answer.status, status, "{:.80}", request.escape_debug());
        let text = answer.text();
        assert!(text.starts_with(&format!("{status}: ")) && text.contains(reason), "{text}");
        assert_eq!(answer.field("Content-Type"), Some("text/plain; charset=utf-8"));
        assert_eq!(answer.field("Connection"), Some("close"));
        expected += &format!("webserver2: a request is refused: {text}");
        assert_answers(&server);
    }
    assert_eq!(server.all_errors(), expected);
}

#[test]
fn nothing_that_a_client_sends_stands_in_a_refusal() {
    let mut server = start_hello(&["--quiet"]);
    for request in
        ["<script> / HTTP/1.1\r\n\r\n", "GET /<script> HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\n<script>\r\n\r\n"]
    {
        assert!(!ask(&server, request).text().contains("script"));
    }
    assert!(!server.all_errors().contains("script"));
}

#[test]
fn what_two_programs_could_read_differently_is_refused() {
    let mut server = start_hello(&["--quiet"]);
    let hidden = "0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    let fields = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5,5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5\r\n 6\r\n",
        "Content-Length : 5\r\n",
        "Content-Length: 5\r\nTransfer-Encoding : chunked\r\n",
        "Content-Length: 5\r\n Transfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nTransfer-Encoding:\r\n chunked\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: \x0bchunked\r\n",
        "Content-Length: 5\r\nTransfer-Encoding\0: chunked\r\n",
        "Content-Length: 5\r\nX: y\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nX: y\rTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity\r\n",
        "Host: other\r\n",
    ];
    for fields in fields {
        let mut client = Probe::connect(server.port()).unwrap();
        client.send(post("/", fields, hidden).as_bytes()).unwrap();
        let sent = client.read_to_end().unwrap();
        assert_eq!(codes(sent), ["400"], "{fields:?}");
    }
    assert_eq!(server.all_errors().lines().count(), fields.len());
}

#[test]
fn a_second_request_on_the_same_connection_is_never_answered() {
    let mut server = start_hello(&[]);
    let second = "GET /second HTTP/1.1\r\nHost: a\r\n\r\n";
    for first in [
        request("GET", "/first", "HTTP/1.1", ""),
        request("GET", "/first", "HTTP/1.0", ""),
        request("POST", "/first", "HTTP/1.1", "body"),
        post("/first", "Content-Length: 0\r\n", ""),
        post("/first", "Connection: keep-alive\r\n", ""),
        post("/first", "Transfer-Encoding: chunked\r\n", "1\r\na\r\n0\r\n\r\n"),
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
    ] {
        let answer = ask(&server, first.clone() + second);
        assert_eq!((answer.status.as_str(), answer.field("Connection")), ("200 OK", Some("close")), "{first:?}");
        assert_eq!(codes(&answer.body), [""; 0], "{first:?}");
    }
    assert!(!server.all_output().contains("/second"), "it is no request to this server: {}", server.output());
}

#[test]
fn an_answer_is_not_lost_when_the_client_sends_more_than_was_read() {
    let server = start_behaviours(&[]);
    let large = "x".repeat(3_000_000);
    for (request, status) in [
        (request("POST", "/ignore", "HTTP/1.1", &large), "200 OK"),
        (request("POST", "/fail", "HTTP/1.1", &large), "500 Internal Server Error"),
        (request("POST", "/", "HTTP/7.0", &large), "505 HTTP Version Not Supported"),
        (request("OPTIONS", "*", "HTTP/1.1", &large), "200 OK"),
        (request("GET", "/ignore", "HTTP/1.1", "") + &large, "200 OK"),
        (post("/ignore", "Content-Length: 3000001\r\n", &large), "200 OK"), // more is promised than comes
        (post("/ignore", "Content-Length: 9999999999999\r\n", &large), "413 Content Too Large"),
        (post("/ignore", "Transfer-Encoding: chunked\r\n", &large), "400 Bad Request"),
    ] {
        assert_eq!(ask(&server, &request).status, status, "{:.60}", request.escape_debug());
    }
}

#[test]
fn a_body_that_comes_after_the_answer_is_taken_and_dropped() {
    let server = start_behaviours(&[]);
    let head = post("/ignore", "Content-Length: 100000\r\n", "");
    for head in [&head, &head.replace("POST /ignore", "OPTIONS *"), &head.replace("1.1", "7.0")] {
        let mut client = Probe::connect(server.port()).unwrap();
        client.send(head.as_bytes()).unwrap();
        client.read_to_end().unwrap();
        // A connection that was closed at once would be reset by the first of these, and the second would not be sent.
        for _ in 0..4 {
            client.send(&[b'x'; 25_000]).unwrap_or_else(|error| panic!("{head:?}: {error}"));
            thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_request_for_the_server_itself_is_answered_by_the_server() {
    let server = start_behaviours(&[]);
    for (target, version) in [("*", "HTTP/1.1"), ("*", "HTTP/1.0"), ("http://localhost", "HTTP/1.1")] {
        let answer = ask(&server, request("OPTIONS", target, version, ""));
        assert_eq!((answer.status.as_str(), answer.field("Content-Length")), ("200 OK", Some("0")), "{target}");
        assert_eq!(answer.body, b"");
    }
    assert_eq!(ask(&server, request("GET", "*", "HTTP/1.1", "")).status, "400 Bad Request");
}

#[test]
fn a_refused_head_request_has_no_body() {
    let server = start_hello(&["--quiet"]);
    for before in ["", "\r\n", "\r\n\r\n"] {
        let answer = ask(&server, format!("{before}HEAD / HTTP/1.1\r\n\r\n"));
        assert_eq!((answer.status.as_str(), &answer.body[..]), ("400 Bad Request", &b""[..]), "{before:?}");
        let get = ask(&server, format!("{before}GET / HTTP/1.1\r\n\r\n"));
        assert_eq!(answer.field("Content-Length"), get.field("Content-Length"));
        assert_ne!(get.body, b"");
    }
}

#[test]
fn the_application_is_told_what_the_request_says() {
    let server = start_behaviours(&[]);
    let environ = ask(
        &server,
        "PATCH /environ?a=%41 HTTP/1.1\r\nHost: example.org:80\r\nUser-Agent: probe\r\nAccept: a\r\naccept: b\r\n\
         Cookie: a=1\r\nCookie: b=2\r\nContent-Type: text/x\r\nContent-Length: 3\r\nX-Empty:\r\n\r\nabc",
    );
    let environ = environ.text();
    for (name, value) in [
        ("REQUEST_METHOD", "PATCH"),
        ("SCRIPT_NAME", ""),
        ("PATH_INFO", "/environ"),
        ("QUERY_STRING", "a=%41"),
        ("REQUEST_URI", "/environ?a=%41"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("SERVER_NAME", "127.0.0.1"),
        ("SERVER_PORT", &server.port().to_string()),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("HTTP_HOST", "example.org:80"),
        ("HTTP_USER_AGENT", "probe"),
        ("HTTP_ACCEPT", "a, b"),
        ("HTTP_COOKIE", "a=1; b=2"),
        ("HTTP_X_EMPTY", ""),
        ("CONTENT_TYPE", "text/x"),
        ("CONTENT_LENGTH", "3"),
    ] {
        assert_eq!(variable(&environ, name), Some(value), "{name} in {environ}");
    }
    for name in ["HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"] {
        assert_eq!(variable(&environ, name), None, "{environ}");
    }
}

#[test]
fn the_application_is_not_told_what_could_be_taken_for_something_else() {
    let server = start_behaviours(&[]);
    let fields = "Proxy: evil\r\nX_Real: evil\r\nContent_Length: evil\r\nTransfer_Encoding: evil\r\nX-Real: good\r\n";
    let environ = ask(&server, format!("GET /environ HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).text();
    assert_eq!(variable(&environ, "HTTP_X_REAL"), Some("good"));
    assert!(!environ.contains("evil") && !environ.contains("CONTENT"), "{environ}");

    let absolute = "GET http://meant:80/environ?q HTTP/1.1\r\nHost: other\r\n\r\n";
    let environ = ask(&server, absolute).text();
    assert_eq!(variable(&environ, "HTTP_HOST"), Some("meant:80"));
    assert_eq!(variable(&environ, "PATH_INFO"), Some("/environ"));
    assert!(!environ.contains("other"), "{environ}");
}

#[test]
fn a_chunked_body_is_whole_before_the_application_is_called() {
    let server = start_behaviours(&[]);
    for version in ["HTTP/1.1", "HTTP/1.2"] {
        let coded = String::from_utf8(chunked(&[b"abc", b"defg"])).unwrap();
        let head = format!("POST /environ {version}\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        let environ = ask(&server, head + &coded).text();
        assert_eq!(variable(&environ, "CONTENT_LENGTH"), Some("7"));
        assert!(!environ.contains("TRANSFER"), "{environ}");
    }
    let coded = "3;a=b\r\nabc\r\n0\r\nTrailer: x\r\n\r\n";
    assert_eq!(ask(&server, post("/echo", "Transfer-Encoding: chunked\r\n", coded)).text(), "abc");
    assert_eq!(ask(&server, post("/echo", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n")).text(), "");
}

#[test]
fn a_large_body_comes_as_it_was_sent() {
    let server = start_behaviours(&[]);
    let body: String = (0..60_000).map(|number| format!("{number}\n")).collect(); // more than is kept in memory
    let chunks: Vec<&[u8]> = body.as_bytes().chunks(1234).collect();
    let head = post("/echo", "Transfer-Encoding: chunked\r\n", "");
    assert_eq!(ask(&server, [head.as_bytes(), &chunked(&chunks)].concat()).text(), body);
    assert_eq!(ask(&server, request("POST", "/echo", "HTTP/1.1", &body)).text(), body);
}

#[test]
fn a_body_may_come_byte_by_byte() {
    let server = start_behaviours(&[]);
    for request in [
        request("POST", "/echo", "HTTP/1.1", "abc"),
        post("/echo", "Transfer-Encoding: chunked\r\n", "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"),
    ] {
        let mut client = Probe::connect(server.port()).unwrap();
        for byte in request.as_bytes() {
            client.send(&[*byte]).unwrap();
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(Answer::read(client.read_to_end().unwrap()).text(), "abc");
    }
}

#[test]
fn a_client_that_has_nothing_more_to_send_is_answered() {
    let server = start_behaviours(&[]);
    for (request, length) in [
        (request("GET", "/large", "HTTP/1.1", ""), 256 * 64 * 1024),
        (request("POST", "/echo", "HTTP/1.1", "abc"), 3),
        (post("/echo", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"), 3),
    ] {
        let mut client = Probe::connect(server.port()).unwrap();
        client.send(request.as_bytes()).unwrap();
        client.finish_sending().unwrap();
        assert_eq!(Answer::read(client.read_to_end().unwrap()).text().len(), length, "{request:?}");
    }
}

#[test]
fn a_body_larger_than_the_limit_is_refused() {
    let mut server = start_hello(&["--max-body", "1K", "--quiet"]);
    let fits = [b'x'; 1024];
    let body = |length: usize| "x".repeat(length);
    assert_eq!(ask(&server, request("POST", "/", "HTTP/1.1", &body(1024))).text(), HELLO);
    assert_eq!(ask(&server, request("POST", "/", "HTTP/1.1", &body(1025))).status, "413 Content Too Large");

    let head = post("/", "Transfer-Encoding: chunked\r\n", "").into_bytes();
    assert_eq!(ask(&server, [&head[..], &chunked(&[&fits])].concat()).text(), HELLO);
    for too_large in [chunked(&[&fits, b"x"]), chunked(&[&[b'x'; 1025]]), b"fffffff\r\n".repeat(1000)] {
        assert_eq!(ask(&server, [&head[..], &too_large].concat()).status, "413 Content Too Large");
    }
    assert_eq!(server.all_errors().lines().count(), 4);
}

#[test]
fn a_body_that_ends_early_is_the_clients_fault() {
    let mut server = start_behaviours(&[]);
    for (request, reason) in [
        (post("/echo", "Content-Length: 5\r\n", "abc"), "the body is shorter than Content-Length says"),
        (post("/echo", "Transfer-Encoding: chunked\r\n", "3\r\nab"), "the body ends before its last chunk"),
        (post("/echo", "Transfer-Encoding: chunked\r\n", "0\r\n"), "the body ends before its last chunk"),
        (post("/echo", "Transfer-Encoding: chunked\r\n", "3\r\nabcd"), "a chunk is not as long as its size says"),
    ] {
        let mut client = Probe::connect(server.port()).unwrap();
        client.send(request.as_bytes()).unwrap();
        client.finish_sending().unwrap();
        let answer = Answer::read(client.read_to_end().unwrap());
        assert_eq!(answer.status, "400 Bad Request", "{request:?}");
        assert!(answer.text().contains(reason), "{}", answer.text());
    }
    assert_eq!(server.all_errors().lines().count(), 4, "{}", server.errors());
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for_for_ever() {
    let server = start_behaviours(&["--timeout", "0.5"]);
    for request in [
        post("/echo", "Content-Length: 5\r\n", "abc"),
        post("/echo", "Transfer-Encoding: chunked\r\n", "3\r\nab"),
        post("/echo", "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n", "1"),
    ] {
        let answer = ask(&server, &request);
        assert_eq!(answer.status, "408 Request Timeout", "{request:?}");
        assert!(answer.text().contains("the body came too slowly"));
    }
    // Nobody asked for it.
    assert_eq!(ask(&server, post("/ignore", "Content-Length: 5\r\n", "abc")).text(), "ignored\n");
}

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The status codes that a client gets which asks for `100 Continue`, waits for it, and then sends its body.
fn expects(server: &Server, head: &str, body: &str) -> Vec<String> {
    let mut client = Probe::connect(server.port()).unwrap();
    client.send(head.as_bytes()).unwrap();
    client.read_to(CONTINUE).unwrap_or_else(|error| panic!("{head:?}: {error}"));
    client.send(body.as_bytes()).unwrap();
    codes(client.read_to_end().unwrap())
}

#[test]
fn a_client_that_waits_is_told_once_to_continue() {
    let server = start_behaviours(&[]);
    for expect in
        ["Expect: 100-continue\r\n", "expect: 100-Continue\r\n", "Expect: 100-continue\r\nExpect: 100-continue\r\n"]
    {
        let length = format!("Content-Length: 3\r\n{expect}");
        assert_eq!(expects(&server, &post("/echo", &length, ""), "abc"), ["100", "200"], "{expect:?}");
        let coding = format!("Transfer-Encoding: chunked\r\n{expect}");
        assert_eq!(
            expects(&server, &post("/echo", &coding, ""), "3\r\nabc\r\n0\r\n\r\n"),
            ["100", "200"],
            "{expect:?}"
        );
    }
}

#[test]
fn a_client_that_does_not_wait_is_not_told_to_continue() {
    let server = start_behaviours(&[]);
    let expect = "Content-Length: 3\r\nExpect: 100-continue\r\n";
    for (request, what) in [
        (post("/echo", "Content-Length: 3\r\n", "abc"), "it did not ask"),
        (post("/echo", expect, "abc"), "all of the body is there"),
        (post("/ignore", expect, ""), "the application does not want the body"),
        (post("/echo", "Expect: 100-continue\r\n", ""), "there is no body"),
        (post("/echo", "Content-Length: 0\r\nExpect: 100-continue\r\n", ""), "the body is empty"),
        (post("/echo", "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n", "0\r\n\r\n"), "the body is there"),
    ] {
        let mut client = Probe::connect(server.port()).unwrap();
        client.send(request.as_bytes()).unwrap();
        assert_eq!(codes(client.read_to_end().unwrap()), ["200"], "{what}: {request:?}");
    }
    let large = start_hello(&["--max-body", "2", "--quiet"]);
    assert_eq!(ask(&large, post("/", expect, "")).status, "413 Content Too Large");
    assert_eq!(ask(&large, post("/", "Content-Length: 1\r\nExpect: 200-ok\r\n", "")).status, "417 Expectation Failed");
}

#[test]
fn a_client_of_http_1_0_is_not_told_to_continue() {
    let server = start_behaviours(&[]);
    for expect in ["100-continue", "cake"] {
        let fields = format!("Content-Length: 3\r\nExpect: {expect}\r\n");
        let mut client = Probe::connect(server.port()).unwrap();
        client.send(post("/echo", &fields, "").replace("HTTP/1.1", "HTTP/1.0").as_bytes()).unwrap();
        assert!(client.is_silent_for(Duration::from_millis(300)).unwrap(), "{expect}");
        client.send(b"abc").unwrap();
        assert_eq!(codes(client.read_to_end().unwrap()), ["200"], "{expect}");
    }
}

#[test]
fn a_client_whose_answer_has_begun_is_not_told_to_continue() {
    let server = start_behaviours(&[]);
    let mut client = Probe::connect(server.port()).unwrap();
    client.send(post("/echo/late", "Content-Length: 3\r\nExpect: 100-continue\r\n", "").as_bytes()).unwrap();
    client.read_to(b"begun\n\r\n").unwrap();
    assert!(client.is_silent_for(Duration::from_millis(300)).unwrap());
    client.send(b"abc").unwrap();
    let sent = client.read_to_end().unwrap();
    assert_eq!(codes(sent), ["200"]);
    assert_eq!(Answer::read(sent).text(), "begun\nabc");
}

#[test]
fn a_client_that_drips_does_not_get_more_time_with_each_drop() {
    let chunked = post("/echo", "Transfer-Encoding: chunked\r\n", "");
    // Each has a server of its own, all at once: most of the time is the servers' time limits.
    thread::scope(|scope| {
        for (begin, drop) in [
            ("GET / HTTP/1.1\r\nX: ", "x"),
            ("\r\n", "\r\n"),
            (&post("/echo", "Content-Length: 10000\r\n", ""), "x"),
            (&chunked, "1\r\nx\r\n"),
            (&chunked, "0"),
        ] {
            let begin = begin.to_owned();
            scope.spawn(move || drip(&begin, drop));
        }
    });
}

/// Asserts that a client that sends `begin`, and then `drop` for ever, is told that it is too slow.
fn drip(begin: &str, drop: &str) {
    let server = start_behaviours(&["--timeout", "1"]);
    let mut client = Probe::connect(server.port()).unwrap();
    client.send(begin.as_bytes()).unwrap();
    let answered = wait::until(PATIENCE, || {
        client.send(drop.as_bytes()).unwrap();
        (!client.is_silent_for(Duration::from_millis(50)).unwrap()).then_some(())
    });
    assert!(answered.is_some(), "{begin:?} and then {drop:?} for ever");
    assert_eq!(codes(client.received()), ["408"], "{begin:?} and then {drop:?}");
}

#[test]
fn an_unknown_method_is_the_applications_business() {
    let server = start_behaviours(&[]);
    for method in ["get", "BREW", "TRACE", "M-SEARCH", "!#$%&'*+-.^_`|~", &"X".repeat(32)] {
        let environ = ask(&server, request(method, "/environ", "HTTP/1.1", "")).text();
        assert_eq!(variable(&environ, "REQUEST_METHOD"), Some(method));
    }
    assert_eq!(get(&server, "/nowhere").status, "404 Not Found");
}
