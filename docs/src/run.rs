//! Runs the console blocks of a chapter, and compares what the terminals show with what the page shows.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, Write};
use std::process::{self, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use client::tools::Need;
use nix::unistd::geteuid;

use crate::chapter::{Block, Chapter, Comment, Fault};
use crate::command::{Stand, programs};
use crate::terminal::Terminal;
use crate::transcript::{
    Action, Bindings, Example, Outcome, Pattern, Step, Varying, compare, examples, pattern, steps, with_real_numbers,
    without_empty_ends,
};

/// How a chapter is run.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How long anything is waited for that the page shows.
    pub patience: Duration,
    /// How long a terminal must show nothing more before what it shows is taken for all.
    pub settle: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { patience: Duration::from_secs(30), settle: Duration::from_millis(300) }
    }
}

/// What became of the blocks of a chapter.
#[derive(Debug, Default)]
pub struct Report {
    /// How many were run.
    pub run: usize,
    /// Those that were not, and why.
    pub not_run: Vec<Fault>,
}

/// What is to be done with a console block.
#[derive(Debug, PartialEq)]
enum Fate {
    Run,
    /// It can't be run here, for this reason.
    Cannot(String),
    /// It needs this, which is missing here.
    Lacks(String),
}

/// The programs that the blocks of a chapter need that are run here: without them, the chapter can't be.
///
/// # Errors
/// A block that can't be read.
pub fn needs(chapter: &Chapter) -> Result<Vec<Need>, Fault> {
    let mut names = Vec::new();
    for block in consoles(chapter) {
        if fate(chapter, block)? != Fate::Run {
            continue;
        }
        names.push("bash".to_owned());
        for step in steps_of(chapter, block)? {
            if let Action::Command(command) = &step.action {
                names.extend(programs(command));
            }
        }
    }
    names.retain(|name| !BUILT_IN.contains(&name.as_str()) && !name.contains('/') && name != "cargo");
    names.sort();
    names.dedup();
    Ok(names.into_iter().map(|name| Need::Program(name.leak())).collect())
}

/// What the shell does itself.
const BUILT_IN: [&str; 12] =
    [".", ":", "cd", "echo", "exec", "exit", "export", "kill", "read", "ulimit", "unset", "wait"];

/// Commands that only look at what there is. What they show may take a moment to become so: they are typed again until
/// it has.
const LOOKS: [&str; 5] = ["ps", "ss", "lsof", "netstat", "ls"];

fn looks_only(action: &Action) -> bool {
    let Action::Command(command) = action else { return false };
    programs(command).first().is_some_and(|program| LOOKS.contains(&program.as_str()))
}

/// The lines with those from each one on brought to the front; a heading stays in its place. ps sorts by the number of
/// the process, and numbers begin again from below when the kernel has used the highest: then children come first.
fn turned(lines: &[String]) -> Vec<Vec<String>> {
    let is_heading = |line: &&String| !line.contains(|c: char| c.is_ascii_digit());
    let (heading, rest) = lines.split_at(lines.iter().take_while(is_heading).count());
    (1..rest.len()).map(|at| [heading, &rest[at..], &rest[..at]].concat()).collect()
}

fn consoles(chapter: &Chapter) -> impl Iterator<Item = &Block> {
    chapter.blocks.iter().filter(|block| block.kind == "console")
}

fn steps_of(chapter: &Chapter, block: &Block) -> Result<Vec<Step>, Fault> {
    steps(block).map_err(|(line, what)| chapter.fault(line, what))
}

fn examples_of(chapter: &Chapter, block: &Block) -> Result<Vec<Example>, Fault> {
    let mut all = Vec::new();
    for comment in block.comments.iter().filter(|comment| comment.key == "vary") {
        all.extend(examples(&comment.value).map_err(|what| chapter.fault(comment.line, format!("vary: {what}")))?);
    }
    let code = block.code.join("\n");
    // The processes of a chapter may be named with each of its blocks.
    let is_any = |example: &&Example| !matches!(example.what, Varying::Pid | Varying::Port);
    match all.iter().filter(is_any).find(|example| !code.contains(&example.shown)) {
        Some(example) => Err(chapter.fault(block.line, format!("vary: the block does not show {}", example.shown))),
        None => Ok(all),
    }
}

fn fate(chapter: &Chapter, block: &Block) -> Result<Fate, Fault> {
    for comment in &block.comments {
        let known = ["vary", "needs", "not run", "not run on linux", "not run on macos", "sleep", "not root"];
        if !known.contains(&comment.key.as_str()) {
            let what = format!("<!-- {} --> is not one of {}", comment.key, known.join(", "));
            return Err(chapter.fault(comment.line, what));
        }
        if comment.value.is_empty() {
            return Err(chapter.fault(comment.line, format!("<!-- {}: --> says nothing", comment.key)));
        }
    }
    let here = format!("not run on {}", env::consts::OS);
    if let Some(comment) = block.comment("not run").or_else(|| block.comment(&here)) {
        return Ok(Fate::Cannot(comment.value.clone()));
    }
    for name in block.comment("needs").map_or("", |comment| &comment.value).split([' ', ',']) {
        let need = match name.split_once(':').unwrap_or((name, "")) {
            ("", _) => continue,
            ("python", _) if !python_can_be_inside() => {
                return Ok(Fate::Lacks(
                    "a Python that a program can have inside (part2/python/test --check)".to_owned(),
                ));
            }
            ("python", "") => continue,
            ("python", module) => Need::PythonModule(module.to_owned().leak()),
            _ => Need::Program(name.to_owned().leak()),
        };
        if !need.is_met() {
            return Ok(Fate::Lacks(need.to_string()));
        }
    }
    Ok(Fate::Run)
}

/// Whether a program with the feature `python` can be built here.
fn python_can_be_inside() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(|| {
        let mut check = Command::new(crate::root().join("part2/python/test"));
        check.arg("--check").stdout(Stdio::null()).stderr(Stdio::null());
        check.status().is_ok_and(|status| status.success())
    })
}

/// Runs the console blocks of a chapter, at terminals that live through all of it.
///
/// # Errors
/// The first place where the page is wrong, or can't be read.
pub fn run(chapter: &Chapter, pace: Pace) -> Result<Report, Fault> {
    Reader::new(chapter, pace)?.read(None)
}

/// Runs the console blocks of a chapter and writes what the terminals show to `output`, whether it is what the page
/// shows or not.
///
/// # Errors
/// The first place that can't be read or run.
pub fn show(chapter: &Chapter, pace: Pace, output: &mut dyn Write) -> Result<Report, Fault> {
    Reader::new(chapter, pace)?.read(Some(output))
}

/// Somebody who goes through a chapter and does what it says.
struct Reader<'a> {
    chapter: &'a Chapter,
    pace: Pace,
    stand: Stand,
    terminals: BTreeMap<u8, Seat>,
    /// The names of the terminals, for `ps -t`.
    names: String,
    bindings: Bindings,
}

/// A terminal, and what was typed into it last.
struct Seat {
    terminal: Terminal,
    command: String,
    /// Where the command stands in the chapter.
    line: usize,
    /// Whether what it shows after what was looked at is no concern of the page: it was interrupted.
    is_stopped: bool,
}

impl<'a> Reader<'a> {
    fn new(chapter: &'a Chapter, pace: Pace) -> Result<Reader<'a>, Fault> {
        let mut commands = Vec::new();
        let mut numbers = Vec::new();
        let mut first = 1;
        for block in consoles(chapter) {
            if fate(chapter, block)? != Fate::Run {
                continue;
            }
            for step in steps_of(chapter, block)? {
                if let Action::Command(command) = step.action {
                    crate::command::runs(&command).map_err(|what| chapter.fault(step.line, what))?;
                    if commands.is_empty() {
                        first = step.line;
                    }
                    commands.push(command);
                }
                numbers.push(step.terminal);
            }
        }
        let commands: Vec<_> = commands.iter().map(String::as_str).collect();
        let for_anyone = geteuid().is_root() && consoles(chapter).any(|block| block.comment("not root").is_some());
        let stand = Stand::new(&commands, for_anyone).map_err(|what| chapter.fault(first, what))?;
        let io = |error: io::Error| chapter.fault(first, format!("no terminal: {error}"));
        let mut terminals = BTreeMap::new();
        for number in numbers {
            if let std::collections::btree_map::Entry::Vacant(entry) = terminals.entry(number) {
                let terminal = Terminal::open().map_err(io)?;
                entry.insert(Seat { terminal, command: String::new(), line: 0, is_stopped: false });
            }
        }
        let names: Vec<_> = terminals.values().map(|seat| seat.terminal.name().trim_start_matches("/dev/")).collect();
        let names = names.join(",");
        for seat in terminals.values_mut() {
            seat.terminal.start_shell(&crate::root(), &names, None).map_err(io)?;
        }
        Ok(Reader { chapter, pace, stand, terminals, names, bindings: Bindings::default() })
    }

    fn read(mut self, mut output: Option<&mut dyn Write>) -> Result<Report, Fault> {
        let mut report = Report::default();
        for block in consoles(self.chapter) {
            let why = match fate(self.chapter, block)? {
                Fate::Run => {
                    self.block(block, &mut output)?;
                    report.run += 1;
                    continue;
                }
                Fate::Cannot(why) => why,
                Fate::Lacks(what) if env::var_os("SKIP_NOTHING").is_some_and(|value| value != "0") => {
                    return Err(self.chapter.fault(block.line, format!("it needs {what}")));
                }
                Fate::Lacks(what) => format!("it needs {what}"),
            };
            report.not_run.push(self.chapter.fault(block.line, format!("not run: {why}")));
        }
        if output.is_none() {
            let numbers: Vec<_> = self.terminals.keys().copied().collect();
            for number in numbers {
                self.nothing_more(number)?;
            }
        }
        Ok(report)
    }

    fn block(&mut self, block: &Block, output: &mut Option<&mut dyn Write>) -> Result<(), Fault> {
        let examples = examples_of(self.chapter, block)?;
        let sleep = match block.comment("sleep") {
            Some(comment) => {
                comment.value.parse().map_err(|_| self.chapter.fault(comment.line, "sleep: not a number of seconds"))?
            }
            None => crate::command::SLEEP,
        };
        self.stand.set_sleep(sleep);
        if let Some(comment) = block.comment("not root") {
            self.leave_root(comment)?;
        }
        if let Some(output) = output {
            let _ = writeln!(output, "\n{}:{}", self.chapter.file.display(), block.line);
        }
        for step in steps_of(self.chapter, block)? {
            match output {
                Some(output) => {
                    let _ = writeln!(output, "{}", block.code[step.line - block.line - 1]);
                    let _ = output.flush();
                    let seen = self.show(&step, &examples)?;
                    for line in seen {
                        let _ = writeln!(output, "{line}");
                    }
                }
                None => self.step(&step, &examples)?,
            }
        }
        Ok(())
    }

    /// Makes a terminal that of another user, if this one is root.
    fn leave_root(&mut self, comment: &Comment) -> Result<(), Fault> {
        // What is left of an earlier user's processes counts against them, so each has a number of its own.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let chapter = self.chapter;
        let fault = |what: String| chapter.fault(comment.line, format!("not root: {what}"));
        let number: u8 = comment.value.parse().map_err(|_| fault("not the number of a terminal".to_owned()))?;
        let seat = self.terminals.get_mut(&number).ok_or_else(|| fault("there is no such terminal".to_owned()))?;
        if seat.terminal.runs() {
            return Err(fault(format!("the command of line {} still runs in terminal {number}", seat.line)));
        }
        if !geteuid().is_root() {
            return Ok(());
        }
        let user = 50_000_000 + process::id() * 32 + NEXT.fetch_add(1, Ordering::Relaxed) % 32;
        let started = seat.terminal.start_shell(&crate::root(), &self.names, Some(user));
        started.map_err(|error| fault(error.to_string()))
    }

    fn seat(&mut self, step: &Step) -> &mut Seat {
        self.terminals.get_mut(&step.terminal).unwrap_or_else(|| unreachable!("a terminal for every step"))
    }

    /// Does a step, and sees to it that what is shown is what the page shows.
    fn step(&mut self, step: &Step, examples: &[Example]) -> Result<(), Fault> {
        let shown: Vec<_> = step.shown.iter().map(|line| pattern(line, examples)).collect();
        if let Action::Command(_) = step.action {
            self.ended(step)?;
            self.nothing_more(step.terminal)?;
        }
        let deadline = Instant::now() + self.pace.patience;
        let mut first = None;
        loop {
            self.act(step, examples)?;
            let result = self.compare(step, &shown, deadline);
            let looks = looks_only(&step.action);
            match result {
                Err(fault) if looks && Instant::now() < deadline && !self.seat(step).terminal.runs() => {
                    first.get_or_insert(fault);
                    thread::sleep(Duration::from_millis(200));
                }
                Err(fault) => return Err(first.unwrap_or(fault)),
                Ok(()) => return Ok(()),
            }
        }
    }

    /// Does what the step says.
    fn act(&mut self, step: &Step, examples: &[Example]) -> Result<(), Fault> {
        let patience = self.pace.patience;
        let real = match &step.action {
            Action::Command(text) | Action::Input(text) => {
                let text = with_real_numbers(text, examples, &self.bindings);
                let text = text.map_err(|what| self.chapter.fault(step.line, what))?;
                match &step.action {
                    Action::Command(_) => self.stand.real(&text),
                    _ => Ok(self.stand.typed(&text)),
                }
                .map_err(|what| self.chapter.fault(step.line, what))?
            }
            _ => String::new(),
        };
        let chapter = self.chapter;
        let io = |error: io::Error| chapter.fault(step.line, format!("terminal {}: {error}", step.terminal));
        let fault = |what: String| Err(chapter.fault(step.line, what));
        let number = step.terminal;
        let seat = self.seat(step);
        if !matches!(step.action, Action::Command(_) | Action::Look) && !seat.terminal.runs() {
            return fault(format!("nothing runs in terminal {number}: the command of line {} has ended", seat.line));
        }
        match &step.action {
            Action::Command(text) => {
                seat.command = text.clone();
                seat.line = step.line;
                seat.is_stopped = false;
                seat.terminal.command(&real).map_err(io)
            }
            Action::Look => Ok(()),
            Action::Input(_) => seat.terminal.type_in(&(real + "\n")).map_err(io),
            Action::EndOfInput => seat.terminal.type_in("\u{4}").map_err(io),
            Action::Interrupt => {
                seat.terminal.is_in_the_foreground(patience);
                seat.is_stopped = true;
                seat.terminal.type_in("\u{3}").map_err(io)?;
                if client::wait::until(patience, || (!seat.terminal.runs()).then_some(())).is_none() {
                    return fault(format!("Ctrl-C does not end the command of line {}: {}", seat.line, seat.command));
                }
                Ok(())
            }
        }
    }

    /// Waits until the terminal shows what the page shows, and nothing more.
    fn compare(&mut self, step: &Step, shown: &[Pattern], deadline: Instant) -> Result<(), Fault> {
        let settle = self.pace.settle;
        // A stopped program's last words are nobody's concern unless the page shows some.
        if step.action == Action::Interrupt && shown.is_empty() {
            self.seat(step).terminal.look();
            return Ok(());
        }
        loop {
            let runs = self.seat(step).terminal.runs();
            let quiet = self.seat(step).terminal.quiet_for();
            let (seen, is_incomplete) = self.seen(step.terminal);
            let ended = !runs && quiet >= Duration::from_millis(20);
            let outcome = match compare(shown, &seen, is_incomplete && !ended, &self.bindings) {
                Outcome::Different(agreed) if looks_only(&step.action) => {
                    let turned = turned(&seen).into_iter().map(|seen| compare(shown, &seen, false, &self.bindings));
                    let same = turned.into_iter().find(|outcome| matches!(outcome, Outcome::Same(_)));
                    same.unwrap_or(Outcome::Different(agreed))
                }
                outcome => outcome,
            };
            let is_late = Instant::now() >= deadline;
            match outcome {
                Outcome::Same(bindings) if (ended && step.action != Action::Look) || quiet >= settle => {
                    self.bindings = bindings;
                    self.seat(step).terminal.look();
                    return Ok(());
                }
                Outcome::Same(_) => {}
                Outcome::Different(agreed) if ended || is_late || quiet >= settle.max(Duration::from_secs(1)) => {
                    return Err(self.difference(step, &seen, agreed, "shows something else"));
                }
                Outcome::SoFar if ended || is_late => {
                    let what = if ended {
                        "does not show all of this, and the command has ended"
                    } else {
                        "does not show all of this"
                    };
                    return Err(self.difference(step, &seen, usize::MAX, what));
                }
                _ => {}
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// What a terminal shows since it was looked at, as the page would show it; and whether the last line may go on.
    fn seen(&self, number: u8) -> (Vec<String>, bool) {
        let Some(seat) = self.terminals.get(&number) else { return (Vec::new(), false) };
        let mut lines: Vec<_> = seat.terminal.lines();
        let is_incomplete = lines.last().is_some_and(|line| !line.is_empty());
        for line in &mut lines {
            *line = self.stand.shown(line).trim_end().to_owned();
        }
        (without_empty_ends(lines), is_incomplete)
    }

    fn difference(&self, step: &Step, seen: &[String], agreed: usize, what: &str) -> Fault {
        let mut text = format!("terminal {} {what}\n  the page:\n", step.terminal);
        let list = |lines: &[String], text: &mut String| {
            if lines.is_empty() {
                *text += "    (nothing)\n";
            }
            for (line, number) in lines.iter().zip(0..) {
                let mark = if number == agreed { "  > " } else { "    " };
                *text += &format!("{mark}{line}\n");
            }
        };
        let line = if agreed < step.shown.len() { step.line + 1 + agreed } else { step.line };
        list(&step.shown, &mut text);
        text += "  the terminal:\n";
        list(seen, &mut text);
        let known = self.bindings.told(&step.shown);
        if !known.is_empty() {
            text += &format!("  as was seen before: {}", known.join(", "));
        }
        self.chapter.fault(line, text.trim_end())
    }

    /// Waits for the end of what was typed before in this terminal.
    fn ended(&mut self, step: &Step) -> Result<(), Fault> {
        let patience = self.pace.patience;
        let number = step.terminal;
        let seat = self.seat(step);
        if client::wait::until(patience, || (!seat.terminal.runs()).then_some(())).is_some() {
            return Ok(());
        }
        let (before, line) = (seat.command.clone(), seat.line);
        let what =
            format!("the command of line {line} still runs in terminal {number} (stop it: {number}^C): {before}");
        Err(self.chapter.fault(step.line, what))
    }

    /// Sees to it that a command that has ended has shown nothing that the page doesn't show.
    fn nothing_more(&mut self, number: u8) -> Result<(), Fault> {
        let Some(seat) = self.terminals.get_mut(&number) else { return Ok(()) };
        if seat.terminal.runs() || seat.is_stopped || seat.line == 0 {
            return Ok(());
        }
        let line = seat.line;
        let (seen, _) = self.seen(number);
        if seen.is_empty() {
            return Ok(());
        }
        let what = format!("terminal {number} shows more than the page does:\n    {}", seen.join("\n    "));
        Err(self.chapter.fault(line, what))
    }

    /// Does a step, and returns what is shown once it is what the page shows, or does not change any more.
    fn show(&mut self, step: &Step, examples: &[Example]) -> Result<Vec<String>, Fault> {
        if let Action::Command(_) = step.action {
            self.ended(step)?;
        }
        self.act(step, examples)?;
        let shown: Vec<_> = step.shown.iter().map(|line| pattern(line, examples)).collect();
        let begin = Instant::now();
        loop {
            let runs = self.seat(step).terminal.runs();
            let quiet = self.seat(step).terminal.quiet_for();
            let (seen, is_incomplete) = self.seen(step.terminal);
            let patience = if shown.is_empty() || step.action != Action::Look { 2 } else { 12 };
            let outcome = compare(&shown, &seen, is_incomplete, &self.bindings);
            let is_same = matches!(outcome, Outcome::Same(_)) && !shown.is_empty();
            let is_over = (!runs && step.action != Action::Look) || begin.elapsed() >= self.pace.patience;
            if is_over || quiet >= Duration::from_secs(patience) || (is_same && quiet >= self.pace.settle) {
                if let Outcome::Same(bindings) = outcome {
                    self.bindings = bindings;
                }
                self.seat(step).terminal.look();
                return Ok(seen);
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_may_be_listed_from_any_of_them_on() {
        let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(turned(&lines("PID 1 2 3")), [lines("PID 2 3 1"), lines("PID 3 1 2")]);
        assert_eq!(turned(&lines("PID 1")).len(), 0);
        assert_eq!(turned(&[]).len(), 0);
    }
}
