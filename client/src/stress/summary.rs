//! What became of all the connections: the count, the table, and what to make of it.

use std::fmt::Write;
use std::time::Duration;

use nix::errno::Errno;

use crate::output::style::{BAD, DOUBTFUL, GOOD, HEADING, PLAIN};
use crate::output::{WIDTH, counted, wrapped};
use crate::stress::descriptors::Limit;
use crate::stress::fate::{Fate, Outcome};
use crate::stress::traces::Traces;
use crate::target::Target;

/// The fates of connections, counted.
#[derive(Debug)]
pub struct Tally {
    planned: u32,
    /// In the order of the first of each.
    outcomes: Vec<(Outcome, u32)>,
    first_bytes: Vec<Duration>,
    ends: Vec<Duration>,
}

impl Tally {
    /// An empty one, for a run of `planned` connections.
    pub fn new(planned: u32) -> Tally {
        Tally { planned, outcomes: Vec::new(), first_bytes: Vec::new(), ends: Vec::new() }
    }

    /// Counts a connection.
    pub fn add(&mut self, fate: &Fate) {
        match self.outcomes.iter_mut().find(|(outcome, _)| *outcome == fate.outcome) {
            Some((_, count)) => *count += 1,
            None => self.outcomes.push((fate.outcome, 1)),
        }
        self.first_bytes.extend(fate.first_byte);
        self.ends.extend(fate.end);
    }

    /// Nothing more will be added: what was planned and is not counted is lost.
    pub fn close(&mut self) {
        let lost = self.planned.saturating_sub(self.count());
        if lost > 0 {
            self.outcomes.push((Outcome::Lost, lost));
        }
        self.first_bytes.sort_unstable();
        self.ends.sort_unstable();
    }

    /// How many connections the run is about.
    pub fn planned(&self) -> u32 {
        self.planned
    }

    /// How many have been counted.
    pub fn count(&self) -> u32 {
        self.count_if(|_| true)
    }

    /// Whether this is what became of every connection.
    pub fn is_all(&self, outcome: Outcome) -> bool {
        self.count_if(|other| other == outcome) == self.planned
    }

    fn count_if(&self, wanted: impl Fn(Outcome) -> bool) -> u32 {
        self.outcomes.iter().filter(|(outcome, _)| wanted(*outcome)).map(|(_, count)| count).sum()
    }

    fn has_errno(&self, wanted: Errno) -> bool {
        self.outcomes.iter().any(|(outcome, _)| matches!(outcome, Outcome::Failed { errno, .. } if *errno == wanted))
    }
}

/// What the table is about.
#[derive(Debug, Clone, Copy)]
pub struct Summary<'a> {
    /// How many clients there were.
    pub clients: u32,
    /// How many connections each of them made.
    pub connections: u32,
    /// The server.
    pub target: Target<'a>,
    /// The limit of each client's descriptors.
    pub limit: Limit,
}

impl Summary<'_> {
    /// The table, with what the run did to the server, where that is known; and a line of explanation for what needs
    /// one. `tally` must have been closed.
    pub fn text(&self, tally: &Tally, traces: Option<&Traces>) -> String {
        let clients = counted(self.clients as usize, "client", "clients");
        let connections = counted(self.connections as usize, "connection", "connections");
        let mut text = format!("{HEADING}{clients} x {connections} -> {}{HEADING:#}\n\n", self.target);
        counts(tally, &mut text);
        times(tally, &mut text);
        traces.inspect(|traces| traces.table(&mut text));
        for note in self.notes(tally) {
            let _ = writeln!(text, "\n{}", wrapped(&note, WIDTH));
        }
        traces.inspect(|traces| traces.notes(&mut text));
        text
    }

    fn notes(&self, tally: &Tally) -> Vec<String> {
        let mut notes = Vec::new();
        let mut note_if = |condition, text: &str| {
            if condition {
                notes.push(text.to_owned());
            }
        };
        let has = |outcome| tally.count_if(|other| other == outcome) > 0;
        note_if(
            has(Outcome::Hanging),
            "Left hanging: an answer, but no end within --timeout. The server, or one of its children, still holds the \
             connection: it sleeps (webserver3b, 3c), keeps a copy (webserver3d), or needs more time.",
        );
        note_if(
            has(Outcome::Failed { call: "connect", errno: Errno::ECONNREFUSED }),
            "Refused: by then nobody was listening, so the server had ended.",
        );
        note_if(
            has(Outcome::Silent) || has(Outcome::Partial),
            "Timed out: the server had not got round to these connections, or not finished them, within --timeout; or \
             its queue (backlog) was full, so that the kernel dropped what they sent. A connection can be open here, \
             and unknown to the server. A larger --backlog of the server's shows which.",
        );
        note_if(
            has(Outcome::Failed { call: "connect", errno: Errno::ETIMEDOUT }),
            "Timed out before it opened: the queue of connections that the server has yet to accept (its backlog) \
             stayed full.",
        );
        note_if(
            tally.has_errno(Errno::ECONNRESET) || tally.has_errno(Errno::EPIPE),
            "Reset: the server closed a connection before it had read the whole request, or ended with connections \
             waiting.",
        );
        let Limit { before, now } = self.limit;
        let raised = if now > before { format!(", raised from {before}") } else { String::new() };
        note_if(
            tally.has_errno(Errno::EMFILE),
            &format!(
                "EMFILE is this client's limit, not the server's: each of its processes may have {now} open files \
                 (ulimit -n{raised}). Use more clients with fewer connections each."
            ),
        );
        note_if(
            tally.has_errno(Errno::ENFILE),
            "ENFILE is a limit of this machine, not of the server alone: no more open files for all processes together.",
        );
        note_if(
            tally.count_if(|outcome| matches!(outcome, Outcome::Failed { call: "fork", .. })) > 0,
            "fork is this client's limit, not the server's: it may start no more processes (ulimit -u), or memory is \
             short. Use fewer clients with more connections each.",
        );
        note_if(
            tally.has_errno(Errno::EADDRNOTAVAIL),
            "EADDRNOTAVAIL is this client's limit, not the server's: it has about 28,000 ports on Linux, 16,000 on \
             macOS, for connections to one server, and a port rests for a minute after use. Wait, or use fewer \
             connections.",
        );
        note_if(
            has(Outcome::Lost),
            "Lost: a client process ended, or was stopped, before it could tell; nothing is known of the server.",
        );
        notes
    }
}

/// A row for each outcome; the first three always.
fn counts(tally: &Tally, text: &mut String) {
    let opened = tally.count_if(Outcome::was_open);
    let answered = tally.count_if(|outcome| outcome == Outcome::Answered);
    let hanging = tally.count_if(|outcome| outcome == Outcome::Hanging);
    let all_or = |count, otherwise| if count == tally.planned { GOOD } else { otherwise };
    let mut rows = vec![
        ("opened".to_owned(), opened, all_or(opened, PLAIN)),
        (Outcome::Answered.to_string(), answered, all_or(answered, PLAIN)),
        (Outcome::Hanging.to_string(), hanging, if hanging > 0 { DOUBTFUL } else { PLAIN }),
    ];
    for (outcome, count) in &tally.outcomes {
        if !matches!(outcome, Outcome::Answered | Outcome::Hanging) {
            rows.push((outcome.to_string(), *count, BAD));
        }
    }
    let label_width = rows.iter().map(|(label, ..)| label.len()).max().unwrap_or_default();
    let count_width = tally.planned.to_string().len();
    for (at, (label, count, style)) in rows.iter().enumerate() {
        let of = if at == 0 { format!(" of {}", tally.planned) } else { String::new() };
        let _ = writeln!(text, "  {style}{label:label_width$}  {count:>count_width$}{of}{style:#}");
    }
}

/// How long it took, for those that got so far.
fn times(tally: &Tally, text: &mut String) {
    let _ = writeln!(text, "\n  {:17}  {:>8}  {:>8}  {:>8}", "", "median", "99 %", "max");
    for (label, times) in [("to the first byte", &tally.first_bytes), ("to the end", &tally.ends)] {
        let [median, most, max] = [50, 99, 100].map(|percent| duration(quantile(times, percent)));
        let _ = writeln!(text, "  {label:17}  {median:>8}  {most:>8}  {max:>8}");
    }
}

/// The smallest of `sorted` that at least `percent` of them do not exceed; `None` if there are none.
fn quantile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

/// A duration in three digits or so, in the unit that suits it.
fn duration(time: Option<Duration>) -> String {
    let Some(time) = time else { return "-".to_owned() };
    let microseconds = time.as_nanos() as f64 / 1e3;
    let (number, unit) = match microseconds {
        ..999.5 => return format!("{microseconds:.0} µs"),
        ..999_500.0 => (microseconds / 1e3, "ms"),
        _ => (microseconds / 1e6, "s"),
    };
    let decimals = match number {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{number:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn tally(planned: u32, fates: &[(Outcome, u32)]) -> Tally {
        let mut tally = Tally::new(planned);
        for &(outcome, count) in fates {
            for number in (1..=count).rev() {
                let closed = outcome == Outcome::Answered;
                let first_byte = (closed || outcome == Outcome::Hanging).then_some(number * MILLISECOND);
                tally.add(&Fate { outcome, first_byte, end: first_byte.filter(|_| closed) });
            }
        }
        tally.close();
        tally
    }

    fn text(tally: &Tally, limit: Limit) -> String {
        let target = Target { host: "127.0.0.1", port: 8888 };
        let coloured = Summary { clients: tally.planned, connections: 1, target, limit }.text(tally, None);
        anstream::adapter::strip_str(&coloured).to_string()
    }

    const LIMIT: Limit = Limit { before: 1024, now: 1024 };

    #[test]
    fn a_run_that_went_well_is_a_short_table() {
        let expected = "\
128 clients x 1 connection -> 127.0.0.1:8888

  opened               128 of 128
  answered and closed  128
  left hanging           0

                       median      99 %       max
  to the first byte   64.0 ms    127 ms    128 ms
  to the end          64.0 ms    127 ms    128 ms
";
        assert_eq!(text(&tally(128, &[(Outcome::Answered, 128)]), LIMIT), expected);
    }

    #[test]
    fn failures_have_rows_and_explanations() {
        let failed = |call, errno| Outcome::Failed { call, errno };
        let fates = [
            (Outcome::Hanging, 2),
            (failed("connect", Errno::ECONNREFUSED), 1),
            (failed("socket", Errno::EMFILE), 4),
            (failed("fork", Errno::EAGAIN), 1),
            (failed("connect", Errno::EADDRNOTAVAIL), 1),
        ];
        let text = text(&tally(10, &fates), Limit { before: 10, now: 20 });
        for row in [
            "  opened                                 2 of 10\n",
            "  answered and closed                    0\n",
            "  left hanging                           2\n",
            "  refused (connect: ECONNREFUSED)        1\n",
            "  not opened (socket: EMFILE)            4\n",
            "  not started (fork: EAGAIN)             1\n",
            "  not opened (connect: EADDRNOTAVAIL)    1\n",
            "  lost: the client process ended early   1\n",
            "  to the end                -         -         -\n",
            "still holds the connection",
            "\nRefused: ",
            "20 open files (ulimit -n, raised from 10)",
            "(ulimit -u)",
            "28,000 ports on Linux, 16,000 on macOS",
            "\nLost: ",
        ] {
            let unwrapped = text.replace('\n', " ");
            assert!(text.contains(row) || unwrapped.contains(row), "{row:?} is not in\n{text}");
        }
    }

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let values: Vec<_> = (1..=200).map(|number| number * MILLISECOND).collect();
        let of = |percent| quantile(&values, percent);
        assert_eq!([of(50), of(99), of(100)], [100, 198, 200].map(|number| Some(number * MILLISECOND)));
        assert_eq!(quantile(&values[..1], 50), Some(MILLISECOND));
        assert_eq!(quantile(&[], 50), None);
    }

    #[test]
    fn a_duration_has_the_unit_that_suits_it() {
        for (nanoseconds, shown) in [
            (0, "0 µs"),
            (123_456, "123 µs"),
            (999_600, "1.00 ms"),
            (1_234_000, "1.23 ms"),
            (56_780_000, "56.8 ms"),
            (999_400_000, "999 ms"),
            (999_600_000, "1.00 s"),
            (12_345_000_000, "12.3 s"),
            (86_400_000_000_000, "86400 s"),
        ] {
            assert_eq!(duration(Some(Duration::from_nanos(nanoseconds))), shown);
        }
        assert_eq!(duration(None), "-");
    }
}
