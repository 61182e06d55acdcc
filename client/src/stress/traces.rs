//! What a run does to the server: what the kernel's tables say of it before, and again when it has come to rest.

use std::fmt::{Display, Write};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anstyle::Style;

use crate::kernel::end::{End, Watched};
use crate::kernel::look::{Look, look};
use crate::kernel::{processes, sockets};
use crate::output::style::{BAD, DOUBTFUL, HEADING, PLAIN};
use crate::output::{Failure, WIDTH, counted, wrapped};
use crate::target::are_here;

/// How long the server may take to come to rest: its children end, and it closes what they had.
const REST: Duration = Duration::from_millis(1500);

/// How often it is looked at meanwhile, and how many looks in a row have to agree: two when it has no more than it had
/// before, and more when it has, for then it may only be slow.
const TICK: Duration = Duration::from_millis(50);
const AGREEING: usize = 10;

/// The server, before the run.
#[derive(Debug)]
pub enum Subject {
    /// It may be looked at.
    Shown(Server),
    /// It may not, and this is why.
    Hidden(String),
}

/// A server that may be looked at.
#[derive(Debug)]
pub struct Server {
    name: String,
    process: Watched,
    before: Look,
}

impl Subject {
    /// Finds and looks at the server: process `pid`, or the one that listens on one of `addresses`, if these are this
    /// machine's. `None` if there is none.
    ///
    /// # Errors
    /// [`Failure::Look`]: there is no process `pid`.
    pub fn find(pid: Option<u32>, addresses: &[SocketAddr]) -> Result<Option<Subject>, Failure> {
        let found = match pid {
            Some(pid) => Ok(Some(pid)),
            None if !are_here(addresses) => Ok(None),
            // They are tried in this order by the clients too.
            None => addresses.iter().find_map(|address| sockets::owner_at(*address).transpose()).transpose(),
        };
        match found.and_then(|found| found.map(Server::look).transpose()) {
            Ok(server) => Ok(server.map(Subject::Shown)),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(Some(Subject::Hidden(error.to_string()))),
            Err(reason) => pid.map_or(Ok(None), |pid| Err(Failure::Look { pid, reason })),
        }
    }

    /// Looks at it once more, when it has come to rest.
    pub fn look_again(self) -> Traces {
        match self {
            Subject::Shown(server) => match server.at_rest() {
                Ok(after) => {
                    Traces::Shown { name: server.name, pid: server.process.id(), before: server.before, after }
                }
                Err(error) => Traces::Hidden(error.to_string()),
            },
            Subject::Hidden(why) => Traces::Hidden(why),
        }
    }
}

impl Server {
    fn look(pid: u32) -> io::Result<Server> {
        let process = Watched::of(pid)?;
        Ok(Server { name: processes::name(pid)?, process, before: look(pid)? })
    }

    /// A look when it has come to rest, or has had the time for it; or how it has ended. Children that sleep on are not
    /// waited for.
    fn at_rest(&self) -> io::Result<Result<Look, End>> {
        let deadline = Instant::now() + REST;
        let (mut last, mut agreeing) = (None, 0);
        loop {
            let now = look(self.process.id());
            // What was seen then may have been another process, which has got its id.
            if let Some(end) = self.process.ended() {
                return Ok(Err(end));
            }
            let now = now?;
            agreeing = if last == Some(now) { agreeing + 1 } else { 1 };
            last = Some(now);
            let enough = if left_behind(&self.before, &now) { AGREEING } else { 2 };
            if agreeing >= enough || Instant::now() >= deadline {
                return Ok(Ok(now));
            }
            sleep(TICK);
        }
    }
}

/// Whether a server has more than it had.
fn left_behind(before: &Look, after: &Look) -> bool {
    after.descriptors > before.descriptors
        || after.children.alive > before.children.alive
        || after.children.zombies > before.children.zombies
}

/// The server, after the run.
#[derive(Debug)]
pub enum Traces {
    /// It could be looked at.
    Shown {
        /// Its name.
        name: String,
        /// Its process id.
        pid: u32,
        /// What it had before.
        before: Look,
        /// What it has now; or how it ended.
        after: Result<Look, End>,
    },
    /// It could not, and this is why.
    Hidden(String),
}

impl Traces {
    /// Adds the numbers before and after to the table, for a server that has not ended.
    pub fn table(&self, text: &mut String) {
        let Traces::Shown { name, pid, before, after: Ok(after) } = self else { return };
        let heading = format!("{name} (process {pid})");
        let limit = after.limit.map_or_else(String::new, |limit| format!("  of {limit}"));
        let zombies = if after.children.zombies > 0 { DOUBTFUL } else { PLAIN };
        let more = |before, after| if after > before { DOUBTFUL } else { PLAIN };
        let width = heading.chars().count().max("  children alive".len());
        let _ = writeln!(text, "\n{HEADING}{heading:width$}{HEADING:#}  {:>6}  {:>6}", "before", "after");
        let mut row = |label: &str, [before, after]: [usize; 2], of: &str, style: Style| {
            let _ = writeln!(text, "{style}{:width$}  {before:>6}  {after:>6}{of}{style:#}", format!("  {label}"));
        };
        let [descriptors, alive] =
            [[before.descriptors, after.descriptors], [before.children.alive, after.children.alive]];
        row("descriptors", descriptors, &limit, more(descriptors[0], descriptors[1]));
        row("children alive", alive, "", more(alive[0], alive[1]));
        row("zombies", [before.children.zombies, after.children.zombies], "", zombies);
    }

    /// Adds what has to be said of it: that it has ended; what it has left behind; why nothing is known.
    pub fn notes(&self, text: &mut String) {
        let mut note = |style: Style, note: &str| {
            let _ = writeln!(text, "\n{style}{}{style:#}", wrapped(note, WIDTH));
        };
        match self {
            Traces::Hidden(why) => note(PLAIN, &format!("What the run did to the server is not shown: {why}.")),
            Traces::Shown { name, pid, after: Err(end), .. } => {
                note(BAD, &format!("During the run, {name} (process {pid}) {end}."));
            }
            Traces::Shown { name, before, after: Ok(after), .. } => {
                if !left_behind(before, after) && after.children.zombies == 0 {
                    return;
                }
                let _ = writeln!(text, "\n{DOUBTFUL}{name}: {}{DOUBTFUL:#}", in_words(after));
                let _ = writeln!(text, "{}", wrapped(&explanation(before, after), WIDTH));
            }
        }
    }
}

/// `4 descriptors, 0 children, 71 zombies`
fn in_words(look: &Look) -> impl Display {
    let descriptors = counted(look.descriptors, "descriptor", "descriptors");
    let alive = counted(look.children.alive, "child", "children");
    format!("{descriptors}, {alive}, {}", counted(look.children.zombies, "zombie", "zombies"))
}

fn explanation(before: &Look, after: &Look) -> String {
    let mut sentences = Vec::new();
    if after.descriptors > before.descriptors {
        sentences.push(
            "More descriptors than before: the server keeps connections open (webserver3d), or is still at work on them.",
        );
    }
    if after.children.alive > before.children.alive {
        sentences.push("More children than before: they sleep (webserver3c), or are still at work.");
    }
    if after.children.zombies > 0 {
        sentences.push(
            "A zombie is a child that has ended, and that the server has not waited for: never (webserver3c, 3d), or not \
             often enough (webserver3f). It goes when the server waits for it, or ends.",
        );
    }
    sentences.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::processes::Children;

    fn saw(descriptors: usize, alive: usize, zombies: usize) -> Look {
        Look { descriptors, limit: Some(1024), children: Children { alive, zombies } }
    }

    fn text(after: Result<Look, End>) -> String {
        let mut text = String::new();
        let traces = Traces::Shown { name: "webserver3f".to_owned(), pid: 9105, before: saw(4, 0, 0), after };
        traces.table(&mut text);
        traces.notes(&mut text);
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn a_server_that_leaves_nothing_behind_has_a_table_only() {
        let expected = "
webserver3f (process 9105)  before   after
  descriptors                    4       4  of 1024
  children alive                 0       0
  zombies                        0       0
";
        assert_eq!(text(Ok(saw(4, 0, 0))), expected);
    }

    #[test]
    fn what_is_left_behind_is_told_in_one_line_and_explained() {
        let zombies = text(Ok(saw(4, 0, 71)));
        assert!(zombies.contains("\n  zombies                        0      71\n"), "{zombies}");
        assert!(zombies.contains("\nwebserver3f: 4 descriptors, 0 children, 71 zombies\nA zombie is "), "{zombies}");
        let kept = text(Ok(saw(132, 0, 0)));
        assert!(kept.contains("\nwebserver3f: 132 descriptors, 0 children, 0 zombies\nMore descriptors"), "{kept}");
        let busy = text(Ok(saw(4, 1, 1)));
        assert!(busy.contains("\nwebserver3f: 4 descriptors, 1 child, 1 zombie\nMore children"), "{busy}");
    }

    #[test]
    fn an_end_is_told() {
        assert_eq!(text(Err(End::Exited(1))), "\nDuring the run, webserver3f (process 9105) exited with code 1.\n");
    }
}
