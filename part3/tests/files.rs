//! The files of a directory, served by webserver3h: whoever is slow has nobody wait, and nothing is left behind.

mod common;

use std::fs;
use std::process::Command;

use client::probe::Probe;
use client::server::{PATIENCE, Server};
use client::wait;
use common::{assert_leaves_nothing, binary};
use tempfile::TempDir;

fn start(application: &str, directory: &TempDir) -> Server {
    let mut command = Command::new(binary("webserver3h"));
    command.args([application, "--port", "0", "--directory"]).arg(directory.path());
    Server::start(&mut command).unwrap()
}

fn get(server: &Server, path: &str) -> String {
    let mut client = Probe::connect(server.port()).unwrap();
    client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).unwrap();
    String::from_utf8(client.read_to_end().unwrap().to_vec()).unwrap()
}

/// A request with a form that has a file called `name`, or the beginning of such a request.
fn upload(name: &str, content: &str, is_complete: bool) -> String {
    let body = format!("--XX\r\nContent-Disposition: form-data; filename=\"{name}\"\r\n\r\n{content}\r\n--XX--\r\n");
    let length = if is_complete { body.len() } else { body.len() * 2 };
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=XX\r\n";
    format!("{head}Content-Length: {length}\r\n\r\n{body}")
}

#[test]
fn a_slow_download_keeps_nobody_waiting() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("small"), "Hello, World!\n").unwrap();
    fs::File::create(directory.path().join("large")).unwrap().set_len(1 << 30).unwrap();
    let mut server = start("files:app", &directory);
    let mut slow = Probe::connect(server.port()).unwrap();
    slow.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let is_at_work = || (server.children().ok()?.alive == 1).then_some(());
    wait::until(PATIENCE, is_at_work).unwrap();
    for _ in 0..10 {
        assert!(get(&server, "/small").ends_with("\r\n\r\nHello, World!\n"));
    }
    drop(slow);
    assert_leaves_nothing(&mut server);
    let lines = server.all_output();
    assert_eq!(lines.matches("\"GET /small HTTP/1.1\" 200 14\n").count(), 10, "{lines}");
    assert_eq!(lines.matches("\"GET /large HTTP/1.1\" 200 ").count(), 1, "what is given up is told too: {lines}");
}

#[test]
fn uploads_of_one_name_at_once_all_survive() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = start("files:upload", &directory);
    let mut clients: Vec<Probe> = (0..20).map(|_| Probe::connect(server.port()).unwrap()).collect();
    for (number, client) in clients.iter_mut().enumerate().rev() {
        client.send(upload("same", &number.to_string(), true).as_bytes()).unwrap();
    }
    for client in &mut clients {
        assert!(client.read_to_end().unwrap().starts_with(b"HTTP/1.1 201 Created\r\n"));
    }
    let content = |entry: Result<fs::DirEntry, _>| fs::read_to_string(entry.unwrap().path()).unwrap();
    let mut contents: Vec<u32> =
        fs::read_dir(&directory).unwrap().map(|entry| content(entry).parse().unwrap()).collect();
    contents.sort_unstable();
    assert_eq!(contents, (0..20).collect::<Vec<_>>());
    assert_leaves_nothing(&mut server);
}

#[cfg(target_os = "linux")]
#[test]
fn a_child_that_is_killed_in_an_upload_leaves_nothing_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let server = start("files:upload", &directory);
    let mut client = Probe::connect(server.port()).unwrap();
    client.send(upload("a", &"x".repeat(200_000), false).as_bytes()).unwrap();
    wait::until(PATIENCE, || (server.children().ok()?.alive == 1).then_some(())).unwrap();
    server.signal_group(nix::sys::signal::Signal::SIGKILL).unwrap();
    wait::until(PATIENCE, || (server.children().ok()? == common::NONE).then_some(())).unwrap();
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
}
