//! A picture of a server as lines of text: numbers, bars and histories, for any size of a terminal.
//!
//! Nothing is told by colour alone, and every character is one column wide.

use std::time::Duration;

use anstyle::Style;

use super::record::{Quantity, Record};
use super::server::Identity;
use super::words::{Remark, Subject, remarks};
use crate::output::style::{BAD, DOUBTFUL, FAINT, GOOD, HEADING, PLAIN};
use crate::output::wrapped;

/// What the terminal can show.
#[derive(Debug, Clone, Copy)]
pub struct Canvas {
    /// How many columns it has.
    pub width: usize,
    /// How many lines it has.
    pub height: usize,
    /// Whether it shows block characters; letters and signs of ASCII stand for them otherwise.
    pub blocks: bool,
    /// Whether it shows colours, and the reader wants them.
    pub colours: bool,
}

/// How many lines a history is high at most.
const HIGHEST: usize = 8;

/// The least that a full history stands for: one zombie is not drawn as high as a hundred.
const FULL: usize = 10;

/// The time that a column of the history stands for.
pub const COLUMN: Duration = Duration::from_millis(250);

impl Canvas {
    /// Draws what `record` shows of `server`. There are `height` lines at most, none wider than `width`.
    pub fn draw(&self, server: &Identity, watched: Duration, record: &Record) -> Vec<String> {
        let remarks = remarks(record);
        // The title, the remarks in two lines, the line of keys and an empty line stand beside four histories.
        let chart = (self.height.saturating_sub(5) / 4).saturating_sub(1).min(HIGHEST);
        let mut lines = vec![self.title(server, watched)];
        if chart == 0 {
            lines.extend(Quantity::ALL.map(|quantity| self.row(quantity, record, &remarks)));
        } else {
            let gaps = self.height.saturating_sub(5 + 4 * (1 + chart)).min(3);
            lines.push(String::new());
            for (number, quantity) in Quantity::ALL.into_iter().enumerate() {
                if number > 0 && number <= gaps {
                    lines.push(String::new());
                }
                lines.push(self.head(quantity, record, &remarks));
                lines.extend(self.chart(quantity, record, &remarks, self.width, chart));
            }
        }
        let footer = self.height > lines.len() + 1;
        let room = self.height.saturating_sub(lines.len() + usize::from(footer));
        lines.extend(self.remarks(&remarks, room));
        lines.truncate(self.height);
        if footer {
            lines.resize(self.height - 1, String::new());
            lines.push(self.footer());
        }
        lines
    }

    /// Draws that a server is waited for: `text` says where, and `start` is the command that starts one.
    pub fn draw_waiting(&self, text: &str, start: Option<&str>) -> Vec<String> {
        let mut told = vec![(HEADING, text)];
        if let Some(start) = start {
            told.extend([(PLAIN, ""), (PLAIN, "Start one in another terminal:"), (PLAIN, start)]);
        }
        let mut lines: Vec<_> = told.iter().flat_map(|(style, text)| self.wrap(*style, text)).collect();
        lines.truncate(self.height);
        if lines.len() + 1 < self.height {
            lines.resize(self.height - 1, String::new());
            lines.push(self.line().put(FAINT, "q ends").end());
        }
        lines
    }

    /// `text` in as many lines as it needs.
    fn wrap(&self, style: Style, text: &str) -> Vec<String> {
        wrapped(text, self.width).split('\n').map(|text| self.line().put(style, text).end()).collect()
    }

    fn line(&self) -> Line {
        Line { text: String::new(), room: self.width, colours: self.colours }
    }

    fn title(&self, server: &Identity, watched: Duration) -> String {
        let watched = format!("watched {}", clock(watched));
        let room = self.width.saturating_sub(watched.len() + 2);
        let names = [server.with_port(), server.to_string(), server.name().to_owned()];
        let name = names.iter().find(|name| name.len() <= room);
        let Some(name) = name else { return self.line().put(HEADING, &names[1]).end() };
        let gap = self.width.saturating_sub(name.len() + watched.len());
        self.line().put(HEADING, name).put(PLAIN, &" ".repeat(gap)).put(PLAIN, &watched).end()
    }

    fn footer(&self) -> String {
        let texts =
            ["q ends; each column shows the highest number of a quarter of a second", "q ends; a column is 0.25 s"];
        let text = texts.into_iter().find(|text| text.len() <= self.width).unwrap_or("q ends");
        self.line().put(FAINT, text).end()
    }

    /// As many of `remarks` as there is `room` for, in lines.
    fn remarks(&self, remarks: &[Remark], room: usize) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for remark in remarks {
            let style = match remark.subject {
                Subject::FewDescriptors | Subject::FullQueue => BAD,
                Subject::Zombies | Subject::Leak | Subject::QueueWasFull => DOUBTFUL,
                Subject::Rest => GOOD,
                Subject::Children | Subject::Nothing => PLAIN,
            };
            let more = self.wrap(style, &remark.text);
            if lines.is_empty() || lines.len() + more.len() <= room {
                lines.extend(more);
            }
        }
        lines.truncate(room);
        lines
    }

    /// A quantity in one line: number, highest, bar, history.
    fn row(&self, quantity: Quantity, record: &Record, remarks: &[Remark]) -> String {
        let line = self.numbers(quantity, record, remarks);
        let room = line.room;
        let bar = room.saturating_sub(1) / 3;
        let line = self.bar(line, quantity, record, remarks, bar);
        let history = room.saturating_sub(bar + 1);
        let chart = self.chart(quantity, record, remarks, history, 1);
        let text = line.put(PLAIN, " ").end();
        if room > bar { text + &chart.concat() } else { text }
    }

    /// The line above a quantity's history: number, highest, bar.
    fn head(&self, quantity: Quantity, record: &Record, remarks: &[Remark]) -> String {
        let line = self.numbers(quantity, record, remarks);
        let room = line.room;
        self.bar(line, quantity, record, remarks, room).end()
    }

    /// The numbers of a quantity, in columns that are the same for all.
    fn numbers(&self, quantity: Quantity, record: &Record, remarks: &[Remark]) -> Line {
        let style = style(quantity, record, remarks);
        let wide = self.width >= 60;
        let name = if wide { format!("{:<16}", quantity.name()) } else { format!("{:<11}", quantity.short_name()) };
        let line = self.line().put(HEADING, &name);
        let Some(count) = record.last().count(quantity) else { return line.put(PLAIN, " -  it does not listen") };
        let most = record.most(quantity);
        if wide {
            let limit = record.last().limit(quantity).map(|limit| format!(" of {limit}")).unwrap_or_default();
            line.put(style, &format!("{count:>6}")).put(PLAIN, &format!("{limit:<12}most {most:<6} "))
        } else {
            line.put(style, &format!("{count:>5}")).put(PLAIN, &format!(" most {most:<5} "))
        }
    }

    /// How much of what there may be is there. Children have no limit of their own: their most stands for it.
    fn bar(&self, line: Line, quantity: Quantity, record: &Record, remarks: &[Remark], width: usize) -> Line {
        let Some(count) = record.last().count(quantity) else { return line };
        let full = record.last().limit(quantity).map_or(scale(quantity, record), |limit| limit as usize);
        let (parts, rest) = if self.blocks { (&BAR[..], "·") } else { (&ASCII_BAR[..], ".") };
        let eighths = filled(count, full, width * parts.len());
        let mut bar = parts[parts.len() - 1].repeat(eighths / parts.len());
        let partial = eighths % parts.len();
        if partial > 0 {
            bar.push_str(parts[partial - 1]);
        }
        let drawn = eighths.div_ceil(parts.len());
        line.put(style(quantity, record, remarks), &bar).put(FAINT, &rest.repeat(width - drawn))
    }

    /// The history of a quantity in `height` lines, the latest column at the right.
    fn chart(
        &self,
        quantity: Quantity,
        record: &Record,
        remarks: &[Remark],
        width: usize,
        height: usize,
    ) -> Vec<String> {
        if record.last().count(quantity).is_none() {
            return vec![String::new(); height];
        }
        let levels = if self.blocks { &LEVELS[..] } else { &ASCII_LEVELS[..] };
        let full = scale(quantity, record);
        // The lowest level is the ground, on which what is not nothing stands.
        let steps = height * levels.len();
        let columns = record.history(quantity, width).map(|count| 1 + filled(count, full, steps - 1));
        let columns: Vec<_> = std::iter::repeat_n(0, width - columns.len()).chain(columns).collect();
        let style = style(quantity, record, remarks);
        let row = |below: usize| {
            let character = |steps: &usize| match steps.saturating_sub(below).min(levels.len()) {
                0 => ' ',
                step => levels[step - 1],
            };
            let text: String = columns.iter().map(character).collect();
            Line { text: String::new(), room: width, colours: self.colours }.put(style, text.trim_end()).end()
        };
        (0..height).rev().map(|row_number| row(row_number * levels.len())).collect()
    }
}

const BAR: [&str; 8] = ["▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"];
const ASCII_BAR: [&str; 1] = ["#"];
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII_LEVELS: [char; 4] = ['_', '.', ':', '#'];

/// What a full history stands for. Children and zombies have the same, so that they can be compared.
fn scale(quantity: Quantity, record: &Record) -> usize {
    let most = match quantity {
        Quantity::Descriptors | Quantity::Queue => record.most(quantity),
        Quantity::Children | Quantity::Zombies => record.most(Quantity::Children).max(record.most(Quantity::Zombies)),
    };
    most.max(FULL)
}

/// How many of `steps` are filled if `full` fills all of them: none by nothing alone.
fn filled(count: usize, full: usize, steps: usize) -> usize {
    match (count as u128 * steps as u128).checked_div(full as u128) {
        Some(filled) => (filled as usize).clamp(usize::from(count > 0).min(steps), steps),
        None => steps,
    }
}

/// The colour of a quantity, for what is said of it.
fn style(quantity: Quantity, record: &Record, remarks: &[Remark]) -> Style {
    let said = |subject| remarks.iter().any(|remark| remark.subject == subject);
    match quantity {
        Quantity::Descriptors if said(Subject::FewDescriptors) => BAD,
        Quantity::Descriptors if said(Subject::Leak) => DOUBTFUL,
        Quantity::Zombies if record.last().look.children.zombies > 0 => DOUBTFUL,
        Quantity::Queue if said(Subject::FullQueue) => BAD,
        Quantity::Queue if said(Subject::QueueWasFull) => DOUBTFUL,
        _ => GOOD,
    }
}

/// A time in words, without fractions: it is read while it runs.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds:02} s"),
        (hours, minutes, _) => format!("{hours} h {minutes:02} min"),
    }
}

/// A line that ends where the terminal does.
struct Line {
    text: String,
    /// How many columns are left.
    room: usize,
    colours: bool,
}

impl Line {
    fn put(mut self, style: Style, text: &str) -> Line {
        let text: String = text.chars().take(self.room).collect();
        self.room -= text.chars().count();
        if self.colours && style != PLAIN && !text.is_empty() {
            self.text.push_str(&format!("{style}{text}{style:#}"));
        } else {
            self.text.push_str(&text);
        }
        self
    }

    fn end(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::{reading, record};
    use super::super::record::{Counts, Reading};
    use super::*;

    fn server() -> Identity {
        Identity { name: "webserver3f".to_owned(), pid: 9105, port: Some(8888) }
    }

    /// Three quiet looks, and as many after a burst that has left 71 zombies, and filled the queue.
    fn burst() -> Record {
        let quiet: Counts = [4, 0, 0, 0];
        record(&[&[quiet; 3][..], &[[6, 9, 33, 6]], &[[4, 0, 71, 0]; 11]].concat())
    }

    fn drawn(width: usize, height: usize, blocks: bool) -> Vec<String> {
        let canvas = Canvas { width, height, blocks, colours: false };
        canvas.draw(&server(), Duration::from_secs(83), &burst())
    }

    #[track_caller]
    fn assert_drawn(width: usize, height: usize, blocks: bool, expected: &str) {
        let lines: Vec<_> = drawn(width, height, blocks).iter().map(|line| line.trim_end().to_owned()).collect();
        assert_eq!(lines.join("\n"), expected.trim_start_matches('\n').trim_end_matches('\n'));
    }

    #[test]
    fn a_small_terminal_has_a_line_for_each() {
        let expected = "
webserver3f           watched 1 min 23 s
descriptors    4 most 6     ▏·· ▃▃▃▃▃▃▃▃
children       0 most 9     ··· ▁▁▁▁▁▁▁▁
zombies       71 most 71    ███ ████████
queue          0 most 6     ··· ▁▁▁▁▁▁▁▁
71 zombies: ended children that nobody
has waited for
q ends; a column is 0.25 s
";
        assert_drawn(40, 8, true, expected);
    }

    #[test]
    fn without_block_characters_signs_of_ascii_stand_for_them() {
        let expected = "
webserver3f (process 9105) on port 8888                       watched 1 min 23 s
descriptors          4 of 1024    most 6      #..........        ...............
children alive       0            most 9      ...........        ___.___________
zombies             71            most 71     ###########        ___.###########
accept queue         0 of 5       most 6      ...........        ___.___________
71 zombies: ended children that nobody has waited for
the accept queue was full: connections open at the client may be unknown here
q ends; each column shows the highest number of a quarter of a second
";
        assert_drawn(80, 8, false, expected);
    }

    #[test]
    fn a_large_terminal_has_room_for_histories() {
        let expected = "
webserver3f (process 9105) on port 8888                       watched 1 min 23 s

descriptors          4 of 1024    most 6      ▏·································

                                                                 ▂▂▂▆▂▂▂▂▂▂▂▂▂▂▂
                                                                 ███████████████

children alive       0            most 9      ··································


                                                                 ▁▁▁▃▁▁▁▁▁▁▁▁▁▁▁

zombies             71            most 71     ██████████████████████████████████
                                                                     ███████████
                                                                    ▃███████████
                                                                 ▁▁▁████████████

accept queue         0 of 5       most 6      ··································

                                                                    ▆
                                                                 ▁▁▁█▁▁▁▁▁▁▁▁▁▁▁
71 zombies: ended children that nobody has waited for
the accept queue was full: connections open at the client may be unknown here
q ends; each column shows the highest number of a quarter of a second
";
        assert_drawn(80, 24, true, expected);
    }

    #[test]
    fn any_size_is_kept_to_and_colours_change_no_text() {
        let heights = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 16, 23, 24, 50];
        for (width, height) in (1..100).flat_map(|width| heights.map(|height| (width, height))) {
            let plain = drawn(width, height, true);
            let canvas = Canvas { width, height, blocks: true, colours: true };
            let coloured = canvas.draw(&server(), Duration::from_secs(83), &burst());
            let stripped: Vec<_> = coloured.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect();
            assert_eq!(stripped, plain, "{width} x {height}");
            assert!(plain.len() <= height && plain.iter().all(|line| line.chars().count() <= width), "{plain:#?}");
            assert!(drawn(width, height, false).concat().is_ascii());
            let waiting = canvas.draw_waiting("waiting for a server on port 8888 ...", Some("cargo run -p part3"));
            let mut widths = waiting.iter().map(|line| anstream::adapter::strip_str(line).to_string().len());
            assert!(waiting.len() <= height && widths.all(|wide| wide <= width), "{waiting:#?}");
        }
    }

    #[test]
    fn a_process_that_does_not_listen_has_no_queue() {
        let record = Record::new(Reading { listener: None, ..reading([4, 0, 0, 0]) });
        for (width, height) in [(80, 24), (80, 8), (40, 8), (20, 8)] {
            let lines = Canvas { width, height, blocks: true, colours: false }.draw(&server(), Duration::ZERO, &record);
            let queue = lines.iter().find(|line| line.starts_with("accept queue") || line.starts_with("queue"));
            assert!(queue.is_some_and(|queue| queue.contains(" -  it")), "{lines:#?}");
            assert!(lines.len() <= height && lines.iter().all(|line| line.chars().count() <= width), "{lines:#?}");
        }
    }

    #[test]
    fn a_bar_is_full_when_all_is_used_and_empty_for_nothing_alone() {
        assert_eq!([filled(0, 1024, 8), filled(1, 1024, 8), filled(512, 1024, 8)], [0, 1, 4]);
        assert_eq!([filled(1024, 1024, 8), filled(2000, 1024, 8), filled(6, 0, 8)], [8, 8, 8], "and no more than full");
        assert_eq!(filled(usize::MAX, 1, 0), 0);
    }

    #[test]
    fn a_time_is_told_in_its_two_largest_units() {
        let told = [9, 59, 60, 83, 3599, 3600, 86_400].map(|seconds| clock(Duration::from_secs(seconds)));
        let expected = ["9 s", "59 s", "1 min 00 s", "1 min 23 s", "59 min 59 s", "1 h 00 min", "24 h 00 min"];
        assert_eq!(told, expected);
    }
}
