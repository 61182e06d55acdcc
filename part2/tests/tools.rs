//! `files:app` and `files:upload` as a reader meets them, in a browser; and on a disk that is full or can't be written
//! to.
//!
//! A test is skipped, and counted as ignored, where something that it needs is missing (`client::tools`).

#[path = "common/browser.rs"]
mod browser;
mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use browser::Browser;
use client::server::Server;
use client::tools::Need::{Mounts, Program};
use client::tools::trial;
use common::{Answer, WEBSERVER2, ask, get};
use libtest_mimic::Arguments;
use tempfile::TempDir;

fn main() {
    let browser = [Program("chromium"), Program("chromedriver")];
    let trials = vec![
        trial("a_browser_lists_clicks_through_uploads_and_reads_back", &browser, in_a_browser),
        trial("a_browser_without_scripts_uploads_too", &browser, without_scripts),
        trial("a_full_disk_gets_a_clear_page_and_loses_nothing", &[Mounts], on_a_full_disk),
        trial("a_disk_that_can_not_be_written_to_gets_a_clear_page", &[Mounts], on_a_read_only_disk),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// A directory with something in it, and a server of it.
fn site() -> (TempDir, Server) {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::create_dir_all(path("Pictures of last summer")).unwrap();
    fs::create_dir_all(path("books")).unwrap();
    fs::write(path("books/chapter 1.txt"), "Hello, World!\n").unwrap();
    fs::write(path("notes & <i>more</i>.txt".replace('/', "|").as_str()), "notes").unwrap();
    fs::write(
        path("a-name-that-is-so-long-that-it-does-not-fit-on-the-screen-of-a-phone-at-all-2026-11-20.csv"),
        "1,2",
    )
    .unwrap();
    fs::write(path("README.md"), vec![b'x'; 12_345]).unwrap();
    fs::File::create(path("film.mp4")).unwrap().set_len(734_003_200).unwrap();
    std::os::unix::fs::symlink("README.md", path("read me")).unwrap();
    std::os::unix::fs::symlink("/etc", path("elsewhere")).unwrap();
    let mut command = Command::new(WEBSERVER2);
    // A browser opens connections that it may need later, and webserver2 waits for each to say something.
    command
        .args(["files:upload", "--port", "0", "--backlog", "64", "--timeout", "2", "--directory"])
        .arg(directory.path());
    let server = Server::start(&mut command).unwrap();
    (directory, server)
}

/// Files to upload: one that is large and has an odd name, and one that is empty.
fn files(folder: &Path) -> [PathBuf; 2] {
    let (large, empty) = (folder.join("b<b> & \u{e9} 100%.bin"), folder.join("empty.txt"));
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    fs::write(&large, (0..3_000_000).map(|_| next()).collect::<Vec<u8>>()).unwrap();
    fs::write(&empty, "").unwrap();
    [large, empty]
}

fn in_a_browser() {
    let (directory, server) = site();
    let origin = format!("http://localhost:{}", server.port());
    let browser = Browser::start(true);
    let photograph = |name: &str| {
        for (width, device) in [(1000, "desktop"), (390, "phone")] {
            for (is_dark, scheme) in [(false, "light"), (true, "dark")] {
                browser.look(width, is_dark);
                browser.photograph(&format!("{name}-{device}-{scheme}.png"));
            }
        }
        browser.look(1000, false);
    };

    browser.open(&format!("{origin}/"));
    assert_eq!(browser.text("h1"), "Directory listing for /");
    photograph("listing");
    // Nothing sticks out at the side of a phone.
    browser.look(390, false);
    assert_eq!(browser.run("return document.documentElement.scrollWidth <= window.innerWidth").as_bool(), Some(true));
    browser.look(1000, false);

    browser.click("a[href='books/']");
    browser.wait_for("h1", "/books/");
    browser.click("a[href='chapter%201.txt']");
    browser.wait_for("body", "Hello, World!");
    browser.open(&format!("{origin}/books/"));

    let chosen = tempfile::tempdir().unwrap();
    let files = files(chosen.path());
    browser.choose("input[type=file]", &files);
    photograph("form");
    browser.run(
        "document.querySelector('progress').hidden = false; document.querySelector('progress').value = 0.6; \
         document.querySelector('output').textContent = '60 %'; document.querySelector('button').disabled = true;",
    );
    photograph("sending");
    browser.run("document.querySelector('progress').hidden = true; document.querySelector('button').disabled = false;");
    // What is said while the file is on its way is gone soon.
    browser.run(
        "window.said = []; const output = document.querySelector('output'); \
         new MutationObserver(() => window.said.push(output.textContent)).observe(output, {childList: true});",
    );
    browser.click("button");
    browser.wait_for("h1", "2 files are stored");
    photograph("result");
    let said = browser.run("return window.said.join('; ')").to_string();
    assert!(said.contains("100 %") && said.contains("The server is storing it"), "{said}");

    // Byte for byte: as the browser gets it back, and in the directory.
    let bytes = browser.run(
        "const link = document.querySelector('tbody a'); \
         return fetch(link.href).then(answer => answer.arrayBuffer()).then(bytes => Array.from(new Uint8Array(bytes)))",
    );
    let bytes: Vec<u8> = bytes.as_array().unwrap().iter().map(|byte| byte.as_u64().unwrap() as u8).collect();
    assert!(bytes == fs::read(&files[0]).unwrap(), "{} bytes came back", bytes.len());
    for file in &files {
        let stored = directory.path().join("books").join(file.file_name().unwrap());
        assert!(fs::read(stored).unwrap() == fs::read(file).unwrap(), "{}", file.display());
    }
    browser.click("p a");
    browser.wait_for("table", "empty.txt");
    assert_eq!(browser.url(), format!("{origin}/books/"));
    photograph("after");

    // A problem is a page too.
    browser.open(&format!("{origin}/nowhere"));
    browser.wait_for("h1", "Not Found");
    photograph("problem");
    let complaints = browser.complaints();
    assert!(!complaints.contains("Content Security Policy"), "{complaints}");
}

fn without_scripts() {
    let (directory, server) = site();
    let browser = Browser::start(false);
    browser.open(&format!("http://localhost:{}/books/", server.port()));
    let chosen = tempfile::tempdir().unwrap();
    let files = files(chosen.path());
    browser.choose("input[type=file]", &files);
    browser.click("button");
    browser.wait_for("h1", "2 files are stored");
    // The form was sent as a page of its own, and not by the script.
    assert_eq!(browser.run("return history.length").as_u64(), Some(3));
    for file in &files {
        let stored = directory.path().join("books").join(file.file_name().unwrap());
        assert!(fs::read(stored).unwrap() == fs::read(file).unwrap(), "{}", file.display());
    }
}

/// A server of a file system that is there for nobody else, mounted with these options.
fn on_a_disk(options: &str) -> (TempDir, Server) {
    let directory = tempfile::tempdir().unwrap();
    let script = format!("mount -t tmpfs -o {options} none \"$0\" && exec \"$@\"");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]).arg(directory.path());
    command.args([WEBSERVER2, "files:upload", "--port", "0", "--directory"]).arg(directory.path());
    let server = Server::start(&mut command).unwrap();
    (directory, server)
}

/// Uploads a file of so many bytes.
fn upload(server: &Server, name: &str, length: usize) -> Answer {
    let content = "x".repeat(length);
    let body = format!("--XX\r\nContent-Disposition: form-data; filename=\"{name}\"\r\n\r\n{content}\r\n--XX--\r\n");
    let length = body.len();
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=XX\r\n";
    ask(server, format!("{head}Content-Length: {length}\r\n\r\n{body}"))
}

fn on_a_full_disk() {
    let (_directory, server) = on_a_disk("size=2m");
    assert_eq!(upload(&server, "first", 1_000_000).status, "201 Created");
    let answer = upload(&server, "second", 5_000_000);
    assert_eq!(answer.status, "507 Insufficient Storage");
    assert!(answer.text().contains("The disk is full. Nothing was stored."), "{}", answer.text());
    // What was there is there, what was not stored takes no room, and the next is stored that fits.
    assert_eq!(get(&server, "/first").body.len(), 1_000_000);
    assert!(!get(&server, "/").text().contains("second"));
    assert_eq!(upload(&server, "third", 900_000).status, "201 Created");
}

fn on_a_read_only_disk() {
    let (_directory, server) = on_a_disk("ro");
    let answer = upload(&server, "first", 100_000);
    assert_eq!(answer.status, "403 Forbidden");
    let page = answer.text();
    assert!(page.contains("This server may not write to this directory. Nothing was stored."), "{page}");
    assert!(get(&server, "/").text().contains("There is nothing in this directory."));
}
