//! `client watch` on a terminal and in plain lines, beside the servers of part 3.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::num::NonZero;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use client::binary::built;
use client::server::{PATIENCE, Server, pid, port_to_come_back_to, start_afresh};
use client::wait;
use client::watch::terminal::Terminal;
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, poll};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::geteuid;
use vt100::{Parser, Screen};

fn stage(name: &str, arguments: &[&str]) -> Server {
    Server::start(Command::new(built("part3", name).unwrap()).args(["--port", "0"]).args(arguments)).unwrap()
}

/// `client watch`, with the environment of a terminal that can show everything.
fn watch(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_client"));
    command.arg("watch").args(arguments);
    for unwanted in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "LC_CTYPE", "LANG"] {
        command.env_remove(unwanted);
    }
    command.env("TERM", "xterm-256color").env("LC_ALL", "C.UTF-8");
    command
}

/// `client watch` of the server on `port`.
fn watch_port(port: u16) -> Command {
    watch(&["--port", &port.to_string()])
}

/// A port that nobody listens on, and what keeps the other tests from it.
fn free_port() -> (u16, MutexGuard<'static, ()>) {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    (port_to_come_back_to().unwrap(), alone)
}

/// Puts `port` under the load that the book has: 128 clients at once. (Those that 3d hangs give up soon.)
fn stress(port: u16) {
    let mut client = Command::new(env!("CARGO_BIN_EXE_client"));
    client.args(["--max-clients", "128", "--timeout", "2", "--port", &port.to_string()]);
    assert!(client.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok());
}

/// An empty screen.
fn screen(width: u16, height: u16) -> Parser {
    Parser::new(non_zero(height), non_zero(width), 0)
}

fn non_zero(count: u16) -> NonZero<u16> {
    NonZero::new(count).unwrap()
}

/// A program in a terminal of its own, as its session's leader. Dropping it ends it.
struct Session {
    program: Child,
    terminal: File,
    /// Keeps the terminal from hanging up when the program ends, so that it can be looked at.
    slave: OwnedFd,
    before: Termios,
    screen: Parser,
    /// All that came.
    bytes: Vec<u8>,
}

impl Session {
    fn start(command: &mut Command, (width, height): (u16, u16)) -> Session {
        let size = Winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(&size, None).unwrap();
        let before = tcgetattr(&pair.slave).unwrap();
        let slave = || Stdio::from(pair.slave.try_clone().unwrap());
        command.stdin(slave()).stdout(slave()).stderr(slave());
        let lead = || {
            nix::unistd::setsid()?;
            // SAFETY: makes the terminal behind standard input this session's; the call takes numbers only.
            Errno::result(unsafe { libc::ioctl(0, libc::TIOCSCTTY as _, 0) })?;
            Ok(())
        };
        // SAFETY: `lead` makes only plain system calls: it is safe between fork and exec.
        unsafe { command.pre_exec(lead) };
        start_afresh(command);
        let program = command.spawn().unwrap();
        // This side's copies of the slave go with the command's.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let screen = screen(width, height);
        Session { program, terminal: File::from(pair.master), slave: pair.slave, before, screen, bytes: Vec::new() }
    }

    /// Reads what has come, and waits a moment if nothing has.
    fn read(&mut self) {
        let mut polled = [PollFd::new(self.terminal.as_fd(), PollFlags::POLLIN)];
        if let Ok(1..) = poll(&mut polled, 10_u16) {
            let mut buffer = [0; 8192];
            let length = self.terminal.read(&mut buffer).unwrap();
            self.screen.process(&buffer[..length]);
            self.bytes.extend_from_slice(&buffer[..length]);
        }
    }

    /// Waits until the screen is so that `wanted` finds what it looks for.
    #[track_caller]
    fn until<T>(&mut self, what: &str, wanted: impl Fn(&Screen) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.read();
            if let Some(found) = wanted(self.screen.screen()) {
                return found;
            }
            assert!(Instant::now() < deadline, "not {what}:\n{}", self.screen.screen().contents());
        }
    }

    /// Waits until the screen shows `text`.
    #[track_caller]
    fn shows(&mut self, text: &str) {
        self.until(text, |screen| screen.contents().contains(text).then_some(()));
    }

    fn press(&mut self, keys: &[u8]) {
        self.terminal.write_all(keys).unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill(pid(self.program.id()), signal).unwrap();
    }

    fn resize(&mut self, width: u16, height: u16) {
        let size = Winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
        self.screen.screen_mut().set_size(non_zero(height), non_zero(width));
        // SAFETY: the call reads the structure that it is given. The kernel sends SIGWINCH to who is in the foreground.
        Errno::result(unsafe { libc::ioctl(self.slave.as_raw_fd(), libc::TIOCSWINSZ, &size) }).unwrap();
    }

    /// Waits for the program's end, and reads all that it has said.
    #[track_caller]
    fn end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.program.try_wait().unwrap();
            self.read();
            if let Some(status) = status {
                self.read();
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.screen.screen().contents());
        }
    }

    /// Whether the terminal is as it was before the program came.
    #[track_caller]
    fn assert_restored(&self, when: &str) {
        let screen = self.screen.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor(), "{when}: {}", screen.contents());
        assert_eq!(tcgetattr(&self.slave).unwrap(), self.before, "{when}");
        assert_eq!(screen.fgcolor(), vt100::Color::Default, "{when}");
    }

    #[track_caller]
    fn assert_taken(&self) {
        let screen = self.screen.screen();
        assert!(screen.alternate_screen() && screen.hide_cursor(), "{}", screen.contents());
        assert!(!tcgetattr(&self.slave).unwrap().local_flags.intersects(LocalFlags::ECHO | LocalFlags::ICANON));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// What a picture shows of one quantity.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown {
    now: usize,
    most: usize,
    /// How high the history is in each of its columns, in eighths of a line.
    history: Vec<usize>,
}

/// Finds `quantity` in a picture with histories of several lines.
fn shown(screen: &Screen, quantity: &str) -> Option<Shown> {
    let rows: Vec<String> = screen.rows(0, screen.size().1.get()).collect();
    let head = rows.iter().position(|row| row.starts_with(quantity))?;
    let mut words = rows[head].strip_prefix(quantity)?.split_whitespace();
    let now = words.next()?.parse().ok()?;
    let most = words.skip_while(|word| *word != "most").nth(1)?.parse().ok()?;
    let mut history = Vec::new();
    for row in &rows[head + 1..head + 4] {
        history.resize(history.len().max(row.chars().count()), 0);
        for (column, character) in row.chars().enumerate() {
            history[column] += "▁▂▃▄▅▆▇█".chars().position(|level| level == character).map_or(0, |level| level + 1);
        }
    }
    history.drain(..history.iter().position(|height| *height > 0)?);
    Some(Shown { now, most, history })
}

/// What 128 clients do to the picture of a server: each quantity before and after them.
fn pictures_beside(server: &Server) -> [[Shown; 2]; 3] {
    let mut session = Session::start(&mut watch_port(server.port()), (80, 24));
    let all = |screen: &Screen| {
        let [descriptors, children, zombies] = ["descriptors", "children alive", "zombies"];
        Some([shown(screen, descriptors)?, shown(screen, children)?, shown(screen, zombies)?])
    };
    let long = |shown: &[Shown; 3], columns| shown[0].history.len() >= columns;
    let before = session.until("a picture", |screen| all(screen).filter(|shown| long(shown, 3)));
    stress(server.port());
    assert!(server.children_at_rest().is_some());
    let columns = before[0].history.len() + 12;
    let after = session.until("a history", |screen| all(screen).filter(|shown| long(shown, columns)));
    session.press(b"q");
    assert_eq!(session.end().code(), Some(0));
    let [descriptors, children, zombies] = before;
    let [descriptors_after, children_after, zombies_after] = after;
    [[descriptors, descriptors_after], [children, children_after], [zombies, zombies_after]]
}

#[test]
fn beside_3d_descriptors_and_zombies_rise_and_stay() {
    let server = stage("webserver3d", &[]);
    let [descriptors, _, zombies] = pictures_beside(&server);
    let [before, after] = descriptors;
    assert_eq!((after.now, after.most), (before.now + 128, before.now + 128));
    assert!(after.history.is_sorted() && after.history.last() == Some(&24), "it only rises: {after:?}");
    assert!(after.history[0] <= 3, "{after:?}");
    let [before, after] = zombies;
    assert_eq!((before.now, after.now, after.most), (0, 128, 128));
    assert!(after.history.is_sorted() && after.history[0] == 1 && after.history.last() == Some(&24), "{after:?}");
}

#[test]
fn beside_3f_zombies_alone_rise_and_stay() {
    let server = stage("webserver3f", &[]);
    let [descriptors, _, zombies] = pictures_beside(&server);
    let [before, after] = descriptors;
    assert_eq!(after.now, before.now);
    let [before, after] = zombies;
    assert!(before.now == 0 && after.now > 0 && after.now == server.children().unwrap().zombies, "{after:?}");
    // While children end, some of them are waited for; what stays is the far side of the cliff.
    let stays = &after.history[after.history.len() - 4..];
    assert!(after.history[0] == 1 && stays.iter().all(|height| *height > 1 && *height == stays[0]), "{after:?}");
}

#[test]
fn beside_3g_nothing_stays() {
    let server = stage("webserver3g", &[]);
    for [before, after] in pictures_beside(&server) {
        assert_eq!(after.now, before.now);
        assert!(after.history.len() > 12);
        let (first, last) = (after.history[0], after.history[after.history.len() - 1]);
        assert_eq!(first, last, "{after:?}");
    }
}

#[test]
fn words_say_what_the_histories_show() {
    let server = stage("webserver3d", &[]);
    let mut session = Session::start(&mut watch_port(server.port()), (80, 24));
    session.shows("nothing has happened yet");
    stress(server.port());
    session.shows("128 zombies: ended children that nobody has waited for");
    session.shows("descriptors only grow, by 128 so far: connections are kept open");

    let server = stage("webserver3g", &[]);
    let mut session = Session::start(&mut watch_port(server.port()), (80, 24));
    session.shows("nothing has happened yet");
    // A burst may come and go between two looks; a client that takes its time is seen.
    let connection = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).unwrap();
    session.shows("1 child lives on: it works, sleeps, or waits for its client");
    drop(connection);
    session.shows("nothing is left behind: no child, no zombie, no connection");
}

#[test]
fn no_line_is_wider_than_the_terminal_and_a_new_size_is_drawn_at_once() {
    let server = stage("webserver3f", &[]);
    let mut session = Session::start(&mut watch_port(server.port()), (80, 24));
    session.shows("q ends; each column");
    let fits = |screen: &Screen| (0..screen.size().0.get()).all(|row| !screen.row_wrapped(row));
    let mut waited = Duration::ZERO;
    for (width, height) in [(40, 10), (80, 8), (40, 24), (132, 50), (80, 24), (20, 6), (120, 30), (40, 10)] {
        session.resize(width, height);
        // A terminal that is smaller has the old picture on it at first.
        let begin = Instant::now();
        let title = format!("webserver3f (process {})", server.id());
        session.until(&format!("a picture of {width} x {height}"), |screen| {
            let rows: Vec<String> = screen.rows(0, width).collect();
            let drawn = if width >= 40 {
                rows[0].starts_with(&title)
                    && rows[0].contains("watched")
                    && rows[0].trim_end().chars().count() == width.into()
            } else {
                title.starts_with(rows[0].trim_end())
            };
            (drawn && rows.iter().any(|row| row.starts_with("zombies")) && fits(screen)).then_some(())
        });
        waited += begin.elapsed();
    }
    assert!(waited < Duration::from_millis(600), "only as often as it is drawn anyway: {waited:?}");
}

#[test]
fn every_way_out_puts_the_terminal_back_and_says_what_was_seen() {
    type Out = fn(&mut Session, &Server);
    let ways: [(&str, Out, &str); 6] = [
        ("q", |session, _| session.press(b"q"), "still runs"),
        ("Ctrl-C", |session, _| session.press(b"\x03"), "still runs"),
        ("Ctrl-\\", |session, _| session.press(b"\x1c"), "still runs"),
        ("SIGTERM", |session, _| session.signal(Signal::SIGTERM), "still runs"),
        ("SIGHUP", |session, _| session.signal(Signal::SIGHUP), "still runs"),
        ("the server's end", |_, server| server.signal(Signal::SIGKILL).unwrap(), "was killed by SIGKILL"),
    ];
    for (way, out, how) in ways {
        let server = stage("webserver3g", &[]);
        let mut session = Session::start(&mut watch_port(server.port()), (80, 24));
        session.shows("descriptors");
        session.assert_taken();
        out(&mut session, &server);
        assert_eq!(session.end().code(), Some(0), "{way}");
        session.assert_restored(way);
        let line = format!("webserver3g (process {}) on port {} {how}", server.id(), server.port());
        let contents = session.screen.screen().contents();
        assert!(contents.contains(&line) && contents.contains("watched for "), "{way}: {contents}");
    }
}

#[test]
fn the_time_limit_ends_it() {
    let server = stage("webserver3g", &[]);
    let mut session = Session::start(watch_port(server.port()).args(["--for", "1"]), (80, 24));
    session.shows("descriptors");
    assert_eq!(session.end().code(), Some(0));
    session.assert_restored("--for");
    assert!(session.screen.screen().contents().contains("still runs\nwatched for 1."));
}

#[test]
fn a_failure_puts_the_terminal_back_before_it_is_told() {
    let (port, _alone) = free_port();
    let mut session = Session::start(watch_port(port).args(["--for", "1"]), (80, 24));
    session.shows(&format!("waiting for a server on port {port} ..."));
    session.assert_taken();
    assert_eq!(session.end().code(), Some(1));
    session.assert_restored("a failure");
    let contents = session.screen.screen().contents();
    assert!(contents.starts_with("client: nobody is listening on 127.0.0.1:"), "{contents}");
}

/// Not a test: what the next one runs in a terminal.
#[test]
#[ignore = "panics, in a terminal"]
fn panics_with_the_terminal_taken() {
    let mut terminal = Terminal::enter().unwrap();
    terminal.show(vec!["a picture".to_owned()], 80).unwrap();
    panic!("no way on");
}

#[test]
fn a_panic_puts_the_terminal_back_and_its_message_can_be_read() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "--nocapture", "panics_with_the_terminal_taken"]);
    let mut session = Session::start(command.env("RUST_BACKTRACE", "0"), (80, 24));
    assert!(!session.end().success());
    session.assert_restored("a panic");
    let shown = String::from_utf8_lossy(&session.bytes).into_owned();
    assert!(shown.contains("\x1b[?1049h") && shown.contains("a picture"), "{shown:?}");
    let contents = session.screen.screen().contents();
    assert!(contents.contains("no way on") && !contents.contains("a picture"), "{contents}");
}

#[test]
fn ctrl_z_gives_the_terminal_back_and_fg_draws_again() {
    let server = stage("webserver3g", &[]);
    let watch = watch_port(server.port());
    // A shell that manages jobs, as the reader's does.
    let script = "set -m; \"$0\" \"$@\"; echo \"stopped: $?\"; read line; fg; echo \"ended: $?\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(watch.get_program()).args(watch.get_args());
    shell.env("TERM", "xterm").env("LC_ALL", "C.UTF-8");
    let mut session = Session::start(&mut shell, (80, 24));
    session.shows("descriptors");
    session.assert_taken();
    session.press(b"\x1a");
    session.shows("stopped: ");
    session.assert_restored("stopped");
    session.press(b"\n");
    session.shows("descriptors");
    session.until("the alternate screen", |screen| screen.alternate_screen().then_some(()));
    session.shows("q ends; each column");
    session.assert_taken();
    session.press(b"q");
    session.shows("ended: 0");
    assert!(session.end().success());
    session.assert_restored("ended");
}

#[test]
fn a_stop_without_notice_is_made_up_for() {
    let server = stage("webserver3g", &[]);
    let mut session = Session::start(&mut watch_port(server.port()), (80, 24));
    session.shows("descriptors");
    session.signal(Signal::SIGSTOP);
    // As a shell would have it; and what was on the screen is gone.
    tcsetattr(&session.slave, SetArg::TCSANOW, &session.before).unwrap();
    while session.bytes.len() != {
        session.read();
        session.bytes.len()
    } {}
    session.screen = screen(80, 24);
    session.signal(Signal::SIGCONT);
    session.until("drawn whole", |screen| {
        let contents = screen.contents();
        let all = ["webserver3g (process", "descriptors", "children alive", "zombies", "accept queue", "q ends"];
        all.iter().all(|text| contents.contains(text)).then_some(())
    });
    session.assert_taken();
    session.press(b"q");
    assert_eq!(session.end().code(), Some(0));
    session.assert_restored("after a stop");
}

#[test]
fn colours_and_blocks_are_for_those_who_see_them() {
    let server = stage("webserver3f", &[]);
    stress(server.port());
    assert!(server.children_at_rest().is_some());
    let seen = |session: &mut Session| {
        session.shows("zombies: ended children");
        session.press(b"q");
        session.end();
        String::from_utf8_lossy(&session.bytes).into_owned()
    };
    let shown = seen(&mut Session::start(&mut watch_port(server.port()), (80, 24)));
    assert!(shown.contains("\x1b[33m") && shown.contains('█'), "{shown:?}");

    let shown = seen(&mut Session::start(watch_port(server.port()).env("NO_COLOR", "1"), (80, 24)));
    let commands = shown.split("\x1b[").skip(1).map(|text| &text[..=text.find(char::is_alphabetic).unwrap()]);
    let styles: Vec<_> = commands.filter(|command| command.ends_with('m')).collect();
    assert!(shown.contains('█') && styles.iter().all(|style| *style == "0m"), "{styles:?}");

    let shown = seen(&mut Session::start(watch_port(server.port()).env("LC_ALL", "C"), (80, 24)));
    assert!(shown.is_ascii() && shown.contains("####"), "{shown:?}");
}

#[test]
fn a_server_that_comes_later_is_waited_for() {
    let (port, _alone) = free_port();
    let mut session = Session::start(&mut watch_port(port), (80, 24));
    session.shows(&format!("waiting for a server on port {port} ..."));
    session.shows(&format!("\ncargo run -p part3 --bin webserver3g -- --port {port}\n"));
    let server =
        Server::start(Command::new(built("part3", "webserver3g").unwrap()).args(["--port", &port.to_string()]));
    session.shows(&format!("webserver3g (process {}) on port {port}", server.as_ref().unwrap().id()));
    // And who does not want to wait any longer need not.
    drop(server);
    assert_eq!(session.end().code(), Some(0));
    let mut session = Session::start(&mut watch_port(port), (80, 24));
    session.shows("waiting for a server");
    session.press(b"q");
    assert_eq!(session.end().code(), Some(0));
    session.assert_restored("q while it waits");
}

/// A watch whose output goes into a pipe.
struct Piped {
    program: Child,
    output: io::PipeReader,
    said: Vec<u8>,
}

impl Piped {
    fn start(command: &mut Command) -> Piped {
        let (output, writer) = io::pipe().unwrap();
        command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped());
        start_afresh(command);
        let program = command.spawn().unwrap();
        command.stdout(Stdio::null()); // closes this side's copy
        Piped { program, output, said: Vec::new() }
    }

    /// Waits until it has said `text`.
    #[track_caller]
    fn says(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.text().contains(text) {
            assert!(Instant::now() < deadline, "no {text:?} in\n{}", self.text());
            let mut polled = [PollFd::new(self.output.as_fd(), PollFlags::POLLIN)];
            if let Ok(1..) = poll(&mut polled, 100_u16) {
                let mut buffer = [0; 4096];
                let length = self.output.read(&mut buffer).unwrap();
                assert!(length > 0, "it ended without {text:?}:\n{}", self.text());
                self.said.extend_from_slice(&buffer[..length]);
            }
        }
    }

    fn text(&self) -> String {
        String::from_utf8(self.said.clone()).unwrap()
    }

    /// Waits for its end. Returns its exit code, what it has said, and its errors.
    fn end(mut self) -> (Option<i32>, String, String) {
        self.output.read_to_end(&mut self.said).unwrap();
        let status = wait::until(PATIENCE, || self.program.try_wait().unwrap()).expect("it ends");
        let mut errors = String::new();
        self.program.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        (status.code(), self.text(), errors)
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

#[test]
fn a_terminal_that_goes_away_ends_it() {
    let server = stage("webserver3g", &[]);
    let mut session = Session::start(&mut watch_port(server.port()), (80, 24));
    session.shows("descriptors");
    session.terminal = File::open("/dev/null").unwrap();
    assert!(wait::until(PATIENCE, || session.program.try_wait().unwrap()).is_some());
}

/// macOS measures a queue by other rules.
#[test]
#[cfg(target_os = "linux")]
fn a_full_accept_queue_is_named() {
    let server = stage("webserver3a", &["--backlog", "5"]);
    let mut watch = Piped::start(&mut watch_port(server.port()));
    watch.says("accept queue 0 of 5\n");
    assert_eq!(server.connections_that_may_wait(20).unwrap(), 6);
    watch.says("accept queue 0 -> 6");
    watch.says("the accept queue is full: connections open at the client may be unknown here\n");
}

#[test]
fn plain_lines_tell_what_changes() {
    let server = stage("webserver3d", &[]);
    let mut watch = Piped::start(&mut watch_port(server.port()));
    watch.says("accept queue 0 of 1024\n");
    stress(server.port());
    watch.says("descriptors only grow, by 128 so far: connections are kept open\n");
    kill(pid(watch.program.id()), Signal::SIGINT).unwrap();
    let (code, said, errors) = watch.end();
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{said}");

    let (lines, summary) = said.split_once("\nwebserver3d (process ").expect("lines and a summary");
    let mut lines = lines.lines();
    let name = format!("webserver3d (process {}) on port {}", server.id(), server.port());
    assert_eq!(lines.next(), Some(format!("watching {name}").as_str()));
    let first = lines.next().unwrap();
    assert!(first.starts_with("   0.0 s  descriptors ") && first.contains(", children alive 0, zombies 0"), "{first}");
    let lines: Vec<_> = lines.collect();
    let last = |change: &str| {
        let line = lines.iter().rev().find(|line| line.contains(change)).unwrap_or_else(|| panic!("{change}: {said}"));
        line.split_once(change).unwrap().1.split(',').next().unwrap().to_owned()
    };
    let descriptors = server.descriptors().unwrap();
    assert!(last("descriptors ").contains(&format!("-> {descriptors} of ")) || lines.len() > 2, "{said}");
    assert!(last("zombies ").ends_with("-> 128"), "{said}");
    assert!(
        lines.iter().any(|line| line.ends_with("128 zombies: ended children that nobody has waited for")),
        "{said}"
    );
    let times: Vec<f64> = lines.iter().map(|line| line[..6].trim().parse().expect(line)).collect();
    assert!(times.is_sorted(), "{said}");
    // About four lines that count a second: the first of five may be late by one's time where the machine is busy.
    let counts = lines.iter().zip(&times).filter(|(line, _)| line.contains(" -> "));
    let counts: Vec<_> = counts.map(|(_, time)| *time).collect();
    assert!(counts.windows(5).all(|five| five[4] - five[0] > 0.6), "{said}");

    assert!(summary.contains(" still runs\nwatched for "), "{said}");
    let rows: Vec<Vec<_>> = summary.lines().map(|line| line.split_whitespace().collect()).collect();
    let first = (descriptors - 128).to_string();
    let now = descriptors.to_string();
    assert!(rows.iter().any(|row| row.starts_with(&["descriptors", &first, &now, &now, "of"])), "{said}");
    assert!(rows.contains(&vec!["zombies", "0", "128", "128"]), "{said}");
    assert!(said.chars().all(|character| character == '\n' || !character.is_control()), "{said:?}");
}

#[test]
fn a_server_that_ends_says_how() {
    let server = stage("webserver3e", &["--sleep", "1"]);
    let mut watch = Piped::start(&mut watch_port(server.port()));
    watch.says("accept queue 0 of 5\n");
    stress_once(server.port());
    let (code, said, errors) = watch.end();
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{said}");
    let line = format!("\nwebserver3e (process {}) on port {} exited with code 1\n", server.id(), server.port());
    assert!(said.contains(&line) && said.contains("at end\n"), "{said}");
    // What it had open when it ended is what it had open before: nobody saw it take leave of its descriptors.
    let row = said.lines().find(|line| line.starts_with("  descriptors")).unwrap();
    let numbers: Vec<usize> = row.split_whitespace().skip(1).take(3).map(|number| number.parse().unwrap()).collect();
    assert!(numbers[2] >= numbers[0] && numbers[0] > 3, "{said}");
}

/// Sends one request, and waits for its end.
fn stress_once(port: u16) {
    let mut client = Command::new(env!("CARGO_BIN_EXE_client"));
    client.args(["--port", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(client.status().is_ok());
}

#[test]
fn a_terminal_gets_plain_lines_if_it_wants_them_or_can_do_nothing_else() {
    let server = stage("webserver3g", &[]);
    let (mut plain, mut dumb) = (watch_port(server.port()), watch_port(server.port()));
    for command in [plain.args(["--plain", "--for", "1"]), dumb.args(["--for", "1"]).env("TERM", "dumb")] {
        let mut session = Session::start(command, (80, 24));
        assert_eq!(session.end().code(), Some(0));
        session.assert_restored("plain");
        let shown = String::from_utf8_lossy(&session.bytes).into_owned();
        assert!(shown.contains("   0.0 s  descriptors ") && shown.contains("watched for 1."), "{shown:?}");
        assert!(!shown.contains("\x1b[?") && !shown.contains("\x1b[2J"), "{shown:?}");
    }
}

#[test]
fn a_reader_who_has_seen_enough_ends_it_quietly() {
    let server = stage("webserver3g", &[]);
    let mut watch = Piped::start(&mut watch_port(server.port()));
    watch.says("watching ");
    // The server is at rest, and so nothing more is written that could fail.
    let (reader, writer) = io::pipe().unwrap();
    drop(writer);
    drop(std::mem::replace(&mut watch.output, reader));
    let (code, _, errors) = watch.end();
    assert_eq!((code, errors.as_str()), (Some(0), ""));
}

#[test]
fn lines_wait_for_a_server_too() {
    let (port, _alone) = free_port();
    let mut watch = Piped::start(&mut watch_port(port));
    watch.says(&format!("waiting for a server on port {port} ...\n"));
    let mut command = Command::new(built("part3", "webserver3g").unwrap());
    let server = Server::start(command.args(["--port", &port.to_string()])).unwrap();
    watch.says(&format!("watching webserver3g (process {}) on port {port}\n", server.id()));
    server.signal(Signal::SIGTERM).unwrap();
    let (code, said, _) = watch.end();
    assert_eq!(code, Some(0));
    assert_eq!(said.matches("waiting for").count(), 1, "{said}");
}

#[test]
fn a_process_that_does_not_listen_can_be_watched_too() {
    let mut sleep = Command::new("sleep").arg("60").spawn().unwrap();
    let mut watch = Piped::start(&mut watch(&["--pid", &sleep.id().to_string()]));
    watch.says(", zombies 0\n");
    sleep.kill().unwrap();
    let (code, said, _) = watch.end();
    sleep.wait().unwrap();
    assert_eq!(code, Some(0));
    assert!(said.starts_with(&format!("watching sleep (process {})\n", sleep.id())), "{said}");
    assert!(said.contains("was killed by SIGKILL") && !said.contains("on port"), "{said}");
}

#[test]
fn what_can_not_be_watched_is_told_in_one_line() {
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let (port, _alone) = free_port();
    for (arguments, line) in [
        (
            vec!["--pid".to_owned(), gone.id().to_string()],
            format!("client: look at process {}: there is no", gone.id()),
        ),
        (
            ["--port", &port.to_string(), "--for", "0.3"].map(str::to_owned).to_vec(),
            format!("client: nobody is listening on 127.0.0.1:{port}; start a server in another terminal: "),
        ),
    ] {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let (code, _, errors) = Piped::start(&mut watch(&arguments)).end();
        assert!(errors.starts_with(&line) && errors.lines().count() == 1, "{errors}");
        assert_eq!(code, Some(1));
    }
    let (code, _, errors) = Piped::start(&mut watch(&["--pid", "1", "--port", "80"])).end();
    assert!(errors.contains("cannot be used with") && errors.lines().count() == 1, "{errors}");
    assert_eq!(code, Some(2));
}

#[test]
fn another_users_server_is_named_and_not_watched() {
    if !geteuid().is_root() {
        let (code, _, errors) = Piped::start(&mut watch(&["--pid", "1"])).end();
        assert!(errors.contains("another user's") && errors.lines().count() == 1, "{errors}");
        assert_eq!(code, Some(1));
        return;
    }
    let server = stage("webserver3g", &[]);
    // The other user must be able to get at the program, wherever the target folder is.
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    let copy = folder.path().join("client");
    assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_client")).arg(&copy).status().unwrap().success());
    for path in [folder.path(), copy.as_path()] {
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    for (option, number) in [("--port", u32::from(server.port())), ("--pid", server.id())] {
        let mut command = Command::new(&copy);
        command
            .args(["watch", option, &number.to_string()])
            .uid(100_006 + process::id() * 8)
            .current_dir(Path::new("/"));
        let (code, said, errors) = Piped::start(&mut command).end();
        assert!(errors.contains("another user's") && errors.ends_with(" (run client as that user)\n"), "{errors}");
        assert_eq!((code, errors.lines().count()), (Some(1), 1), "{said}{errors}");
    }
}
