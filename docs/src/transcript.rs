//! A transcript: what is typed into several terminals, and what they show. It is compared with what they really show.

use crate::chapter::Block;

/// One thing that is done at a terminal, and what the terminal shows then.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its line in the chapter, from 1.
    pub line: usize,
    /// The terminal: 1, 2, 3; 0 for `$` without a number.
    pub terminal: u8,
    /// What is done.
    pub action: Action,
    /// What is shown then, without empty lines before and after it.
    pub shown: Vec<String>,
}

/// What is done at a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `1$ ls`: a command is typed.
    Command(String),
    /// `1>`: it is looked at again.
    Look,
    /// `1< text`: a line is typed for the program that runs there.
    Input(String),
    /// `1^C`: what runs there is interrupted.
    Interrupt,
    /// `1^D`: the program that runs there is told that no more will be typed.
    EndOfInput,
}

/// Takes the lines of a console block apart.
///
/// # Errors
/// A line and what is wrong with it.
pub fn steps(block: &Block) -> Result<Vec<Step>, (usize, String)> {
    let mut steps: Vec<Step> = Vec::new();
    for (text, line) in block.code.iter().zip(block.line + 1..) {
        if let Some((terminal, action)) = action(text) {
            steps.push(Step { line, terminal, action, shown: Vec::new() });
        } else if let Some(step) = steps.last_mut() {
            step.shown.push(text.trim_end().to_owned());
        } else if !text.trim().is_empty() {
            let what =
                "nothing is typed before this (1$ command, 1>, 1< text, 1^C, 1^D; text alone is a ```text block)";
            return Err((line, what.to_owned()));
        }
    }
    for step in &mut steps {
        step.shown = without_empty_ends(std::mem::take(&mut step.shown));
    }
    if steps.is_empty() {
        return Err((block.line, "this block shows no command (text alone is a ```text block)".to_owned()));
    }
    Ok(steps)
}

/// What a line of a console block says that is done, and at which terminal.
fn action(text: &str) -> Option<(u8, Action)> {
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    if let Some(command) = rest.strip_prefix("$ ") {
        let terminal = if number.is_empty() { 0 } else { number.parse().ok()? };
        return Some((terminal, Action::Command(command.trim().to_owned())));
    }
    let action = match rest.trim_end() {
        ">" => Action::Look,
        "^C" => Action::Interrupt,
        "^D" => Action::EndOfInput,
        "<" => Action::Input(String::new()),
        _ => Action::Input(rest.strip_prefix("< ")?.to_owned()),
    };
    Some((number.parse().ok()?, action))
}

/// The lines without the empty ones before the first and after the last that is not empty.
pub fn without_empty_ends(mut lines: Vec<String>) -> Vec<String> {
    while lines.last().is_some_and(|line| line.trim().is_empty()) {
        lines.pop();
    }
    let empty = lines.iter().take_while(|line| line.trim().is_empty()).count();
    lines.split_off(empty)
}

/// What may be different each time.
#[derive(Debug, Clone, PartialEq)]
pub enum Varying {
    /// The id of a process: the same number is the same process wherever the chapter shows it.
    Pid,
    /// A port, in the same way.
    Port,
    /// A number with a unit of time.
    Time,
    /// A number within bounds.
    Count {
        /// The least that it may be.
        least: f64,
        /// The most that it may be.
        most: f64,
    },
    /// Any text within a line.
    Text,
}

/// Something that varies: what it is, and how the transcript shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// What it is.
    pub what: Varying,
    /// How the transcript shows it: `29767`, `21.1 ms`.
    pub shown: String,
}

/// Reads what a `vary` comment says: `pid 29767 29771; time 21.1 ms; count 71 in 1..127; text "curl/7.88.1"`.
///
/// # Errors
/// What can't be read.
pub fn examples(value: &str) -> Result<Vec<Example>, String> {
    let mut examples = Vec::new();
    for item in split_outside_quotes(value) {
        let item = item.trim();
        let (kind, rest) = item.split_once(' ').unwrap_or((item, ""));
        let rest = rest.trim();
        let before = examples.len();
        match kind {
            "pid" | "port" => {
                for number in rest.split([' ', ',']).filter(|number| !number.is_empty()) {
                    if !number.chars().all(|c| c.is_ascii_digit()) {
                        return Err(format!("{number} is not a number"));
                    }
                    let what = if kind == "pid" { Varying::Pid } else { Varying::Port };
                    examples.push(Example { what, shown: number.to_owned() });
                }
            }
            "time" => {
                let words: Vec<_> = rest.split([' ', ',']).filter(|word| !word.is_empty()).collect();
                let mut words = words.iter().peekable();
                while let Some(number) = words.next() {
                    let unit = words.next_if(|word| UNITS.contains(word));
                    let shown = unit.map_or((*number).to_owned(), |unit| format!("{number} {unit}"));
                    if time_at(&shown) != Some(shown.len()) {
                        return Err(format!("{shown} is not a number with a unit of time ({})", UNITS.join(", ")));
                    }
                    examples.push(Example { what: Varying::Time, shown });
                }
            }
            "count" => {
                let (shown, bounds) = rest.split_once(" in ").ok_or("a count has bounds: count 71 in 1..127")?;
                let (least, most) = bounds.split_once("..").ok_or("bounds are written 1..127")?;
                let number = |text: &str| text.trim().parse::<f64>().map_err(|_| format!("{text} is not a number"));
                let what = Varying::Count { least: number(least)?, most: number(most.trim_start_matches('='))? };
                for shown in shown.split([' ', ',']).filter(|shown| !shown.is_empty()) {
                    number(shown)?;
                    examples.push(Example { what: what.clone(), shown: shown.to_owned() });
                }
            }
            "text" => {
                for shown in rest.split('"').skip(1).step_by(2).filter(|shown| !shown.is_empty()) {
                    examples.push(Example { what: Varying::Text, shown: shown.to_owned() });
                }
            }
            _ => return Err(format!("{kind:?} is not one of pid, port, time, count, text")),
        }
        if examples.len() == before {
            return Err(format!("{item:?} gives no example"));
        }
    }
    examples.sort_by_key(|example| std::cmp::Reverse(example.shown.len()));
    Ok(examples)
}

/// The parts between semicolons, which may stand in quotes too.
fn split_outside_quotes(value: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut begin = 0;
    let mut quoted = false;
    for (at, character) in value.char_indices() {
        match character {
            '"' => quoted = !quoted,
            ';' if !quoted => {
                parts.push(&value[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&value[begin..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

const UNITS: [&str; 7] = ["µs", "us", "ms", "ns", "min", "seconds", "s"];

/// Where the number with a unit of time ends with which `text` begins.
fn time_at(text: &str) -> Option<usize> {
    let digits = number_at(text)?;
    let rest = text[digits..].trim_start_matches(' ');
    let unit = UNITS.iter().find(|unit| {
        let next = rest.strip_prefix(**unit).map(|rest| rest.chars().next());
        next.is_some_and(|next| !next.is_some_and(char::is_alphanumeric))
    })?;
    Some(text.len() - rest.len() + unit.len())
}

/// Where the number ends with which `text` begins; it may have a fraction.
fn number_at(text: &str) -> Option<usize> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(text);
    let fraction = text[whole..].strip_prefix('.').map_or(0, digits);
    (whole > 0).then_some(if fraction > 0 { whole + 1 + fraction } else { whole })
}

/// Which real number each example number of a chapter stands for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bindings(Vec<(Varying, String, String)>);

impl Bindings {
    /// What `example` really is, if it has been seen.
    pub fn real(&self, example: &Example) -> Option<&str> {
        self.0
            .iter()
            .find(|(what, shown, _)| (what, shown) == (&example.what, &example.shown))
            .map(|(.., real)| &**real)
    }

    /// What each number of a page stands for that one of `lines` holds: `29767 is 4711`.
    pub fn told(&self, lines: &[String]) -> Vec<String> {
        let known = self.0.iter().filter(|(what, shown, _)| {
            let example = Example { what: what.clone(), shown: shown.clone() };
            lines
                .iter()
                .any(|line| (0..line.len()).any(|at| line.is_char_boundary(at) && stands_at(&example, line, at)))
        });
        known.map(|(_, shown, real)| format!("{shown} is {real}")).collect()
    }

    /// Lets `example` be `real`; `None` if it is another already, or `real` is another's.
    fn bind(&self, example: &Example, real: &str) -> Option<Bindings> {
        let (what, shown) = (&example.what, &example.shown);
        let known =
            |(kind, example, number): &&(Varying, String, String)| kind == what && (example == shown || number == real);
        match self.0.iter().find(known) {
            Some((_, example, number)) => (example == shown && number == real).then(|| self.clone()),
            None => {
                let mut bindings = self.clone();
                bindings.0.push((what.clone(), shown.clone(), real.to_owned()));
                Some(bindings)
            }
        }
    }
}

/// A line of a transcript, ready to be compared.
#[derive(Debug, Clone)]
pub enum Pattern {
    /// `...`: any lines, one at least.
    Lines,
    /// One line.
    Line(Vec<Piece>),
}

/// A piece of a line.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// This text.
    Exactly(String),
    /// Spaces, at least so many: next to what varies, for columns are as wide as what stands in them.
    Spaces(usize),
    /// What varies.
    Varies(Example),
}

/// Makes a line of a transcript ready to be compared.
pub fn pattern(line: &str, examples: &[Example]) -> Pattern {
    if line.trim() == "..." {
        return Pattern::Lines;
    }
    let mut pieces: Vec<Piece> = Vec::new();
    let mut text = String::new();
    let mut at = 0;
    while let Some(next) = line[at..].chars().next() {
        if let Some(example) = examples.iter().find(|example| stands_at(example, line, at)) {
            if example.what != Varying::Text {
                let spaces = text.len() - text.trim_end_matches(' ').len();
                text.truncate(text.len() - spaces);
                let is_first = pieces.is_empty() && text.is_empty();
                flush(&mut text, &mut pieces);
                if spaces > 0 || is_first {
                    pieces.push(Piece::Spaces(usize::from(!is_first)));
                }
            }
            flush(&mut text, &mut pieces);
            pieces.push(Piece::Varies(example.clone()));
            at += example.shown.len();
            let spaces = line[at..].len() - line[at..].trim_start_matches(' ').len();
            if spaces > 0 && example.what != Varying::Text {
                pieces.push(Piece::Spaces(1));
                at += spaces;
            }
        } else {
            text.push(next);
            at += next.len_utf8();
        }
    }
    flush(&mut text, &mut pieces);
    pieces.dedup_by(|next, before| matches!((next, before), (Piece::Spaces(_), Piece::Spaces(_))));
    Pattern::Line(pieces)
}

fn flush(text: &mut String, pieces: &mut Vec<Piece>) {
    if !text.is_empty() {
        pieces.push(Piece::Exactly(std::mem::take(text)));
    }
}

/// Whether `example` stands at `at` in `line`, and is not a part of a longer number.
fn stands_at(example: &Example, line: &str, at: usize) -> bool {
    let Some(after) = line[at..].strip_prefix(&example.shown) else { return false };
    let of_a_number = |c: char| c.is_ascii_digit();
    let begins_inside = line[..at].ends_with(of_a_number) || line[..at].ends_with(|c: char| c.is_alphabetic());
    let ends_inside =
        after.starts_with(of_a_number) || after.strip_prefix('.').is_some_and(|after| after.starts_with(of_a_number));
    example.what == Varying::Text || !(begins_inside || ends_inside)
}

/// Puts real numbers in the places of the examples that `text`, something that is typed, names.
///
/// # Errors
/// An example that has not been seen yet.
pub fn with_real_numbers(text: &str, examples: &[Example], bindings: &Bindings) -> Result<String, String> {
    let mut result = String::new();
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        let is_number = |example: &&Example| matches!(example.what, Varying::Pid | Varying::Port);
        match examples.iter().filter(is_number).find(|example| stands_at(example, text, at)) {
            Some(example) => {
                let real = bindings.real(example);
                result += real.ok_or_else(|| format!("no terminal has shown {} before this", example.shown))?;
                at += example.shown.len();
            }
            None => {
                result.push(next);
                at += next.len_utf8();
            }
        }
    }
    Ok(result)
}

/// What became of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// What is seen is what is shown; these are the numbers that it holds.
    Same(Bindings),
    /// It may become so when more is seen.
    SoFar,
    /// It never will; this many of the lines seen agreed.
    Different(usize),
}

/// Compares lines. The last one that is seen may not be complete yet.
pub fn compare(shown: &[Pattern], seen: &[String], is_incomplete: bool, bindings: &Bindings) -> Outcome {
    match (shown.split_first(), seen.split_first()) {
        (None, None) => Outcome::Same(bindings.clone()),
        (None, Some((line, rest))) => {
            if rest.is_empty() && is_incomplete && line.is_empty() {
                Outcome::Same(bindings.clone())
            } else {
                Outcome::Different(0)
            }
        }
        (Some(_), None) => Outcome::SoFar,
        (Some((Pattern::Lines, after)), Some(_)) => {
            let mut best = Outcome::SoFar;
            for skipped in 1..=seen.len() {
                match compare(after, &seen[skipped..], is_incomplete, bindings) {
                    Outcome::Same(bindings) => return Outcome::Same(bindings),
                    Outcome::SoFar => best = Outcome::SoFar,
                    Outcome::Different(_) => {}
                }
            }
            best
        }
        (Some((Pattern::Line(pieces), after)), Some((line, rest))) => match same_line(pieces, line, bindings) {
            Some(bindings) => match compare(after, rest, is_incomplete, &bindings) {
                Outcome::Different(lines) => Outcome::Different(lines + 1),
                outcome => outcome,
            },
            None if rest.is_empty() && is_incomplete => Outcome::SoFar,
            None => Outcome::Different(0),
        },
    }
}

/// Compares a line; returns the numbers with those that it holds.
fn same_line(pieces: &[Piece], line: &str, bindings: &Bindings) -> Option<Bindings> {
    let Some((piece, rest)) = pieces.split_first() else {
        return line.trim_end().is_empty().then(|| bindings.clone());
    };
    match piece {
        Piece::Exactly(text) if rest.is_empty() => (line.trim_end() == text.trim_end()).then(|| bindings.clone()),
        Piece::Exactly(text) => same_line(rest, line.strip_prefix(text.as_str())?, bindings),
        Piece::Spaces(least) => {
            let after = line.trim_start_matches(' ');
            if line.len() - after.len() < *least { None } else { same_line(rest, after, bindings) }
        }
        Piece::Varies(example) => match &example.what {
            Varying::Pid | Varying::Port => {
                let end = line.bytes().take_while(u8::is_ascii_digit).count();
                let bindings = if end == 0 { None } else { bindings.bind(example, &line[..end]) };
                same_line(rest, &line[end..], &bindings?)
            }
            Varying::Time => same_line(rest, &line[time_at(line)?..], bindings),
            Varying::Count { least, most } => {
                let end = number_at(line)?;
                let number: f64 = line[..end].parse().ok()?;
                if (*least..=*most).contains(&number) { same_line(rest, &line[end..], bindings) } else { None }
            }
            Varying::Text => {
                let ends = line.char_indices().map(|(at, character)| at + character.len_utf8());
                ends.into_iter().find_map(|end| same_line(rest, &line[end..], bindings))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(vary: &str, shown: &str, seen: &str) -> Outcome {
        let examples = examples(vary).unwrap();
        let patterns: Vec<_> = shown.lines().map(|line| pattern(line, &examples)).collect();
        let mut seen: Vec<_> = seen.split('\n').map(str::to_owned).collect();
        if seen.last().is_some_and(String::is_empty) {
            seen.pop();
            return compare(&patterns, &seen, false, &Bindings::default());
        }
        compare(&patterns, &seen, true, &Bindings::default())
    }

    fn is_same(vary: &str, shown: &str, seen: &str) -> bool {
        matches!(outcome(vary, shown, seen), Outcome::Same(_))
    }

    #[test]
    fn lines_are_compared_exactly() {
        assert!(is_same("", "a\n\nb", "a\n\nb\n"));
        assert_eq!(outcome("", "a\nb\nc", "a\nx\nc\n"), Outcome::Different(1));
        assert_eq!(outcome("", "a\nb", "a\nb\nc\n"), Outcome::Different(2));
        assert_eq!(outcome("", "a\nb", "a\n"), Outcome::SoFar);
        assert_eq!(outcome("", "a\nbcd", "a\nbc"), Outcome::SoFar, "the line may not be complete");
        assert_eq!(outcome("", "a\nbcd", "a\nbc\n"), Outcome::Different(1));
        assert_eq!(outcome("", "abc", "abcd\n"), Outcome::Different(0));
    }

    #[test]
    fn three_dots_are_one_line_or_more() {
        assert!(is_same("", "a\n...\nd", "a\nb\nc\nd\n"));
        assert!(is_same("", "...", "a\nb\n"));
        assert_eq!(outcome("", "a\n...\nd", "a\nd\n"), Outcome::SoFar);
        assert_eq!(outcome("", "a\n...", "b\n"), Outcome::Different(0));
    }

    #[test]
    fn numbers_of_processes_are_bound() {
        let vary = "pid 29767 9102";
        assert!(is_same(vary, "Parent 29767.\n 9102 29767", "Parent 5.\n    7     5\n"));
        assert!(is_same(vary, "29767 x\n 9102 x", "    5 x\n12345 x\n"));
        assert!(!is_same(vary, "29767 9102", "5 5\n"), "two processes are not one");
        assert!(!is_same(vary, "29767 29767", "5 6\n"), "one process is not two");
        assert!(!is_same(vary, "29767", "x\n"));
    }

    #[test]
    fn times_counts_and_texts_have_their_form() {
        let vary = "time 21.1 ms 3 s; count 71 in 1..127; text \"a; b\"";
        assert!(is_same(vary, "to the end   21.1 ms   3 s", "to the end   1.2 s   933.1 µs\n"));
        assert!(!is_same(vary, "21.1 ms", "21.1\n"));
        assert!(!is_same(vary, "21.1 ms", "21.1 msx\n"));
        assert!(is_same(vary, "  71 zombies", " 127 zombies\n"));
        assert!(!is_same(vary, "71", "0\n") && !is_same(vary, "71", "128\n") && !is_same(vary, "71", "-1\n"));
        assert!(is_same(vary, "x a; b y", "x anything at all y\n"));
        assert!(!is_same(vary, "x a; b y", "x  z\n"));
    }

    #[test]
    fn what_varies_is_not_found_inside_of_something_longer() {
        let vary = "pid 71; count 4 in 1..9";
        assert!(!is_same(vary, "1710", "1720\n"));
        assert!(!is_same(vary, "4.5", "5.5\n"));
        assert!(is_same(vary, "71: 4", "9: 5\n"));
    }

    #[test]
    fn what_varies_must_be_told_plainly() {
        for wrong in ["pid x", "pid", "count 5", "count 5 in 1", "time 5", "text", "colour red", "time 5 apples"] {
            assert!(examples(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_typed_names_real_numbers() {
        let examples = examples("pid 9102").unwrap();
        let bindings = Bindings::default().bind(&examples[0], "77").unwrap();
        assert_eq!(with_real_numbers("kill -9 9102", &examples, &bindings).unwrap(), "kill -9 77");
        assert!(with_real_numbers("kill -9 9102", &examples, &Bindings::default()).is_err());
    }

    #[test]
    fn a_block_is_steps_at_terminals() {
        let code = "1$ cargo run\nServing\n\n2$ nc localhost 8888\n2< GET / \n2<\n1>\n\na\n\n1^C\n2^D\n$ ls";
        let block = Block {
            line: 10,
            fence: "```".to_owned(),
            kind: "console".to_owned(),
            code: code.lines().map(str::to_owned).collect(),
            comments: Vec::new(),
        };
        let steps = steps(&block).unwrap();
        let seen: Vec<_> =
            steps.iter().map(|step| (step.line, step.terminal, &step.action, step.shown.len())).collect();
        let command = |text: &str| Action::Command(text.to_owned());
        let expected = [
            (11, 1, &command("cargo run"), 1),
            (14, 2, &command("nc localhost 8888"), 0),
            (15, 2, &Action::Input("GET / ".to_owned()), 0),
            (16, 2, &Action::Input(String::new()), 0),
            (17, 1, &Action::Look, 1),
            (21, 1, &Action::Interrupt, 0),
            (22, 2, &Action::EndOfInput, 0),
            (23, 0, &command("ls"), 0),
        ];
        assert_eq!(seen, expected);
    }
}
