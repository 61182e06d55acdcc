//! Claims on a server's children and descriptors: how many there are, what they have open, what is left of them.

use std::time::{Duration, Instant};

use super::candidate::{Candidate, SECOND, SILENCE, SOON, fails, skipped, time};
use super::claim::Verdict;
use super::stage::Stage;
use super::wire::remark;
use crate::kernel::look::Look;
use crate::kernel::processes::Children;
use crate::kernel::{processes, sockets};
use crate::output::counted;
use crate::probe::{Probe, REQUEST, Stop};

type Attempt = Result<String, Verdict>;

/// How many clients come at once to have their children end together.
const BURST: usize = 128;

pub fn none(candidate: &mut Candidate) -> Attempt {
    let before = candidate.look()?;
    let mut held = candidate.connect()?;
    // It takes the connection, and then a child might, while this client says nothing.
    let has_child = |now: &Look| now.children.alive > before.children.alive;
    candidate.look_until(SOON, |now| now.descriptors > before.descriptors || has_child(now))?;
    let (now, _) = candidate.look_until(SILENCE, has_child)?;
    let alive = now.children.alive;
    candidate.ask_on(&mut held, REQUEST, SOON)?;
    let now = candidate.look()?;
    let count = alive.max(now.children.alive) + now.children.zombies;
    if count > 0 {
        return Err(fails(format!(
            "it has {}; this stage does everything in one process. Children come in {}",
            counted(count, "child", "children"),
            Stage::C.chapter()
        )));
    }
    Ok("none while it serves, and none after".to_owned())
}

pub fn one_each(candidate: &mut Candidate) -> Attempt {
    const CLIENTS: usize = 3;
    let before = candidate.look()?;
    let _held: Vec<_> = (0..CLIENTS).map(|_| candidate.connect()).collect::<Result<_, _>>()?;
    let wanted = before.children.alive + CLIENTS;
    let (now, is_so) = candidate.look_until(3 * SECOND, |now| now.children.alive >= wanted)?;
    let children = now.children.alive.saturating_sub(before.children.alive);
    candidate.forks = Some(children > 0);
    let seen = format!("{} for {CLIENTS} clients", counted(children, "child", "children"));
    if !is_so {
        return Err(fails(format!(
            "{seen}: fork after accept, and let the child handle the connection while the parent goes back to accept. \
             Threads, or one process that serves all, may do the same for a client; they have no children to wait for, \
             and that is what {} and those after it are about",
            Stage::D.chapter()
        )));
    }
    Ok(seen)
}

/// Where there are no children, nothing can be said of them; that there are none is another claim's failure.
fn has_children(candidate: &Candidate) -> Result<(), Verdict> {
    match candidate.forks {
        Some(false) => Err(skipped("it has no children")),
        _ => Ok(()),
    }
}

pub fn without_listener(candidate: &mut Candidate) -> Attempt {
    has_children(candidate)?;
    let Some(listener) = candidate.listener() else { return Err(skipped("its listener can't be found")) };
    let server = candidate.server()?.id;
    let _held = candidate.connect()?;
    let child = candidate
        .wait(SOON, "a child", || processes::alive_children(server).ok()?.first().copied())
        .ok_or_else(|| fails("no child is there for a client that is connected and says nothing"))?;
    let has_closed = candidate
        .wait(SOON, "the child to close the listener", || (!sockets::has_open(child, &listener).ok()?).then_some(()));
    match has_closed {
        Some(()) => Ok("the child has closed its copy".to_owned()),
        None => Err(fails(format!(
            "process {child}, a child, has the listener open. It never calls accept, so it should close its copy first \
             thing: as long as a child has it, the port stays taken after the server has ended, and clients wait there \
             for an accept that does not come"
        ))),
    }
}

pub fn no_copy(candidate: &mut Candidate) -> Attempt {
    let before = candidate.look()?.descriptors;
    let count = match candidate.stage {
        Stage::B => (2.0 / candidate.sleep().as_secs_f64().max(0.2)).ceil() as usize,
        Stage::E => 5, // before the first child ends
        _ => 20,
    };
    // Some runtimes open something of their own for their first clients. What is kept for each grows again.
    let mut kept = [0; 2];
    for kept in &mut kept {
        let base = candidate.look()?.descriptors;
        *kept = kept_after(candidate, base, count)?;
        if *kept == 0 {
            return Ok(format!("{before} before and after {}", counted(count, "client", "clients")));
        }
    }
    let [first, second] = kept;
    Err(fails(format!(
        "{} more after {}, and {second} more after as many again: connections are kept open. Close each when its \
         answer is written; in a server that forks, the parent closes its own copy as soon as the child has been made, \
         for a connection ends only when nobody has it open any more: see {}",
        first,
        counted(count, "client", "clients"),
        Stage::D.chapter()
    )))
}

/// How many more descriptors than `base` it has after `count` clients.
fn kept_after(candidate: &mut Candidate, base: usize, count: usize) -> Result<usize, Verdict> {
    let deadline = Instant::now() + 2 * SOON;
    let mut clients = Vec::new();
    while clients.len() < count && Instant::now() < deadline {
        let (mut client, _) = candidate.ask(REQUEST)?;
        let is_done = candidate.stage != Stage::B || {
            let limit = candidate.sleep_limit();
            candidate.is_closed_within(&mut client, limit)?
        };
        clients.push(client);
        if !is_done {
            break; // and kept it is
        }
    }
    let (now, _) = candidate.look_until(2 * SECOND, |now| now.descriptors <= base)?;
    Ok(now.descriptors.saturating_sub(base))
}

pub fn copies(candidate: &mut Candidate) -> Attempt {
    const CLIENTS: usize = 5;
    let before = candidate.look()?;
    let mut clients = Vec::new();
    let mut answer = None;
    for _ in 0..CLIENTS {
        let (client, its) = candidate.ask(REQUEST)?;
        clients.push(client);
        answer = Some(its);
    }
    let (now, have_ended) = candidate.look_until(SOON, |now| now.children.alive <= before.children.alive)?;
    if !have_ended {
        return Err(fails(format!(
            "{} still there {} after the answers; in this stage they end at once, and it is the parent that keeps the \
             clients waiting",
            counted(now.children.alive, "child is", "children are"),
            time(SOON)
        )));
    }
    for (at, client) in clients.iter_mut().enumerate() {
        let patience = if at == 0 { SILENCE } else { Duration::from_millis(5) };
        if !client.is_silent_for(patience).unwrap_or(false) {
            return Err(fails(
                "a client sees the end of its connection. In this stage none does, although its child has closed it \
                 and ended: the parent keeps its copy open, on purpose. Keep what accept returned, in a list for \
                 example",
            ));
        }
    }
    let (now, are_kept) = candidate.look_until(SOON, |now| now.descriptors >= before.descriptors + CLIENTS)?;
    let more = now.descriptors.saturating_sub(before.descriptors);
    if !are_kept {
        return Err(fails(format!(
            "{more} more descriptors in the parent after {CLIENTS} clients; it should keep one for each"
        )));
    }
    Ok(format!("{more} more descriptors after {CLIENTS} clients{}", answer.map_or("", remark)))
}

pub fn zombies(candidate: &mut Candidate) -> Attempt {
    const CLIENTS: usize = 3;
    has_children(candidate)?;
    let before = candidate.look()?.children.zombies;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(candidate.ask(REQUEST)?.0);
    }
    let limit = candidate.sleep_limit();
    let server = candidate.server()?.id;
    candidate.wait(limit, "the children to end", || {
        processes::children(server).map_or(Some(()), |children| (children.alive == 0).then_some(()))
    });
    // Somebody may be about to wait for them.
    let (now, are_gone) = candidate.look_until(SECOND, |now| now.children.zombies < before + CLIENTS)?;
    let zombies = now.children.zombies.saturating_sub(before);
    if now.children.alive > 0 {
        return Err(fails(format!("its children have not ended within {}", time(limit))));
    }
    if are_gone {
        return Err(fails(format!(
            "{} after {CLIENTS} children have ended: somebody waits for them. In this stage nobody does; the first \
             that does is 3e",
            counted(zombies, "zombie", "zombies")
        )));
    }
    Ok(format!("{zombies} after {CLIENTS} clients"))
}

pub fn dies_of_one(candidate: &mut Candidate) -> Attempt {
    has_children(candidate)?;
    let server = candidate.server()?.id;
    let name = processes::name(server).unwrap_or_default();
    let mut client = candidate.ask(REQUEST)?.0;
    if candidate.has_ended() {
        return Err(fails("the server has ended before its child did; it should answer, and end when the child ends"));
    }
    let limit = candidate.sleep_limit();
    if !candidate.is_closed_within(&mut client, limit)? {
        return Err(fails(format!("the child has not closed the connection within {}", time(limit))));
    }
    if let Some(how) = candidate.wait_for_end(3 * SECOND) {
        candidate.stop();
        return Ok(format!("when its child had ended, {how}"));
    }
    let children = candidate.look()?.children;
    if children.alive > 0 {
        return Err(fails("the child has closed the connection and lives on; it should end when it has answered"));
    }
    if children.zombies > 0 {
        return Err(fails(format!(
            "{} and the server lives: nobody waits for children that have ended. Install a handler for SIGCHLD, before \
             the first accept, and call wait in it: see {}",
            counted(children.zombies, "zombie,", "zombies,"),
            Stage::E.chapter()
        )));
    }
    match restarts_accept(&name) {
        Some(who) => Err(Verdict::Hidden(format!(
            "the child is reaped, and the server lives on: {who} calls accept again by itself when a signal has \
             interrupted it (EINTR). What kills this stage does not show there; go on with {}",
            Stage::F.chapter()
        ))),
        None => Err(fails(format!(
            "the child is reaped, and the server lives on. Either accept is called again when it fails with EINTR, and \
             then this is 3f already; or a library does that unasked, as Rust's std::net and Go do, or it installs the \
             handler so that calls are restarted, as signal(3) does (SA_RESTART): use accept(2) itself and \
             sigaction(2) without flags to see what happens, or go on with {}",
            Stage::F.chapter()
        ))),
    }
}

/// Who calls accept again by itself, in a program of this name.
fn restarts_accept(name: &str) -> Option<&'static str> {
    const KNOWN: [(&str, &str); 6] = [
        ("python", "Python (since 3.5, PEP 475)"),
        ("pypy", "PyPy"),
        ("node", "Node"),
        ("java", "Java"),
        ("ruby", "Ruby"),
        ("dotnet", ".NET"),
    ];
    KNOWN.iter().find(|(begin, _)| name.starts_with(begin)).map(|(_, who)| *who)
}

pub fn outlives_one(candidate: &mut Candidate) -> Attempt {
    /// One after the other: the first signal may happen to find the server elsewhere than in accept.
    const CLIENTS: usize = 5;
    has_children(candidate)?;
    let before = candidate.look()?.children;
    // One that says nothing has a child that stays at work.
    let served = candidate.connect().and_then(|_held| {
        let (mut client, _) = candidate.ask(REQUEST)?;
        for _ in 1..CLIENTS {
            is_reaped(candidate, &mut client, before)?;
            client = candidate.ask(REQUEST).map(|(next, _)| next).map_err(|verdict| match verdict {
                Verdict::Fails(seen) => fails(format!(
                    "a child has ended while another is at work, and the next client gets nothing ({seen}). The \
                     handler must not wait for children at work: WNOHANG has waitpid come back at once when none has \
                     ended"
                )),
                other => other,
            })?;
        }
        Ok(())
    });
    // It may take a moment to die.
    if let Some(how) = candidate.wait_for_end(SILENCE) {
        return Err(fails(format!(
            "the server ends when its child does: {how}. The signal SIGCHLD interrupts accept, which then fails with \
             EINTR; that is no error: call accept again. See {}",
            Stage::F.chapter()
        )));
    }
    served.map(|()| "no zombie, and the next client was answered".to_owned())
}

/// Waits until the child that has answered `client` is reaped, while there is another child.
fn is_reaped(candidate: &mut Candidate, client: &mut Probe, before: Children) -> Result<(), Verdict> {
    let limit = candidate.sleep_limit();
    if !candidate.is_closed_within(client, limit)? {
        return Err(fails(format!("the connection is not closed within {}", time(limit))));
    }
    let rest = |now: &Look| now.children.alive <= before.alive + 1 && now.children.zombies <= before.zombies;
    match candidate.look_until(SOON, rest)? {
        (_, true) => Ok(()),
        (now, false) => Err(fails(format!(
            "{} and {} after one client, and one that says nothing. Nobody waits for children that have ended: install \
             a handler for SIGCHLD, and call wait in it: see {}",
            counted(now.children.alive, "child", "children"),
            counted(now.children.zombies, "zombie", "zombies"),
            Stage::E.chapter()
        ))),
    }
}

/// What has become of many clients that came at once.
struct Burst {
    clients: usize,
    /// How many were answered and closed.
    closed: usize,
    /// How many children there were at the same time.
    children: usize,
}

/// Has children end together: opens the connections, says nothing on any until each has a child, and then sends the
/// requests as fast as it can.
fn burst(candidate: &mut Candidate) -> Result<Burst, Verdict> {
    let deadline = Instant::now() + 3 * SOON;
    let mut clients: Vec<Probe> = Vec::with_capacity(BURST);
    while clients.len() < BURST && Instant::now() < deadline {
        // When the queue is full, the kernel has a client try again after a second.
        match candidate.connect_within(3 * SECOND) {
            Ok(client) => clients.push(client),
            Err(_) if !clients.is_empty() => break,
            Err(verdict) => return Err(verdict),
        }
    }
    let count = clients.len();
    let (now, _) = candidate.look_until(SOON, |now| now.children.alive >= count)?;
    let children = now.children.alive;
    for client in &mut clients {
        let _ = client.send(REQUEST);
    }
    let deadline = Instant::now() + SOON + candidate.sleep_limit();
    let mut closed = 0;
    for client in &mut clients {
        let ends_well = matches!(client.read_until(deadline, |_| false), Ok(Stop::End));
        closed += usize::from(ends_well && client.received().starts_with(b"HTTP/1."));
    }
    candidate.look_until(SOON, |now| now.children.alive == 0)?;
    Ok(Burst { clients: count, closed, children })
}

pub fn burst_leaves_zombies(candidate: &mut Candidate) -> Attempt {
    const TIMES: usize = 3;
    has_children(candidate)?;
    let before = candidate.look()?.children.zombies;
    for time in 1..=TIMES {
        let burst = burst(candidate)?;
        if burst.children == 0 {
            return Err(skipped("it has no children"));
        }
        // A busy machine may leave the parent no time to wait for them yet.
        let (now, _) = candidate.look_until(SECOND, |now| now.children.zombies <= before)?;
        let zombies = now.children.zombies.saturating_sub(before);
        if zombies > 0 {
            return Ok(format!("{} after {} clients", counted(zombies, "zombie", "zombies"), burst.clients * time));
        }
    }
    Err(fails(format!(
        "no zombie after {TIMES} times {BURST} clients: all are waited for. In this stage the handler calls wait once, \
         and misses those that end while it runs, for the kernel only notes that there was a signal, not how many. If \
         that is what you wanted to do better, this is {}",
        Stage::G.name()
    )))
}

pub fn burst_leaves_nothing(candidate: &mut Candidate) -> Attempt {
    const TIMES: usize = 3;
    has_children(candidate)?;
    let before = candidate.look()?;
    let mut total = 0;
    for _ in 0..TIMES {
        let burst = burst(candidate)?;
        total += burst.clients;
        if burst.children == 0 {
            return Err(skipped("it has no children"));
        }
        let rest =
            |now: &Look| now.children.zombies <= before.children.zombies && now.descriptors <= before.descriptors;
        let (now, _) = candidate.look_until(SOON, rest)?;
        let zombies = now.children.zombies.saturating_sub(before.children.zombies);
        if zombies > 0 {
            return Err(fails(format!(
                "{} after {total} clients; this stage leaves none. Signals do not queue: when several children end \
                 while the handler runs, it is called once more, not once for each. Call waitpid(-1, WNOHANG) in a \
                 loop until it says that no ended child is left: see {}",
                counted(zombies, "zombie child", "zombie children"),
                Stage::G.chapter()
            )));
        }
        if now.children.alive > before.children.alive {
            return Err(fails(format!(
                "{} still there after {total} clients have come and gone; a child ends when it has answered",
                counted(now.children.alive, "child is", "children are")
            )));
        }
        if burst.closed < burst.clients || burst.clients < BURST {
            return Err(fails(format!(
                "of {BURST} clients at once, {} were connected, and {} answered and closed. Nobody should be lost: go \
                 back to accept at once, with a backlog (the second argument of listen) as large as the crowd",
                burst.clients, burst.closed
            )));
        }
        if now.descriptors > before.descriptors {
            return Err(fails(format!(
                "{} more descriptors after {total} clients: the parent keeps copies of connections. See {}",
                now.descriptors - before.descriptors,
                Stage::D.chapter()
            )));
        }
    }
    Ok(format!("{total} clients answered, 0 zombies, {} descriptors as before", before.descriptors))
}
