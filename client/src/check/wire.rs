//! Claims on what a client meets: answers, their order, and the end of a connection.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use super::candidate::{Answer, Candidate, SECOND, SILENCE, SOON, fails, skipped, time};
use super::claim::Verdict;
use super::stage::Stage;
use crate::misbehaviour;
use crate::output::counted;
use crate::probe::{Probe, REQUEST, Stop};

type Attempt = Result<String, Verdict>;

pub fn answer(candidate: &mut Candidate) -> Attempt {
    let (_client, answer) = candidate.ask(REQUEST)?;
    candidate.status = Some(answer.status);
    Ok(format!("status {}, first byte after {}", answer.status, time(answer.first_byte)))
}

pub fn close(candidate: &mut Candidate) -> Attempt {
    const AT_ONCE: Duration = SILENCE;
    // Twice, because a busy machine can make the first look like a sleep.
    let mut took = Duration::ZERO;
    for _ in 0..2 {
        let (mut client, answer) = candidate.ask(REQUEST)?;
        if !candidate.is_closed_within(&mut client, 2 * SECOND)? {
            return Err(fails(format!(
                "the connection is still open {} after the answer. Its end is what tells a client that the answer is \
                 complete: close it when the answer is written, and close every copy of it that another process has \
                 open",
                time(2 * SECOND)
            )));
        }
        took = answer.complete.elapsed();
        if took < AT_ONCE {
            return Ok(format!("{} after it", time(took)));
        }
    }
    Err(fails(format!(
        "the connection is closed only {} after the answer: this stage does not sleep between the two",
        time(took)
    )))
}

/// 3e lives no longer than its first child: where it can't be started afresh, what waits for that comes last.
fn may_outlast_a_child(candidate: &Candidate) -> Result<(), Verdict> {
    if candidate.stage == Stage::E { candidate.may_be_spoiled() } else { Ok(()) }
}

pub fn sleep(candidate: &mut Candidate) -> Attempt {
    may_outlast_a_child(candidate)?;
    let (mut client, answer) = candidate.ask(REQUEST)?;
    let limit = candidate.sleep_limit();
    if !candidate.is_closed_within(&mut client, limit)? {
        return Err(fails(format!(
            "the connection is still open {} after the answer. If the server sleeps for longer on purpose, say how \
             long with --sleep; if not, somebody keeps the connection open",
            time(limit)
        )));
    }
    let slept = answer.complete.elapsed();
    let least = candidate.least_sleep();
    if slept < least {
        return Err(fails(format!(
            "the connection is closed {} after the answer, so the server has not slept before it; it should for {} or \
             more. The sleep belongs between the answer and the close, so that a client has its answer and can be seen \
             to wait for the end",
            time(slept),
            time(least)
        )));
    }
    candidate.slept = Some(slept);
    Ok(format!("closed {} after the answer{}", time(slept), remark(answer)))
}

/// What a client makes of an answer whose end it can count.
pub fn remark(answer: Answer) -> &'static str {
    if answer.has_length { "; its Content-Length lets curl end without waiting for that" } else { "" }
}

pub fn one_read(candidate: &mut Candidate) -> Attempt {
    let mut client = candidate.connect()?;
    match candidate.ask_on(&mut client, b"GET /hello\r\n", 2 * SECOND) {
        Ok(answer) => Ok(format!("first byte after {}", time(answer.first_byte))),
        Err(Verdict::Fails(_)) => Err(fails(
            "a single line is not answered: the server waits for more. This stage takes what one read brings for the \
             request, which is enough to answer whoever types a line into nc, and a trap that 3a is about",
        )),
        Err(other) => Err(other),
    }
}

pub fn whole_head(candidate: &mut Candidate) -> Attempt {
    let (half, rest) = REQUEST.split_at(REQUEST.len() / 2);
    let mut client = candidate.connect()?;
    let _ = client.send(half);
    if !client.is_silent_for(SILENCE).unwrap_or(false) {
        return Err(fails(
            "half a request is answered, or the connection is closed. TCP carries bytes, not requests: one read may \
             bring a part of a request. Read again until the empty line that ends the head has come, or the client has \
             nothing more to send",
        ));
    }
    let answer = candidate.ask_on(&mut client, rest, SOON)?;
    Ok(format!("silent for {}, and answered {} after the rest came", time(SILENCE), time(answer.first_byte)))
}

pub fn body(candidate: &mut Candidate) -> Attempt {
    may_outlast_a_child(candidate)?;
    const LENGTH: usize = 200_000;
    let head = format!("POST /hello HTTP/1.1\r\nHost: localhost:8888\r\nContent-Length: {LENGTH}\r\n\r\n");
    let request = [head.as_bytes(), &vec![b'x'; LENGTH]].concat();
    let mut client = candidate.connect()?;
    let answer = candidate.ask_on(&mut client, &request, SOON).map_err(|verdict| match verdict {
        Verdict::Fails(seen) => fails(format!("{seen}. {UNREAD}")),
        other => other,
    })?;
    let seen = format!("status {}", answer.status);
    if candidate.stage == Stage::D {
        // The connection does not end. What is left unread shows when the child closes it, or not at all.
        return match client.is_silent_for(SILENCE) {
            Ok(_) => Ok(seen),
            Err(error) => Err(fails(format!("answered, and then: {error}. {UNREAD}"))),
        };
    }
    if candidate.sleep() > SOON {
        return Ok(format!("{seen}; its end was not waited for"));
    }
    // That the end does not come, or late, is another claim's matter: what is told here is that it is no reset.
    let limit = candidate.sleep() + SECOND;
    let has_ended = candidate.is_closed_within(&mut client, limit)?;
    Ok(if has_ended { format!("{seen}, and the connection ended well") } else { seen })
}

const UNREAD: &str = "When a socket is closed while bytes wait in it unread, the connection is reset, and the answer \
                      may be lost: read as many bytes of the body as Content-Length says before you close";

pub fn no_judge(candidate: &mut Candidate) -> Attempt {
    let expected = candidate.status.unwrap_or(200);
    let (_client, answer) = candidate.ask(b"what is this?\r\n\r\n")?;
    if answer.status != expected {
        return Err(fails(format!(
            "garbage is answered with status {}, a good request with {expected}. This stage answers whatever comes; \
             judging requests is the lesson of {}",
            answer.status,
            Stage::Two.chapter()
        )));
    }
    Ok(format!("status {expected}"))
}

pub fn judge(candidate: &mut Candidate) -> Attempt {
    let (_client, garbage) = candidate.ask(b"what is this?\r\n\r\n")?;
    if !(400..500).contains(&garbage.status) {
        return Err(fails(format!(
            "garbage is answered with status {}; what is no request gets 400 Bad Request (RFC 9112, section 3)",
            garbage.status
        )));
    }
    let (_client, hostless) = candidate.ask(b"GET /hello HTTP/1.1\r\n\r\n")?;
    if hostless.status != 400 {
        return Err(fails(format!(
            "a request without a Host field is answered with status {}; in HTTP/1.1 it gets 400 (RFC 9112, section \
             3.2)",
            hostless.status
        )));
    }
    let mut client = candidate.connect()?;
    let sent = client.send(b"HEAD /hello HTTP/1.1\r\nHost: localhost:8888\r\n\r\n");
    let ends_head = |received: &[u8]| received.windows(4).any(|end| end == b"\r\n\r\n");
    let head = client.read_until(Instant::now() + SOON, ends_head);
    if sent.is_err() || !matches!(head, Ok(Stop::Enough)) {
        return Err(fails("HEAD is not answered with a head that ends in an empty line"));
    }
    if candidate.is_closed_within(&mut client, SOON)? && !client.received().ends_with(b"\r\n\r\n") {
        return Err(fails(
            "the answer to HEAD has a body; it is the head that GET would get, and nothing more (RFC 9110, 9.3.2)",
        ));
    }
    Ok(format!("status {}, status {}, no body", garbage.status, hostless.status))
}

pub fn in_turn(candidate: &mut Candidate) -> Attempt {
    let mut first = candidate.connect()?;
    let mut second = candidate.connect()?;
    let _ = second.send(REQUEST);
    if !second.is_silent_for(SILENCE).unwrap_or(false) {
        return Err(fails(
            "a second client is answered, or closed, while the first, which was there before it, has said nothing yet. \
             An iterative server handles one connection to its end before it accepts the next",
        ));
    }
    candidate.ask_on(&mut first, REQUEST, SOON)?;
    // Its request has been sent already.
    let answer = candidate.ask_on(&mut second, b"", SOON)?;
    Ok(format!("silent for {}; answered {} after the first", time(SILENCE), time(answer.first_byte)))
}

pub fn in_turn_sleeping(candidate: &mut Candidate) -> Attempt {
    let mut first = candidate.ask(REQUEST)?.0;
    let answered = Instant::now();
    let mut second = candidate.connect()?;
    let _ = second.send(REQUEST);
    let limit = candidate.sleep_limit() + SOON;
    let came = candidate.wait(limit, "the second client's turn", || {
        let slice = Instant::now() + Duration::from_millis(50);
        second.read_until(slice, |received| !received.is_empty()).ok()
    });
    let waited = answered.elapsed();
    if came.is_none() {
        return Err(fails(format!("a second client is not answered within {}", time(limit))));
    }
    if !matches!(first.read_until(Instant::now() + Duration::from_millis(20), |_| false), Ok(Stop::End)) {
        return Err(fails(format!(
            "a second client is answered {} after the first, whose connection is still open: the server sleeps for one \
             client and serves another. An iterative server does one thing after the other",
            time(waited)
        )));
    }
    let least = candidate.least_sleep();
    if waited < least {
        return Err(fails(format!(
            "a second client is answered {} after the first: the server does not sleep for {} in between",
            time(waited),
            time(least)
        )));
    }
    candidate.ask_on(&mut second, b"", SOON)?;
    if !second.is_silent_for(SILENCE).unwrap_or(false) {
        return Err(fails(
            "the second client's connection is closed at once: the server sleeps for the first one only",
        ));
    }
    Ok(format!("answered {} after the first", time(waited)))
}

pub fn at_once(candidate: &mut Candidate) -> Attempt {
    // Few enough for a short queue: when that is full, the kernel has a client wait for a second.
    const HELD: usize = 2;
    const CLIENTS: usize = 3;
    let mut held: Vec<Probe> = (0..HELD).map(|_| candidate.connect()).collect::<Result<_, _>>()?;
    let mut clients: Vec<Probe> = (0..CLIENTS).map(|_| candidate.connect()).collect::<Result<_, _>>()?;
    let mut slowest = Duration::ZERO;
    for client in clients.iter_mut().rev() {
        let answer = candidate.ask_on(client, REQUEST, 3 * SECOND).map_err(|verdict| match verdict {
            Verdict::Fails(seen) => fails(format!(
                "while others, which were there before it, are held, a client gets nothing ({seen}). A concurrent \
                 server has a child for each connection, and goes back to accept at once: wait for no client, and for \
                 no child"
            )),
            other => other,
        })?;
        slowest = slowest.max(answer.first_byte);
    }
    for client in &mut held {
        candidate.ask_on(client, REQUEST, SOON)?;
    }
    Ok(format!("first byte after at most {}", time(slowest)))
}

pub fn misbehaviour(candidate: &mut Candidate) -> Attempt {
    // An iterative server is held up by whoever says nothing; that is no harm beyond its lesson. One that sleeps after
    // every answer takes its time for each.
    let sleeps = candidate.stage == Stage::B;
    let silent = if candidate.stage.forks() { misbehaviour::SILENT } else { &[] };
    let leaving = if sleeps && candidate.sleep() > SOON { &misbehaviour::LEAVING[..1] } else { misbehaviour::LEAVING };
    let turn = if sleeps { candidate.sleep_limit() } else { Duration::ZERO };
    let mut stayed = Vec::new();
    for (before, bad) in silent.iter().chain(leaving).enumerate() {
        let harmed = |verdict| match verdict {
            Verdict::Fails(seen) => fails(format!(
                "after a client that {}: {seen}. What goes wrong on one connection, such as EPIPE or ECONNRESET from \
                 write, concerns that connection alone: give it up, and go on",
                bad.name
            )),
            other => other,
        };
        let probe = candidate.connect().map_err(harmed)?;
        // That it can't behave so badly is no harm.
        stayed.extend(bad.act_on(probe).ok().flatten());
        let mut client = candidate.connect().map_err(harmed)?;
        let limit = SOON + turn * (before as u32 * 2 + 1);
        let _ = client.send(REQUEST);
        let its_turn = candidate.wait(limit, "a client's turn", || {
            let stop = client.read_until(Instant::now() + Duration::from_millis(50), |received| !received.is_empty());
            stop.map_or_else(|error| (error.kind() != ErrorKind::TimedOut).then_some(()), |_| Some(()))
        });
        let rest = if its_turn.is_some() { SOON } else { Duration::ZERO };
        candidate.ask_on(&mut client, b"", rest).map_err(harmed)?;
    }
    let count = silent.len() + leaving.len();
    Ok(format!("{}, and the next one was answered each time", counted(count, "such client", "such clients")))
}

pub fn port_is_free(candidate: &mut Candidate) -> Attempt {
    candidate.may_be_spoiled()?;
    let port = candidate.address().port();
    let mut client = candidate.ask(REQUEST)?.0;
    // The server closes first, so it is on its side that TCP remembers the connection for a minute.
    candidate.is_closed_within(&mut client, SOON)?;
    drop(client);
    let start = candidate.start_again();
    let again = candidate.address().port();
    match start {
        Ok(()) if again != port => {
            candidate.stop();
            Err(skipped("its port is another at each start: write {port} in the command where it goes"))
        }
        Ok(()) => {
            candidate.ask(REQUEST)?;
            Ok(format!("it listens on port {port} again"))
        }
        Err(failure) => Err(fails(format!(
            "it can't be started again at once: {failure}. The kernel remembers the connections that the server has \
             closed for a minute, and keeps their port (TIME_WAIT); SO_REUSEADDR, set before bind, lets it be taken"
        ))),
    }
}
