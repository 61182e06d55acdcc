//! A terminal with a shell, as a reader has it: what is typed is run, what is shown can be read, Ctrl-C interrupts.
//!
//! It is a pseudo-terminal (pty(7)) of 100 columns, and the shell leads a session that it is the terminal of. The shell
//! has job control, so that each command is a process group of its own in the foreground (`S+` in ps), and Ctrl-C goes
//! to that alone. It does not print prompts, and the terminal does not echo what is typed: a page shows both itself.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use client::kernel::processes;
use client::server::{pid, start_afresh};
use client::wait;
use nix::errno::Errno;
use nix::libc;
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, killpg};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use nix::unistd::{setgid, setuid, tcgetpgrp, ttyname};

use crate::screen::{END, Screen};

/// The shell is bash, as most readers' is (or zsh; sh has no `ulimit -u`). It gets its commands by a pipe, and runs
/// each with the terminal for its standard input, output and error. `trap` keeps Ctrl-C from ending the shell too. What
/// `ps -A` shows is what these terminals run.
const SHELL: &str = r#"
set -m
trap : INT
ps() {
    for word; do
        shift
        case $word in -A | -e) set -- "$@" -t "$TERMINALS" ;; *) set -- "$@" "$word" ;; esac
    done
    command ps "$@"
}
"#;

/// A terminal. Dropping it ends all that was started in it.
#[derive(Debug)]
pub struct Terminal {
    name: String,
    keyboard: File,
    shell: Option<Shell>,
    shown: Arc<Mutex<Shown>>,
    /// The line up to which it was looked at.
    looked: usize,
    /// The process groups that were started in it.
    groups: BTreeSet<u32>,
    /// Whether a command runs.
    runs: bool,
    /// Held open, or else the terminal would hang up when nothing runs.
    _line: File,
}

#[derive(Debug)]
struct Shell {
    process: Child,
    commands: ChildStdin,
}

#[derive(Debug)]
struct Shown {
    screen: Screen,
    changed: Instant,
}

impl Terminal {
    /// Opens a terminal in which nothing runs.
    ///
    /// # Errors
    /// Those of openpty(3) and tcsetattr(3).
    pub fn open() -> io::Result<Terminal> {
        let size = Winsize { ws_row: 40, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None)?;
        for descriptor in [&pty.master, &pty.slave] {
            // A process that is started elsewhere at the same time may not have it too.
            nix::fcntl::fcntl(descriptor, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
        }
        let mut settings = tcgetattr(&pty.slave)?;
        settings.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(&pty.slave, SetArg::TCSANOW, &settings)?;
        let name = ttyname(&pty.slave)?.to_string_lossy().into_owned();
        let keyboard = File::from(pty.master);
        let shown = Arc::new(Mutex::new(Shown { screen: Screen::default(), changed: Instant::now() }));
        let mut source = keyboard.try_clone()?;
        let target = Arc::clone(&shown);
        thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(length @ 1..) = source.read(&mut buffer) {
                let mut shown = target.lock().unwrap_or_else(PoisonError::into_inner);
                shown.screen.feed(&buffer[..length]);
                shown.changed = Instant::now();
            }
        });
        Ok(Terminal {
            name,
            keyboard,
            shell: None,
            shown,
            looked: 0,
            groups: BTreeSet::new(),
            runs: false,
            _line: File::from(pty.slave),
        })
    }

    /// Its name, such as /dev/pts/3.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts its shell in `folder`, as `user` if one is given; what runs in it is ended before. `terminals` are the
    /// names of all whose processes `ps -A` shall show.
    ///
    /// # Errors
    /// The shell can't be started, or the terminal not be given to the user.
    pub fn start_shell(&mut self, folder: &Path, terminals: &str, user: Option<u32>) -> io::Result<()> {
        self.close();
        let mut shell = Command::new("bash");
        shell.current_dir(folder);
        shell.env("TERMINAL", &self.name).env("TERMINALS", terminals).env("TERM", "xterm-256color");
        for name in ["NO_COLOR", "CLICOLOR_FORCE", "RUST_BACKTRACE", "SKIP_NOTHING", "COLUMNS", "LINES", "BASH_ENV"] {
            shell.env_remove(name);
        }
        for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            shell.env_remove(name);
        }
        let line = self._line.try_clone()?;
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(line.try_clone()?);
        start_afresh(&mut shell);
        let number = line.as_raw_fd();
        if user.is_some() {
            chown(&self.name, user, user)?;
        }
        let lead = move || {
            // SAFETY: a plain system call, without arguments.
            Errno::result(unsafe { libc::setsid() })?;
            // SAFETY: takes a number and no pointer; makes the terminal the one of the new session.
            Errno::result(unsafe { libc::ioctl(number, libc::TIOCSCTTY as _, 0) })?;
            // The folder has been changed before: it may be one that others may not enter.
            if let Some(user) = user {
                setgid(user.into())?;
                setuid(user.into())?;
            }
            Ok(())
        };
        // SAFETY: `lead` only makes plain system calls: it is safe between fork and exec.
        unsafe { shell.pre_exec(lead) };
        let mut process = shell.spawn()?;
        let mut commands = process.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        commands.write_all(SHELL.as_bytes())?;
        self.shell = Some(Shell { process, commands });
        Ok(())
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Types a command. What was shown before it counts as looked at.
    ///
    /// # Errors
    /// The shell has ended.
    pub fn command(&mut self, command: &str) -> io::Result<()> {
        let next = {
            let mut shown = self.shown();
            shown.screen.take_end();
            shown.changed = Instant::now();
            shown.screen.next_line()
        };
        self.looked = next;
        self.runs = true;
        let shell = self.shell.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let quoted = command.replace('\'', r"'\''");
        let end = format!(r#"printf '\033]{END}\007' >"$TERMINAL""#);
        shell.commands.write_all(format!("eval '{quoted}' <>\"$TERMINAL\" >&0 2>&0\n{end}\n").as_bytes())
    }

    /// Types a line, or something else, for the program that runs.
    ///
    /// # Errors
    /// Those of write(2).
    pub fn type_in(&mut self, text: &str) -> io::Result<()> {
        self.shown().changed = Instant::now();
        self.keyboard.write_all(text.as_bytes())
    }

    /// Waits until the command that was typed is in the foreground, or has ended: before, a Ctrl-C would not reach it.
    pub fn is_in_the_foreground(&mut self, patience: Duration) -> bool {
        let shell = self.shell.as_ref().map(|shell| shell.process.id().cast_signed());
        wait::until(patience, || {
            let group = tcgetpgrp(&self.keyboard).ok()?.as_raw();
            (!self.runs() || Some(group) != shell).then_some(())
        })
        .is_some()
    }

    /// Whether a command runs.
    pub fn runs(&mut self) -> bool {
        if self.shown().screen.take_end() {
            self.runs = false;
        }
        if let Some(shell) = self.shell.as_mut().filter(|_| self.runs)
            && let Ok(Some(_)) = shell.process.try_wait()
        {
            self.runs = false; // `exit`, or a line that the shell can't read
        }
        self.remember_groups();
        self.runs
    }

    /// Notes the group of what is in the foreground, to end it when the terminal goes.
    fn remember_groups(&mut self) {
        if let Ok(group) = tcgetpgrp(&self.keyboard) {
            self.groups.insert(group.as_raw().cast_unsigned());
        }
    }

    /// What it has shown since it was last looked at. The last line is not complete.
    pub fn lines(&self) -> Vec<String> {
        self.shown().screen.lines_from(self.looked)
    }

    /// How long it has shown nothing new.
    pub fn quiet_for(&self) -> Duration {
        self.shown().changed.elapsed()
    }

    /// Counts what was shown as looked at, except for a last line that is empty so far.
    pub fn look(&mut self) {
        let row = self.shown().screen.next_line();
        self.looked = row;
    }

    /// Ends all that was started in it.
    fn close(&mut self) {
        self.remember_groups();
        let Some(mut shell) = self.shell.take() else { return };
        let id = shell.process.id();
        // What runs in the background has a group too, and has the shell for its parent.
        for process in processes::all().unwrap_or_default() {
            if process.parent == id {
                self.groups.insert(process.group);
            }
        }
        self.groups.insert(id);
        for group in self.groups.iter().filter(|group| **group > 1) {
            let _ = killpg(pid(*group), Signal::SIGKILL);
        }
        let _ = shell.process.kill();
        let _ = shell.process.wait();
        self.runs = false;
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.close();
    }
}
