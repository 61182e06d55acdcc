//! A family: a process that was started here, and all that descends from it. None of them may be left behind.
//!
//! A server may fork, put its children into other process groups and sessions, and become a daemon, whose parent is
//! then init. What it can hardly shed is its environment: that holds a mark (Linux shows it, macOS does not).

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::Duration;

use nix::libc;
use nix::sys::signal::{SigSet, Signal, kill, killpg, raise};
use nix::sys::wait::{WaitPidFlag, waitpid};

use crate::kernel::end::End;
use crate::kernel::processes::{self, Process};
use crate::output::{Failure, printable};
use crate::server::{Limit, Stream, limit, pid, start_afresh};
use crate::{signals, wait};

/// How long it is tried to end a family. SIGKILL needs much less, unless somebody sleeps in the kernel.
const LONG_ENOUGH: Duration = Duration::from_secs(10);

/// How much is kept of what it says last, in bytes.
const LAST_WORDS: usize = 1 << 14;

/// The variable whose value marks the members of a family.
const MARK: &str = "CLIENT_CHECK";

/// Which families run now, for the thread that ends them on a signal.
static RUNNING: Mutex<Vec<Ties>> = Mutex::new(Vec::new());

/// Whether orphans become children of this process, not of init ([`end_with_this_process`]).
static ADOPTS: AtomicBool = AtomicBool::new(false);

/// A family that runs. Dropping it ends all of it.
#[derive(Debug)]
pub struct Family {
    first: Child,
    ties: Ties,
    output: Stream,
    errors: Stream,
}

impl Family {
    /// Starts `command` in a process group of its own, with room for `descriptors` if that is limited.
    ///
    /// # Errors
    /// It can't be run.
    pub fn start(command: &mut Command, descriptors: Option<u32>) -> io::Result<Family> {
        static STARTED: AtomicU32 = AtomicU32::new(0);

        let mark = format!("{MARK}={}-{}", process::id(), STARTED.fetch_add(1, Relaxed));
        let value = mark.split_once('=').map_or("", |(_, value)| value);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).env(MARK, value);
        start_afresh(command);
        if let Some(most) = descriptors {
            limit(command, Limit::Descriptors, most);
        }
        let mut running = running();
        let mut first = command.spawn()?;
        let ties = Ties { first: first.id(), mark };
        running.push(ties.clone());
        drop(running);
        let output = Stream::gather_last(first.stdout.take(), LAST_WORDS);
        let errors = Stream::gather_last(first.stderr.take(), LAST_WORDS);
        Ok(Family { first, ties, output, errors })
    }

    /// Who can be told at a glance to belong to it, and lives: its process group, and who descends from that.
    ///
    /// # Errors
    /// The tables can't be read.
    pub fn close_members(&self) -> io::Result<Vec<Process>> {
        let mut members = processes::family(self.ties.first)?;
        members.retain(|member| !member.is_zombie());
        Ok(members)
    }

    /// Who belongs to it, and lives. This looks at all processes of the system.
    ///
    /// # Errors
    /// The tables can't be read.
    pub fn members(&self) -> io::Result<Vec<Process>> {
        self.ties.members()
    }

    /// The process that was started.
    pub fn first(&self) -> u32 {
        self.ties.first
    }

    /// How the process that was started has ended, if it has. It is waited for last of all: the group that is killed
    /// has its id, which nobody else may get until then.
    pub fn end(&self) -> Option<End> {
        End::of_child(self.ties.first)
    }

    /// The last `most` lines that it said, errors last.
    pub fn last_words(&self, most: usize) -> Vec<String> {
        // What was said before its end may take a moment longer to get here.
        wait::until(Duration::from_millis(200), || (self.output.at_end() && self.errors.at_end()).then_some(()));
        let lines = |text: String| -> Vec<String> {
            let lines = text.lines().map(|line| printable(line.as_bytes()).trim_end().to_owned());
            lines.filter(|line| !line.is_empty()).collect()
        };
        let mut said = lines(self.errors.text());
        if said.is_empty() {
            said = lines(self.output.text());
        }
        said.split_off(said.len().saturating_sub(most))
    }
}

impl Drop for Family {
    /// Ends all of it.
    fn drop(&mut self) {
        self.ties.kill();
        running().retain(|other| other.mark != self.ties.mark);
        wait::until(LONG_ENOUGH, || self.first.try_wait().ok().flatten());
    }
}

fn running() -> MutexGuard<'static, Vec<Ties>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How the members of a family are known.
#[derive(Debug, Clone)]
struct Ties {
    /// The process that was started, and its group.
    first: u32,
    mark: String,
}

impl Ties {
    fn members(&self) -> io::Result<Vec<Process>> {
        let own = process::id();
        let mut members = processes::family(self.first)?;
        members.retain(|member| !member.is_zombie());
        for process in processes::all()?.into_iter().filter(|process| process.id != own && !process.is_zombie()) {
            if members.iter().any(|member| member.id == process.id) {
                continue;
            }
            if self.is_marked(&process) {
                members.push(process);
            } else if process.parent == own && ADOPTS.load(Relaxed) {
                members.extend(processes::family(process.id)?);
            }
        }
        Ok(members)
    }

    #[cfg(target_os = "linux")]
    fn is_marked(&self, process: &Process) -> bool {
        use std::io::Read;

        // The size of the file is 0, whatever it holds.
        let mut environment = Vec::new();
        let file = std::fs::File::open(format!("/proc/{}/environ", process.id));
        file.is_ok_and(|file| file.take(1 << 20).read_to_end(&mut environment).is_ok())
            && environment.split(|&byte| byte == 0).any(|variable| variable == self.mark.as_bytes())
    }

    #[cfg(not(target_os = "linux"))]
    fn is_marked(&self, _process: &Process) -> bool {
        false
    }

    /// Ends every member, and those that are born meanwhile.
    fn kill(&self) {
        wait::until(LONG_ENOUGH, || {
            // A whole group at once: whoever forks meanwhile is killed in the middle of it.
            let _ = killpg(pid(self.first), Signal::SIGKILL);
            let members = self.members().ok()?;
            for process in &members {
                let _ = kill(pid(process.id), Signal::SIGKILL);
            }
            // The one that was started is left to be waited for.
            members.is_empty().then_some(())
        });
        if ADOPTS.load(Relaxed) {
            self.reap_adopted();
        }
    }

    /// Waits for those that have become children of this process, and have ended.
    fn reap_adopted(&self) {
        let own = process::id();
        for process in processes::all().unwrap_or_default() {
            if process.parent == own && process.id != self.first && process.is_zombie() {
                let _ = waitpid(pid(process.id), Some(WaitPidFlag::WNOHANG));
            }
        }
    }
}

/// From now on, no family outlives this process, whichever signal asks that to end ([`signals::ENDING`]). To be called
/// by a program, before it starts a thread; what it starts must belong to families.
///
/// # Errors
/// Signals can't be blocked, or no thread started.
pub fn end_with_this_process() -> Result<(), Failure> {
    static ONCE: Once = Once::new();

    let mut outcome = Ok(());
    ONCE.call_once(|| outcome = watch_signals());
    outcome
}

/// Does not return if a signal has begun to end all families: what is seen of a server from then on is not its own
/// doing.
pub fn go_on_unless_ending() {
    drop(running()); // who ends them keeps it
}

fn watch_signals() -> Result<(), Failure> {
    // An ignored signal that is blocked is kept, and would be waited for (sigwait(3)).
    let signals = SigSet::from_iter(signals::not_ignored().map_err(Failure::of("sigaction"))?);
    signals.thread_block().map_err(Failure::of("pthread_sigmask"))?;
    #[cfg(target_os = "linux")]
    ADOPTS.store(nix::sys::prctl::set_child_subreaper(true).is_ok(), Relaxed);
    thread::spawn(move || {
        let Ok(signal) = signals.wait() else { return };
        let running = running(); // and so nobody is started any more
        for ties in running.iter() {
            ties.kill();
        }
        eprintln!(); // below what was drawn
        end_by(signal);
    });
    Ok(())
}

/// Ends this process as `signal` does, so that a shell knows.
fn end_by(signal: Signal) -> ! {
    // SAFETY: goes back to what the signal does by default; no handler is installed.
    unsafe { libc::signal(signal as i32, libc::SIG_DFL) };
    let _ = raise(signal);
    let _ = SigSet::from(signal).thread_unblock();
    process::exit(128 + signal as i32)
}
