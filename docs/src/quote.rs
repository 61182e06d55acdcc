//! What a chapter quotes from the code: excerpts, and the diffs between two stages.

use std::fs;
use std::path::Path;

use crate::chapter::{Block, Chapter, Fault};

/// How many lines of context a diff has.
const CONTEXT: usize = 3;

/// The command that brings quotations up to date.
const UPDATE: &str = "cargo run -p docs -- update";

/// What is wrong with the blocks of a chapter that are not run: a quotation that is not what the code is now or that
/// names something that is gone, and code that is held to nothing.
pub fn faults(root: &Path, chapter: &Chapter) -> Vec<Fault> {
    chapter.blocks.iter().filter_map(|block| fault(root, chapter, block)).collect()
}

fn fault(root: &Path, chapter: &Chapter, block: &Block) -> Option<Fault> {
    let Some(quoted) = quoted(root, block) else {
        let says_why = block.comment("not tested").is_some_and(|comment| !comment.value.is_empty());
        return match block.kind.as_str() {
            "console" | "text" => None,
            "rust,ignore" if says_why => None,
            "rust,ignore" => {
                Some(chapter.fault(block.line, "this needs a comment before it: <!-- not tested: why -->"))
            }
            "diff" => Some(chapter.fault(block.line, "this needs a comment before it: <!-- diff: FILE FILE -->")),
            kind => {
                let what =
                    format!("a block of {kind:?} that quotes nothing (before it: <!-- excerpt: FILE: fn NAME -->)");
                Some(chapter.fault(block.line, what))
            }
        };
    };
    let quoted = match quoted {
        Ok(quoted) => quoted,
        Err(what) => return Some(chapter.fault(block.line, what)),
    };
    if quoted == block.code {
        return None;
    }
    let same = quoted.iter().zip(&block.code).take_while(|(quoted, line)| quoted == line).count();
    let what = if block.code.is_empty() { "this is empty" } else { "this is not what the code is now" };
    Some(chapter.fault(block.line + 1 + same, format!("{what} ({UPDATE})")))
}

/// The text of a chapter with its quotations brought up to date.
///
/// # Errors
/// The quotations that name something that is gone, or can't stand in their block.
pub fn updated(root: &Path, chapter: &Chapter) -> Result<String, Vec<Fault>> {
    let mut lines: Vec<String> = chapter.text.lines().map(str::to_owned).collect();
    let mut faults = Vec::new();
    for block in chapter.blocks.iter().rev() {
        match quoted(root, block) {
            None => {}
            Some(Ok(quoted)) if quoted.iter().any(|line| line.trim_start().starts_with(&block.fence)) => {
                faults.push(chapter.fault(block.line, "it holds a fence itself: put a backtick more into this one"));
            }
            Some(Ok(quoted)) => drop(lines.splice(block.line..block.line + block.code.len(), quoted)),
            Some(Err(what)) => faults.push(chapter.fault(block.line, what)),
        }
    }
    faults.reverse();
    let end = if chapter.text.ends_with('\n') { "\n" } else { "" };
    if faults.is_empty() { Ok(lines.join("\n") + end) } else { Err(faults) }
}

/// What a block should hold, if it quotes something.
fn quoted(root: &Path, block: &Block) -> Option<Result<Vec<String>, String>> {
    if let Some(comment) = block.comment("excerpt") {
        return Some(excerpt(root, &comment.value));
    }
    let comment = block.comment("diff")?;
    let files: Vec<_> = comment.value.split_whitespace().collect();
    let [old, new] = files[..] else { return Some(Err("a diff is between two files: diff: FILE FILE".to_owned())) };
    Some(read(root, old).and_then(|before| {
        let after = read(root, new)?;
        let hunks = diff(&before, &after);
        if hunks.is_empty() {
            return Err(format!("{old} and {new} do not differ"));
        }
        Ok([format!("--- {old}"), format!("+++ {new}")].into_iter().chain(hunks).collect())
    }))
}

fn read(root: &Path, file: &str) -> Result<Vec<String>, String> {
    let text = fs::read_to_string(root.join(file)).map_err(|error| format!("{file}: {error}"))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// The lines of `FILE`, of the item in `FILE: fn NAME`, or those from one to another in `FILE: "first" .. "last"`.
fn excerpt(root: &Path, value: &str) -> Result<Vec<String>, String> {
    let (file, part) = value.split_once(": ").map_or((value, None), |(file, part)| (file, Some(part.trim())));
    let lines = read(root, file.trim())?;
    let found = match part {
        None => lines,
        Some(part) if part.starts_with('"') => run_of_lines(&lines, part).map_err(|what| format!("{file}: {what}"))?,
        Some(part) => item(&lines, part).map_err(|what| format!("{file}: {what}"))?,
    };
    if found.iter().all(|line| line.trim().is_empty()) { Err(format!("{value} is empty")) } else { Ok(found) }
}

/// The lines from the one that begins with the first text to the next one that begins with the second.
fn run_of_lines(lines: &[String], part: &str) -> Result<Vec<String>, String> {
    let texts: Vec<_> = part.split('"').collect();
    let ["", first, between, last, ""] = texts[..] else {
        return Err("lines are given by how two begin: \"first\" .. \"last\"".to_owned());
    };
    if between.trim() != ".." {
        return Err("lines are given by how two begin: \"first\" .. \"last\"".to_owned());
    }
    let begin = only(lines, first, |line| line.trim_start().starts_with(first))?;
    let length = lines[begin..].iter().position(|line| line.trim_start().starts_with(last));
    let length = length.ok_or_else(|| format!("no line after it begins with {last:?}"))?;
    Ok(lines[begin..=begin + length].to_vec())
}

/// The place of the only line that is wanted.
fn only(lines: &[String], what: &str, is_wanted: impl Fn(&str) -> bool) -> Result<usize, String> {
    let mut found = lines.iter().enumerate().filter(|(_, line)| is_wanted(line)).map(|(at, _)| at);
    let first = found.next().ok_or_else(|| format!("there is no {what:?}"))?;
    match found.next() {
        None => Ok(first),
        Some(second) => Err(format!("{what:?} is on line {} and on line {}", first + 1, second + 1)),
    }
}

/// An item with its documentation and attributes: `fn NAME`, `struct NAME`, `impl TRAIT for NAME`. It ends where
/// rustfmt puts its end: on a line with as much space before it. What is nested is moved to the left.
fn item(lines: &[String], name: &str) -> Result<Vec<String>, String> {
    let at = only(lines, name, |line| begins(line, name))?;
    let indent = |line: &str| line.len() - line.trim_start().len();
    let space = indent(&lines[at]);
    let is_before = |line: &&String| {
        let text = line.trim_start();
        indent(line) == space && (text.starts_with("///") || text.starts_with("#["))
    };
    let begin = at - lines[..at].iter().rev().take_while(is_before).count();
    let ends = |line: &&String| {
        let text = line.trim_end();
        indent(line) == space && (text.ends_with('}') || text.ends_with(';'))
    };
    let length = lines[at..].iter().position(|line| ends(&line)).ok_or_else(|| format!("{name:?} has no end"))?;
    let dedent = |line: &String| line.get(space..).unwrap_or_default().to_owned();
    Ok(lines[begin..=at + length].iter().map(dedent).collect())
}

/// Whether a line begins the item of that name.
fn begins(line: &str, name: &str) -> bool {
    let mut text = line.trim_start();
    loop {
        if let Some(rest) = text.strip_prefix(name)
            && !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')
        {
            return true;
        }
        let modifiers = ["pub(crate) ", "pub(super) ", "pub ", "unsafe ", "async ", "const ", "extern \"C\" "];
        match modifiers.iter().find_map(|modifier| text.strip_prefix(modifier)) {
            Some(rest) => text = rest,
            None => return false,
        }
    }
}

/// The hunks of a unified diff.
fn diff(old: &[String], new: &[String]) -> Vec<String> {
    // The length of the longest common part of what follows.
    let mut common = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for (i, line) in old.iter().enumerate().rev() {
        for (j, other) in new.iter().enumerate().rev() {
            common[i][j] =
                if line == other { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    // Each line with its sign.
    let mut lines = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push((' ', &old[i]));
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || common[i + 1][j] >= common[i][j + 1]) {
            lines.push(('-', &old[i]));
            i += 1;
        } else {
            lines.push(('+', &new[j]));
            j += 1;
        }
    }
    let mut hunks = Vec::new();
    let mut at = 0;
    while let Some(next) = lines[at..].iter().position(|(sign, _)| *sign != ' ') {
        let begin = at.max((at + next).saturating_sub(CONTEXT));
        let mut end = at + next;
        let mut same = 0;
        while end < lines.len() && same <= 2 * CONTEXT {
            same = if lines[end].0 == ' ' { same + 1 } else { 0 };
            end += 1;
        }
        end -= same.saturating_sub(CONTEXT);
        let count = |range: &[(char, &String)], sign| range.iter().filter(|(s, _)| *s == ' ' || *s == sign).count();
        let place = |sign| {
            let (before, length) = (count(&lines[..begin], sign), count(&lines[begin..end], sign));
            format!("{},{length}", if length == 0 { before } else { before + 1 })
        };
        hunks.push(format!("@@ -{} +{} @@", place('-'), place('+')));
        hunks.extend(lines[begin..end].iter().map(|(sign, line)| format!("{sign}{line}")));
        at = end;
    }
    hunks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    const CODE: &str = "//! head\n\n/// What it is.\n#[derive(Debug)]\npub struct Name {\n    field: u8,\n}\n\n\
                        const ONE: u8 = 1;\nimpl Name {\n    /// Does it.\n    pub const unsafe fn does(\n        \
                        &self,\n    ) -> u8 {\n        self.field\n    }\n}\n\nstruct Names(u8);\n";

    #[test]
    fn items_are_found_whole() {
        let code = lines(CODE);
        let found = |name| item(&code, name).map(|lines| lines.join("\n"));
        assert_eq!(found("struct Name").unwrap(), lines(CODE)[2..7].join("\n"));
        assert_eq!(found("const ONE").unwrap(), "const ONE: u8 = 1;");
        let does = "/// Does it.\npub const unsafe fn does(\n    &self,\n) -> u8 {\n    self.field\n}";
        assert_eq!(found("fn does").unwrap(), does);
        assert_eq!(found("struct Names").unwrap(), "struct Names(u8);");
        assert_eq!(found("impl Name").unwrap(), lines(CODE)[9..17].join("\n"));
        assert!(found("fn gone").is_err());
        assert_eq!(run_of_lines(&code, "\"const ONE\" .. \"/// Does\"").unwrap(), code[8..11]);
        assert!(run_of_lines(&code, "\"const ONE\" .. \"gone\"").is_err());
        assert!(run_of_lines(&code, "\"///\" .. \"gone\"").is_err(), "two lines begin so");
    }

    #[test]
    fn diffs_are_those_of_diff() {
        let numbers = |range: std::ops::RangeInclusive<u8>| range.map(|n| n.to_string()).collect::<Vec<_>>();
        let old = numbers(1..=30);
        let mut new = old.clone();
        new[4] = "five".to_owned();
        new.remove(8);
        new.insert(25, "new".to_owned());
        let expected = "@@ -2,11 +2,10 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n-9\n 10\n 11\n 12\n\
                        @@ -24,6 +23,7 @@\n 24\n 25\n 26\n+new\n 27\n 28\n 29";
        assert_eq!(diff(&old, &new), lines(expected));
        assert_eq!(diff(&old, &old), [""; 0]);
        assert_eq!(diff(&[], &lines("a")), lines("@@ -0,0 +1,1 @@\n+a"));
    }
}
