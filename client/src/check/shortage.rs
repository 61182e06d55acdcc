//! Claims on what a server does when it runs out of descriptors.

use std::io;
use std::time::{Duration, Instant};

use super::candidate::{Candidate, SOON, fails, skipped, time};
use super::claim::Verdict;
use super::stage::Stage;
use crate::output::counted;
use crate::probe::{Probe, REQUEST, Stop};

type Attempt = Result<String, Verdict>;

/// How many more descriptors than at rest a server gets that is to run out of them.
const ROOM: usize = 32;

/// Lets the server have `more` descriptors than now: where that can be done to a process that runs, and else by another
/// start. Returns how many it may have.
fn limit(candidate: &mut Candidate, more: usize) -> Result<u32, Verdict> {
    let most = u32::try_from(candidate.look()?.descriptors + more).unwrap_or(u32::MAX);
    let server = candidate.server()?.id;
    match set_limit(server, most.into()) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            candidate.start(Some(most)).map_err(|failure| fails(failure.to_string()))?;
        }
        outcome => outcome.map_err(|error| skipped(format!("the limit of process {server} can't be set: {error}")))?,
    }
    Ok(most)
}

/// Sets how many descriptors process `id` may have: its soft limit (prlimit(2)).
#[cfg(target_os = "linux")]
fn set_limit(id: u32, most: u64) -> io::Result<()> {
    use nix::errno::Errno;
    use nix::libc;

    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer to the new limit is null, so there is none; that to the old one is that of `limit`.
    Errno::result(unsafe { libc::prlimit(id.cast_signed(), libc::RLIMIT_NOFILE, std::ptr::null(), &mut limit) })?;
    limit.rlim_cur = most.min(limit.rlim_max);
    // SAFETY: prlimit(2) only reads the new limit, on the stack; no old one is asked for.
    Errno::result(unsafe { libc::prlimit(id.cast_signed(), libc::RLIMIT_NOFILE, &limit, std::ptr::null_mut()) })?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn set_limit(_id: u32, _most: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub fn dies(candidate: &mut Candidate) -> Attempt {
    candidate.may_be_spoiled()?;
    candidate.ask(REQUEST)?; // for what a runtime opens at its first client
    let most = limit(candidate, ROOM)?;
    let mut clients: Vec<Probe> = Vec::new();
    let enough = ROOM * 2;
    let mut open = 0;
    let deadline = Instant::now() + 2 * SOON;
    while clients.len() < enough && !candidate.has_ended() && Instant::now() < deadline {
        let Ok(mut client) = candidate.connect() else { break };
        let _ = client.send(REQUEST);
        let slice = Instant::now() + Duration::from_millis(200);
        let _ = client.read_until(slice, |received| !received.is_empty());
        clients.push(client);
        if let Ok(now) = candidate.look() {
            open = open.max(now.descriptors);
        }
    }
    let count = clients.len();
    let Some(how) = candidate.wait_for_end(SOON) else {
        return Err(fails(format!(
            "it lives after {} with {most} descriptors to be had. In this stage every connection stays open and takes \
             one, and when there is none for the next, accept fails with EMFILE and the server ends: see {}",
            counted(count, "client", "clients"),
            Stage::D.chapter()
        )));
    };
    if open + ROOM / 4 < most as usize {
        candidate.stop();
        return Err(fails(format!(
            "it ends after {} with {open} of {most} descriptors in use, so not because they had run out: {how}",
            counted(count, "client", "clients")
        )));
    }
    let deadline = Instant::now() + SOON;
    let hanging = clients
        .iter_mut()
        .filter_map(|client| client.read_until(deadline, |_| false).err())
        .filter(|error| error.kind() == io::ErrorKind::TimedOut)
        .count();
    candidate.stop();
    if hanging > 0 {
        return Err(fails(format!(
            "it has ended ({how}), and {} on: somebody else, a child perhaps, has the connections open",
            counted(hanging, "client hangs", "clients hang")
        )));
    }
    Ok(format!("with {most} descriptors, after {}, {how}", counted(count, "client", "clients")))
}

pub fn lives(candidate: &mut Candidate) -> Attempt {
    const CLIENTS: usize = 4;
    const WAIT: Duration = Duration::from_millis(500);
    candidate.may_be_spoiled()?;
    let mut warm = candidate.ask(REQUEST)?.0; // for what a runtime opens at its first client
    let until_closed = candidate.sleep_limit();
    candidate.is_closed_within(&mut warm, until_closed)?;
    candidate.look_until(SOON, |now| now.children.alive == 0)?;
    let plenty = candidate.look()?.limit;
    let most = limit(candidate, 0)?;
    let died = |candidate: &mut Candidate| {
        fails(format!(
            "with all of its {most} descriptors in use, the server ends at the next client{}. accept fails with \
             EMFILE: a connection that can't be had now waits in the queue; pause, and call accept again: see {}",
            candidate.last_words().map(|how| format!(": {how}")).unwrap_or_default(),
            Stage::G.chapter()
        ))
    };
    let mut clients: Vec<Probe> = Vec::new();
    for _ in 0..CLIENTS {
        // An accept that waits already may have its descriptor, and then it is the next one that fails.
        let mut client = candidate.connect()?;
        let _ = client.send(REQUEST);
        clients.push(client);
    }
    let deadline = Instant::now() + WAIT;
    let mut waiting = 0;
    for client in &mut clients {
        match client.read_until(deadline, |received| !received.is_empty()) {
            Ok(Stop::End) => {
                return Err(match candidate.has_ended() {
                    true => died(candidate),
                    false => fails("a client is turned away instead of left waiting in the queue"),
                });
            }
            Ok(Stop::Enough) => {}
            Err(error) if error.kind() == io::ErrorKind::TimedOut => waiting += 1,
            Err(_) => break, // the server's end resets those that wait
        }
    }
    if candidate.wait_for_end(WAIT).is_some() {
        return Err(died(candidate));
    }
    if waiting == 0 {
        return Err(fails(format!(
            "all of {CLIENTS} clients were answered with no descriptor left for them: it is not the process that \
             accepts which was limited to {most}"
        )));
    }
    let server = candidate.server()?.id;
    if set_limit(server, plenty.unwrap_or(1024)).is_err() {
        return Ok(format!("{waiting} of {CLIENTS} clients waited, and it lives"));
    }
    for client in &mut clients {
        candidate.ask_on(client, b"", SOON).map_err(|verdict| match verdict {
            Verdict::Fails(seen) => fails(format!(
                "when there were descriptors again, a client that had waited was not answered ({seen}). Call accept \
                 again after EMFILE, with a short pause"
            )),
            other => other,
        })?;
    }
    Ok(format!("{waiting} of {CLIENTS} clients waited {}, and were answered then", time(WAIT)))
}
