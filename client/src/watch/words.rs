//! What there is to say in words of what the looks have shown.

use super::record::{Quantity, Record};

/// What a remark is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Hardly a descriptor is left.
    FewDescriptors,
    /// The accept queue is full.
    FullQueue,
    /// Zombies that stay.
    Zombies,
    /// Descriptors that only grow.
    Leak,
    /// The accept queue was full.
    QueueWasFull,
    /// Children that live on.
    Children,
    /// There was something, and nothing of it is left.
    Rest,
    /// There was nothing yet.
    Nothing,
}

/// A sentence on what the looks have shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// What it is about.
    pub subject: Subject,
    /// The sentence.
    pub text: String,
}

/// What there is to say of `record`, the most urgent first.
pub fn remarks(record: &Record) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let mut say = |subject, text: String| remarks.push(Remark { subject, text });
    let (first, last) = (record.first(), record.last());

    let descriptors = last.look.descriptors;
    match last.look.limit {
        Some(limit) if descriptors as u64 >= limit => {
            say(Subject::FewDescriptors, format!("all {limit} descriptors are in use: accept fails with EMFILE"));
        }
        Some(limit) if descriptors as u64 >= limit - limit / 10 => {
            say(
                Subject::FewDescriptors,
                format!("{descriptors} of {limit} descriptors: soon accept fails with EMFILE"),
            );
        }
        _ => {}
    }
    if last.queue_is_full() {
        let text = "the accept queue is full: connections open at the client may be unknown here";
        say(Subject::FullQueue, text.to_owned());
    }
    // What lasts is spoken of, and counted as it is now: the numbers beside the words are no others.
    let lasting = |quantity| if record.lasting(quantity) > 0 { last.count(quantity).unwrap_or_default() } else { 0 };
    match lasting(Quantity::Zombies) {
        0 => {}
        1 => say(Subject::Zombies, "1 zombie: an ended child that nobody has waited for".to_owned()),
        zombies => say(Subject::Zombies, format!("{zombies} zombies: ended children that nobody has waited for")),
    }
    let kept = descriptors.saturating_sub(first.look.descriptors);
    let lasts = record.lasting(Quantity::Descriptors) > first.look.descriptors;
    if lasts && !record.descriptors_fell() {
        let connections = if kept == 1 { "a connection is" } else { "connections are" };
        say(Subject::Leak, format!("descriptors only grow, by {kept} so far: {connections} kept open"));
    }
    if record.queue_was_full() && !last.queue_is_full() {
        let text = "the accept queue was full: connections open at the client may be unknown here";
        say(Subject::QueueWasFull, text.to_owned());
    }
    match lasting(Quantity::Children) {
        0 => {}
        1 => say(Subject::Children, "1 child lives on: it works, sleeps, or waits for its client".to_owned()),
        alive => say(Subject::Children, format!("{alive} children live on: they work, sleep, or wait for a client")),
    }
    let went_up = |quantity| record.most(quantity) > first.count(quantity).unwrap_or_default();
    let is_down = last.look.descriptors <= first.look.descriptors
        && last.look.children.alive + last.look.children.zombies == 0
        && last.count(Quantity::Queue).unwrap_or_default() == 0;
    if Quantity::ALL.into_iter().any(went_up) {
        if is_down && record.is_calm() {
            say(Subject::Rest, "nothing is left behind: no child, no zombie, no connection".to_owned());
        }
    } else if is_down {
        say(Subject::Nothing, "nothing has happened yet".to_owned());
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::{reading, record};
    use super::*;
    use crate::kernel::look::Look;
    use crate::watch::record::Counts;

    fn said(looks: &[Counts]) -> Vec<(Subject, String)> {
        remarks(&record(looks)).into_iter().map(|remark| (remark.subject, remark.text)).collect()
    }

    #[track_caller]
    fn assert_said(looks: &[Counts], expected: &[(Subject, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(subject, text)| (*subject, (*text).to_owned())).collect();
        assert_eq!(said(looks), expected);
    }

    #[test]
    fn a_server_at_rest_and_one_that_comes_back_to_rest() {
        assert_said(&[[4, 0, 0, 0]; 20], &[(Subject::Nothing, "nothing has happened yet")]);
        let rest = (Subject::Rest, "nothing is left behind: no child, no zombie, no connection");
        let burst = [[4, 0, 0, 0], [6, 9, 3, 1]];
        assert_said(&[&burst[..], &[[4, 0, 0, 0]; 11]].concat(), &[rest]);
        assert_said(&[&burst[..], &[[4, 0, 0, 0]; 10]].concat(), &[]);
    }

    #[test]
    fn zombies_are_named_when_they_stay() {
        let stay = |count| [[4, 1, count, 0], [4, 0, count, 0]].iter().cycle().take(20).copied().collect::<Vec<_>>();
        let many = (Subject::Zombies, "71 zombies: ended children that nobody has waited for");
        assert_said(&stay(71), &[many]);
        assert_said(&stay(1), &[(Subject::Zombies, "1 zombie: an ended child that nobody has waited for")]);
        assert_eq!(said(&[[4, 1, 71, 0]; 5]), [], "for half a second");
    }

    #[test]
    fn a_leak_is_what_only_grows() {
        let grow: Vec<_> = (0..20).map(|number| [4 + number, 0, 0, 0]).collect();
        assert_said(&grow, &[(Subject::Leak, "descriptors only grow, by 19 so far: connections are kept open")]);
        let fall = [&grow[..], &[[10, 0, 0, 0]; 20]].concat();
        assert_eq!(said(&fall), []);
        let one = [&[[4, 0, 0, 0]; 3][..], &[[5, 0, 0, 0]; 20]].concat();
        assert_said(&one, &[(Subject::Leak, "descriptors only grow, by 1 so far: a connection is kept open")]);
    }

    #[test]
    fn children_that_live_on_are_named() {
        let text = "2 children live on: they work, sleep, or wait for a client";
        assert_said(&[[4, 2, 0, 0]; 20], &[(Subject::Children, text)]);
    }

    #[test]
    fn a_full_queue_is_explained_then_and_afterwards() {
        let full = said(&[[4, 0, 0, 0], [4, 0, 0, 6]]);
        assert!(full[0].0 == Subject::FullQueue && full[0].1.contains("unknown here"), "{full:?}");
        let was = said(&[[4, 0, 0, 6], [4, 0, 0, 2]]);
        assert_eq!(was.iter().map(|(subject, _)| *subject).collect::<Vec<_>>(), [Subject::QueueWasFull]);
        assert_eq!(said(&[[4, 0, 0, 5], [4, 0, 0, 2]]), [], "as many as may wait");
    }

    #[test]
    fn descriptors_that_run_out_come_first() {
        let at = |descriptors, limit| {
            let look = Look { descriptors, limit, ..reading([4, 0, 9, 0]).look };
            remarks(&Record::new(super::super::record::Reading { look, listener: None })).first().cloned()
        };
        assert!(at(256, Some(256)).unwrap().text.starts_with("all 256 descriptors are in use: "));
        assert!(at(231, Some(256)).unwrap().text.starts_with("231 of 256 descriptors: soon "));
        assert_eq!([at(230, Some(256)), at(10_000, None)], [None, None]);
    }
}
