//! A command as a chapter has the reader type it, and what is run in its place.
//!
//! This is the one place where the page and the tests differ:
//!
//! - `cargo run -p PACKAGE --bin NAME --features F -- ARGUMENTS` and `target/debug/NAME` run the program, built before.
//! - Port 8888 (and 8080) is a free port with four digits, so that nothing is longer or shorter by it. Our servers and
//!   the client get `--port` where the reader relies on 8888. What terminals show is turned back.
//! - A stage that sleeps for a minute, 3b or 3c without `--sleep`, sleeps [`SLEEP`] seconds.
//! - `ps -A` shows what was started in the terminals of the chapter, and nothing else of the machine (`terminal.rs`).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::{Mutex, PoisonError};

use client::binary::{built, built_example, built_with};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, socket};
use tempfile::TempDir;

/// For how many seconds a stage sleeps that would sleep for a minute.
pub const SLEEP: u32 = 10;

/// The ports that the book names.
const PORTS: [u16; 2] = [8888, 8080];

/// A program of this workspace, as a command names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Program {
    /// The package that it is of.
    pub package: String,
    /// Its name.
    pub name: String,
    /// Whether it is an example.
    pub is_example: bool,
    /// The features that it is built with.
    pub features: Vec<String>,
}

/// A place in a command that runs a program of this workspace.
#[derive(Debug, PartialEq)]
pub struct Run {
    /// The program.
    pub program: Program,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Where in the command it stands: `cargo run ...`, with the arguments.
    place: Range<usize>,
    /// Where the arguments stand.
    places: Vec<Range<usize>>,
}

/// A word of a shell command, or an operator.
#[derive(Debug)]
struct Token {
    place: Range<usize>,
    is_operator: bool,
}

/// Takes a shell command apart, as far as it is needed here: words, with quotes and `$(...)`, and operators. A comment
/// is left out.
fn tokens(command: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut word: Option<usize> = None;
    let mut depth = 0;
    let mut quote = None;
    let mut characters = command.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let inside = depth > 0 || quote.is_some();
        match character {
            '\\' => {
                word.get_or_insert(at);
                characters.next();
            }
            '\'' | '"' if quote == Some(character) => quote = None,
            '\'' | '"' if quote.is_none() => {
                word.get_or_insert(at);
                quote = Some(character);
            }
            '$' if quote != Some('\'') && characters.next_if(|(_, next)| *next == '(').is_some() => {
                word.get_or_insert(at);
                depth += 1;
            }
            '(' if depth > 0 => depth += 1,
            ')' if depth > 0 => depth -= 1,
            '#' if !inside && word.is_none() => break,
            ' ' | '\t' if !inside => {
                tokens.extend(word.take().map(|begin| Token { place: begin..at, is_operator: false }));
            }
            ';' | '&' | '|' | '(' | ')' | '<' | '>' if !inside => {
                let digits = word.filter(|begin| command[*begin..at].bytes().all(|byte| byte.is_ascii_digit()));
                let begin = match (character, digits) {
                    ('<' | '>', Some(begin)) => begin, // 2>
                    _ => {
                        tokens.extend(word.map(|begin| Token { place: begin..at, is_operator: false }));
                        at
                    }
                };
                word = None;
                let mut end = at + 1;
                while characters.next_if(|(_, next)| *next == character || (*next == '&' && character != '|')).is_some()
                {
                    end += 1;
                }
                tokens.push(Token { place: begin..end, is_operator: true });
            }
            _ => {
                word.get_or_insert(at);
            }
        }
    }
    tokens.extend(word.map(|begin| Token { place: begin..command.len(), is_operator: false }));
    tokens
}

/// The simple commands that a shell command is made of: the places of their words. What stands behind a redirection
/// belongs to none.
fn simple_commands(command: &str) -> Vec<Vec<Range<usize>>> {
    let mut commands = vec![Vec::new()];
    let mut is_redirected = false;
    for token in tokens(command) {
        let text = &command[token.place.clone()];
        if token.is_operator && text.contains(['<', '>']) {
            is_redirected = true;
        } else if token.is_operator {
            is_redirected = false;
            commands.push(Vec::new());
        } else if !is_redirected {
            commands.last_mut().into_iter().for_each(|words| words.push(token.place.clone()));
        }
    }
    commands.retain(|words| !words.is_empty());
    commands
}

/// Words of the shell that have a command behind them.
const BEFORE_A_COMMAND: [&str; 9] = ["!", "{", "do", "else", "if", "then", "time", "until", "while"];
/// Words of the shell that have none.
const NO_COMMAND: [&str; 6] = ["}", "case", "done", "esac", "fi", "for"];

/// The first words of the simple commands: what the command needs.
pub fn programs(command: &str) -> Vec<String> {
    let is_assignment = |word: &str| word.split_once('=').is_some_and(|(name, _)| !name.is_empty());
    let first = |words: Vec<Range<usize>>| {
        let mut words = words.into_iter().map(|place| &command[place]);
        let word = words.find(|word| !BEFORE_A_COMMAND.contains(word) && !is_assignment(word))?;
        (!NO_COMMAND.contains(&word)).then(|| word.to_owned())
    };
    simple_commands(command).into_iter().filter_map(first).collect()
}

/// The programs of this workspace that a command runs.
///
/// # Errors
/// It has cargo do something else than to run one, or the package is not told.
pub fn runs(command: &str) -> Result<Vec<Run>, String> {
    let mut runs = Vec::new();
    for places in simple_commands(command) {
        let words: Vec<_> = places.iter().map(|place| &command[place.clone()]).collect();
        let Some(&end) = places.last().map(|place| &place.end) else { continue };
        for (at, word) in words.iter().enumerate() {
            let begin = places[at].start;
            if *word == "cargo" {
                let (program, taken) = cargo_run(&words[at + 1..])?;
                let first = (at + 1 + taken).min(words.len());
                runs.push(Run {
                    program,
                    arguments: words[first..].iter().map(|word| (*word).to_owned()).collect(),
                    place: begin..end,
                    places: places[first..].to_vec(),
                });
                break;
            }
            if let Some(name) = word.strip_prefix("target/debug/") {
                let package =
                    package_of(name).ok_or_else(|| format!("{word}: no package has a program of that name"))?;
                runs.push(Run {
                    program: Program { package, name: name.to_owned(), is_example: false, features: Vec::new() },
                    arguments: words[at + 1..].iter().map(|word| (*word).to_owned()).collect(),
                    place: begin..end,
                    places: places[at + 1..].to_vec(),
                });
                break;
            }
        }
    }
    Ok(runs)
}

/// Checks that what a command names exists: packages, programs, options; tests and benchmarks.
///
/// # Errors
/// What does not exist.
pub fn check(command: &str) -> Result<(), String> {
    for places in simple_commands(command) {
        let words: Vec<_> = places.iter().map(|place| &command[place.clone()]).collect();
        let Some(cargo) = words.iter().position(|word| *word == "cargo") else { continue };
        match &words[cargo + 1..] {
            ["run", ..] => {}
            [_, options @ ..] => exists(options)?,
            [] => {}
        }
    }
    match runs(command) {
        Ok(runs) => runs.iter().try_for_each(Run::check),
        Err(_) if !command.contains("cargo run") => Ok(()),
        Err(what) => Err(what),
    }
}

/// Checks that a package, and a test or benchmark of it, exists.
fn exists(options: &[&str]) -> Result<(), String> {
    let value = |names: &[&str]| {
        let at = options.iter().position(|option| names.contains(option))?;
        options.get(at + 1).copied()
    };
    let Some(package) = value(&["-p", "--package"]) else { return Ok(()) };
    let folder = crate::root().join(package);
    if !folder.join("Cargo.toml").is_file() {
        return Err(format!("there is no package {package}"));
    }
    for (option, place) in
        [("--test", "tests"), ("--bench", "benches"), ("--example", "examples"), ("--bin", "src/bin")]
    {
        let missing = value(&[option]).filter(|name| !folder.join(place).join(format!("{name}.rs")).is_file());
        if let Some(name) = missing {
            return Err(format!("{package} has no {name} in {place}"));
        }
    }
    Ok(())
}

/// Reads what stands behind `cargo`. Returns the program, and how many words come before its arguments.
fn cargo_run(words: &[&str]) -> Result<(Program, usize), String> {
    let told = words.join(" ");
    if words.first() != Some(&"run") {
        return Err(format!("cargo {told}: only `cargo run` is run here (mark the block: <!-- not run: why -->)"));
    }
    let (mut package, mut name, mut is_example, mut features) = (None, None, false, Vec::new());
    let mut at = 1;
    while at < words.len() {
        let value =
            || words.get(at + 1).map(|word| (*word).to_owned()).ok_or(format!("cargo {told}: it ends too soon"));
        match words[at] {
            "--" => {
                at += 1;
                break;
            }
            "-p" | "--package" => package = Some(value()?),
            "--bin" => name = Some(value()?),
            "--example" => (name, is_example) = (Some(value()?), true),
            "--features" => features = value()?.split(',').map(str::to_owned).collect(),
            "--quiet" | "-q" => {
                at += 1;
                continue;
            }
            other => return Err(format!("cargo {told}: {other} is not known here (is a `--` missing before it?)")),
        }
        at += 2;
    }
    let package = package.ok_or_else(|| format!("cargo {told}: no package is told (-p)"))?;
    let name = name.unwrap_or_else(|| package.clone());
    Ok((Program { package, name, is_example, features }, at))
}

/// The package that has a program of that name.
fn package_of(name: &str) -> Option<String> {
    let root = crate::root();
    let of_a_package = |package: &&&str| root.join(package).join("src/bin").join(format!("{name}.rs")).is_file();
    let found = ["part1", "part2", "part3"].iter().find(of_a_package).map(|package| (*package).to_owned());
    found.or_else(|| ["client", "docs"].iter().find(|package| **package == name).map(|name| (*name).to_owned()))
}

impl Run {
    /// Whether it is one of our servers.
    fn is_a_server(&self) -> bool {
        self.program.name.starts_with("webserver")
    }

    fn has(&self, option: &str) -> bool {
        self.arguments.iter().any(|word| word == option || word.starts_with(&format!("{option}=")))
    }

    /// Checks that the program, and what it is told, exists: its name in the package, and every option in `--help`.
    ///
    /// # Errors
    /// What does not exist.
    pub fn check(&self) -> Result<(), String> {
        let Program { package, name, .. } = &self.program;
        let program = self.program.build_plain().map_err(|error| format!("{package} has no {name}: {error}"))?;
        if self.program.is_example {
            return Ok(());
        }
        // A verb of the client has options of its own, and what it starts has its own too.
        let verb = self.arguments.first().filter(|word| package == "client" && !word.starts_with('-'));
        let own = self.arguments.iter().take_while(|word| *word != "--");
        let started: Vec<_> = self.arguments.iter().skip_while(|word| *word != "--").skip(1).cloned().collect();
        check(&started.join(" "))?;
        let mut help = Command::new(program);
        help.args(verb).arg("--help");
        let output = help.output().map_err(|error| format!("{help:?}: {error}"))?;
        if !output.status.success() {
            return Err(format!("{} is nothing that {name} knows", self.arguments.join(" ")));
        }
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        let known: BTreeSet<_> = help.split(|c: char| c != '-' && !c.is_alphanumeric()).collect();
        for option in own.filter(|word| word.starts_with("--") && word.len() > 2) {
            let option = option.split('=').next().unwrap_or_default();
            if !known.contains(option) {
                return Err(format!("{name} has no option {option}"));
            }
        }
        Ok(())
    }
}

impl Program {
    /// Builds it without features.
    fn build_plain(&self) -> io::Result<PathBuf> {
        if self.is_example { built_example(&self.package, &self.name) } else { built(&self.package, &self.name) }
    }

    fn build(&self) -> io::Result<PathBuf> {
        if self.features.is_empty() {
            return self.build_plain();
        }
        let features: Vec<_> = self.features.iter().map(String::as_str).collect();
        let mut built = built_with(&features, &[(&self.package, &self.name)])?;
        built.pop().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// What a chapter's commands are run with: programs, and ports of its own.
#[derive(Debug)]
pub struct Stand {
    /// Links to the programs, which nobody else may build anew meanwhile.
    folder: TempDir,
    programs: BTreeMap<Program, PathBuf>,
    /// The ports that the book names, and the ones in their places. Each is held as a UDP port, which nobody else takes
    /// who does the same, and which is no obstacle to a server.
    ports: Vec<(u16, u16, UdpSocket)>,
    sleep: u32,
    /// What was run, and how the page has it: ps shows the arguments too.
    commands: RefCell<BTreeMap<String, String>>,
}

impl Stand {
    /// Builds what `commands` run, and finds free ports. If they are `for_anyone`, other users may run the programs.
    ///
    /// # Errors
    /// A program can't be built, or no port is free.
    pub fn new(commands: &[&str], for_anyone: bool) -> Result<Stand, String> {
        // Who builds with features puts a program where another expects the one without.
        static BUILDING: Mutex<()> = Mutex::new(());
        let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);

        let mut wanted = BTreeSet::new();
        for command in commands {
            wanted.extend(runs(command)?.into_iter().map(|run| run.program));
        }
        // A home may be closed to others.
        let parent = if for_anyone { PathBuf::from("/tmp") } else { target_folder() };
        let mut folder = tempfile::Builder::new();
        folder.prefix("book-").permissions(Permissions::from_mode(0o755));
        let folder = folder.tempdir_in(parent).map_err(|error| format!("no folder for programs: {error}"))?;
        let mut programs = BTreeMap::new();
        for program in wanted {
            let built = program.build().map_err(|error| format!("{} is not built: {error}", program.name))?;
            let kind = if program.is_example { "examples".to_owned() } else { program.features.join("-") };
            let link = folder.path().join(kind).join(&program.name);
            let parent = link.parent().unwrap_or(folder.path());
            fs::create_dir_all(parent)
                .and_then(|()| fs::hard_link(&built, &link).or_else(|_| copy(&built, &link)))
                .map_err(|error| format!("{}: {error}", link.display()))?;
            programs.insert(program, link);
        }
        let mut ports: Vec<(u16, u16, UdpSocket)> = Vec::new();
        for named in PORTS {
            let first = 4000 + (process::id() % 4000) as u16;
            let free = |port: u16| {
                let held = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
                (!PORTS.contains(&port) && is_unused(port)).then_some((named, port, held))
            };
            let mut candidates = (first..9999).chain(4000..first);
            ports.push(candidates.find_map(free).ok_or("no port with four digits is free")?);
        }
        Ok(Stand { folder, programs, ports, sleep: SLEEP, commands: RefCell::default() })
    }

    /// How long stages sleep that would sleep for a minute, from now on.
    pub fn set_sleep(&mut self, seconds: u32) {
        self.sleep = seconds;
    }

    /// What is run in the place of `command`.
    ///
    /// # Errors
    /// Those of [`runs`], and that a program was not built.
    pub fn real(&self, command: &str) -> Result<String, String> {
        let mut result = String::new();
        let mut done = 0;
        for run in runs(command)? {
            let program = self.programs.get(&run.program).ok_or_else(|| format!("{:?} is not built", run.program))?;
            result += &command[done..run.place.start];
            let own: String = run.arguments.iter().map(|word| format!(" {word}")).collect();
            let arguments = self.arguments(command, &run)?;
            let program = program.display();
            let named = |text: &str| self.with_ports(&format!("{program}{text}"), |named, real| (named, real));
            self.commands.borrow_mut().insert(named(&arguments), named(&own));
            result += &format!("{program}{arguments}");
            done = run.place.end;
        }
        result += &command[done..];
        Ok(self.with_ports(&result, |named, real| (named, real)))
    }

    /// The arguments, with those that the reader leaves out.
    fn arguments(&self, command: &str, run: &Run) -> Result<String, String> {
        let port = format!(" --port {}", PORTS[0]);
        let mut own = String::new();
        let mut started = String::new();
        for (at, place) in run.places.iter().enumerate() {
            // A command that the client is to start.
            if &command[place.clone()] == "--" && run.program.package == "client" {
                let rest = run.places.get(at + 1).map_or("", |next| &command[next.start..run.place.end]);
                started = format!(" -- {}", self.real(rest)?);
                break;
            }
            own = format!("{own} {}", &command[place.clone()]);
        }
        let is_client = run.program.package == "client";
        let is_exercise = is_client && run.arguments.first().is_some_and(|verb| verb == "exercise");
        let is_help = run.has("--help") || run.has("--version") || run.has("--list");
        let has_port = own.split(' ').any(|word| word.starts_with("--port") || word.starts_with("--pid"));
        // The port of a server that the client starts is found by the client.
        let needs_port = run.is_a_server() || (is_client && !is_exercise && started.is_empty());
        if needs_port && !has_port && !is_help {
            own += &port;
        }
        if matches!(run.program.name.as_str(), "webserver3b" | "webserver3c") && !run.has("--sleep") && !is_help {
            own += &format!(" --sleep {}", self.sleep);
        }
        Ok(own + &started)
    }

    /// What a reader would see in the place of `shown`.
    pub fn shown(&self, shown: &str) -> String {
        let mut shown = shown.to_owned();
        for (run, told) in self.commands.borrow().iter().rev() {
            shown = shown.replace(run, told);
        }
        for (program, link) in &self.programs {
            let folder = if program.is_example { "target/debug/examples" } else { "target/debug" };
            shown = shown.replace(&link.display().to_string(), &format!("{folder}/{}", program.name));
        }
        let shown = shown.replace(&self.folder.path().display().to_string(), "target/debug");
        self.with_ports(&shown, |named, real| (real, named))
    }

    /// What is typed for a program.
    pub fn typed(&self, text: &str) -> String {
        self.with_ports(text, |named, real| (named, real))
    }

    fn with_ports(&self, text: &str, direction: impl Fn(u16, u16) -> (u16, u16)) -> String {
        let mut result = String::new();
        for part in numbers_and_others(text) {
            let pairs = self.ports.iter().map(|(named, real, _)| direction(*named, *real));
            let other = pairs.into_iter().find(|(from, _)| part == from.to_string()).map(|(_, to)| to.to_string());
            result += other.as_deref().unwrap_or(part);
        }
        result
    }
}

/// Whether nobody has the port, and no connection of a server that had it is left in TIME_WAIT, where ss would show it.
/// std's listeners have SO_REUSEADDR, and would not notice those.
fn is_unused(port: u16) -> bool {
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None);
    socket.is_ok_and(|socket| bind(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, port)).is_ok())
}

/// Copies a program to another file system. Not by this process: what one of its threads holds open for writing,
/// another's fork would hold open too, and then the copy can't be run (ETXTBSY).
fn copy(program: &Path, copy: &Path) -> io::Result<()> {
    let status = Command::new("cp").arg(program).arg(copy).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("it can't be copied")) }
}

/// Splits a text into its runs of digits and what is between them.
fn numbers_and_others(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c: char| c.is_ascii_digit() != first.is_ascii_digit()).unwrap_or(rest.len());
        parts.push(&rest[..end]);
        rest = &rest[end..];
    }
    parts
}

/// The folder that this program was built into.
fn target_folder() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let profile = program.ancestors().find(|folder| folder.join("deps").is_dir());
    profile.and_then(Path::parent).map_or_else(std::env::temp_dir, Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn programs_of(command: &str) -> Vec<(String, Vec<String>)> {
        runs(command).unwrap().into_iter().map(|run| (run.program.name, run.arguments)).collect()
    }

    #[test]
    fn commands_are_found_wherever_they_stand() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let found = programs_of("(ulimit -n 256; cargo run -p part3 --bin webserver3d > /dev/null)");
        assert_eq!(found, [("webserver3d".to_owned(), words(&[]))]);
        let found = programs_of("cargo run -p part2 --bin webserver2 --features frameworks -- axumapp:app # note");
        assert_eq!(found, [("webserver2".to_owned(), words(&["axumapp:app"]))]);
        let found =
            programs_of("(ulimit -u $(($(ps -U \"$(id -u)\" -o pid= | wc -l) + 100)); target/debug/webserver3d)");
        assert_eq!(found, [("webserver3d".to_owned(), words(&[]))]);
        assert_eq!(programs_of("ps -A | grep '[w]ebserver3d; cargo run'"), []);
        assert!(runs("cargo test").is_err() && runs("cargo run -p part3 --port 1").is_err());
        assert!(runs("target/debug/nothing").is_err());
    }

    /// A chapter's connections would not be the only ones that ss shows.
    #[test]
    fn a_port_is_used_for_as_long_as_the_kernel_remembers_a_connection() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(!is_unused(port), "somebody listens");
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        drop(listener.accept().unwrap()); // who closes first is left in TIME_WAIT
        assert_eq!(std::io::Read::read(&mut client, &mut [0]).unwrap(), 0);
        drop((client, listener));
        assert!(!is_unused(port), "a connection is remembered");
    }

    #[test]
    fn the_programs_that_a_command_needs_are_its_first_words() {
        assert_eq!(programs("X=1 curl -s a | grep -c '[x]; y' > out && (nc b; ps) # z"), ["curl", "grep", "nc", "ps"]);
        assert_eq!(programs("for n in 1 2; do curl $n & done; if ! time nc a; then ls; fi"), ["curl", "nc", "ls"]);
    }

    #[test]
    fn what_is_run_has_a_port_and_a_shorter_sleep_and_what_is_shown_is_turned_back() {
        let commands = [
            "cargo run -p part3 --bin webserver3c",
            "(ulimit -n 256; cargo run -p part3 --bin webserver3b -- --sleep 2 > /dev/null) # 8888",
            "cargo run -p client -- check 3c --sleep 2 -- target/debug/webserver3c --sleep 2",
            "curl http://localhost:8888/hello",
        ];
        let stand = Stand::new(&commands, false).unwrap();
        let port = stand.ports[0].1;
        let real: Vec<_> = commands.iter().map(|command| stand.real(command).unwrap()).collect();
        let folder = stand.folder.path().display().to_string();
        let [c, b, client] = ["webserver3c", "webserver3b", "client"].map(|name| format!("{folder}/{name}"));
        assert_eq!(real[0], format!("{c} --port {port} --sleep {SLEEP}"));
        assert_eq!(real[1], format!("(ulimit -n 256; {b} --sleep 2 --port {port} > /dev/null) # {port}"));
        assert_eq!(real[2], format!("{client} check 3c --sleep 2 -- {c} --sleep 2 --port {port}"));
        assert_eq!(real[3], format!("curl http://localhost:{port}/hello"));
        assert_eq!(
            stand.shown(&format!("S+ {c} on {port}, {port}1")),
            format!("S+ target/debug/webserver3c on 8888, {port}1")
        );
    }
}
