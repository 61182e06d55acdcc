//! webserver1 as a reader meets it: with curl, with a browser, and by hand with nc.
//!
//! A test is skipped, and counted as ignored, where something that it needs is missing (`client::tools`).

use std::io::{Read, Write};
use std::net::Ipv6Addr;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use client::probe::{self, Probe};
use client::server::{Server, pid};
use client::tools::Need::{Ipv6, Program};
use client::tools::trial;
use client::wait;
use libtest_mimic::Arguments;
use nix::sys::signal::{Signal, killpg};
use tempfile::TempDir;

const RESPONSE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nHello, World!\n";

fn main() {
    let trials = vec![
        trial("curl_shows_hello_world", &[Program("curl")], curl_shows_hello_world),
        trial("a_browser_shows_hello_world", &[Program("chromium")], a_browser_shows_hello_world),
        trial("one_line_typed_into_nc_is_answered", &[Program("nc")], one_line_typed_into_nc_is_answered),
        trial("it_answers_on_ipv6", &[Ipv6], it_answers_on_ipv6),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn start(options: &[&str]) -> Server {
    Server::start(Command::new(env!("CARGO_BIN_EXE_webserver1")).args(["--port", "0"]).args(options)).unwrap()
}

fn curl_shows_hello_world() {
    let server = start(&[]);
    for name in ["127.0.0.1", "localhost"] {
        let url = format!("http://{name}:{}/hello", server.port());
        let output = Command::new("curl").args(["--silent", "--show-error", "--include", &url]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), RESPONSE);
    }
}

fn a_browser_shows_hello_world() {
    let server = start(&[]);
    let profile = TempDir::new().unwrap();
    let mut browser = Command::new("chromium");
    // It shows the page to nobody and prints what it would show; it needs no sandbox, and root can't have one.
    browser.args(["--headless", "--dump-dom", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    browser.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    browser.arg(format!("--user-data-dir={}", profile.path().display()));
    browser.arg(format!("http://localhost:{}/hello", server.port()));
    browser.stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    let mut browser = browser.spawn().unwrap();

    let ended = wait::until(Duration::from_secs(120), || browser.try_wait().unwrap());
    // None of its processes may outlive the test, nor write to the profile any more.
    let _ = killpg(pid(browser.id()), Signal::SIGKILL);
    let _ = browser.wait();
    let mut shown = String::new();
    browser.stdout.take().unwrap().read_to_string(&mut shown).unwrap();
    assert!(ended.is_some_and(|status| status.success()) && shown.contains("Hello, World!\n"), "{ended:?}: {shown}");
}

fn one_line_typed_into_nc_is_answered() {
    let server = start(&[]);
    let mut nc = Command::new("nc");
    nc.args(["127.0.0.1", &server.port().to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut nc = nc.spawn().unwrap();
    // Standard input stays open, as a terminal's does: it is not its end that has the server answer.
    let mut keyboard = nc.stdin.take().unwrap();
    keyboard.write_all(b"GET /hello\n").unwrap();
    let mut shown = vec![0; RESPONSE.len()];
    nc.stdout.take().unwrap().read_exact(&mut shown).unwrap();
    assert_eq!(String::from_utf8(shown).unwrap(), RESPONSE);
    let _ = nc.kill();
    let _ = nc.wait();
}

fn it_answers_on_ipv6() {
    let server = start(&["--host", "::1"]);
    let mut client = Probe::connect_to(Ipv6Addr::LOCALHOST.into(), server.port()).unwrap();
    client.send(probe::REQUEST).unwrap();
    assert_eq!(client.read_to_end().unwrap(), RESPONSE.as_bytes());
}
