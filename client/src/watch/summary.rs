//! What is left to say when a watch is over.

use std::time::Duration;

use super::record::{Quantity, Record};
use super::server::Identity;
use super::words::{Subject, remarks};
use crate::kernel::end::End;
use crate::output::style::HEADING;
use crate::output::{WIDTH, wrapped};

/// The summary of a watch: how long it took, how the server ended if it has, the numbers at first, at most and last,
/// and what they say.
pub fn text(server: &Identity, watched: Duration, end: Option<End>, record: &Record) -> String {
    let what = end.map_or_else(|| "still runs".to_owned(), |end| end.to_string());
    let mut text = format!(
        "{HEADING}{} {what}{HEADING:#}\nwatched for {:.1} s\n\n  {:14}  {:>8}  {:>8}  {:>8}\n",
        server.with_port(),
        watched.as_secs_f64(),
        "",
        "first",
        "most",
        if end.is_some() { "at end" } else { "last" },
    );
    for quantity in Quantity::ALL {
        let number = |count: Option<usize>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
        let (first, last) = (record.first().count(quantity), record.last().count(quantity));
        let most = last.or(first).map(|_| record.most(quantity));
        let limit = record.last().limit(quantity).map(|limit| format!("  of {limit}")).unwrap_or_default();
        text += &format!(
            "  {:14}  {:>8}  {:>8}  {:>8}{limit}\n",
            quantity.name(),
            number(first),
            number(most),
            number(last)
        );
    }
    for remark in remarks(record).iter().filter(|remark| remark.subject != Subject::Nothing) {
        text += &format!("\n{}\n", wrapped(&remark.text, WIDTH));
    }
    text
}
