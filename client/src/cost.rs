//! What a request costs a server: CPU time, its own and that of all its children.
//!
//! On a busy machine that is far steadier than requests per second, and it is what a child for each connection costs.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeValLike;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::mkstemp;

use crate::kernel::processes;
use crate::server::{PATIENCE, pid};
use crate::wait;

/// Requests to a server, each on a connection of its own.
#[derive(Debug, Clone, Copy)]
pub struct Load<'a> {
    /// How many requests are sent in all.
    pub requests: u32,
    /// How many clients send them, side by side.
    pub clients: u32,
    /// What each of them says. It must have the server close the connection after its answer.
    pub request: &'a [u8],
    /// What each answer ends with.
    pub ending: &'a [u8],
}

impl Load<'_> {
    /// Sends all requests to `port` of 127.0.0.1, and checks each answer. Returns how long that took.
    ///
    /// # Errors
    /// A connection failed, or an answer was another one.
    pub fn send(&self, port: u16) -> io::Result<Duration> {
        let begin = Instant::now();
        let left = AtomicU32::new(self.requests);
        let take_one = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        let client = || -> io::Result<()> {
            while take_one() {
                let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
                connection.write_all(self.request)?;
                let mut answer = Vec::new();
                connection.read_to_end(&mut answer)?;
                if !answer.ends_with(self.ending) {
                    return Err(io::Error::other(format!("not the answer: {}", String::from_utf8_lossy(&answer))));
                }
            }
            Ok(())
        };
        thread::scope(|scope| {
            let clients: Vec<_> = (0..self.clients).map(|_| scope.spawn(client)).collect();
            let mut ends =
                clients.into_iter().map(|client| client.join().unwrap_or_else(|_| Err(io::Error::other("panicked"))));
            ends.try_for_each(|end| end)
        })?;
        Ok(begin.elapsed())
    }
}

/// What a server was occupied with, from its start to its end.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// How many requests it answered.
    pub requests: u32,
    /// User and system time, of its children too.
    pub cpu: Duration,
    /// How long it took, without start and end.
    pub elapsed: Duration,
}

impl Cost {
    /// CPU time for each request. What the start took is spread over them, which matters if the server starts slowly.
    pub fn microseconds_per_request(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / f64::from(self.requests)
    }

    /// The rate at which requests were answered.
    pub fn requests_per_second(&self) -> f64 {
        f64::from(self.requests) / self.elapsed.as_secs_f64()
    }
}

/// Has the children of a server that waits for none come to this process when the server ends, so that their CPU time
/// can be counted. Only Linux has this (PR_SET_CHILD_SUBREAPER, prctl(2)); elsewhere nothing is done.
///
/// # Errors
/// Those of prctl(2).
pub fn adopt_orphans() -> nix::Result<()> {
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_child_subreaper(true)?;
    Ok(())
}

/// Runs a server under `load`, and counts its CPU time until its end, for which it is asked by SIGTERM.
///
/// `port` is asked again and again which port it serves on, with the first 4 KiB that it has written to standard output
/// so far. The process that calls this must have no other children, and measures one server at a time.
///
/// # Errors
/// It can't be started, does not say its port, or does not end, within [`PATIENCE`]; and those of [`Load::send`].
pub fn measure(server: &mut Command, mut port: impl FnMut(&str) -> Option<u16>, load: &Load<'_>) -> io::Result<Cost> {
    let problem = |what: &str| io::Error::other(format!("{} {what}", server.get_program().display()));
    let (silent, endless) = (problem("does not say its port"), problem("does not end"));

    // Its output goes to a file, as it would on a server: a pipe would have it wake a reader for each request.
    let output = file_without_a_name()?;
    let before = cpu_time(UsageWho::RUSAGE_CHILDREN)?;
    let server = Running(server.stdin(Stdio::null()).stdout(output.try_clone()?).spawn()?);
    let port = wait::until(PATIENCE, || port(&text(&output).ok()?)).ok_or(silent)?;
    let at_rest = processes::children(server.0.id())?.alive;

    let elapsed = load.send(port)?;

    // The last children may still be ending.
    wait::until(PATIENCE, || (processes::children(server.0.id()).ok()?.alive <= at_rest).then_some(()));
    drop(server);
    wait::until(PATIENCE, all_children_have_ended).ok_or(endless)?;
    let cpu = cpu_time(UsageWho::RUSAGE_CHILDREN)?.saturating_sub(before);
    Ok(Cost { requests: load.requests, cpu, elapsed })
}

/// What further requests cost a server that has answered `first`: its start does not count, nor what it does only once.
/// `run` measures one server under so many requests, and is asked twice: for `first`, and for `requests` more.
///
/// Returns the microseconds of CPU time for each of the further requests, and the rate at which all were answered.
///
/// # Errors
/// Those of `run`.
pub fn further(first: u32, requests: u32, run: impl Fn(u32) -> io::Result<Cost>) -> io::Result<(f64, f64)> {
    let few = run(first)?;
    let many = run(first + requests)?;
    let cpu = many.cpu.saturating_sub(few.cpu).as_secs_f64() * 1e6 / f64::from(requests);
    Ok((cpu, many.requests_per_second()))
}

/// A server, which ends when this is dropped. Who waits for it is the one who counts its CPU time.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = kill(pid(self.0.id()), Signal::SIGTERM);
    }
}

fn file_without_a_name() -> io::Result<File> {
    let (file, path) = mkstemp(&env::temp_dir().join("output-XXXXXX"))?;
    fs::remove_file(path)?;
    Ok(file.into())
}

/// What is in a file, read without moving the place at which others write.
fn text(file: &File) -> io::Result<String> {
    let mut bytes = vec![0; 4096];
    let length = file.read_at(&mut bytes, 0)?;
    Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
}

fn all_children_have_ended() -> Option<()> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return None,
            Err(Errno::ECHILD) => return Some(()),
            _ => {}
        }
    }
}

/// User and system time that was used: by this process, or by all the children that have been waited for, and those
/// that these had waited for (getrusage(2)).
///
/// # Errors
/// Those of getrusage(2).
pub fn cpu_time(who: UsageWho) -> io::Result<Duration> {
    let usage = getrusage(who)?;
    let microseconds = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(microseconds.unsigned_abs()))
}

/// The median, and in parentheses the least and the most.
pub fn spread(values: impl IntoIterator<Item = f64>) -> String {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let [least, .., most] = values[..] else { return values.iter().map(|value| format!("{value:.0}")).collect() };
    let middle = values.len() / 2;
    let median = if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
    format!("{median:.0} ({least:.0} to {most:.0})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_median_between_the_least_and_the_most() {
        assert_eq!(spread([3.0, 1.0, 2.4]), "2 (1 to 3)");
        assert_eq!(spread([4.0, 1.0, 2.0, 9.0]), "3 (1 to 9)");
        assert_eq!(spread([7.0]), "7");
        assert_eq!(spread([]), "");
    }

    #[test]
    fn a_cost_is_told_for_each_request() {
        let cost = Cost { requests: 4, cpu: Duration::from_millis(2), elapsed: Duration::from_secs(2) };
        assert_eq!((cost.microseconds_per_request(), cost.requests_per_second()), (500.0, 2.0));
    }
}
