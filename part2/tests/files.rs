//! `files:app` and `files:upload`, run by webserver2: what they show, what they take, and what they do not let out.

mod common;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use client::probe::Probe;
use client::server::{PATIENCE, Server};
use client::wait;
use common::{Answer, WEBSERVER2, ask};
use nix::sys::stat::Mode;
use tempfile::TempDir;

/// The most memory that a server may come to have in use, in KiB, whatever it sends or takes: 100 MB do not fit in.
const FLAT: u64 = 32 * 1024;

/// A server, and the directory that it serves, which has a neighbour that nobody may see.
struct Site {
    server: Server,
    around: TempDir,
}

impl Site {
    fn new(application: &str, options: &[&str]) -> Site {
        let around = tempfile::tempdir().unwrap();
        fs::write(around.path().join("secret"), "secret").unwrap();
        let directory = around.path().join("served");
        fs::create_dir(&directory).unwrap();
        let mut command = Command::new(WEBSERVER2);
        command.args([application, "--port", "0", "--backlog", "64", "--directory"]).arg(directory).args(options);
        Site { server: Server::start(&mut command).unwrap(), around }
    }

    fn app() -> Site {
        Site::new("files:app", &[])
    }

    fn upload() -> Site {
        Site::new("files:upload", &[])
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.around.path().join("served").join(name)
    }

    /// Makes a file that was last changed long ago, so that its validators are strong once its inode has settled too.
    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
    }

    /// The names in the directory, hidden ones too.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path(".")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "")
    }

    /// Sends a request with these header fields, each of which ends in CR LF.
    fn ask(&self, method: &str, path: &str, fields: &str) -> Answer {
        ask(&self.server, format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"))
    }

    fn status(&self, path: &str) -> String {
        self.get(path).status[..3].to_owned()
    }

    fn post(&self, path: &str, fields: &str, body: &[u8]) -> Answer {
        ask(&self.server, post(path, fields, body))
    }
}

fn post(path: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=XX\r\n\
         Content-Length: {length}\r\n{fields}\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// A form with these files.
fn form(files: &[(&str, &[u8])]) -> Vec<u8> {
    let part = |(name, content): &(&str, &[u8])| {
        let head = format!("--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
        [head.as_bytes(), content, b"\r\n"].concat()
    };
    [files.iter().flat_map(part).collect::<Vec<u8>>(), b"--XX--\r\n".to_vec()].concat()
}

/// The text between two others.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(begin).unwrap_or_else(|| panic!("no {begin:?} in {text}"));
    rest.split_once(end).unwrap().0
}

/// The most memory that a process has had in use so far, in KiB.
fn most_memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    between(&status, "VmHWM:", "kB").trim().parse().ok()
}

// ---- files:app

#[test]
fn a_directory_is_listed_as_pythons_http_server_lists_it() {
    let site = Site::app();
    for name in ["b.txt", "A.txt", "c.txt", "B/inside", "a b"] {
        site.write(name, "content");
    }
    symlink("A.txt", site.path("alink")).unwrap();
    symlink("B", site.path("Blink")).unwrap();
    let answer = site.get("/");
    assert_eq!(answer.status, "200 OK");
    assert_eq!(answer.field("Content-Type"), Some("text/html; charset=utf-8"));
    let page = answer.text();
    let rows: Vec<(&str, &str)> = page
        .match_indices("<tr><td><a href=\"")
        .map(|(at, _)| (between(&page[at..], "href=\"", "\""), between(&page[at..], "\">", "</a>")))
        .collect();
    let expected = [
        ("a%20b", "<bdi>a b</bdi>"),
        ("A.txt", "<bdi>A.txt</bdi>"),
        ("alink", "<bdi>alink</bdi>@"),
        ("B/", "<bdi>B</bdi>/"),
        ("b.txt", "<bdi>b.txt</bdi>"),
        ("Blink/", "<bdi>Blink</bdi>@"),
        ("c.txt", "<bdi>c.txt</bdi>"),
    ];
    assert_eq!(rows, expected);
    assert!(page.contains("title=\"7 bytes\">7 B<td class=\"date\">20"), "{page}");
    assert!(page.contains("<title>Directory listing for /</title>"), "{page}");
    assert!(page.contains("name=\"viewport\""), "{page}");
    assert!(site.get("/B/").text().contains("<a href=\"../\">../</a>"));
}

#[test]
fn names_are_text_in_a_listing_and_each_link_leads_to_its_file() {
    let site = Site::app();
    let names: [&[u8]; 13] = [
        b"<script src=x>",
        b"\"onmouseover=\"x",
        b"&amp;",
        b"a:b",
        b"c\\d",
        b"..\\..\\e",
        b"%2e%2e",
        b"new\r\nline",
        b"\xff\xfe",
        "\u{202e}txt.exe".as_bytes(),
        "\u{e9}\u{4e2d}\u{1f600}".as_bytes(),
        b"a?b#c",
        b"...",
    ];
    for name in names {
        let outcome = fs::write(site.path(OsStr::from_bytes(name)), name);
        assert!(outcome.is_ok() || cfg!(target_os = "macos"), "{}", name.escape_ascii()); // it takes UTF-8 only
    }
    let page = site.get("/").text();
    assert!(!page.contains("<script") && !page.contains("\"onmouse") && !page.contains('\u{202e}'), "{page}");
    let links: Vec<&str> =
        page.match_indices("<tr><td><a href=\"").map(|(at, _)| between(&page[at..], "href=\"", "\"")).collect();
    assert_eq!(links.len(), fs::read_dir(site.path(".")).unwrap().count());
    for link in links {
        assert!(link.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)), "{link}");
        let answer = site.get(&format!("/{link}"));
        assert_eq!(answer.status, "200 OK", "{link}");
        assert!(names.contains(&&answer.body[..]), "{link}");
    }
}

#[test]
fn a_listing_allows_a_browser_its_own_style_and_nothing_else() {
    let site = Site::app();
    let answer = site.get("/");
    let policy = answer.field("Content-Security-Policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    assert!(policy.ends_with("form-action 'none'") && !policy.contains("script-src"), "{policy}");
    assert_eq!(answer.field("X-Content-Type-Options"), Some("nosniff"));
    assert!(!answer.text().contains("<script"));
}

#[test]
fn index_html_stands_for_its_directory() {
    let site = Site::app();
    site.write("index.html", "first page");
    site.write("old/index.htm", "old page");
    fs::create_dir_all(site.path("folder/index.html")).unwrap();
    assert_eq!(site.get("/").text(), "first page");
    assert_eq!(site.get("/").field("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(site.get("/old/").text(), "old page");
    assert!(site.get("/folder/").text().contains("index.html"));
}

#[test]
fn a_directory_without_its_slash_is_redirected_and_never_to_another_server() {
    let site = Site::app();
    for name in ["sub", "evil.example", "\\evil.example", "a\r\nSet-Cookie: x"] {
        fs::create_dir(site.path(name)).unwrap();
    }
    for (path, location) in [
        ("/sub", "/sub/"),
        ("/sub?a=b&c", "/sub/?a=b&c"),
        ("//evil.example", "/evil.example/"),
        ("///evil.example", "/evil.example/"),
        ("/%2fevil.example", "/evil.example/"),
        ("/%5Cevil.example", "/%5Cevil.example/"),
        ("/\\evil.example", "/%5Cevil.example/"),
        ("/a%0d%0aSet-Cookie:%20x", "/a%0D%0ASet-Cookie%3A%20x/"),
        ("http://evil.example/sub", "/sub/"),
    ] {
        let answer = site.get(path);
        assert_eq!(
            (answer.status.as_str(), answer.field("Location")),
            ("301 Moved Permanently", Some(location)),
            "{path}"
        );
        assert_eq!(answer.field("Set-Cookie"), None);
    }
}

#[test]
fn a_file_has_the_type_that_its_name_says() {
    let site = Site::app();
    for (name, media_type) in [
        ("a.html", "text/html; charset=utf-8"),
        ("a.CSS", "text/css; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.json", "application/json; charset=utf-8"),
        ("a.txt", "text/plain; charset=utf-8"),
        ("a.svg", "image/svg+xml"),
        ("a.png", "image/png"),
        ("a.wasm", "application/wasm"),
        ("a.pdf", "application/pdf"),
        ("a", "application/octet-stream"),
        ("a.unheard-of", "application/octet-stream"),
        (".txt", "application/octet-stream"),
    ] {
        site.write(name, "<html>");
        let answer = site.get(&format!("/{name}"));
        assert_eq!(answer.field("Content-Type"), Some(media_type), "{name}");
        assert_eq!(answer.field("X-Content-Type-Options"), Some("nosniff"), "{name}");
        assert_eq!(answer.body, b"<html>");
    }
}

#[test]
fn head_gets_the_head_that_get_would_get() {
    let site = Site::app();
    site.write("a.txt", "content");
    site.write("empty", "");
    for path in ["/", "/a.txt", "/empty", "/nowhere", "/..", "/a.txt/"] {
        let (head, get) = (site.ask("HEAD", path, ""), site.get(path));
        assert_eq!((&head.status, &head.body[..]), (&get.status, &b""[..]), "{path}");
        for field in ["Content-Length", "Content-Type", "ETag", "Last-Modified", "Content-Security-Policy"] {
            assert_eq!(head.field(field), get.field(field), "{path}: {field}");
        }
    }
    let whole = site.ask("HEAD", "/a.txt", "Range: bytes=0-1\r\n");
    assert_eq!((whole.status.as_str(), whole.field("Content-Length")), ("200 OK", Some("7")), "Range is for GET");
}

#[test]
fn other_methods_are_told_which_there_are() {
    for (site, allowed, refused) in [
        (Site::app(), "GET, HEAD, OPTIONS", ["POST", "PUT", "DELETE", "PROPFIND"]),
        (Site::upload(), "GET, HEAD, OPTIONS, POST", ["PATCH", "PUT", "DELETE", "get"]),
    ] {
        let options = site.ask("OPTIONS", "/", "");
        assert_eq!((options.status.as_str(), options.field("Allow")), ("204 No Content", Some(allowed)));
        for method in refused {
            let answer = site.ask(method, "/", "");
            assert_eq!((&answer.status[..3], answer.field("Allow")), ("405", Some(allowed)), "{method}");
        }
    }
}

#[test]
fn nothing_outside_the_directory_is_shown() {
    let site = Site::app();
    site.write("sub/inside.txt", "inside");
    symlink("../secret", site.path("up")).unwrap();
    symlink("..", site.path("updir")).unwrap();
    symlink(site.around.path().join("secret"), site.path("absolute")).unwrap();
    symlink("/", site.path("root")).unwrap();
    symlink("/proc/self/root", site.path("magic")).unwrap();
    symlink("../../secret", site.path("sub/up")).unwrap();
    symlink("loop", site.path("loop")).unwrap();
    symlink("nowhere", site.path("dangling")).unwrap();
    symlink("sub/../sub/inside.txt", site.path("inside")).unwrap();
    symlink("../sub", site.path("sub/self")).unwrap();

    let secret = site.around.path().join("secret");
    let absolute = secret.to_str().unwrap();
    for path in [
        "/../secret",
        "/..",
        "/../",
        "/sub/../../secret",
        "/%2e%2e/secret",
        "/%2E%2E%2Fsecret",
        "/.%2e/secret",
        "/..%2fsecret",
        "/sub%2f..%2f..%2fsecret",
        "/%252e%252e/secret",
        "/..%5csecret",
        "/..\\secret",
        "/..%c0%afsecret",
        "/%c0%ae%c0%ae/secret",
        "/..;/secret",
        "/....//secret",
        "/up",
        "/updir/",
        "/updir/secret",
        "/updir/served/sub/inside.txt",
        "/absolute",
        "/root/etc/passwd",
        "/root/",
        "/magic/etc/passwd",
        "/sub/up",
        "/loop",
        "/dangling",
        absolute,
        &format!("/{absolute}"),
        &format!("/%2F{absolute}"),
        "/%00",
        "/sub/inside.txt%00.html",
        "http://localhost/../secret",
        "/sub/inside.txt/../../../secret",
    ] {
        let answer = site.get(path);
        assert!(["400", "403", "404"].contains(&&answer.status[..3]), "{path}: {}", answer.status);
        assert!(!String::from_utf8_lossy(&answer.body).contains("secret"), "{path}");
    }
    // Links that stay inside work.
    for path in ["/inside", "/sub/self/inside.txt", "/sub/self/self/inside.txt"] {
        assert_eq!(site.get(path).text(), "inside", "{path}");
    }
    // And those that do not are no links in the listing.
    let page = site.get("/").text();
    for name in ["up", "updir", "absolute", "root", "magic", "loop", "dangling"] {
        assert!(page.contains(&format!("<tr><td><bdi>{name}</bdi>@")), "{name}: {page}");
    }
}

#[test]
fn a_link_that_comes_and_goes_never_leads_out() {
    let site = Site::app();
    site.write("inside", "inside");
    let (link, other) = (site.path("link"), site.path("other"));
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for target in ["inside", "../secret"] {
                    symlink(target, &other).unwrap();
                    fs::rename(&other, &link).unwrap();
                }
            }
        });
        for _ in 0..300 {
            let answer = site.get("/link");
            assert!(!answer.body.starts_with(b"secret"), "{answer:?}");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let site = Site::app();
    nix::unistd::mkfifo(&site.path("fifo"), Mode::S_IRWXU).unwrap();
    let _socket = UnixListener::bind(site.path("socket")).unwrap();
    symlink("fifo", site.path("link")).unwrap();
    fs::create_dir(site.path("sub")).unwrap();
    nix::unistd::mkfifo(&site.path("sub/index.html"), Mode::S_IRWXU).unwrap();
    for path in ["/fifo", "/socket", "/link", "/sub/"] {
        assert_eq!(site.status(path), "403", "{path}");
    }
    let page = site.get("/").text();
    assert!(page.contains("<tr><td><bdi>fifo</bdi><td") && page.contains("<tr><td><bdi>socket</bdi><td"), "{page}");
}

#[test]
fn odd_paths_are_answered() {
    let site = Site::app();
    site.write("file", "content");
    let (name, path) = (format!("/{}", "x".repeat(300)), format!("/{}", "y/".repeat(3000)));
    for (path, status) in [
        ("/file", "200"),
        ("//file", "200"),
        ("/file?query", "200"),
        ("/%66ile", "200"),
        ("/file/", "404"),
        ("/file/x", "404"),
        ("/nowhere", "404"),
        ("/nowhere/", "404"),
        ("/%ff", "404"),
        ("/%0a", "404"),
        (&name, "404"),
        (&path, "404"),
        ("/%zz", "400"),
        ("/.", "400"),
        ("/./file", "400"),
    ] {
        assert_eq!(site.status(path), status, "{path}");
    }
    assert_eq!(site.status(&format!("/{}", "z".repeat(8192))), "414");
}

#[test]
fn a_directory_that_is_made_anew_is_found_and_one_that_is_gone_is_not() {
    let site = Site::app();
    fs::remove_dir(site.around.path().join("served")).unwrap();
    assert_eq!(site.status("/"), "404");
    site.write("file", "content");
    assert_eq!(site.get("/file").text(), "content");
}

/// The validators of a file once they are strong: two seconds after it was changed.
fn strong(site: &Site, path: &str) -> (String, String) {
    let strong = || {
        let answer = site.get(path);
        let etag = answer.field("ETag").unwrap().to_owned();
        let modified = answer.field("Last-Modified").unwrap().to_owned();
        etag.starts_with('"').then_some((etag, modified))
    };
    wait::until(PATIENCE, strong).unwrap()
}

#[test]
fn conditions_are_evaluated_in_the_order_of_rfc_9110() {
    let site = Site::app();
    site.write("file", "content");
    let weak = site.get("/file").field("ETag").unwrap().to_owned();
    let (etag, date) = strong(&site, "/file");
    let modified = httpdate::parse_http_date(&date).unwrap();
    let before = httpdate::fmt_http_date(modified - Duration::from_secs(1));
    let after = httpdate::fmt_http_date(modified + Duration::from_secs(1));
    assert_eq!(weak, format!("W/{etag}"), "what has just been changed may change again unnoticed");
    for (fields, status) in [
        // Each alone.
        (format!("If-None-Match: {etag}"), "304"),
        (format!("If-None-Match: W/{etag}"), "304"),
        (format!("If-None-Match: \"x\", {etag}"), "304"),
        (format!("If-None-Match: \"x\"\r\nIf-None-Match: {etag}"), "304"),
        ("If-None-Match: *".to_owned(), "304"),
        ("If-None-Match: \"x\"".to_owned(), "200"),
        ("If-None-Match: x".to_owned(), "200"),
        ("If-None-Match: \u{e9}\"".to_owned(), "200"),
        (format!("If-Modified-Since: {date}"), "304"),
        (format!("If-Modified-Since: {after}"), "304"),
        (format!("If-Modified-Since: {before}"), "200"),
        ("If-Modified-Since: yesterday".to_owned(), "200"),
        (format!("If-Match: {etag}"), "200"),
        ("If-Match: *".to_owned(), "200"),
        (format!("If-Match: W/{etag}"), "412"),
        ("If-Match: \"x\"".to_owned(), "412"),
        (format!("If-Unmodified-Since: {date}"), "200"),
        (format!("If-Unmodified-Since: {after}"), "200"),
        (format!("If-Unmodified-Since: {before}"), "412"),
        ("If-Unmodified-Since: yesterday".to_owned(), "200"),
        // Which of them counts, and which goes first.
        (format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {date}"), "200"),
        (format!("If-None-Match: {etag}\r\nIf-Modified-Since: {before}"), "304"),
        (format!("If-Match: {etag}\r\nIf-Unmodified-Since: {before}"), "200"),
        (format!("If-Match: \"x\"\r\nIf-Unmodified-Since: {after}"), "412"),
        (format!("If-Match: {etag}\r\nIf-None-Match: {etag}"), "304"),
        (format!("If-Match: \"x\"\r\nIf-None-Match: {etag}"), "412"),
        (format!("If-Unmodified-Since: {before}\r\nIf-None-Match: {etag}"), "412"),
        // They go before Range.
        (format!("If-None-Match: {etag}\r\nRange: bytes=0-1"), "304"),
        ("If-Match: \"x\"\r\nRange: bytes=0-1".to_owned(), "412"),
        (format!("If-Match: {etag}\r\nRange: bytes=0-1"), "206"),
        // And If-Range last.
        (format!("If-Range: {etag}\r\nRange: bytes=0-1"), "206"),
        (format!("If-Range: {date}\r\nRange: bytes=0-1"), "206"),
        (format!("If-Range: W/{etag}\r\nRange: bytes=0-1"), "200"),
        ("If-Range: \"x\"\r\nRange: bytes=0-1".to_owned(), "200"),
        (format!("If-Range: {before}\r\nRange: bytes=0-1"), "200"),
        (format!("If-Range: {after}\r\nRange: bytes=0-1"), "200"),
        ("If-Range: yesterday\r\nRange: bytes=0-1".to_owned(), "200"),
        ("If-Range: \"x\"\r\nRange: bytes=99-".to_owned(), "200"),
        (format!("If-Range: {etag}"), "200"),
    ] {
        for method in ["GET", "HEAD"] {
            let expected = if method == "HEAD" && status == "206" { "200" } else { status };
            let answer = site.ask(method, "/file", &format!("{fields}\r\n"));
            assert_eq!(&answer.status[..3], expected, "{method} {fields}");
            if status == "304" {
                assert_eq!((answer.field("ETag"), &answer.body[..]), (Some(etag.as_str()), &b""[..]), "{fields}");
                assert_eq!(answer.field("Content-Length"), None);
            }
        }
    }
    // What has changed is told, even if the length is the same and its time is set back.
    site.write("file", "CONTENT");
    File::options().write(true).open(site.path("file")).unwrap().set_modified(modified).unwrap();
    assert_eq!(site.ask("GET", "/file", &format!("If-None-Match: {etag}\r\n")).text(), "CONTENT");
    // While its validators are weak, no part of it is put together with a part from before.
    let weak = site.get("/file").field("ETag").unwrap().to_owned();
    assert_eq!(&site.ask("GET", "/file", &format!("If-Range: {weak}\r\nRange: bytes=0-1\r\n")).status[..3], "200");
}

#[test]
fn a_file_from_the_future_is_not_said_to_be() {
    let site = Site::app();
    site.write("file", "content");
    let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
    File::options().write(true).open(site.path("file")).unwrap().set_modified(tomorrow).unwrap();
    let answer = site.get("/file");
    let date = |field| httpdate::parse_http_date(answer.field(field).unwrap()).unwrap();
    assert!(date("Last-Modified") <= date("Date"), "{answer:?}");
}

#[test]
fn a_part_of_a_file_is_sent_as_one() {
    let site = Site::app();
    site.write("file", "0123456789");
    for (range, part, content) in [
        ("bytes=0-0", "0-0", "0"),
        ("bytes=2-4", "2-4", "234"),
        ("bytes=7-", "7-9", "789"),
        ("bytes=7-99", "7-9", "789"),
        ("bytes=-3", "7-9", "789"),
        ("bytes=-99", "0-9", "0123456789"),
        ("bytes=0-1,1-2", "0-2", "012"),
    ] {
        let answer = site.ask("GET", "/file", &format!("Range: {range}\r\n"));
        assert_eq!((answer.status.as_str(), answer.text().as_str()), ("206 Partial Content", content), "{range}");
        assert_eq!(answer.field("Content-Range"), Some(format!("bytes {part}/10").as_str()), "{range}");
        assert_eq!(answer.field("Content-Length"), Some(content.len().to_string().as_str()), "{range}");
    }
    let answer = site.get("/file");
    assert_eq!((answer.field("Accept-Ranges"), answer.field("Content-Range")), (Some("bytes"), None));
}

#[test]
fn several_parts_are_sent_in_one_response() {
    let site = Site::app();
    site.write("file.txt", "0123456789");
    let answer = site.ask("GET", "/file.txt", "Range: bytes=0-1, -1, 4-5, 99-\r\n");
    let boundary = answer.field("Content-Type").unwrap().strip_prefix("multipart/byteranges; boundary=").unwrap();
    let part = |range: &str, content: &str| {
        format!(
            "\r\n--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Range: bytes {range}/10\r\n\r\n{content}"
        )
    };
    let expected = part("0-1", "01") + &part("9-9", "9") + &part("4-5", "45") + &format!("\r\n--{boundary}--\r\n");
    assert_eq!(answer.status, "206 Partial Content");
    assert_eq!((answer.field("Content-Range"), answer.text()), (None, expected.clone()));
    assert_eq!(answer.field("Content-Length"), Some(expected.len().to_string().as_str()));
}

#[test]
fn ranges_that_make_no_sense_are_ignored_or_refused_and_never_cost_more_than_the_file() {
    let site = Site::app();
    site.write("file", "0123456789");
    site.write("empty", "");
    let many = vec!["0-"; 1000].join(",");
    let few = vec!["0-"; 16].join(",");
    for (path, range, status) in [
        ("/file", "bytes=10-", "416"),
        ("/file", "bytes=-0", "416"),
        ("/empty", "bytes=0-", "416"),
        ("/empty", "bytes=-5", "200"),
        ("/file", "lines=0-1", "200"),
        ("/file", "bytes=5-2", "200"),
        ("/file", "bytes=x", "200"),
        ("/file", &format!("bytes={many}"), "200"),
        ("/file", &format!("bytes={few}"), "206"),
        ("/file", "bytes=0-18446744073709551616", "206"),
        ("/", "bytes=0-1", "200"),
    ] {
        let answer = site.ask("GET", path, &format!("Range: {range}\r\n"));
        assert_eq!(&answer.status[..3], status, "{range}");
        if status == "416" {
            let length = if path == "/file" { 10 } else { 0 };
            assert_eq!(answer.field("Content-Range"), Some(format!("bytes */{length}").as_str()), "{range}");
        } else if path == "/file" {
            assert_eq!(answer.text(), "0123456789", "{range}");
        }
    }
}

/// Asks for a file that is larger than what the kernel keeps of a connection, and reads only the head of the answer:
/// the server is in the middle of it then.
fn begin_download(site: &Site, name: &str, length: u64) -> TcpStream {
    let file = File::create(site.path(name)).unwrap();
    file.set_len(length).unwrap();
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, site.server.port())).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(format!("GET /{name} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).unwrap();
    client.read_exact(&mut [0; 1000]).unwrap();
    client
}

/// Reads to the end. Returns how many bytes came.
fn count(mut client: TcpStream) -> u64 {
    let mut block = vec![0; 1 << 20];
    let mut count = 0;
    loop {
        match client.read(&mut block).unwrap() {
            0 => return count,
            length => count += length as u64,
        }
    }
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_is_cut_short_and_one_that_grows_or_goes_is_not() {
    const LENGTH: u64 = 64 << 20;
    let mut site = Site::app();
    let client = begin_download(&site, "shrinks", LENGTH);
    File::options().write(true).open(site.path("shrinks")).unwrap().set_len(LENGTH / 2).unwrap();
    assert!(count(client) < LENGTH / 2 + 2000, "the client has to see that something is missing");

    let client = begin_download(&site, "grows", LENGTH);
    File::options().append(true).open(site.path("grows")).unwrap().write_all(b"more").unwrap();
    let grown = 1000 + count(client);

    let client = begin_download(&site, "goes", LENGTH);
    fs::remove_file(site.path("goes")).unwrap();
    let gone = 1000 + count(client);
    for sent in [grown, gone] {
        assert!((LENGTH..LENGTH + 1000).contains(&sent), "{sent} bytes, with the head");
    }
    assert!(site.server.all_errors().contains("a file became shorter while it was sent"), "{}", site.server.errors());
}

#[test]
fn a_large_file_is_sent_in_pieces() {
    const LENGTH: u64 = 100_000_000;
    let site = Site::app();
    let client = begin_download(&site, "large", LENGTH);
    assert!(count(client) > LENGTH - 1000);
    let part = site.ask("GET", "/large", "Range: bytes=99999990-\r\n");
    assert_eq!((part.field("Content-Range"), part.body.len()), (Some("bytes 99999990-99999999/100000000"), 10));
    if let Some(memory) = most_memory(site.server.id()) {
        assert!(memory < FLAT, "{memory} KiB");
    }
}

#[test]
fn a_client_that_leaves_a_download_leaves_nothing_open() {
    let site = Site::app();
    let at_rest = site.server.descriptors().unwrap();
    drop(begin_download(&site, "large", 64 << 20));
    let closed = || (site.server.descriptors().unwrap() == at_rest).then_some(());
    wait::until(PATIENCE, closed).expect("a file or a connection is still open");
}

/// A server that is not run by root, whom no permission binds.
fn start_as_nobody(directory: &Path) -> (TempDir, Server) {
    // Nobody may not get at the program where it was built.
    let programs = tempfile::tempdir().unwrap();
    let program = programs.path().join("webserver2");
    fs::copy(WEBSERVER2, &program).unwrap();
    fs::set_permissions(programs.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(program);
    command.args(["files:upload", "--port", "0", "--directory"]).arg(directory);
    if nix::unistd::geteuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    (programs, Server::start(&mut command).unwrap())
}

#[test]
fn what_the_server_may_not_touch_gets_a_clear_page() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let permit = |name: &str, mode| fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
    permit(".", 0o755);
    for (name, mode) in [("closed", 0o000), ("unreadable", 0o711), ("read-only", 0o555)] {
        fs::create_dir(path(name)).unwrap();
        fs::write(path(name).join("file"), "content").unwrap();
        permit(name, mode);
    }
    fs::write(path("file"), "content").unwrap();
    permit("file", 0o000);
    let (_programs, server) = start_as_nobody(directory.path());
    for (path, status) in [
        ("/", "200"),
        ("/file", "403"),
        ("/closed/", "403"),
        ("/closed/file", "403"),
        ("/unreadable/", "403"),
        ("/unreadable/file", "200"),
        ("/read-only/", "200"),
    ] {
        assert_eq!(&common::get(&server, path).status[..3], status, "{path}");
    }
    for folder in ["closed", "read-only"] {
        let answer = ask(&server, post(&format!("/{folder}/"), "", &form(&[("a", &[0; 100_000])])));
        assert_eq!(answer.status, "403 Forbidden", "{folder}");
    }
    let page = ask(&server, post("/read-only/", "", &form(&[("a", b"content")]))).text();
    assert!(page.contains("This server may not write to this directory. Nothing was stored."), "{page}");
    assert_eq!(fs::read_dir(path("read-only")).unwrap().count(), 1);
    for name in ["closed", "unreadable", "read-only"] {
        permit(name, 0o755); // so that it can be removed
    }
}

// ---- The command line, and what is printed

#[test]
fn each_request_gets_one_line_which_it_can_not_forge() {
    let mut site = Site::app();
    site.write("file", "content");
    site.get("/file?q");
    site.get("/nowhere");
    site.ask("HEAD", "/file", "");
    ask(&site.server, "GET /\x1b[2J\" HTTP/1.1\r\n\r\n");
    ask(&site.server, "GET /\"quoted\" HTTP/1.1\r\nHost: a\r\n\r\n");
    let output = site.server.all_output();
    let lines: Vec<&str> = output.lines().skip(1).collect();
    assert_eq!(lines.len(), 5, "{output}");
    for (line, end) in lines.iter().zip([
        "\"GET /file?q HTTP/1.1\" 200 7",
        "\"GET /nowhere HTTP/1.1\" 404 ",
        "\"HEAD /file HTTP/1.1\" 200 0",
        "\"GET /\\u{1b}[2J\\\" HTTP/1.1\" 400 ",
        "\"GET /\\\"quoted\\\" HTTP/1.1\" 404 ",
    ]) {
        assert!(line.starts_with("127.0.0.1 - - [") && line.contains(end), "{line}");
    }
    assert!(!output.contains('\x1b'));
}

#[test]
fn quiet_prints_no_line_and_verbose_prints_all() {
    let mut quiet = Site::new("files:app", &["--quiet"]);
    quiet.get("/");
    assert_eq!(quiet.server.all_output().lines().count(), 1);
    let mut verbose = Site::new("files:app", &["--verbose"]);
    verbose.write("large", vec![b'x'; 100_000]);
    assert_eq!(verbose.get("/large").body, vec![b'x'; 100_000]);
    let output = verbose.server.all_output();
    assert!(output.contains("< GET /large HTTP/1.1\n") && output.contains("> HTTP/1.1 200 OK\n"), "{output}");
    assert!(output.contains("> xxx") && output.contains("> ... and 98976 more bytes\n"), "{output}");
}

#[test]
fn the_current_directory_is_the_default() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("here"), "here").unwrap();
    let mut command = Command::new(WEBSERVER2);
    let server = Server::start(command.args(["files:app", "--port", "0"]).current_dir(&directory)).unwrap();
    assert_eq!(common::get(&server, "/here").text(), "here");
}

#[test]
fn wrong_usage_gets_one_line() {
    for (arguments, word) in [
        (&["files:app", "--directory", "/nowhere"][..], "/nowhere"),
        (&["files:upload", "--directory", "/nowhere"], "--directory"),
        (&["files:app", "--directory", "/etc/passwd"], "/etc/passwd"),
        (&["hello:app", "--directory", "/"], "--directory is for files:app"),
        (&["files:app", "--quiet", "--verbose"], "--verbose"),
        (&["files:other"], "there is files:app"),
    ] {
        let output = Command::new(WEBSERVER2).args(arguments).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(word) && errors.lines().count() == 1, "{arguments:?}: {errors}");
    }
}

// ---- files:upload

#[test]
fn a_listing_has_a_form_and_what_it_sends_is_stored() {
    let site = Site::upload();
    fs::create_dir(site.path("sub")).unwrap();
    let page = site.get("/sub/").text();
    assert!(page.contains("<form method=\"post\" enctype=\"multipart/form-data\" action=\"/sub/\""), "{page}");
    let answer =
        site.post("/sub/", "", &form(&[("a.txt", b"first"), ("empty", b""), ("\u{e9}.bin", b"\r\n--X\0\xff")]));
    assert_eq!(answer.status, "201 Created", "{}", answer.text());
    let page = answer.text();
    assert!(page.contains("<h1>3 files are stored</h1>"), "{page}");
    for (name, link, content) in
        [("a.txt", "a.txt", &b"first"[..]), ("empty", "empty", b""), ("\u{e9}.bin", "%C3%A9.bin", b"\r\n--X\0\xff")]
    {
        assert_eq!(fs::read(site.path("sub").join(name)).unwrap(), content);
        assert!(page.contains(&format!("<a href=\"/sub/{link}\"><bdi>{name}</bdi></a>")), "{page}");
        assert_eq!(site.get(&format!("/sub/{link}")).body, content);
    }
    let one = site.post("/sub", "", &form(&[("b:c", b"")]));
    assert_eq!(one.field("Location"), Some("/sub/b%3Ac"));
    let mode = fs::metadata(site.path("sub/a.txt")).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0, "{mode:o}");
}

#[test]
fn the_form_is_there_beside_an_index_too() {
    let site = Site::upload();
    site.write("index.html", "first page");
    assert_eq!(site.get("/").text(), "first page");
    assert!(site.get("/?upload").text().contains("<form "));
}

#[test]
fn no_file_is_overwritten() {
    let site = Site::upload();
    site.write("a", "old");
    fs::create_dir(site.path("folder")).unwrap();
    symlink("../outside", site.path("link")).unwrap();
    for content in ["first", "second"] {
        site.post("/", "", &form(&[("a", content.as_bytes())]));
    }
    site.post("/", "", &form(&[("same", b"1"), ("same", b"2"), ("folder", b"3"), ("link", b"4")]));
    for (name, content) in [
        ("a", "old"),
        ("a_", "first"),
        ("a__", "second"),
        ("same", "1"),
        ("same_", "2"),
        ("folder_", "3"),
        ("link_", "4"),
    ] {
        assert_eq!(fs::read_to_string(site.path(name)).unwrap(), content, "{name}");
    }
    assert!(!site.around.path().join("outside").exists());
}

#[test]
fn two_uploads_of_one_name_at_once_both_survive() {
    let directory = tempfile::tempdir().unwrap();
    // Two servers, so that they are at work at once.
    let start = || {
        let mut command = Command::new(WEBSERVER2);
        Server::start(command.args(["files:upload", "--port", "0", "--directory"]).arg(directory.path())).unwrap()
    };
    let servers = [start(), start()];
    std::thread::scope(|scope| {
        for (at, server) in servers.iter().enumerate() {
            scope.spawn(move || {
                for number in 0..20 {
                    let content = format!("{at} {number}");
                    assert_eq!(ask(server, post("/", "", &form(&[("a", content.as_bytes())]))).status, "201 Created");
                }
            });
        }
    });
    let read = |entry: std::io::Result<fs::DirEntry>| fs::read_to_string(entry.unwrap().path()).unwrap();
    let mut contents: Vec<String> = fs::read_dir(&directory).unwrap().map(read).collect();
    contents.sort();
    contents.dedup();
    assert_eq!(contents.len(), 40);
}

#[test]
fn nothing_outside_the_directory_is_written() {
    let site = Site::upload();
    fs::create_dir(site.around.path().join("outer")).unwrap();
    symlink("../outer", site.path("out")).unwrap();
    symlink("/tmp", site.path("tmp")).unwrap();
    for path in ["/out/", "/tmp/", "/../outer/", "/%2e%2e/outer/", "/..%2fouter/", "//../outer/"] {
        let answer = site.post(path, "", &form(&[("a", b"content")]));
        assert!(["400", "403", "404"].contains(&&answer.status[..3]), "{path}: {}", answer.status);
    }
    let names = ["../../a", "/etc/b", "..\\..\\c", "C:\\d", "..", ".bashrc", "x/../../g", "\u{202e}h", "%2e%2e%2fi"];
    for name in names {
        assert_eq!(site.post("/", "", &form(&[(name, b"content")])).status, "201 Created", "{name:?}");
    }
    let stored = ["%2e%2e%2fi", "_.", "_bashrc", "_h", "a", "b", "c", "d", "g", "out", "tmp"];
    assert_eq!(site.names(), stored);
    assert_eq!(fs::read_dir(site.around.path().join("outer")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(site.around.path()).unwrap().count(), 3);
}

#[test]
fn what_can_not_be_stored_gets_a_clear_page_and_nothing_of_it_is_stored() {
    let site = Site::upload();
    let part = |head: &str| format!("--XX\r\n{head}\r\n\r\ncontent\r\n--XX--\r\n").into_bytes();
    let good = b"--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"good\"\r\n\r\ncontent".to_vec();
    let many: Vec<_> = (0..501).map(|_| ("a", &b""[..])).collect();
    let disposition = |name: &str| part(&format!("Content-Disposition: form-data; name=\"file\"; filename={name}"));
    let starred = part("Content-Disposition: form-data; name=\"filename\"; filename*=UTF-8''a");
    let not_utf_8 = [&b"--XX\r\nContent-Disposition: form-data; filename=\"\xff\""[..], &part("")[4..]].concat();
    for (what, body, status, sentence) in [
        ("no file", form(&[]), "400", "No file was chosen."),
        ("none chosen", form(&[("", b"")]), "400", "No file was chosen."),
        ("only a field", part("Content-Disposition: form-data; name=\"a\""), "400", "No file was chosen."),
        ("no name", form(&[("good", b"1"), ("", b"content")]), "400", "can&#39;t be the name"),
        ("a folder", form(&[("good", b"1"), ("a/", b"content")]), "400", "can&#39;t be the name"),
        ("a long name", form(&[("good", b"1"), (&"x".repeat(256), b"2")]), "400", "255 bytes at most"),
        ("another charset", not_utf_8, "400", "name of a file can&#39;t be read"),
        ("a NUL in a name", form(&[("good", b"1"), ("a\0b", b"2")]), "400", "form can&#39;t be read"),
        ("an open quote", disposition("\"a"), "400", "name of a file can&#39;t be read"),
        ("a name in a forbidden form", [&good[..], b"\r\n", &starred].concat(), "400", "can&#39;t be read"),
        ("too many", form(&many), "400", "500 files at most"),
        ("no end", good.clone(), "400", "ends in the middle"),
        ("half an end", [&good[..], b"\r\n--XX-"].concat(), "400", "ends in the middle"),
        ("another boundary", [&good[..], b"\r\n--XXY\r\n\r\n\r\n--XX--"].concat(), "400", "form can&#39;t be read"),
        ("nothing", vec![], "400", "ends in the middle"),
        ("no form", vec![b'x'; 300_000], "400", "no part where one should be"),
        ("a long head", part(&"x".repeat(300_000)), "400", "head is too long"),
    ] {
        let answer = site.post("/", "", &body);
        let page = answer.text();
        assert_eq!(&answer.status[..3], status, "{what}: {page}");
        assert!(page.contains(sentence) && page.contains("Nothing was stored."), "{what}: {page}");
        assert_eq!(site.names(), [""; 0], "{what}");
    }
    site.write("file", "content");
    let types = ["text/plain", "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=XX"];
    for content_type in types {
        let body = String::from_utf8(form(&[("a", b"content")])).unwrap();
        let length = body.len();
        let request = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        assert_eq!(&ask(&site.server, request).status[..3], "415", "{content_type}");
    }
    assert_eq!(&site.post("/nowhere/", "", &form(&[("a", b"content")])).status[..3], "404");
    assert_eq!(&site.post("/file", "", &form(&[("a", b"content")])).status[..3], "405");
    assert_eq!(site.names(), ["file"]);
}

#[test]
fn a_page_elsewhere_can_not_upload() {
    let site = Site::upload();
    let send = |host: &str, fields: &str| {
        let request = String::from_utf8(post("/", fields, &form(&[("a", b"content")]))).unwrap();
        ask(&site.server, request.replace("Host: localhost\r\n", &format!("Host: {host}\r\n"))).status[..3].to_owned()
    };
    for (host, fields) in [
        ("localhost", "Origin: http://evil.example\r\n"),
        ("localhost", "Origin: null\r\n"),
        ("localhost:8080", "Origin: http://localhost:9090\r\n"),
        ("localhost", "Origin: http://localhost.evil.example\r\n"),
        ("localhost", "Origin: http://evil.example\r\nSec-Fetch-Site: same-origin\r\n"),
        ("localhost", "Sec-Fetch-Site: cross-site\r\n"),
        ("localhost", "Sec-Fetch-Site: same-site\r\n"),
        ("localhost", "Origin: http://localhost\r\nSec-Fetch-Site: cross-site\r\n"),
        // A name of theirs that leads here since a moment ago.
        ("evil.example", "Origin: http://evil.example\r\nSec-Fetch-Site: same-origin\r\n"),
    ] {
        assert_eq!(send(host, fields), "403", "{host} {fields}");
        assert_eq!(site.names(), [""; 0]);
    }
    for (host, fields) in [
        ("localhost", ""),
        ("localhost:8080", "Origin: http://localhost:8080\r\n"),
        ("LOCALHOST", "Origin: http://localhost\r\nSec-Fetch-Site: same-origin\r\n"),
        ("192.168.0.7:8080", "Origin: http://192.168.0.7:8080\r\n"),
        ("[::1]:8080", "Origin: http://[::1]:8080\r\n"),
        ("localhost", "Sec-Fetch-Site: none\r\n"),
        ("files.example", ""), // not a browser
    ] {
        assert_eq!(send(host, fields), "201", "{host} {fields}");
    }
}

#[test]
fn a_page_that_was_uploaded_does_not_count_as_one_of_the_server() {
    let site = Site::upload();
    site.write("a.html", "<script>fetch('/')</script>");
    site.write("a.svg", "<svg/>");
    site.write("a.txt", "text");
    for path in ["/a.html", "/a.svg"] {
        let policy = site.get(path).field("Content-Security-Policy").map(str::to_owned);
        let policy = policy.unwrap_or_default();
        assert!(policy.starts_with("sandbox ") && !policy.contains("allow-same-origin"), "{path}: {policy}");
    }
    assert_eq!(site.get("/a.txt").field("Content-Security-Policy"), None);
}

/// Sends a form with a file of `length` bytes, all different from their neighbours, as a client does that has no memory
/// for all of it. Returns the answer.
fn upload_large(site: &Site, name: &str, length: usize) -> Answer {
    let empty = form(&[(name, b"")]);
    let (begin, end) = empty.split_at(empty.len() - b"\r\n--XX--\r\n".len());
    let head = post("/", "", b"");
    let declared = format!("Content-Length: {}", begin.len() + length + end.len());
    let head = String::from_utf8(head).unwrap().replace("Content-Length: 0", &declared);
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, site.server.port())).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(head.as_bytes()).unwrap();
    client.write_all(begin).unwrap();
    let mut left = length;
    while left > 0 {
        let block = &pattern()[..left.min(PATTERN)];
        client.write_all(block).unwrap();
        left -= block.len();
    }
    client.write_all(end).unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    Answer::read(&answer)
}

/// A prime, so that its repetitions meet the server's blocks at every offset.
const PATTERN: usize = 1_000_003;

/// Bytes with many line ends and dashes among them.
fn pattern() -> &'static [u8] {
    static PATTERN_BYTES: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    PATTERN_BYTES.get_or_init(|| {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 24
        };
        (0..PATTERN).map(|_| if next() < 16 { b"\r\n--XX"[next() as usize % 6] } else { next() as u8 }).collect()
    })
}

#[test]
fn uploads_of_any_size_come_back_byte_for_byte_and_memory_stays_flat() {
    let site = Site::upload();
    for length in [0, 1, 65_535, 65_536, 65_537, 100_000_000] {
        let name = length.to_string();
        assert_eq!(upload_large(&site, &name, length).status, "201 Created", "{length}");
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, site.server.port())).unwrap();
        client.write_all(format!("GET /{name} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        let body = Answer::read(&answer).body;
        assert_eq!(body.len(), length);
        assert!(body.chunks(PATTERN).all(|chunk| *chunk == pattern()[..chunk.len()]), "{length}");
    }
    if let Some(memory) = most_memory(site.server.id()) {
        assert!(memory < FLAT, "{memory} KiB");
    }
}

#[test]
fn a_form_of_many_small_parts_does_not_pile_up_in_memory() {
    let site = Site::upload();
    let part = b"--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n";
    let body = [part.repeat(400_000), form(&[("file", b"content")])].concat();
    assert_eq!(site.post("/", "", &body).status, "201 Created");
    if let Some(memory) = most_memory(site.server.id()) {
        assert!(memory < FLAT, "{memory} KiB");
    }
}

#[test]
fn an_upload_that_is_too_large_is_told_so() {
    let site = Site::new("files:upload", &["--max-body", "64K"]);
    assert!(site.get("/").text().contains("up to 64.0 KiB at once"));
    let answer = site.post("/", "", &form(&[("a", &[0; 70_000])]));
    assert_eq!(&answer.status[..3], "413");
    assert!(answer.text().contains("65536 bytes at most"));
    assert_eq!(site.names(), [""; 0]);
}

#[test]
fn a_chunked_form_and_one_that_waits_for_continue_are_stored_too() {
    let site = Site::upload();
    let body = String::from_utf8(form(&[("a", b"content")])).unwrap();
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=XX\r\n";
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    assert_eq!(ask(&site.server, chunked).status, "201 Created");

    let mut client = Probe::connect(site.server.port()).unwrap();
    client.send(format!("{head}Content-Length: {}\r\nExpect: 100-continue\r\n\r\n", body.len()).as_bytes()).unwrap();
    client.read_to(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
    client.send(body.as_bytes()).unwrap();
    assert!(client.read_to_end().unwrap().windows(11).any(|bytes| bytes == b"201 Created"));
    assert_eq!(site.names(), ["a", "a_"]);
}

/// A client that has sent a part of a file, and of whose upload the server has something.
fn begin_upload(site: &Site) -> Probe {
    let mut client = Probe::connect(site.server.port()).unwrap();
    let body = form(&[("complete", b"content"), ("interrupted", &vec![b'x'; 1_000_000])]);
    let request = post("/", "", &body);
    client.send(&request[..600_000]).unwrap();
    client
}

#[test]
fn an_interrupted_upload_leaves_nothing() {
    for is_reset in [false, true] {
        let site = Site::new("files:upload", &["--timeout", "1"]);
        let at_rest = site.server.descriptors().unwrap();
        let client = begin_upload(&site);
        let is_writing = || (site.server.descriptors().unwrap() >= at_rest + 2).then_some(());
        wait::until(PATIENCE, is_writing).expect("nothing is being written");
        if is_reset {
            client.reset().unwrap()
        } else {
            drop(client)
        }
        let is_over = || (site.server.descriptors().unwrap() == at_rest).then_some(());
        wait::until(PATIENCE, is_over).expect("a file or a connection is still open");
        assert_eq!(site.names(), [""; 0]);
        assert_eq!(site.post("/", "", &form(&[("a", b"content")])).status, "201 Created");
    }
}

#[test]
fn a_client_that_stops_sending_is_told_and_leaves_nothing() {
    let site = Site::new("files:upload", &["--timeout", "0.3"]);
    let mut client = begin_upload(&site);
    assert_eq!(&Answer::read(client.read_to_end().unwrap()).status[..3], "408");
    assert_eq!(site.names(), [""; 0]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_that_is_killed_leaves_nothing_of_an_upload() {
    use nix::sys::signal::Signal;

    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGKILL] {
        let mut site = Site::upload();
        let at_rest = site.server.descriptors().unwrap();
        let _client = begin_upload(&site);
        let is_writing = || (site.server.descriptors().unwrap() >= at_rest + 2).then_some(());
        wait::until(PATIENCE, is_writing).expect("nothing is being written");
        assert_eq!(site.names(), [""; 0], "it has no name while it is written");
        site.server.signal(signal).unwrap();
        site.server.end().unwrap();
        assert_eq!(site.names(), [""; 0], "{signal}");
    }
}

#[test]
fn what_an_upload_in_the_making_is_called_is_shown_to_nobody() {
    let site = Site::upload();
    site.write(".upload-0123456789abcdef.part", "half");
    site.write(".hidden", "content");
    let page = site.get("/").text();
    assert!(page.contains(".hidden") && !page.contains("upload-0123"), "{page}");
    assert_eq!(site.status("/.upload-0123456789abcdef.part"), "404");
}

/// A limit on the size of files stands for a full disk here, for it takes no right to set one: write(2) fails with
/// EFBIG (and a signal, which is ignored).
#[test]
fn a_disk_that_is_full_gets_a_clear_page_and_loses_nothing() {
    let around = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 1000; exec \"$0\" \"$@\"", WEBSERVER2, "files:upload"]);
    command.args(["--port", "0", "--directory"]).arg(around.path());
    let server = Server::start(&mut command).unwrap();
    fs::write(around.path().join("old"), "old").unwrap();
    let answer = ask(&server, post("/", "", &form(&[("small", b"content"), ("large", &vec![0; 5_000_000])])));
    assert_eq!(answer.status, "507 Insufficient Storage");
    assert!(answer.text().contains("larger than files may be here. Nothing was stored."));
    assert_eq!(fs::read_dir(around.path()).unwrap().count(), 1);
    assert_eq!(ask(&server, post("/", "", &form(&[("small", b"content")]))).status, "201 Created");
}
