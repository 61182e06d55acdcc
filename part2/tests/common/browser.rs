//! A browser that nobody sees, driven as its user would: Chromium by way of ChromeDriver, which is told what to do in
//! JSON over HTTP (WebDriver, W3C).

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use client::server::{PATIENCE, Server, port_to_come_back_to};
use client::wait;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How WebDriver calls the id of an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one page. Dropping it ends it.
pub struct Browser {
    driver: Server,
    session: String,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser.
    pub fn start(has_scripts: bool) -> Browser {
        // Nobody else may find the port free before the driver has it.
        static STARTING: Mutex<()> = Mutex::new(());
        let starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        let port = port_to_come_back_to().unwrap();
        let profile = tempfile::tempdir().unwrap();
        let driver = Server::start(Command::new("chromedriver").arg(format!("--port={port}"))).unwrap();
        wait::until(PATIENCE, || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()).expect("no driver");
        drop(starting);
        let mut browser = Browser { driver, session: String::new(), _profile: profile };
        let scripts = if has_scripts { 1 } else { 2 };
        let profile = format!("--user-data-dir={}", browser._profile.path().display());
        // It needs no sandbox, and root can't have one.
        let arguments =
            ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage", &profile];
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {
                "args": arguments,
                "prefs": {"profile.managed_default_content_settings.javascript": scripts},
            },
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        browser.session = browser.call("POST", "/session", &capabilities)["sessionId"].as_str().unwrap().to_owned();
        browser
    }

    /// Goes to `url`.
    pub fn open(&self, url: &str) {
        self.act("url", json!({"url": url}));
    }

    /// The address of the page.
    pub fn url(&self) -> String {
        self.call("GET", &format!("/session/{}/url", self.session), &Value::Null).as_str().unwrap().to_owned()
    }

    /// The text that the first element shows that is `css`, once there is one.
    pub fn text(&self, css: &str) -> String {
        wait::until(PATIENCE, || self.shown(css)).unwrap_or_else(|| panic!("there is no {css} on {}", self.url()))
    }

    /// The same; `None` if there is none, or the page changes just then.
    fn shown(&self, css: &str) -> Option<String> {
        let session = &self.session;
        let question = json!({"using": "css selector", "value": css});
        let found = self.try_call("POST", &format!("/session/{session}/element"), &question).ok()?;
        let element = found[ELEMENT].as_str()?;
        let text = self.try_call("GET", &format!("/session/{session}/element/{element}/text"), &Value::Null).ok()?;
        text.as_str().map(str::to_owned)
    }

    /// Clicks the first element that is `css`.
    pub fn click(&self, css: &str) {
        let element = self.find(css);
        self.act(&format!("element/{element}/click"), json!({}));
    }

    /// Chooses `files` in the field for files that is `css`.
    pub fn choose(&self, css: &str, files: &[PathBuf]) {
        let element = self.find(css);
        let names: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
        self.act(&format!("element/{element}/value"), json!({"text": names.join("\n")}));
    }

    /// Runs a script in the page. Returns what it returns, or what a promise that it returns comes to.
    pub fn run(&self, script: &str) -> Value {
        self.act("execute/sync", json!({"script": script, "args": []}))
    }

    /// Waits until the first element that is `css` shows `text`.
    pub fn wait_for(&self, css: &str, text: &str) {
        let mut shown = String::new();
        let is_there = || {
            shown = self.shown(css)?;
            shown.contains(text).then_some(())
        };
        wait::until(PATIENCE, is_there).unwrap_or_else(|| panic!("{css} shows {shown:?}, not {text:?}"));
    }

    /// What the browser has said of the pages that it was shown: what it has refused to do, and why.
    pub fn complaints(&self) -> String {
        self.act("se/log", json!({"type": "browser"})).to_string()
    }

    /// Makes it a phone in the dark, or a desktop in daylight, or another of the kind.
    pub fn look(&self, width: u32, is_dark: bool) {
        let command = |name: &str, parameters: Value| {
            self.act("goog/cdp/execute", json!({"cmd": name, "params": parameters}));
        };
        let is_phone = width < 600;
        let metrics = json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": is_phone});
        command("Emulation.setDeviceMetricsOverride", metrics);
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        command("Emulation.setEmulatedMedia", features);
    }

    /// Saves what it shows as `name` in target/tmp/screenshots, for whoever wants to look at it.
    pub fn photograph(&self, name: &str) {
        let picture = self.call("GET", &format!("/session/{}/screenshot", self.session), &Value::Null);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), base64(picture.as_str().unwrap())).unwrap();
    }

    fn find(&self, css: &str) -> String {
        let question = json!({"using": "css selector", "value": css});
        let path = format!("/session/{}/element", self.session);
        let found = || Some(self.try_call("POST", &path, &question).ok()?[ELEMENT].as_str()?.to_owned());
        wait::until(PATIENCE, found).unwrap_or_else(|| panic!("there is no {css} on {}", self.url()))
    }

    fn act(&self, path: &str, what: Value) -> Value {
        self.call("POST", &format!("/session/{}/{path}", self.session), &what)
    }

    fn call(&self, method: &str, path: &str, what: &Value) -> Value {
        self.try_call(method, path, what).unwrap_or_else(|error| panic!("{method} {path} {what}: {error}"))
    }

    fn try_call(&self, method: &str, path: &str, what: &Value) -> Result<Value, String> {
        let body = if what.is_null() { String::new() } else { what.to_string() };
        let (status, answer) = self.exchange(method, path, &body).map_err(|error| error.to_string())?;
        let value = serde_json::from_slice::<Value>(&answer).map_err(|error| error.to_string())?["value"].take();
        if status == 200 { Ok(value) } else { Err(value.to_string()) }
    }

    fn exchange(&self, method: &str, path: &str, body: &str) -> std::io::Result<(u16, Vec<u8>)> {
        let mut driver = TcpStream::connect((Ipv4Addr::LOCALHOST, self.driver.port()))?;
        driver.set_read_timeout(Some(PATIENCE + Duration::from_secs(60)))?;
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
        driver.write_all((head + body).as_bytes())?;
        let mut driver = BufReader::new(driver);
        let mut line = String::new();
        driver.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
        let mut length = 0;
        while line != "\r\n" {
            line.clear();
            driver.read_line(&mut line)?;
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or_default();
            }
        }
        let mut answer = vec![0; length];
        driver.read_exact(&mut answer)?;
        Ok((status, answer))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.try_call("DELETE", &format!("/session/{}", self.session), &Value::Null);
    }
}

/// Decodes base64 (RFC 4648, section 4).
fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits: Vec<u32> = text
        .bytes()
        .filter_map(|byte| DIGITS.iter().position(|digit| *digit == byte))
        .map(|digit| digit as u32)
        .collect();
    let group = |four: &[u32]| {
        let bits = (0..4).fold(0, |bits, at| bits << 6 | four.get(at).unwrap_or(&0));
        bits.to_be_bytes()[1..four.len()].to_vec()
    };
    digits.chunks(4).flat_map(group).collect()
}
