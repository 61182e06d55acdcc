//! What changes, in plain lines: for pipes, logs, and readers who listen.

use std::time::Duration;

use super::record::{Counts, Quantity, Reading, Record};
use super::words::{Subject, remarks};

/// What the lines so far have told.
#[derive(Debug, Default)]
pub struct Lines {
    told: Option<Reading>,
    /// What the last remarks were about.
    subjects: Vec<Subject>,
}

impl Lines {
    /// The lines for what has changed since the last ones; `highest` are the highest numbers since then, and `at` is
    /// the time since the first look. Empty if nothing has.
    pub fn changes(&mut self, at: Duration, record: &Record, highest: Counts) -> String {
        let time = format!("{:6.1} s  ", at.as_secs_f64());
        let mut text = String::new();
        let last = record.last();
        let counts = match self.told {
            None => Quantity::ALL.iter().filter_map(|quantity| now(*quantity, last)).collect::<Vec<_>>(),
            Some(told) => {
                let changes = Quantity::ALL.into_iter().zip(highest);
                changes.filter_map(|(quantity, highest)| change(quantity, &told, highest, last)).collect()
            }
        };
        if !counts.is_empty() {
            text += &format!("{time}{}\n", counts.join(", "));
        }
        self.told = Some(*last);

        let remarks = remarks(record);
        for remark in &remarks {
            if remark.subject != Subject::Nothing && !self.subjects.contains(&remark.subject) {
                text += &format!("{time}{}\n", remark.text);
            }
        }
        self.subjects = remarks.iter().map(|remark| remark.subject).collect();
        text
    }
}

/// `descriptors 4 of 1024`
fn now(quantity: Quantity, reading: &Reading) -> Option<String> {
    Some(format!("{} {}{}", quantity.name(), reading.count(quantity)?, limit(quantity, reading)))
}

/// `descriptors 4 -> 7 of 1024`; `zombies 0 -> 9 -> 0` if it was higher between two looks that are told of.
fn change(quantity: Quantity, told: &Reading, highest: usize, last: &Reading) -> Option<String> {
    let now = last.count(quantity)?;
    let before = told.count(quantity).unwrap_or_default();
    if now == before && highest <= before {
        return None;
    }
    let peak = if highest > before.max(now) { format!(" -> {highest}") } else { String::new() };
    Some(format!("{} {before}{peak} -> {now}{}", quantity.name(), limit(quantity, last)))
}

fn limit(quantity: Quantity, reading: &Reading) -> String {
    reading.limit(quantity).map(|limit| format!(" of {limit}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::reading;
    use super::*;

    #[test]
    fn a_line_tells_what_has_changed_and_nothing_else() {
        let mut record = Record::new(reading([4, 0, 0, 0]));
        let mut lines = Lines::default();
        let mut look = |milliseconds, counts: &[Counts]| {
            let at = Duration::from_millis(milliseconds);
            counts.iter().for_each(|counts| record.add(at, reading(*counts)));
            let highest = record.end_column();
            lines.changes(at, &record, highest)
        };
        let first = "   0.0 s  descriptors 4 of 1024, children alive 0, zombies 0, accept queue 0 of 5\n";
        assert_eq!(look(0, &[]), first);
        assert_eq!(look(250, &[[4, 0, 0, 0]]), "");
        assert_eq!(look(1300, &[[7, 0, 3, 0]]), "   1.3 s  descriptors 4 -> 7 of 1024, zombies 0 -> 3\n");
        assert_eq!(look(1500, &[[7, 9, 3, 0], [7, 0, 3, 0]]), "   1.5 s  children alive 0 -> 9 -> 0\n");
        assert_eq!(look(1600, &[[7, 0, 1, 0]]), "   1.6 s  zombies 3 -> 1\n");
        let remarks = look(2600, &[[7, 0, 1, 0]]);
        assert!(remarks.starts_with("   2.6 s  1 zombie: ") && remarks.contains("\n   2.6 s  descriptors only grow"));
        assert_eq!(look(2700, &[[7, 0, 1, 0]]), "", "said once");
    }
}
