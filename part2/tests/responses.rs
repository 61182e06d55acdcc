//! What the server makes of responses: what it adds to them, how it tells where they end, and what it does not let out.

mod common;

use std::io::ErrorKind;

use client::probe::Probe;
use client::server::{PATIENCE, Server};
use client::wait;
use common::{Answer, HELLO, ask, codes, get, request, start_behaviours, start_hello};

/// Asks for `path` with `method` and `body`, as a client of HTTP/1.1.
fn call(server: &Server, method: &str, path: &str, body: &str) -> Answer {
    ask(server, request(method, path, "HTTP/1.1", body))
}

/// Asserts that an application fails at `path`, that the client is told nothing of why, and the reader is.
fn assert_fails(server: &mut Server, path: &str, why: &str) {
    let answer = get(server, path);
    assert_eq!(answer.status, "500 Internal Server Error", "{path}");
    assert_eq!(answer.text(), "500 Internal Server Error: the application failed; its errors say why\n");
    says(server, why);
}

/// Waits until `server` has said `what` on standard error.
fn says(server: &Server, what: &str) {
    let said = wait::until(PATIENCE, || server.errors().contains(what).then_some(()));
    assert!(said.is_some(), "it does not say {what:?}: {}", server.errors());
}

#[test]
fn a_response_gets_what_the_application_did_not_set() {
    let server = start_hello(&["--quiet"]);
    let answer = get(&server, "/");
    assert_eq!(answer.status, "200 OK");
    assert_eq!(answer.text(), HELLO);
    let length = HELLO.len().to_string();
    for (name, value) in [("Content-Type", "text/plain"), ("Content-Length", &length), ("Connection", "close")] {
        assert_eq!(answer.field(name), Some(value));
    }
    let date = httpdate::parse_http_date(answer.field("Date").unwrap()).unwrap();
    assert!(date.elapsed().unwrap() < PATIENCE, "{date:?}");
    assert!(answer.field("Server").unwrap().starts_with("WSGIServer/"));
    assert_eq!(answer.fields.len(), 5, "{answer:?}");
}

/// `text` as [`Answer`] has it: a character for each byte.
fn characters(text: &str) -> String {
    text.bytes().map(char::from).collect()
}

#[test]
fn what_the_application_set_stays() {
    let server = start_behaviours(&[]);
    for (field, name, value) in [
        ("Date:today", "Date", "today"),
        ("server: mine", "Server", " mine"),
        ("X-Y:\u{e9}", "X-Y", "\u{e9}"),
        ("X:", "X", ""),
    ] {
        let answer = call(&server, "POST", "/header", field);
        let value = characters(value);
        assert_eq!((answer.status.as_str(), answer.field(name)), ("200 OK", Some(value.as_str())), "{field}");
        assert_eq!(answer.text(), "content\n");
    }
}

#[test]
fn a_body_ends_where_its_length_says_or_with_its_last_chunk_or_with_the_connection() {
    let server = start_behaviours(&[]);
    for (path, version, length, coding, text) in [
        ("/blocks", "HTTP/1.1", None, Some("chunked"), "one, two\n"),
        ("/blocks", "HTTP/1.0", None, None, "one, two\n"),
        ("/length", "HTTP/1.1", Some("9"), None, "one, two\n"),
        ("/length", "HTTP/1.0", Some("9"), None, "one, two\n"),
        ("/ignore", "HTTP/1.1", Some("8"), None, "ignored\n"), // one block, and so its length is known
        ("/ignore", "HTTP/1.0", Some("8"), None, "ignored\n"),
        ("/empty", "HTTP/1.1", Some("0"), None, ""),
        ("/empty", "HTTP/1.0", Some("0"), None, ""),
        ("/late", "HTTP/1.1", Some("5"), None, "late\n"),
        ("/write", "HTTP/1.1", None, Some("chunked"), "written, returned\n"),
        ("/write", "HTTP/1.0", None, None, "written, returned\n"),
    ] {
        let answer = ask(&server, request("GET", path, version, ""));
        assert_eq!(answer.field("Content-Length"), length, "{path} {version}");
        assert_eq!(answer.field("Transfer-Encoding"), coding, "{path} {version}");
        assert_eq!(answer.text(), text, "{path} {version}");
    }
}

#[test]
fn a_chunk_is_a_block_and_an_empty_block_is_none() {
    let server = start_behaviours(&[]);
    assert_eq!(get(&server, "/blocks").coded, b"5\r\none, \r\n4\r\ntwo\n\r\n0\r\n\r\n");
}

#[test]
fn a_block_is_sent_before_the_next_is_made() {
    let server = start_behaviours(&[]);
    for (version, blocks) in [("HTTP/1.1", ["1\r\na\r\n", "1\r\nb\r\n"]), ("HTTP/1.0", ["a", "b"])] {
        let mut client = Probe::connect(server.port()).unwrap();
        let head = format!("POST /converse {version}\r\nHost: a\r\nContent-Length: 3\r\n\r\n");
        client.send(head.as_bytes()).unwrap();
        // A byte of the request is sent only when the block that the one before it made has come.
        for (byte, block) in ["a", "b"].iter().zip(blocks) {
            client.send(byte.as_bytes()).unwrap();
            client.read_to(block.as_bytes()).unwrap();
        }
        client.send(b"c").unwrap();
        assert_eq!(Answer::read(client.read_to_end().unwrap()).text(), "abc", "{version}");
    }
}

#[test]
fn head_gets_the_head_that_get_would_get() {
    let server = start_behaviours(&[]);
    for path in ["/ignore", "/length", "/blocks", "/write", "/late", "/nowhere", "/fail", "/never"] {
        let (head, get) = (call(&server, "HEAD", path, ""), get(&server, path));
        assert_eq!(head.body, b"", "{path}");
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.field("Content-Length"), get.field("Content-Length"), "{path}");
    }
    // Nothing but the head is asked for, so a body without an end is no problem.
    assert_eq!(call(&server, "HEAD", "/endless", "").status, "200 OK");
    // Nobody knows here what GET would have got.
    let empty = call(&server, "HEAD", "/empty", "");
    assert_eq!((empty.status.as_str(), empty.field("Content-Length")), ("200 OK", None));
}

#[test]
fn some_statuses_have_no_body() {
    let server = start_behaviours(&[]);
    for (status, length) in [("204 No Content", None), ("205 Reset Content", Some("0")), ("304 Not Modified", None)] {
        for method in ["POST", "HEAD"] {
            let answer = call(&server, method, "/status", status);
            assert_eq!((answer.status.as_str(), answer.field("Content-Length")), (status, length));
            assert_eq!((answer.field("Transfer-Encoding"), &answer.body[..]), (None, &b""[..]), "{status}");
        }
    }
    for status in ["200 OK", "200 ", "299 \u{e9}", "404 Not Found", "599 Mine", "999 All of them"] {
        let answer = call(&server, "POST", "/status", status);
        assert_eq!((answer.text(), answer.status), ("content\n".to_owned(), characters(status)));
    }
}

#[test]
fn a_response_that_breaks_the_rules_becomes_a_500() {
    let mut server = start_behaviours(&[]);
    for status in
        ["200", "OK", "20 OK", "2000 OK", "-20 OK", "100 Continue", "101 Upgrade", "200 OK\r\nX: y", "200 O\0K"]
    {
        let answer = call(&server, "POST", "/status", status);
        assert_eq!((answer.status.as_str(), answer.field("X")), ("500 Internal Server Error", None), "{status:?}");
    }
    says(&server, "the application failed: the status \"200\" is not of the form `200 OK`\n");
    for field in [
        "X: a\r\nY: b",
        "X: a\nY: b",
        "X: a\rY: b",
        "X: a\r\n\r\nHTTP/1.1 200 OK",
        "X: a\0",
        "X\r\nY: b",
        "X : a",
        "X Y: a",
        ": a",
        "X\u{e9}: a",
        "Content-Length:+5",
        "Content-Length:5,5",
        "Content-Length:",
        "Transfer-Encoding:chunked",
        "Connection:keep-alive",
        "Upgrade:h2c",
        "trailer:X",
    ] {
        let answer = call(&server, "POST", "/header", field);
        assert_eq!((answer.status.as_str(), answer.field("Y")), ("500 Internal Server Error", None), "{field:?}");
    }
    assert!(!server.all_errors().contains("panicked"), "{}", server.errors());
}

#[test]
fn start_response_is_called_once_unless_there_is_an_error() {
    let mut server = start_behaviours(&[]);
    assert_fails(&mut server, "/twice", "start_response was called twice");
    assert_fails(&mut server, "/never", "start_response was not called before the first block");
    let again = get(&server, "/again");
    assert_eq!((again.status.as_str(), again.text().as_str()), ("503 Again", "started again\n"));
    assert_eq!(again.fields.iter().filter(|(name, _)| name == "Content-Type").count(), 1);
    // Too late: the first block has been sent, and the client sees that something is missing.
    assert_eq!(get(&server, "/again/late").coded, b"6\r\nbegun\n\r\n");
    says(&server, "part of the response has been sent; it can't be replaced");
}

#[test]
fn an_application_that_fails_before_its_first_block_becomes_a_500() {
    let mut server = start_behaviours(&[]);
    assert_fails(&mut server, "/fail", "the application failed: no luck\nat all\n");
    assert_fails(&mut server, "/fail/started", "the application failed: no luck\n");
    assert_fails(&mut server, "/panic", "panicked at");
    assert_fails(&mut server, "/panic/twice", "panicked at");
    assert_eq!(get(&server, "/ignore").status, "200 OK");
}

#[test]
fn a_response_that_fails_on_its_way_is_seen_to_be_incomplete() {
    let mut server = start_behaviours(&[]);
    for path in ["/fail/late", "/panic/late"] {
        let answer = get(&server, path);
        assert_eq!((answer.status.as_str(), &answer.coded[..]), ("200 OK", &b"6\r\nbegun\n\r\n"[..]), "{path}");
    }
    // HTTP/1.0 knows no chunks: the end of the connection would be taken for that of the body, if it were in order.
    for path in ["/fail/late", "/panic/late"] {
        let mut client = Probe::connect(server.port()).unwrap();
        client.send(request("GET", path, "HTTP/1.0", "").as_bytes()).unwrap();
        let end = client.read_to_end().map(<[u8]>::len);
        assert_eq!(end.map_err(|error| error.kind()), Err(ErrorKind::ConnectionReset), "{path}");
    }
    let short = get(&server, "/short");
    assert_eq!((short.field("Content-Length"), &short.body[..]), (Some("10"), &b"short"[..]));
    says(&server, "the application sent 5 bytes less than its Content-Length says");
    // What is too much is not sent: the client would take it for another response.
    let long = get(&server, "/long");
    assert_eq!((long.field("Content-Length"), &long.body[..]), (Some("5"), &b"longe"[..]));
    says(&server, "the application sent more than its Content-Length says");
    assert_eq!(server.all_errors().matches("panicked").count(), 2, "{}", server.errors());
}

#[test]
fn a_body_is_closed_at_its_end_and_when_the_client_is_gone() {
    let mut server = start_behaviours(&[]);
    assert_eq!(get(&server, "/close").text(), "again\n");
    says(&server, "the body is closed\n");
    for version in ["HTTP/1.0", "HTTP/1.1"] {
        let answer = ask(&server, request("GET", "/close/write", version, ""));
        assert_eq!(answer.text(), "again\n", "nothing can follow the end of a response");
    }
    assert_eq!(get(&server, "/panic/end").text(), "again\n"); // its close() panics, and the answer is complete

    let mut gone = Probe::connect(server.port()).unwrap();
    gone.send(request("GET", "/endless", "HTTP/1.1", "").as_bytes()).unwrap();
    gone.read_to(b"again\n\r\n").unwrap();
    gone.reset().unwrap();
    assert_eq!(get(&server, "/ignore").text(), "ignored\n");
    assert_eq!(server.all_errors().matches("the body is closed\n").count(), 5, "{}", server.errors());
}

#[test]
fn what_an_application_keeps_does_not_keep_the_connection_open() {
    let server = start_behaviours(&[]);
    let at_rest = server.descriptors().unwrap();
    for _ in 0..3 {
        assert_eq!(call(&server, "POST", "/keep", "body").text(), "kept\n");
        assert_eq!(call(&server, "POST", "/forget", "body").text(), "forgotten\n");
    }
    let closed = || (server.descriptors().unwrap() == at_rest).then_some(());
    wait::until(PATIENCE, closed).expect("a connection is still open");
}

#[test]
fn a_client_that_does_not_read_is_given_up_and_the_next_gets_all() {
    const LARGE: usize = 256 * 64 * 1024;
    let mut server = start_behaviours(&["--timeout", "1"]);
    let mut never = Probe::connect(server.port()).unwrap();
    never.send(request("GET", "/large", "HTTP/1.1", "").as_bytes()).unwrap();
    assert_eq!(get(&server, "/large").text().len(), LARGE);
    assert_eq!(server.all_errors(), "behaviours: send: ETIMEDOUT: Connection timed out\n");
    drop(never);
}

#[test]
fn each_response_is_one() {
    let server = start_behaviours(&[]);
    for path in ["/ignore", "/blocks", "/fail", "/fail/late", "/panic/late", "/again", "/again/late", "/twice", "/long"]
    {
        let mut client = Probe::connect(server.port()).unwrap();
        client.send(request("GET", path, "HTTP/1.1", "").as_bytes()).unwrap();
        assert_eq!(codes(client.read_to_end().unwrap()).len(), 1, "{path}");
    }
}
