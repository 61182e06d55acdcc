//! Clients that behave badly, by mistake or on purpose. None of them may harm anybody but itself.

use std::io;
use std::thread;
use std::time::Duration;

use crate::probe::Probe;

/// One way to behave badly.
#[derive(Debug, Clone, Copy)]
pub struct Misbehaviour {
    /// What such a client does.
    pub name: &'static str,
    /// Does it on a fresh connection. Returns the connection if this client stays.
    act: fn(Probe) -> io::Result<Option<Probe>>,
    /// What a server may be expected to do about it.
    pub outcome: Outcome,
}

/// What a server may be expected to do about a misbehaving client, if it judges nothing and answers whatever came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Answer: what came is as complete as it will get.
    Answer,
    /// Wait for the rest until its own time limit, and then get rid of the client.
    Wait,
    /// Nothing: the client has left, or gets what it deserves.
    Nothing,
}

/// All of them.
pub const ALL: [Misbehaviour; 16] = [
    Misbehaviour { name: "connects and says nothing", act: |probe| Ok(Some(probe)), outcome: Outcome::Wait },
    Misbehaviour {
        name: "sends half a head and no more",
        act: |probe| say(probe, b"GET /hello HTTP/1.1\r\nHo"),
        outcome: Outcome::Wait,
    },
    Misbehaviour { name: "drips a byte now and then", act: drip, outcome: Outcome::Wait },
    Misbehaviour { name: "connects and leaves", act: |_| Ok(None), outcome: Outcome::Nothing },
    Misbehaviour {
        name: "leaves in the middle of the head",
        act: |probe| say(probe, b"GET /hello HTTP/1.1\r\nHo").map(|_| None),
        outcome: Outcome::Nothing,
    },
    Misbehaviour {
        name: "resets the connection in the middle of the head",
        act: |mut probe| {
            probe.send(b"GET /hello HTTP/1.1\r\nHo")?;
            probe.reset().map(|()| None)
        },
        outcome: Outcome::Nothing,
    },
    Misbehaviour {
        name: "has nothing more to send after half a head",
        act: |probe| say_and_finish(probe, b"GET /hello HTTP/1.1\r\nHo"),
        outcome: Outcome::Answer,
    },
    Misbehaviour { name: "sends garbage", act: |probe| say(probe, b"what is this?\n\n"), outcome: Outcome::Answer },
    Misbehaviour {
        name: "sends binary, with commands for the terminal",
        act: |probe| {
            let every_byte: Vec<u8> = (0..=255).chain(*b"\x1b]0;owned\x07\x1b[2J").collect();
            say_and_finish(probe, &every_byte)
        },
        outcome: Outcome::Answer,
    },
    Misbehaviour {
        name: "sends a head of 1 MB",
        act: |probe| {
            let head = [b"GET / HTTP/1.1\r\nX: ", vec![b'x'; 1_000_000].as_slice(), b"\r\n\r\n"].concat();
            say(probe, &head)
        },
        outcome: Outcome::Answer,
    },
    Misbehaviour {
        name: "sends a head that does not end",
        act: |mut probe| {
            let line = [b"X: ", vec![b'x'; 65_531].as_slice(), b"\r\n"].concat();
            // Whoever sends this is cut off some time, and that is an error of writing here.
            let sent_all = (0..64).all(|_| probe.send(&line).is_ok());
            Ok(sent_all.then_some(probe))
        },
        outcome: Outcome::Nothing,
    },
    Misbehaviour {
        name: "sends a body of 200 KB",
        act: |probe| {
            let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n";
            say(probe, &[head, vec![b'x'; 200_000].as_slice()].concat())
        },
        outcome: Outcome::Answer,
    },
    Misbehaviour {
        name: "sends a body of 1 MB",
        act: |probe| {
            let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
            say(probe, &[head, vec![b'x'; 1_000_000].as_slice()].concat())
        },
        outcome: Outcome::Answer,
    },
    Misbehaviour {
        name: "sends a body in chunks",
        act: |probe| {
            let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
            let chunk = [b"1000\r\n", vec![b'x'; 0x1000].as_slice(), b"\r\n"].concat();
            say(probe, &[head, chunk.repeat(20).as_slice(), b"0\r\n\r\n"].concat())
        },
        outcome: Outcome::Answer,
    },
    Misbehaviour {
        name: "promises a longer body than it sends",
        act: |probe| {
            say_and_finish(probe, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nxyz")
        },
        outcome: Outcome::Answer,
    },
    Misbehaviour {
        name: "promises a body of nonsensical length",
        act: |probe| say(probe, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"),
        outcome: Outcome::Answer,
    },
];

/// Those that stay and say nothing, or too little.
pub const SILENT: &[Misbehaviour] = ALL.split_at(2).0;

/// Those that leave before they have said enough.
pub const LEAVING: &[Misbehaviour] = ALL.split_at(6).0.split_at(3).1;

impl Misbehaviour {
    /// Connects to `port` of 127.0.0.1 and behaves badly. Returns the connection if this client stays.
    ///
    /// # Errors
    /// The server does not let it, for example because it has gone.
    pub fn act(&self, port: u16) -> io::Result<Option<Probe>> {
        self.act_on(Probe::connect(port)?)
    }

    /// Behaves badly on a fresh connection. Returns the connection if this client stays.
    ///
    /// # Errors
    /// The server does not let it, for example because it has gone.
    pub fn act_on(&self, probe: Probe) -> io::Result<Option<Probe>> {
        (self.act)(probe)
    }
}

fn say(mut probe: Probe, bytes: &[u8]) -> io::Result<Option<Probe>> {
    probe.send(bytes)?;
    Ok(Some(probe))
}

fn say_and_finish(mut probe: Probe, bytes: &[u8]) -> io::Result<Option<Probe>> {
    probe.send(bytes)?;
    probe.finish_sending()?;
    Ok(Some(probe))
}

/// Sends a byte every 50 ms, for 5 s at most, from a thread of its own.
fn drip(probe: Probe) -> io::Result<Option<Probe>> {
    let mut dripping = probe.try_clone()?;
    thread::spawn(move || {
        for byte in b"GET /drip HTTP/1.1\r\nX: ".iter().chain([b'x'; 77].iter()) {
            if dripping.send(&[*byte]).is_err() {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
    });
    Ok(Some(probe))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_silent_stay_and_the_leaving_leave() {
        assert!(SILENT.iter().all(|bad| bad.outcome == Outcome::Wait));
        assert!(LEAVING.iter().all(|bad| bad.outcome == Outcome::Nothing && !bad.name.contains("does not end")));
    }
}
