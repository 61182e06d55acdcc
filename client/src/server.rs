//! A server that is started here, to be looked at: its port, its output, what the kernel knows of it, and its end.

use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{self, Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, socket};
use nix::unistd::Pid;

use crate::kernel::processes;
use crate::signals::ENDING;
use crate::wait;

/// How long anything is waited for that should happen soon: a server's first line, its end, an answer.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running server, in a process group of its own. Dropping it ends it and all its children.
#[derive(Debug)]
pub struct Server {
    process: Child,
    port: u16,
    output: Stream,
    errors: Stream,
}

impl Server {
    /// Starts `command` and waits until it says `port N` on its standard output, as every server here does first.
    ///
    /// # Errors
    /// It can't be started, ends before it serves (the message holds what it said), or takes longer than [`PATIENCE`].
    pub fn start(command: &mut Command) -> io::Result<Server> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        start_afresh(command);
        let mut process = command.spawn()?;
        let output = Stream::gather(process.stdout.take());
        let errors = Stream::gather(process.stderr.take());
        let mut server = Server { process, port: 0, output, errors };
        // Its output is looked at after its end too: it may have said its port, and then died of the next call.
        let said = wait::until(PATIENCE, || {
            let at_end = server.output.at_end();
            port_in(&server.output()).map(Some).or(at_end.then_some(None))
        });
        match said.flatten() {
            Some(port) => server.port = port,
            None => {
                server.stop();
                return Err(io::Error::other(format!("{command:?} does not serve: {}", server.errors())));
            }
        }
        Ok(server)
    }

    /// The port that it serves on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it has written to standard output so far, its children included.
    pub fn output(&self) -> String {
        self.output.text()
    }

    /// What it has written to standard error so far, its children included.
    pub fn errors(&self) -> String {
        self.errors.text()
    }

    /// Whether it says `text` on standard output, now or within [`PATIENCE`]. What a server said before it answered may
    /// take a moment longer to get here than the answer.
    pub fn says(&self, text: &str) -> bool {
        wait::until(PATIENCE, || self.output().contains(text).then_some(())).is_some()
    }

    /// How many descriptors it has open.
    ///
    /// # Errors
    /// Those of [`processes::descriptors`].
    pub fn descriptors(&self) -> io::Result<usize> {
        processes::descriptors(self.id())
    }

    /// Its children, alive and zombies.
    ///
    /// # Errors
    /// Those of [`processes::children`].
    pub fn children(&self) -> io::Result<processes::Children> {
        processes::children(self.id())
    }

    /// Its children once all of them have ended and two counts in a row agree; `None` if that does not come to pass
    /// within [`PATIENCE`].
    pub fn children_at_rest(&self) -> Option<processes::Children> {
        let mut before = None;
        wait::until(PATIENCE, || {
            let now = self.children().ok().filter(|children| children.alive == 0);
            let same = now.filter(|_| now == before);
            before = now;
            same
        })
    }

    /// How many of up to `most` connections are opened while it is busy with one before them that says nothing. It must
    /// be an iterative server: those wait in the queue that listen(2) was told the length of.
    ///
    /// # Errors
    /// The first connection is not opened, or not accepted within [`PATIENCE`].
    pub fn connections_that_may_wait(&self, most: usize) -> io::Result<usize> {
        let at_rest = self.descriptors()?;
        let address = (Ipv4Addr::LOCALHOST, self.port).into();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(500));
        let _served = connect()?;
        let accepted = || (self.descriptors().ok()? == at_rest + 1).then_some(());
        wait::until(PATIENCE, accepted).ok_or(io::ErrorKind::TimedOut)?;
        let waiting: Vec<_> = (0..most).map_while(|_| connect().ok()).collect();
        Ok(waiting.len())
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// Those of waitpid(2).
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }

    /// Waits for its end, for [`PATIENCE`] at most, and then until its children have closed its output too: everything
    /// that was said can be read then.
    pub fn end(&mut self) -> Option<ExitStatus> {
        let status = wait::until(PATIENCE, || self.process.try_wait().ok().flatten())?;
        wait::until(PATIENCE, || (self.output.at_end() && self.errors.at_end()).then_some(()));
        Some(status)
    }

    /// Stops it by SIGTERM, and returns all that it and its children have written to standard output: what comes
    /// through a pipe may take a moment, and only its end says that there is no more.
    pub fn all_output(&mut self) -> String {
        let _ = self.signal(Signal::SIGTERM);
        self.end();
        self.output()
    }

    /// Stops it by SIGTERM, and returns all that it and its children have written to standard error.
    pub fn all_errors(&mut self) -> String {
        self.all_output();
        self.errors()
    }

    /// Sends it a signal, and to it alone.
    ///
    /// # Errors
    /// Those of kill(2).
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill(pid(self.id()), signal)?)
    }

    /// Sends a signal to it and its children, as a terminal does for Ctrl-C.
    ///
    /// # Errors
    /// Those of killpg(2).
    pub fn signal_group(&self, signal: Signal) -> io::Result<()> {
        Ok(killpg(pid(self.id()), signal)?)
    }

    /// Stops it and its children and has them continue, as Ctrl-Z and `fg` do.
    ///
    /// # Errors
    /// Those of killpg(2), and that they do not stop within [`PATIENCE`].
    pub fn stop_and_continue(&self) -> io::Result<()> {
        self.signal_group(Signal::SIGSTOP)?;
        let stopped = || processes::group_is_stopped(self.id()).ok()?.then_some(());
        wait::until(PATIENCE, stopped).ok_or(io::ErrorKind::TimedOut)?;
        self.signal_group(Signal::SIGCONT)
    }

    /// Ends it and its children.
    fn stop(&mut self) {
        let _ = self.signal_group(Signal::SIGKILL);
        let _ = self.process.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What a process can be given less of.
#[derive(Debug, Clone, Copy)]
pub enum Limit {
    /// Open descriptors: `ulimit -n`, RLIMIT_NOFILE.
    Descriptors,
    /// Processes and threads of its user: `ulimit -u`, RLIMIT_NPROC. It does not bind root.
    Processes,
}

/// Limits the process that `command` starts, as `ulimit` does in a shell.
pub fn limit(command: &mut Command, what: Limit, most: u32) -> &mut Command {
    let set = move || {
        let most = libc::rlimit { rlim_cur: most.into(), rlim_max: most.into() };
        let resource = match what {
            Limit::Descriptors => libc::RLIMIT_NOFILE,
            Limit::Processes => libc::RLIMIT_NPROC, // nix has no name for it on macOS
        };
        // SAFETY: the pointer is that of a limit on the stack, which setrlimit(2) only reads.
        Errno::result(unsafe { libc::setrlimit(resource, &most) })?;
        Ok(())
    };
    // SAFETY: `set` only makes a plain system call: it is safe between fork and exec.
    unsafe { command.pre_exec(set) }
}

/// Has `command` start as from a fresh terminal, whatever its parent was started with: with standard input, output and
/// error only (cargo leaves more to what it runs, and the lessons count descriptors), with no signal ignored (a
/// script's `cargo test &` ignores SIGINT, and that is inherited), and with none blocked that is meant to end it.
pub fn start_afresh(command: &mut Command) {
    let forget = || {
        SigSet::from_iter(ENDING).thread_unblock()?;
        for descriptor in 3..1024 {
            // SAFETY: marks what is open for exec to close; where nothing is open, the call fails and does nothing.
            unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
        for signal in ENDING.into_iter().chain([Signal::SIGCHLD]) {
            // SAFETY: goes back to what the signal does by default; no handler is installed.
            unsafe { libc::signal(signal as i32, libc::SIG_DFL) };
        }
        Ok(())
    };
    // SAFETY: `forget` makes only plain system calls on numbers: it is safe between fork and exec.
    unsafe { command.pre_exec(forget) };
}

/// A port of 127.0.0.1 that is free, to come back to: below those that the kernel gives to clients, so that none of
/// them takes it meanwhile. Whoever asks next gets another.
pub fn port_to_come_back_to() -> Option<u16> {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 10_000;

    (0..COUNT).find_map(|_| {
        let place = process::id().wrapping_mul(97).wrapping_add(TAKEN.fetch_add(1, Relaxed)) % COUNT;
        let port = u16::try_from(FIRST + place).ok()?;
        is_free(port).then_some(port)
    })
}

/// Whether `port` of 127.0.0.1 is free, and does not rest after use either, as it would for a server that sets no
/// SO_REUSEADDR. (std's `TcpListener::bind` sets it.)
fn is_free(port: u16) -> bool {
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None);
    socket.is_ok_and(|socket| bind(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, port)).is_ok())
}

/// The number behind the first `port` of what a server said.
pub fn port_in(output: &str) -> Option<u16> {
    let (line, _) = output.split_once("port ")?.1.split_once(|next: char| !next.is_ascii_digit())?;
    line.parse().ok()
}

/// A process id as nix takes it.
pub fn pid(id: u32) -> Pid {
    Pid::from_raw(id.cast_signed())
}

/// What a process writes into a pipe, gathered by a thread so that the pipe never fills up.
#[derive(Debug)]
pub(crate) struct Stream {
    gathered: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Stream {
    /// Gathers all of it.
    fn gather(pipe: Option<impl Read + Send + 'static>) -> Stream {
        Stream::gather_last(pipe, usize::MAX)
    }

    /// Gathers at least the last `most` bytes, if there are as many, and at most twice that.
    pub(crate) fn gather_last(pipe: Option<impl Read + Send + 'static>, most: usize) -> Stream {
        let gathered = Arc::new(Mutex::new(Vec::new()));
        let target = Arc::clone(&gathered);
        let thread = pipe.map(|mut pipe| {
            thread::spawn(move || {
                let mut buffer = [0; 8192];
                while let Ok(length @ 1..) = pipe.read(&mut buffer) {
                    let mut gathered = target.lock().unwrap_or_else(PoisonError::into_inner);
                    gathered.extend_from_slice(&buffer[..length]);
                    if gathered.len() > most.saturating_mul(2) {
                        let old = gathered.len() - most;
                        gathered.drain(..old);
                    }
                }
            })
        });
        Stream { gathered, thread }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.gathered.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    pub(crate) fn at_end(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_the_first_line() {
        assert_eq!(port_in("Serving HTTP on port 8888 ...\n"), Some(8888));
        assert_eq!(port_in("WSGIServer: Serving HTTP on port 40123 ...\nport 1\n"), Some(40123));
        assert_eq!(port_in("Serving HTTP on port 88"), None, "the number may not be complete yet");
        assert_eq!(port_in("Serving"), None);
    }
}
