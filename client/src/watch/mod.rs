//! Shows what a server has open and which children it has, live: a leak is a rising line, a burst of zombies a cliff.

pub mod lines;
mod options;
pub mod picture;
pub mod record;
pub mod server;
mod signals;
mod summary;
pub mod terminal;
pub mod view;
pub mod words;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nix::sys::resource::UsageWho;

pub use self::options::Options;
use self::picture::COLUMN;
use self::record::Record;
use self::server::{Seen, Server};
use self::view::{Event, View};
use crate::cost::cpu_time;
use crate::kernel::end::End;
use crate::output::{Failure, print};
use crate::target::Target;

/// How often a server is looked for that is not there yet.
const SEARCH: Duration = Duration::from_millis(100);

/// The pause between two looks at least. What a burst of clients does lasts little longer than this.
const LEAST_PAUSE: Duration = Duration::from_millis(20);

/// The pause at most, where a look takes long.
const MOST_PAUSE: Duration = Duration::from_secs(2);

/// The pause is this many times as long as the last look took of the CPU: 4 % of it are used then.
const THRIFT: u32 = 24;

/// Watches a server until it ends or the reader has seen enough, and prints a summary. Returns true.
///
/// # Errors
/// The process can't be found or looked at, nobody listens until the time is over, or standard output fails.
pub fn run(options: &Options) -> Result<bool, Failure> {
    let mut view = View::new(options.plain)?;
    let Some(server) = find(options, &mut view)? else { return Ok(true) };
    let watched = watch(server, options.duration, &mut view)?;
    drop(view); // the terminal is as it was before
    print(&watched)?;
    Ok(true)
}

/// Finds the server, and waits for it if it is to come to a port. `None` if the reader does not want to wait
/// any longer.
fn find(options: &Options, view: &mut View) -> Result<Option<Server>, Failure> {
    if let Some(pid) = options.pid {
        return Server::of(pid).map(Some);
    }
    let port = options.port;
    let target = Target { host: "127.0.0.1", port };
    let start = target.start_of_a_server(&[SocketAddr::from(([127, 0, 0, 1], port))]);
    let text = format!("waiting for a server on port {port} ...");
    let deadline = options.duration.map(|duration| Instant::now() + duration);
    let mut begins = true;
    loop {
        if let Some(server) = Server::on(port)? {
            return Ok(Some(server));
        }
        let now = Instant::now();
        if deadline.is_some_and(|deadline| now >= deadline) {
            return Err(Failure::NobodyListening { target: target.to_string(), start });
        }
        view.waiting(&text, start.as_deref(), begins)?;
        begins = false;
        let next = now + SEARCH;
        if view.pause(deadline.map_or(next, |deadline| deadline.min(next)))? == Event::End {
            return Ok(None);
        }
    }
}

/// Watches `server` until it ends, or the reader has seen enough, for `duration` at most. Returns the summary.
fn watch(mut server: Server, duration: Option<Duration>, view: &mut View) -> Result<String, Failure> {
    let begin = Instant::now();
    let deadline = duration.map(|duration| begin + duration);
    view.begin(server.identity())?;
    let mut record = Record::new(server.first());
    let highest = record.end_column();
    view.show(server.identity(), Duration::ZERO, &record, highest)?;
    let mut next_column = begin + COLUMN;
    let mut pause = LEAST_PAUSE;
    let mut used = used_so_far();
    let end: Option<End> = loop {
        let next = Instant::now() + pause;
        let event = view.pause(deadline.map_or(next, |deadline| deadline.min(next)))?;
        let now = Instant::now();
        match event {
            Event::End => break None,
            Event::Redraw => {
                view.redraw(server.identity(), now - begin, &record)?;
                continue;
            }
            Event::Time if deadline.is_some_and(|deadline| now >= deadline) => break None,
            Event::Time => {}
        }
        match server.look()? {
            Seen::Reading(reading) => record.add(now - begin, reading),
            Seen::End(end) => break Some(end),
        }
        if now >= next_column {
            let mut highest = record.end_column();
            next_column += COLUMN;
            // A pause may be longer than a column. What is longer than a pause was a stop, and leaves no trace.
            while next_column <= now && now - next_column < MOST_PAUSE {
                highest = record.end_column();
                next_column += COLUMN;
            }
            next_column = next_column.max(now);
            view.show(server.identity(), now - begin, &record, highest)?;
        }
        let using = used_so_far();
        pause = (pause + (using - used) * THRIFT).div_f64(2.0).clamp(LEAST_PAUSE, MOST_PAUSE);
        used = using;
    };
    let watched = begin.elapsed();
    if let View::Lines(_) = view {
        let highest = record.end_column();
        view.show(server.identity(), watched, &record, highest)?; // what came since the last line
    }
    Ok(summary::text(server.identity(), watched, end, &record))
}

/// The CPU time that this process has used, and what it has run to look (as is done on macOS).
fn used_so_far() -> Duration {
    [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN].into_iter().filter_map(|who| cpu_time(who).ok()).sum()
}
