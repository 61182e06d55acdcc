//! A client that behaves badly harms nobody but itself, whatever the stage.

mod common;

use std::thread;
use std::time::{Duration, Instant};

use client::misbehaviour::{self, Misbehaviour, Outcome};
use client::probe::Probe;
use client::server::{PATIENCE, Server};
use client::wait;
use common::{FORKING, RESPONSE, SIMPLE, assert_answers, ending, sleep, start};

/// Has each misbehaving client in `chosen` meet a fresh server of `stage`, with a short time limit and no sleep.
fn meet(stage: &str, chosen: impl Fn(&Misbehaviour) -> bool) {
    for bad in misbehaviour::ALL.iter().filter(|bad| chosen(bad)) {
        let mut server = start(stage, &[&sleep(stage, "0")[..], &["--timeout", "1"]].concat());
        let met = format!("{stage} met a client that {}", bad.name);
        let stayed = bad.act(server.port()).unwrap_or_else(|error| panic!("{met}: {error}"));

        assert_answers(&server);
        if let Some(mut client) = stayed.filter(|_| bad.outcome == Outcome::Answer) {
            if SIMPLE.contains(&stage) {
                client.read_to(RESPONSE).unwrap_or_else(|error| panic!("{met}, which got no answer: {error}"));
            }
            if stage != "webserver3d" {
                // A reset here would mean that the server did not read all that it was sent.
                let received = client
                    .read_to_end()
                    .unwrap_or_else(|error| panic!("{met}, whose connection did not end well: {error}"));
                assert!(received.starts_with(b"HTTP/1.1 "), "{met}, which got no answer");
            }
        }
        assert!(server.ended().unwrap().is_none(), "{met} and died: {}", server.errors());
        assert_no_child_lasts(&server, &met);
        assert_errors_are_lines(&server.all_errors(), &met);
    }
}

fn assert_no_child_lasts(server: &Server, met: &str) {
    let gone = wait::until(PATIENCE, || (server.children().ok()?.alive == 0).then_some(()));
    assert!(gone.is_some(), "{met}, and a child of it lasts: {:?}", server.children());
}

/// Errors of a client are one line each, without a panic.
fn assert_errors_are_lines(errors: &str, met: &str) {
    assert!(errors.lines().count() <= 2, "{met}: {errors}");
    for line in errors.lines() {
        let said = line.split_once(": ").map(|(_, said)| said).unwrap_or_default();
        let known = ["recv: ECONNRESET: ", "write: E", "send: E", "a request is refused: "];
        assert!(known.iter().any(|known| said.starts_with(known)), "{met}: {errors}");
    }
}

#[test]
fn webserver3a_is_not_harmed() {
    meet("webserver3a", |_| true);
}

#[test]
fn webserver3b_is_not_harmed() {
    meet("webserver3b", |_| true);
}

#[test]
fn webserver3c_is_not_harmed() {
    meet("webserver3c", |_| true);
}

#[test]
fn webserver3d_is_not_harmed() {
    meet("webserver3d", |_| true);
}

#[test]
fn webserver3f_is_not_harmed() {
    meet("webserver3f", |_| true);
}

#[test]
fn webserver3g_is_not_harmed() {
    meet("webserver3g", |_| true);
}

#[test]
fn webserver3h_is_not_harmed() {
    meet("webserver3h", |_| true);
}

#[test]
fn webserver3e_is_not_harmed_before_its_first_child_ends() {
    // The end of a child ends 3e, be it a good client's or a bad one's. So here all of them stay.
    let mut server = start("webserver3e", &["--sleep", "600", "--timeout", "600"]);
    let waiting: Vec<_> = misbehaviour::ALL.iter().filter(|bad| bad.outcome != Outcome::Nothing).collect();
    let stayed: Vec<_> = waiting.iter().map(|bad| bad.act(server.port()).unwrap()).collect();
    assert_answers(&server);
    assert!(server.ended().unwrap().is_none());
    drop(stayed);
}

#[test]
fn a_stage_that_forks_lets_nobody_wait_for_a_bad_client() {
    for stage in FORKING {
        let server = start(stage, &[&sleep(stage, "600")[..], &["--timeout", "600"]].concat());
        let waiting = misbehaviour::ALL.iter().filter(|bad| bad.outcome == Outcome::Wait);
        let stayed: Vec<_> = waiting.map(|bad| bad.act(server.port()).unwrap()).collect();
        assert_answers(&server);
        drop(stayed);
    }
}

#[test]
fn a_request_that_comes_byte_by_byte_is_whole() {
    for stage in ["webserver3a", "webserver3g", "webserver3h"] {
        let server = start(stage, &["--timeout", "600"]);
        let mut client = Probe::connect(server.port()).unwrap();
        for byte in b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" {
            thread::sleep(Duration::from_millis(2));
            client.send(&[*byte]).unwrap();
        }
        assert!(client.read_to_end().unwrap().ends_with(ending(&server)), "{stage}");
    }
}

#[test]
fn the_time_limit_holds_for_the_whole_request_and_is_followed_by_an_answer() {
    for stage in ["webserver3a", "webserver3g", "webserver3h"] {
        let server = start(stage, &["--timeout", "1"]);
        for bad in misbehaviour::ALL.iter().filter(|bad| bad.outcome == Outcome::Wait) {
            let mut client = bad.act(server.port()).unwrap().unwrap();
            // The drip goes on for 5 s. A limit that each byte renewed would let it, and then time out.
            let answered = Instant::now();
            let answer = client.read_to_end().unwrap_or_else(|error| panic!("{stage}, {}: {error}", bad.name));
            let status: &[u8] = if SIMPLE.contains(&stage) { RESPONSE } else { b"HTTP/1.1 408 " };
            assert!(answer.starts_with(status), "{stage}, {}: {}", bad.name, String::from_utf8_lossy(answer));
            assert!(answered.elapsed().as_secs() < 5, "{stage}: a client that {} renewed its limit", bad.name);
        }
    }
}
