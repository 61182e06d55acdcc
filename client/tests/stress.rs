//! The client against small servers that do one thing each, well or badly.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use client::server::{Limit, PATIENCE, limit, start_afresh};
use client::{processes, wait};
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, SockaddrStorage};
use nix::unistd::Pid;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nHello, World!\n";

/// A listener on a free port of 127.0.0.1.
fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A server that gives each connection, once its request has come, to `treat` and holds on to what that returns.
/// Returns its port, and where the requests can be had.
fn serve(treat: impl Fn(TcpStream) -> Option<TcpStream> + Send + 'static) -> (u16, Receiver<String>) {
    let (listener, port) = listener();
    (port, serve_on(listener, treat))
}

fn serve_on(
    listener: TcpListener,
    treat: impl Fn(TcpStream) -> Option<TcpStream> + Send + 'static,
) -> Receiver<String> {
    let (requests, received) = mpsc::channel();
    thread::spawn(move || {
        let mut held = Vec::new();
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let _ = requests.send(read_request(&mut connection));
            held.extend(treat(connection));
        }
    });
    received
}

fn read_request(connection: &mut TcpStream) -> String {
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte).unwrap();
        request.extend(byte);
    }
    String::from_utf8(request).unwrap()
}

/// Sends `bytes` and closes.
fn send(bytes: &'static [u8]) -> impl Fn(TcpStream) -> Option<TcpStream> + Send {
    move |mut connection| {
        connection.write_all(bytes).unwrap();
        None
    }
}

/// Sends `bytes` and closes nothing.
fn send_and_hold(bytes: &'static [u8]) -> impl Fn(TcpStream) -> Option<TcpStream> + Send {
    move |mut connection| {
        connection.write_all(bytes).unwrap();
        Some(connection)
    }
}

/// A port that refuses connections for as long as the socket lives: it is bound and does not listen.
fn refusing() -> (OwnedFd, u16) {
    let bound = socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).unwrap();
    let anywhere = SockaddrStorage::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    socket::bind(bound.as_raw_fd(), &anywhere).unwrap();
    let port = socket::getsockname::<SockaddrIn>(bound.as_raw_fd()).unwrap().port();
    (bound, port)
}

fn client(port: u16, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_client"));
    command.arg("--port").arg(port.to_string()).args(arguments.split_whitespace());
    command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").env("TERM", "xterm");
    command
}

/// A client at work, in a process group of its own. Dropping it ends it.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Running {
        start_afresh(command.stdin(Stdio::null()).process_group(0));
        Running(command.spawn().unwrap())
    }

    fn end(&mut self) -> ExitStatus {
        wait::until(PATIENCE, || self.0.try_wait().unwrap()).expect("the client ends")
    }

    fn alive(&self) -> Vec<u32> {
        processes::alive_in_group(self.0.id()).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = killpg(pid(self.0.id()), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(id.cast_signed())
}

/// What a client said, and how it ended.
struct Said {
    code: Option<i32>,
    output: String,
    errors: String,
}

impl Said {
    #[track_caller]
    fn has(&self, lines: &[&str]) {
        for line in lines {
            let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            let found = self.output.lines().any(|one| squeezed(one).starts_with(line));
            assert!(found, "no line {line:?}, exit code {:?} in\n{}{}", self.code, self.output, self.errors);
        }
    }
}

fn run(command: &mut Command) -> Said {
    let (output, errors) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    command.stdout(output.try_clone().unwrap()).stderr(errors.try_clone().unwrap());
    let status = Running::start(command).end();
    Said { code: status.code(), output: text(output), errors: text(errors) }
}

fn text(mut file: File) -> String {
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_server_that_answers_and_closes_passes() {
    let (port, requests) = serve(send(ANSWER));
    // It is done when the server is, and does not wait for its time limit (which is longer than `run` waits).
    let said = run(&mut client(port, "--max-clients 3 --max-conns 4 --timeout 3600"));
    said.has(&[
        "3 clients x 4 connections -> 127.0.0.1:",
        "opened 12 of 12",
        "answered and closed 12",
        "left hanging 0",
    ]);
    assert_eq!((said.code, said.errors.as_str()), (Some(0), ""), "no progress bar in a file");
    assert!(!said.output.contains('\x1b'), "no colours in a file: {:?}", said.output);
    assert_eq!(said.output.lines().count(), 9, "a table and nothing else:\n{}", said.output);

    let requests: Vec<String> = requests.try_iter().collect();
    assert_eq!(requests.len(), 12);
    let host = format!("GET /hello HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n");
    assert!(requests.iter().all(|request| request.starts_with(&host)), "{requests:?}");
}

#[test]
fn all_connections_are_open_at_once() {
    let (listener, port) = listener();
    let server = thread::spawn(move || {
        // Nobody is answered before everybody is here, and then the last one first.
        let mut connections: Vec<TcpStream> = listener.incoming().take(12).map(Result::unwrap).collect();
        while let Some(mut connection) = connections.pop() {
            read_request(&mut connection);
            connection.write_all(ANSWER).unwrap();
        }
        listener
    });
    let said = run(&mut client(port, "--max-clients 3 --max-conns 4"));
    said.has(&["opened 12 of 12", "answered and closed 12"]);
    assert_eq!(said.code, Some(0));
    let listener = server.join().unwrap();
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "12 connections and not one more");
}

#[test]
fn an_answered_connection_is_held_until_all_are_open() {
    // The queue of this server takes two or three, so that most connections can't be opened as yet.
    let (listener, port) = listener();
    socket::listen(&listener, Backlog::new(1).unwrap()).unwrap();
    let server = thread::spawn(move || {
        let (mut first, _) = listener.accept().unwrap();
        read_request(&mut first);
        first.write_all(ANSWER).unwrap();
        first.shutdown(Shutdown::Write).unwrap();
        first.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let held = first.read(&mut [0]).map_err(|error| error.kind());
        // Now one after the other: the queue moves on, and the kernel sends again what it had no place for.
        for connection in listener.incoming().take(11) {
            let mut connection = connection.unwrap();
            read_request(&mut connection);
            connection.write_all(ANSWER).unwrap();
        }
        first.set_read_timeout(Some(PATIENCE)).unwrap();
        (held, first.read(&mut [0]).map_err(|error| error.kind()))
    });
    let said = run(&mut client(port, "--max-clients 3 --max-conns 4 --timeout 25"));
    said.has(&["opened 12 of 12", "answered and closed 12"]);
    assert_eq!(server.join().unwrap(), (Err(ErrorKind::WouldBlock), Ok(0)), "still open; and then closed");
}

#[test]
fn an_answer_without_an_end_is_left_hanging() {
    let (port, _requests) = serve(send_and_hold(ANSWER));
    let said = run(&mut client(port, "--max-clients 2 --timeout 0.5"));
    said.has(&["opened 2 of 2", "answered and closed 0", "left hanging 2", "to the end - - -"]);
    assert!(said.output.contains("still holds the connection"), "{}", said.output);
    assert_eq!(said.code, Some(1));
}

#[test]
fn one_silent_connection_keeps_no_other_waiting() {
    let (listener, port) = listener();
    thread::spawn(move || {
        let silent = listener.accept();
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            read_request(&mut connection);
            connection.write_all(ANSWER).unwrap();
        }
        drop(silent);
    });
    let said = run(&mut client(port, "--max-conns 5 --timeout 2"));
    said.has(&["opened 5 of 5", "answered and closed 4", "left hanging 0", "timed out without a byte 1"]);
    assert_eq!(said.code, Some(1));
}

#[test]
fn a_connection_closed_without_an_answer_is_no_success() {
    let (port, _requests) = serve(send(b""));
    let said = run(&mut client(port, "--max-conns 2"));
    said.has(&["opened 2 of 2", "answered and closed 0", "closed without an answer 2"]);
    assert_eq!(said.code, Some(1));
}

#[test]
fn a_reset_is_named() {
    let (listener, port) = listener();
    thread::spawn(move || {
        for connection in listener.incoming() {
            // Closing a socket whose input was not read resets the connection.
            connection.unwrap().peek(&mut [0]).unwrap();
        }
    });
    let said = run(&mut client(port, "--max-conns 2"));
    said.has(&["opened 2 of 2", "answered and closed 0", "reset (read: ECONNRESET) 2", "Reset: "]);
    assert_eq!(said.code, Some(1));
}

#[test]
fn garbage_is_no_answer() {
    let (port, _requests) = serve(send(b"220 mail.example ESMTP\r\n\r\n"));
    let said = run(&mut client(port, ""));
    said.has(&["opened 1 of 1", "answered and closed 0", "answered, but not in HTTP 1"]);
    assert_eq!(said.code, Some(1));
}

#[test]
fn half_a_head_is_no_answer() {
    let (port, _requests) = serve(send_and_hold(b"HTTP/1.1 200 OK\r\nContent-"));
    let said = run(&mut client(port, "--timeout 0.5"));
    said.has(&["left hanging 0", "timed out within the head of an answer 1"]);
    assert_eq!(said.code, Some(1));
}

#[test]
fn an_answer_may_come_in_pieces() {
    let (port, _requests) = serve(|mut connection| {
        connection.set_nodelay(true).unwrap();
        for byte in ANSWER {
            connection.write_all(&[*byte]).unwrap();
            thread::sleep(Duration::from_millis(1));
        }
        None
    });
    let said = run(&mut client(port, "--show"));
    assert_eq!(
        (said.code, said.output.as_str()),
        (Some(0), "HTTP/1.1 200 OK\nContent-Type: text/plain\n\nHello, World!\n")
    );
}

#[test]
fn several_answers_are_shown_whole_and_then_the_table() {
    let (port, _requests) = serve(send(b"HTTP/1.1 200 OK\r\n\r\n\x1b[31mred"));
    let said = run(&mut client(port, "--show --max-clients 2"));
    let answer = "HTTP/1.1 200 OK\n\n\\u{1b}[31mred\n\n";
    assert!(said.output.starts_with(&format!("{answer}{answer}2 clients x 1 connection -> ")), "{}", said.output);
    assert_eq!(said.code, Some(0));
}

#[test]
fn a_single_answer_is_shown_before_its_end() {
    let (port, _requests) = serve(send_and_hold(ANSWER));
    let output = tempfile::NamedTempFile::new().unwrap();
    let mut command = client(port, "--show --timeout 60");
    let mut client = Running::start(command.stdout(output.reopen().unwrap()));
    let shown = || std::fs::read_to_string(output.path()).ok().filter(|shown| shown.ends_with("Hello, World!\n"));
    assert!(wait::until(PATIENCE, shown).is_some());
    assert_eq!(client.0.try_wait().unwrap(), None, "it waits for the end");
}

#[test]
fn nobody_listening_is_said_in_one_line() {
    let (_bound, port) = refusing();
    for arguments in ["", "--max-clients 3 --max-conns 2", "--show"] {
        let said = run(&mut client(port, arguments));
        let start = format!("client: nobody is listening on 127.0.0.1:{port}; start a server in another terminal: ");
        assert!(said.errors.starts_with(&start) && said.errors.lines().count() == 1, "{}", said.errors);
        assert_eq!((said.code, said.output.as_str()), (Some(1), ""));
    }
}

#[test]
fn a_server_is_found_by_name() {
    let (port, requests) = serve(send(ANSWER));
    assert_eq!(run(&mut client(port, "--host localhost")).code, Some(0));
    let request = requests.try_iter().next().unwrap();
    assert!(request.contains(&format!("\r\nHost: localhost:{port}\r\n")), "{request}");
}

#[test]
fn wrong_usage_and_an_unknown_host_are_said_in_one_line() {
    let full = if cfg!(target_os = "linux") { "/dev/full" } else { "/dev/null" };
    for (arguments, code) in [
        (["--prot", "1"], 2),
        (["--port", "99999"], 2),
        (["--timeout", "0"], 2),
        (["--max-clients", "0"], 2),
        (["--host", "not a host"], 1),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_client"));
        let said = run(command.args(arguments));
        assert_eq!((said.code, said.output.as_str()), (Some(code), ""), "{arguments:?}");
        assert!(said.errors.starts_with("client: ") && said.errors.ends_with('\n'), "{arguments:?}: {}", said.errors);
        assert_eq!(said.errors.lines().count(), 1, "{arguments:?}: {}", said.errors);

        command.stderr(File::options().write(true).open(full).unwrap());
        assert_eq!(Running::start(&mut command).end().code(), Some(code), "{arguments:?}, stderr full");
    }
}

#[test]
fn output_that_nobody_reads_is_no_panic() {
    let (port, _requests) = serve(send(ANSWER));
    for (arguments, full) in [("", 1), ("--show", 1), ("--help", 0)] {
        let errors = tempfile::tempfile().unwrap();
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut command = client(port, arguments);
        command.stdout(writer).stderr(errors.try_clone().unwrap());
        assert_eq!(Running::start(&mut command).end().code(), Some(0), "{arguments}");
        assert_eq!(text(errors), "", "{arguments}");

        if cfg!(target_os = "linux") {
            let errors = tempfile::tempfile().unwrap();
            command.stdout(File::options().write(true).open("/dev/full").unwrap());
            command.stderr(errors.try_clone().unwrap());
            assert_eq!(Running::start(&mut command).end().code(), Some(full), "{arguments}");
            let errors = text(errors);
            assert!(errors.lines().all(|line| line.starts_with("client: write to standard output: ")), "{errors}");
        }
    }
}

#[test]
fn the_clients_own_descriptor_limit_is_named() {
    let (port, _requests) = serve(send(ANSWER));
    let said = run(limit(&mut client(port, "--max-conns 50"), Limit::Descriptors, 40));
    said.has(&["opened ", "not opened (socket: EMFILE) ", "EMFILE is this client's limit, not the server's: "]);
    assert!(said.output.contains("may have 40 open files"), "{}", said.output);
    assert_eq!(said.code, Some(1));
}

#[test]
fn a_soft_descriptor_limit_is_raised() {
    let (port, _requests) = serve(send(ANSWER));
    let client = client(port, "--max-conns 50");
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -S -n 20 && exec \"$0\" \"$@\""]).arg(client.get_program()).args(client.get_args());
    let said = run(&mut shell);
    said.has(&["opened 50 of 50", "answered and closed 50"]);
}

/// Starts three clients against a server that never answers, and waits until their connections are there.
fn waiting(timeout: &str) -> (Running, File) {
    let (listener, port) = listener();
    let output = tempfile::tempfile().unwrap();
    let mut command = client(port, &format!("--max-clients 3 --max-conns 2 --timeout {timeout}"));
    let client = Running::start(command.stdout(output.try_clone().unwrap()));
    let server = thread::spawn(move || listener.incoming().take(6).map(Result::unwrap).collect::<Vec<_>>());
    wait::until(PATIENCE, || server.is_finished().then_some(())).expect("six connections");
    let connections = server.join().unwrap();
    thread::spawn(move || connections.iter().for_each(|mut one| while let Ok(1..) = one.read(&mut [0; 512]) {}));
    assert_eq!(client.alive().len(), 4);
    (client, output)
}

#[test]
fn a_parent_that_is_ended_leaves_no_client_behind() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL] {
        let (mut client, _) = waiting("60");
        kill(pid(client.0.id()), signal).unwrap();
        assert_eq!(client.end().signal(), Some(signal as i32));
        let left = || Some(client.alive()).filter(Vec::is_empty);
        assert!(wait::until(PATIENCE, left).is_some(), "{signal}: {:?}", client.alive());
    }
}

#[test]
fn the_connections_of_a_killed_client_are_lost_and_hang_nobody() {
    let (mut client, output) = waiting("5");
    let parent = client.0.id();
    let child = client.alive().into_iter().find(|&id| id != parent).unwrap();
    kill(pid(child), Signal::SIGKILL).unwrap();
    let status = client.end();
    let said = Said { code: status.code(), output: text(output), errors: String::new() };
    said.has(&["opened 4 of 6", "timed out without a byte 4", "lost: the client process ended early 2", "Lost: "]);
    assert_eq!(said.code, Some(1));
}

/// What a terminal gets to see of a client's standard output (`errors` false) or standard error (true).
fn in_terminal(command: &mut Command, errors: bool) -> String {
    let terminal = openpty(None, None).unwrap();
    command.stdout(Stdio::null()).stderr(Stdio::null());
    if errors {
        command.stderr(terminal.slave)
    } else {
        command.stdout(terminal.slave)
    };
    let mut client = Running::start(command);
    // This side's copy has to be closed, for the terminal hangs up only after the last one.
    if errors {
        command.stderr(Stdio::null())
    } else {
        command.stdout(Stdio::null())
    };
    let (mut shown, mut buffer) = (Vec::new(), [0; 1024]);
    let mut terminal = File::from(terminal.master);
    while let Ok(length @ 1..) = terminal.read(&mut buffer) {
        shown.extend_from_slice(&buffer[..length]);
    }
    client.end();
    String::from_utf8(shown).unwrap()
}

#[test]
fn a_terminal_sees_colours_unless_they_are_not_wanted() {
    let (port, _requests) = serve(send(ANSWER));
    let coloured = in_terminal(&mut client(port, ""), false);
    assert!(coloured.contains("\x1b[32m"), "{coloured:?}");
    let plain = in_terminal(client(port, "").env("NO_COLOR", "1"), false);
    assert!(plain.contains("answered and closed  1") && !plain.contains('\x1b'), "{plain:?}");
}

#[test]
fn a_terminal_sees_a_progress_bar_that_goes_away() {
    let (port, _requests) = serve(send_and_hold(ANSWER));
    let shown = in_terminal(&mut client(port, "--timeout 0.5"), true);
    assert!(shown.contains("0 of 1 done"), "{shown:?}");
    assert!(shown.ends_with("\r\x1b[2K") && !shown.contains("\x1b[?25l"), "cleared, and no hidden cursor: {shown:?}");
}
