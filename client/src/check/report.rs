//! What a check has found, for people: a line for each claim, the list of claims, and what to do next.

use std::fmt::{self, Display, Write};

use super::claim::{Claim, Verdict};
use super::stage::{self, Stage};
use crate::output::style::{BAD, DOUBTFUL, GOOD, HEADING};
use crate::output::{counted, indented, wrapped};

/// What came of one claim.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The claim.
    pub claim: &'static Claim,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of all claims of a stage, in their order.
#[derive(Debug, Clone)]
pub struct Report {
    /// The stage.
    pub stage: Stage,
    /// The claims that were tried.
    pub findings: Vec<Finding>,
    /// How many were not, and why: for a server that does not answer, say, nothing else can be told.
    pub untried: Option<(usize, &'static str)>,
}

/// Where the text of a finding begins.
const INDENT: usize = 8;

impl Finding {
    /// The lines for people, as wide as `width` allows. They end in a newline.
    pub fn lines(&self, width: usize) -> String {
        let sentence = self.claim.sentence;
        let (label, style, text) = match &self.verdict {
            Verdict::Holds(seen) => ("ok", GOOD, format!("{sentence} ({seen})")),
            Verdict::Fails(why) => ("FAIL", BAD, format!("{sentence}\n{why}")),
            Verdict::Hidden(why) => ("hidden", DOUBTFUL, format!("{sentence}\n{why}")),
            Verdict::Skipped(why) => ("skipped", DOUBTFUL, format!("{sentence}\n{why}")),
        };
        format!("{style}{label:<INDENT$}{style:#}{}\n", indented(&text, width, INDENT).trim_start())
    }
}

impl Report {
    /// Whether no claim failed. One that is hidden, or was skipped, has not.
    pub fn holds(&self) -> bool {
        self.count(|verdict| matches!(verdict, Verdict::Fails(_))) == 0
    }

    /// The claims that failed, and why; the first is the one to look at first, for others may depend on it.
    pub fn failed(&self) -> impl Iterator<Item = (&'static Claim, &str)> {
        self.findings.iter().filter_map(|finding| match &finding.verdict {
            Verdict::Fails(why) => Some((finding.claim, why.as_str())),
            _ => None,
        })
    }

    /// What came of the claim of this name, if it is one of this stage's.
    pub fn verdict(&self, name: &str) -> Option<&Verdict> {
        self.findings.iter().find(|finding| finding.claim.name == name).map(|finding| &finding.verdict)
    }

    fn count(&self, wanted: impl Fn(&Verdict) -> bool) -> usize {
        self.findings.iter().filter(|finding| wanted(&finding.verdict)).count()
    }

    /// How many claims hold, and what to do next. It ends in a newline.
    pub fn conclusion(&self, width: usize) -> String {
        let stage = self.stage;
        let (untried, why) = self.untried.unwrap_or_default();
        let all = self.findings.len() + untried;
        let is_whole = all == stage.claims().count();
        let hold = self.count(|verdict| matches!(verdict, Verdict::Holds(_)));
        let mut text = match (hold, all) {
            (1, 1) => format!("This claim of {stage} holds."),
            _ if hold == all => format!("All {all} claims of {stage} hold."),
            _ => format!("{hold} of {} of {stage} hold", counted(all, "claim", "claims")),
        };
        let hidden = self.count(|verdict| matches!(verdict, Verdict::Hidden(_)));
        let skipped = self.count(|verdict| matches!(verdict, Verdict::Skipped(_)));
        let failed = self.count(|verdict| matches!(verdict, Verdict::Fails(_)));
        for (count, what) in [(failed, "failed"), (hidden, "hidden"), (skipped, "skipped"), (untried, "untried")] {
            if count > 0 {
                let _ = write!(text, ", {count} {what}");
            }
        }
        if hold < all {
            text.push('.');
        }
        if untried > 0 {
            let _ = write!(text, " The rest was not tried: {why}.");
        }
        let mut style = GOOD;
        if let Some((claim, _)) = self.failed().next() {
            style = BAD;
            let _ = write!(text, " To fix first: {} (told in {}).", claim.sentence, claim.told.chapter());
        } else if hidden + skipped > 0 {
            style = DOUBTFUL;
        }
        if skipped > 0 {
            text.push_str(" What was skipped is not known to hold.");
        }
        if self.holds()
            && untried + skipped == 0
            && is_whole
            && let Some(next) = stage.next()
        {
            let _ = write!(text, " The next stage is {next}: {}.", next.title());
        }
        format!("\n{style}{}{style:#}\n", wrapped(&text, width))
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text: String = self.findings.iter().map(|finding| finding.lines(100)).collect();
        text += &self.conclusion(100);
        write!(f, "{}", anstream::adapter::strip_str(&text))
    }
}

/// How wide the names of claims are, in a list.
const NAMES: usize = 18;

/// The stages and what is claimed of each, or of one of them.
pub fn list(only: Option<Stage>, width: usize) -> String {
    let mut text = String::new();
    for stage in stage::ALL.into_iter().filter(|stage| only.is_none_or(|only| only == *stage)) {
        if !text.is_empty() {
            text.push('\n');
        }
        let _ = writeln!(text, "{HEADING}{stage:<4}{}{HEADING:#}", stage.title());
        for claim in stage.claims() {
            let sentence = indented(claim.sentence, width, 4 + NAMES);
            let _ = writeln!(text, "    {:<NAMES$}{}", claim.name, sentence.trim_start());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verdicts: impl Fn(&str) -> Verdict) -> Report {
        let findings = Stage::E.claims().map(|claim| Finding { claim, verdict: verdicts(claim.name) });
        Report { stage: Stage::E, findings: findings.collect(), untried: None }
    }

    #[test]
    fn what_holds_leads_to_the_next_stage() {
        let report = report(|_| Verdict::Holds("seen".to_owned()));
        assert!(report.holds());
        let text = report.to_string();
        assert!(text.contains("ok      a client is answered in HTTP/1.1 (seen)\n"), "{text}");
        assert!(text.contains("claims of 3e hold. The next stage is 3f"), "{text}");
    }

    #[test]
    fn what_fails_is_to_be_fixed_in_order() {
        let report = report(|name| match name {
            "child" | "no-copy" => Verdict::Fails("because ".repeat(30)),
            "eintr-dies" => Verdict::Hidden("so".to_owned()),
            _ => Verdict::Skipped("so".to_owned()),
        });
        assert!(!report.holds());
        assert_eq!(report.failed().map(|(claim, _)| claim.name).collect::<Vec<_>>(), ["child", "no-copy"]);
        let text = report.to_string();
        assert!(text.contains("2 failed, 1 hidden"), "{text}");
        let text = text.replace('\n', " ");
        assert!(
            text.contains(
                "To fix first: it has a child for each connection (told in docs/chapters/08-fork-a-child.md)."
            ),
            "{text}"
        );
        assert!(report.verdict("child").is_some() && report.verdict("judge").is_none());
    }

    #[test]
    fn the_list_fits_a_terminal() {
        assert!(
            list(None, 80).lines().all(|line| anstream::adapter::strip_str(line).to_string().chars().count() <= 80)
        );
    }
}
