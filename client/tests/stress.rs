//! The client against small servers that do one thing each, well or badly.

use std::fs::{File, Permissions, set_permissions};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{self, Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use client::binary::built;
use client::kernel::processes;
use client::server::{Limit, PATIENCE, Server, limit, pid, start_afresh};
use client::wait;
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, SockaddrStorage};
use nix::unistd::geteuid;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nHello, World!\n";

/// A listener on a free port of 127.0.0.1.
fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Makes the queue of connections that `listener` has not yet accepted so short that it takes two or three. (A length
/// of 0 would be the shortest on Linux, and the longest on macOS.)
fn shorten_queue(listener: &TcpListener) {
    socket::listen(listener, Backlog::new(1).unwrap()).unwrap();
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

    /// What stands behind `label` in the table.
    #[track_caller]
    fn row(&self, label: &str) -> &str {
        let found = self.output.lines().find_map(|line| line.trim_start().strip_prefix(label));
        found.unwrap_or_else(|| panic!("no row {label:?} in\n{}{}", self.output, self.errors)).trim()
    }

    /// The number of connections in the row `label`.
    #[track_caller]
    fn count(&self, label: &str) -> u32 {
        self.row(label).split(' ').next().unwrap().parse().unwrap()
    }

    /// What stands in the row `label` before the run and after it.
    #[track_caller]
    fn before_and_after(&self, label: &str) -> [u32; 2] {
        let numbers: Vec<_> =
            self.row(label).split_whitespace().take(2).map(|number| number.parse().unwrap()).collect();
        numbers.try_into().unwrap()
    }

    /// The median in the row `label`, in seconds.
    #[track_caller]
    fn seconds(&self, label: &str) -> f64 {
        let mut words = self.row(label).split(' ');
        let number: f64 = words.next().unwrap().parse().unwrap();
        match words.next() {
            Some("s") => number,
            Some("ms") => number / 1e3,
            Some("µs") => number / 1e6,
            unit => panic!("{unit:?}"),
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
    let lines: Vec<_> = said.output.lines().collect();
    // The server is this test, and what else it does meanwhile is seen as well.
    let heading = format!("(process {})", process::id());
    assert!(lines[9].is_empty() && lines[10].contains(&heading), "a table and then the server:\n{}", said.output);

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
    // Most connections can't be opened as yet. Those that can send their requests, and wait for no other.
    let (listener, port) = listener();
    shorten_queue(&listener);
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
    assert!(said.output.contains("Left hanging: an answer, but no end"), "{}", said.output);
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
fn lines_may_end_in_a_bare_newline() {
    let (port, _requests) = serve(send(b"HTTP/1.1 200 OK\n\nhi\n"));
    let said = run(&mut client(port, ""));
    said.has(&["opened 1 of 1", "answered and closed 1"]);
    assert_eq!(said.code, Some(0));
}

#[test]
fn half_a_head_is_no_answer() {
    let (port, _requests) = serve(send_and_hold(b"HTTP/1.1 200 OK\r\nContent-"));
    let started = Instant::now();
    let said = run(&mut client(port, "--timeout 0.5"));
    said.has(&["left hanging 0", "timed out within the head of an answer 1"]);
    assert_eq!(said.code, Some(1));
    let time = started.elapsed();
    assert!((0.5..5.0).contains(&time.as_secs_f64()), "--timeout 0.5 took {time:?}");
}

#[test]
fn what_does_not_open_in_time_is_not_called_silent() {
    let (listener, port) = listener();
    shorten_queue(&listener);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let fill = || TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok();
    let filling: Vec<TcpStream> = std::iter::from_fn(fill).collect();
    let said = run(&mut client(port, "--max-clients 10 --timeout 0.5"));
    let row = "timed out before it opened (connect: ETIMEDOUT) 10";
    said.has(&["opened 0 of 10", "left hanging 0", row, "Timed out before it opened: "]);
    assert!(!said.output.contains("without a byte"), "{}", said.output);
    assert_eq!(said.code, Some(1));
    drop(filling);
}

#[test]
fn connections_that_come_too_late_are_refused() {
    let (listener, port) = listener();
    shorten_queue(&listener);
    let server = thread::spawn(move || {
        // The queue is too short for the ten that are left; who finds no place in it tries again later.
        for mut connection in [listener.accept().unwrap().0, listener.accept().unwrap().0] {
            read_request(&mut connection);
            connection.write_all(ANSWER).unwrap();
        }
    });
    let said = run(&mut client(port, "--max-conns 12"));
    said.has(&["answered and closed 2", "refused (connect: ECONNREFUSED) ", "Refused: by then nobody was listening"]);
    assert!(said.count("refused (connect: ECONNREFUSED)") >= 5, "{}", said.output);
    assert_eq!((said.code, said.errors.as_str()), (Some(1), ""));
    server.join().unwrap();
}

#[test]
fn the_first_byte_and_the_end_are_timed() {
    let (port, _requests) = serve(|mut connection| {
        let (head, body) = ANSWER.split_at(20);
        thread::sleep(Duration::from_millis(100));
        connection.write_all(head).unwrap();
        thread::sleep(Duration::from_secs(1));
        connection.write_all(body).unwrap();
        thread::sleep(Duration::from_secs(1));
        None
    });
    let said = run(&mut client(port, ""));
    let (first_byte, end) = (said.seconds("to the first byte"), said.seconds("to the end"));
    assert!((0.1..1.0).contains(&first_byte) && (2.0..10.0).contains(&end), "{}", said.output);
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
fn a_long_answer_is_shown_up_to_64_kb() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\n\r\n";
    let (port, _requests) = serve(|mut connection| {
        connection.write_all(HEAD.as_bytes()).unwrap();
        connection.write_all(&[b'x'; 200_000]).unwrap();
        None
    });
    let said = run(&mut client(port, "--show"));
    let body = "x".repeat(64 * 1024 - HEAD.len());
    assert!(said.output == format!("HTTP/1.1 200 OK\n\n{body}\n"), "{} bytes", said.output.len());
    assert_eq!(said.code, Some(0));
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
    let expected = format!(
        "client: nobody is listening on 127.0.0.1:{port}; start a server in another terminal: \
         cargo run -p part3 --bin webserver3g -- --port {port}\n"
    );
    for arguments in ["", "--max-clients 3 --max-conns 2", "--show", "--max-clients 2 --max-conns 3000"] {
        let said = run(limit(&mut client(port, arguments), Limit::Descriptors, 256));
        assert_eq!((said.code, said.output.as_str(), said.errors.as_str()), (Some(1), "", expected.as_str()));
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
    assert!(said.output.replace('\n', " ").contains("may have 40 open files"), "{}", said.output);
    assert_eq!(said.code, Some(1));
}

#[test]
fn a_descriptor_limit_that_leaves_no_room_for_pipes_is_named() {
    let said = run(limit(&mut client(1, ""), Limit::Descriptors, 6));
    assert!(said.errors.starts_with("client: pipe: EMFILE: "), "{}", said.errors);
    assert!(said.errors.ends_with(" (raise this shell's limit: ulimit -n)\n"), "{}", said.errors);
    assert_eq!((said.code, said.output.as_str(), said.errors.lines().count()), (Some(1), "", 1));
}

/// The client as a file that another user can run, wherever the target folder is; and the folder that it is in.
fn anybodys_client() -> (tempfile::TempDir, Command) {
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    let copy = folder.path().join("client");
    // By a process of its own: a file can't be run that is open for writing, and what this process has open, a child
    // of another test would have for a moment too.
    assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_client")).arg(&copy).status().unwrap().success());
    for path in [folder.path(), copy.as_path()] {
        set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    let command = Command::new(copy);
    (folder, command)
}

/// The id of a user who is nobody, and none of part3's tests.
fn nobody() -> u32 {
    100_007 + process::id() * 8
}

#[test]
fn the_clients_own_process_limit_is_named() {
    let (port, _requests) = serve(send(ANSWER));
    // Root has no such limit.
    let (_folder, mut command) = anybodys_client();
    command.args(["--max-clients", "5", "--max-conns", "2", "--port", &port.to_string()]);
    if geteuid().is_root() {
        command.uid(nobody());
    }
    let said = run(limit(&mut command, Limit::Processes, 3));
    said.has(&["not started (fork: EAGAIN) ", "fork is this client's limit, not the server's: "]);
    // Another user has two clients beside the parent. Somebody who has other processes too gets fewer.
    let (started, refused) = (said.count("answered and closed"), said.count("not started (fork: EAGAIN)"));
    assert!(started + refused == 10 && refused >= 6, "{}", said.output);
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
fn the_connections_of_a_killed_or_stopped_client_are_lost_and_hang_nobody() {
    let (mut client, output) = waiting("3");
    let parent = client.0.id();
    let children = client.alive().into_iter().filter(|&id| id != parent);
    for (child, signal) in children.zip([Signal::SIGKILL, Signal::SIGSTOP]) {
        kill(pid(child), signal).unwrap();
    }
    let status = client.end();
    let said = Said { code: status.code(), output: text(output), errors: String::new() };
    said.has(&["opened 2 of 6", "timed out without a byte 2", "lost: the client process ended early 4", "Lost: "]);
    assert_eq!((said.code, client.alive()), (Some(1), vec![]));
}

#[test]
fn a_run_that_was_stopped_goes_on() {
    let (listener, port) = listener();
    let output = tempfile::tempfile().unwrap();
    let mut client = Running::start(client(port, "--timeout 2").stdout(output.try_clone().unwrap()));
    let (mut connection, _) = listener.accept().unwrap();
    read_request(&mut connection);
    killpg(pid(client.0.id()), Signal::SIGSTOP).unwrap();
    thread::sleep(Duration::from_millis(500));
    connection.write_all(ANSWER).unwrap();
    drop(connection);
    // Longer than the time limit, and than the parent waits beyond it.
    thread::sleep(Duration::from_millis(5000));
    // The parent may be the first that goes on.
    kill(pid(client.0.id()), Signal::SIGCONT).unwrap();
    thread::sleep(Duration::from_millis(300));
    killpg(pid(client.0.id()), Signal::SIGCONT).unwrap();
    let status = client.end();
    let said = Said { code: status.code(), output: text(output), errors: String::new() };
    said.has(&["opened 1 of 1", "answered and closed 1"]);
    assert_eq!(said.code, Some(0));
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

/// A stage of part3, with what it says thrown away.
fn stage(name: &str, arguments: &[&str]) -> Server {
    let program = built("part3", name).unwrap();
    Server::start(Command::new(program).args(["--port", "0"]).args(arguments)).unwrap()
}

#[test]
fn a_server_that_leaves_nothing_behind_has_the_same_numbers_before_and_after() {
    let server = stage("webserver3g", &[]);
    for _ in 0..2 {
        let said = run(&mut client(server.port(), "--max-clients 32"));
        said.has(&[
            &format!("webserver3g (process {}) before after", server.id()),
            "children alive 0 0",
            "zombies 0 0",
        ]);
        assert_eq!(said.before_and_after("descriptors"), [4, 4], "{}", said.output);
        assert!(said.row("descriptors").contains(" of "), "{}", said.output);
        assert_eq!(said.output.lines().count(), 14, "and nothing is said of it:\n{}", said.output);
        assert_eq!(said.code, Some(0));
    }
}

#[test]
fn zombies_are_shown_and_told_in_one_line() {
    let server = stage("webserver3f", &[]);
    let said = run(&mut client(server.port(), "--max-clients 128"));
    let [before, zombies] = said.before_and_after("zombies");
    assert!(before == 0 && zombies > 0, "{}", said.output);
    let word = if zombies == 1 { "zombie" } else { "zombies" };
    let line = format!("\nwebserver3f: 4 descriptors, 0 children, {zombies} {word}\nA zombie is a child");
    assert!(said.output.contains(&line), "{}", said.output);
    assert_eq!(server.children().unwrap().zombies, zombies as usize, "as the kernel's tables say");
    assert_eq!(said.code, Some(0), "every client was answered");

    let again = run(&mut client(server.port(), ""));
    assert_eq!(again.before_and_after("zombies")[0], zombies, "{}", again.output);
}

#[test]
fn kept_connections_are_shown() {
    let server = stage("webserver3d", &[]);
    let said = run(&mut client(server.port(), "--max-conns 5 --timeout 2"));
    assert_eq!(said.before_and_after("descriptors"), [4, 9], "{}", said.output);
    said.has(&["zombies 0 5", "webserver3d: 9 descriptors, 0 children, 5 zombies", "More descriptors than before"]);
    assert_eq!(said.code, Some(1));
}

#[test]
fn children_that_sleep_on_are_shown_and_not_waited_for() {
    let server = stage("webserver3c", &["--sleep", "3600"]);
    let started = Instant::now();
    let said = run(&mut client(server.port(), "--max-conns 3 --timeout 1"));
    said.has(&["children alive 0 3", "webserver3c: 4 descriptors, 3 children, 0 zombies", "More children than before"]);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn a_server_is_given_the_time_to_come_to_rest() {
    let mut shell = Command::new("sh");
    let mut process =
        shell.args(["-c", "read line; sleep 0.2 & wait; read line"]).stdin(Stdio::piped()).spawn().unwrap();
    let id = process.id();
    let mut input = process.stdin.take().unwrap();
    let (listener, port) = listener();
    let server = thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        read_request(&mut connection);
        input.write_all(b"go on\n").unwrap();
        // A child that is at work for a moment longer than the client waits for its answer.
        let child = wait::until(PATIENCE, || processes::alive_children(id).ok()?.first().copied());
        connection.write_all(ANSWER).unwrap();
        (input, child)
    });
    let said = run(&mut client(port, &format!("--pid {id}")));
    let (_input, child) = server.join().unwrap();
    assert!(child.is_some() && said.before_and_after("children alive") == [0, 0], "{}", said.output);
    process.kill().unwrap();
    process.wait().unwrap();
}

#[test]
fn the_end_of_the_server_is_told() {
    for (killed, end) in [(true, "was killed by SIGKILL."), (false, "exited with code 3.")] {
        // Not what listens, for that is this test; whatever has the id is looked at.
        let mut shell = Command::new("sh");
        let mut process = shell.args(["-c", "read line; exit 3"]).stdin(Stdio::piped()).spawn().unwrap();
        let id = process.id();
        let (listener, port) = listener();
        let server = thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            read_request(&mut connection);
            if killed {
                process.kill().unwrap();
            }
            drop(process.stdin.take());
            process.wait().unwrap();
            connection.write_all(ANSWER).unwrap();
        });
        let said = run(&mut client(port, &format!("--pid {id}")));
        server.join().unwrap();
        let told = said.output.replace('\n', " ");
        let unknown = "ended, and only its parent can tell how."; // before Linux 6.15
        let ends = [end, unknown].map(|end| format!("During the run, sh (process {id}) {end}"));
        assert!(ends.iter().any(|end| told.contains(end)), "{}", said.output);
        assert!(!said.output.contains("before"), "{}", said.output);
        assert_eq!(said.code, Some(0));
    }
}

#[test]
fn a_process_that_is_not_there_is_a_failure_before_anything_is_sent() {
    let (listener, port) = listener();
    let mut ended = Command::new("true").spawn().unwrap();
    ended.wait().unwrap();
    let said = run(&mut client(port, &format!("--pid {}", ended.id())));
    let expected = format!(
        "client: look at process {0}: there is no process {0} (ps -A lists those that there are)\n",
        ended.id()
    );
    assert_eq!((said.code, said.output.as_str(), said.errors), (Some(1), "", expected));
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn the_server_of_another_user_is_not_shown() {
    if !geteuid().is_root() {
        assert!(std::env::var_os("SKIP_NOTHING").is_none_or(|value| value == "0"), "it needs root");
        eprintln!("skipped: it needs root, to become another user");
        return;
    }
    let (port, _requests) = serve(send(ANSWER));
    let (_folder, mut command) = anybodys_client();
    command.uid(nobody()).args(["--port", &port.to_string()]);
    let said = run(&mut command);
    let line =
        format!("not shown: what listens on port {port} is another user's (user id 0), and may not be looked at.");
    assert!(said.output.replace('\n', " ").contains(&line), "{}", said.output);
    assert!(!said.output.contains("before"), "{}", said.output);
    assert_eq!(said.code, Some(0));

    let said = run(command.args(["--pid", &process::id().to_string()]));
    let line = format!("not shown: process {} is another user's, and may not be looked at.", process::id());
    assert!(said.output.replace('\n', " ").contains(&line), "{}", said.output);
}

#[test]
fn another_machine_is_not_put_under_load_without_permission() {
    let started = Instant::now();
    let said = run(&mut client(8888, "--host 192.0.2.1 --max-clients 64 --max-conns 2")); // nobody's (RFC 5737)
    let expected = "client: 192.0.2.1:8888 is not this machine, and this would make 128 connections to it; if you \
                    answer for that, add --i-may-stress-this-host\n";
    assert_eq!((said.code, said.output.as_str(), said.errors.as_str()), (Some(1), "", expected));
    assert!(started.elapsed() < Duration::from_secs(10), "refused, not tried");
}

#[test]
fn a_terminal_sees_zombies_in_colour() {
    let server = stage("webserver3d", &[]);
    let shown = in_terminal(&mut client(server.port(), "--max-conns 2 --timeout 1"), false);
    assert!(shown.contains("\x1b[33m  zombies"), "{shown:?}");
    assert!(shown.contains("\x1b[33mwebserver3d: 6 descriptors, 0 children, 2 zombies\x1b[0m"), "{shown:?}");
}
