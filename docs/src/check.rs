//! What must hold of the book besides what its commands show: links lead somewhere, pictures can be read by those who
//! don't see them, the table of contents is complete, and commands name programs and options that exist.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use crate::chapter::{Chapter, Fault};
use crate::command;
use crate::transcript::{Action, steps};

/// The table of contents.
const SUMMARY: &str = "SUMMARY.md";

/// A link or a picture.
#[derive(Debug, PartialEq)]
struct Link {
    line: usize,
    is_image: bool,
    text: String,
    target: String,
}

/// The text with code blocks, code spans and comments blanked out, byte by byte.
fn without_code(text: &str) -> String {
    let mut result = String::new();
    let mut fence: Option<&str> = None;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        let ticks = trimmed.len() - trimmed.trim_start_matches('`').len();
        let is_blank = match fence {
            Some(open) => {
                if trimmed == open {
                    fence = None;
                }
                true
            }
            None if ticks >= 3 => {
                fence = Some(&trimmed[..ticks]);
                true
            }
            None => false,
        };
        if is_blank {
            result.extend(line.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        } else {
            result.push_str(line);
        }
    }
    blank_between(&blank_between(&result, "<!--", "-->"), "`", "`")
}

/// Blanks out what stands between `open` and the next `close`, and these.
fn blank_between(text: &str, open: &str, close: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some((begin, length)) = rest.find(open).and_then(|begin| {
        let inside = &rest[begin + open.len()..];
        Some((begin, inside.find(close)? + open.len() + close.len()))
    }) {
        result.push_str(&rest[..begin]);
        result.extend(rest[begin..begin + length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = &rest[begin + length..];
    }
    result + rest
}

/// The links of a text, in Markdown and in HTML.
fn links(text: &str) -> Vec<Link> {
    let text = without_code(text);
    let line_at = |at: usize| text[..at].matches('\n').count() + 1;
    let mut links = Vec::new();
    let mut open = Vec::new();
    for (at, character) in text.char_indices() {
        match character {
            '[' => open.push(at),
            ']' => {
                let Some(begin) = open.pop() else { continue };
                let Some(rest) = text[at + 1..].strip_prefix('(') else { continue };
                let Some(end) = rest.find(')') else { continue };
                let target = rest[..end].split_whitespace().next().unwrap_or_default().to_owned();
                let is_image = text[..begin].ends_with('!');
                let label = text[begin + 1..at].split_whitespace().collect::<Vec<_>>().join(" ");
                links.push(Link { line: line_at(at), is_image, text: label, target });
            }
            _ => {}
        }
    }
    for (attribute, is_image) in [("href=\"", false), ("src=\"", true)] {
        for (at, _) in text.match_indices(attribute) {
            let target = text[at + attribute.len()..].split('"').next().unwrap_or_default().to_owned();
            let tag = text[..at].rfind('<').map_or("", |begin| &text[begin..]);
            let tag = &tag[..tag.find('>').unwrap_or(tag.len())];
            let label = if is_image { tag.split_once("alt=\"").map_or("", |(_, rest)| rest) } else { "link" };
            let label = label.split('"').next().unwrap_or_default().to_owned();
            links.push(Link { line: line_at(at), is_image, text: label, target });
        }
    }
    links
}

/// The anchors of a text's headings, as forges and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    let without_code = without_code(text);
    for (line, masked) in text.lines().zip(without_code.lines()) {
        let level = masked.chars().take_while(|c| *c == '#').count();
        if level == 0 || level > 6 || !line[level..].starts_with(' ') {
            continue;
        }
        let mut title = line[level..].trim().to_owned();
        while let Some((before, rest)) = title.split_once("](") {
            title = format!("{before}{}", rest.split_once(')').map_or("", |(_, rest)| rest));
        }
        let title = title.to_lowercase();
        let kept = title.chars().filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        });
        let anchor: String = kept.collect();
        let before = times.entry(anchor.clone()).or_default();
        anchors.insert(if *before == 0 { anchor } else { format!("{anchor}-{before}") });
        *before += 1;
    }
    anchors
}

/// The links and pictures that lead nowhere, and the pictures without a text in their place. `chapters` are all in
/// their folder.
pub fn links_that_lead_nowhere(root: &Path, chapters: &[Chapter]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for chapter in chapters {
        for link in links(&chapter.text) {
            if let Err(what) = follow(root, chapters, chapter, &link) {
                faults.push(chapter.fault(link.line, what));
            }
        }
    }
    faults
}

fn follow(root: &Path, chapters: &[Chapter], chapter: &Chapter, link: &Link) -> Result<(), String> {
    if link.is_image && link.text.is_empty() {
        return Err(format!("{} has no text for those who don't see it", link.target));
    }
    if ["https://", "http://", "mailto:"].iter().any(|scheme| link.target.starts_with(scheme)) {
        return Ok(());
    }
    let (path, anchor) =
        link.target.split_once('#').map_or((&*link.target, None), |(path, anchor)| (path, Some(anchor)));
    let folder = chapter.file.parent().unwrap_or(Path::new(""));
    let file = if path.is_empty() { chapter.file.clone() } else { plain(&folder.join(path)) };
    if !root.join(&file).exists() {
        return Err(format!("{} does not exist", link.target));
    }
    let other = chapters.iter().find(|other| other.file == file);
    // mdBook turns a link to Markdown into one to the page that it makes of it.
    let is_markdown = file.extension().is_some_and(|extension| extension == "md");
    if is_markdown && other.is_none() && folder.ends_with("chapters") {
        return Err(format!("{} is no chapter, so mdBook makes no page of it", link.target));
    }
    // The browser's book is in target/book, and nothing beside that is what is beside docs/chapters.
    if folder.ends_with("chapters") && path.starts_with("../") && !path.starts_with("../../") {
        return Err(format!("{path} is not there in the browser's book: write ../../{}", file.display()));
    }
    match (anchor, other) {
        (Some(anchor), Some(other)) if !anchors(&other.text).contains(anchor) => {
            Err(format!("{} has no heading #{anchor}", other.file.display()))
        }
        (Some(anchor), None) => Err(format!("#{anchor}: only chapters have headings to link to")),
        _ => Ok(()),
    }
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

/// What is wrong with the table of contents: a chapter that is missing, or there twice; and chapters that no other one
/// links to, for who reads on a forge has no table of contents.
pub fn table_of_contents(chapters: &[Chapter]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let is_summary = |chapter: &&Chapter| chapter.file.ends_with(SUMMARY);
    let Some(summary) = chapters.iter().find(is_summary) else {
        return vec![Fault { file: SUMMARY.into(), line: 1, what: "there is no table of contents".to_owned() }];
    };
    let names = |chapter: &Chapter| -> Vec<(usize, PathBuf)> {
        let target = |link: Link| Some((link.line, PathBuf::from(link.target.split('#').next()?)));
        links(&chapter.text).into_iter().filter_map(target).collect()
    };
    let mut listed = BTreeSet::new();
    for (line, target) in names(summary) {
        if !chapters.iter().any(|chapter| chapter.file.file_name() == Some(target.as_os_str())) {
            faults.push(summary.fault(line, format!("{} is no chapter", target.display())));
        } else if !listed.insert(target.clone()) {
            faults.push(summary.fault(line, format!("{} is here twice", target.display())));
        }
    }
    for chapter in chapters.iter().filter(|chapter| !is_summary(chapter)) {
        let Some(name) = chapter.file.file_name().map(PathBuf::from) else { continue };
        if !listed.contains(&name) {
            faults.push(chapter.fault(1, format!("this chapter is not in {SUMMARY}")));
        }
        let others = chapters.iter().filter(|other| !is_summary(other) && other.file != chapter.file);
        let is_linked = others.flat_map(names).any(|(_, target)| target == name);
        if !is_linked && name != Path::new("README.md") && chapters.len() > 2 {
            faults.push(chapter.fault(1, "no other chapter links to this one"));
        }
    }
    faults
}

/// The commands that name a package, program or option that does not exist, in console blocks and in code spans.
pub fn commands_that_cannot_be_run(chapter: &Chapter) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (line, command) in commands(chapter) {
        if let Err(what) = command::check(&command) {
            faults.push(chapter.fault(line, format!("{command}: {what}")));
        }
    }
    faults
}

/// What a text has the reader type, as far as it runs cargo or our programs, each with its line. What has a placeholder
/// in it (`...`, NAME) is none.
pub fn commands(chapter: &Chapter) -> Vec<(usize, String)> {
    let mut commands = Vec::new();
    for block in chapter.blocks.iter().filter(|block| block.kind == "console") {
        for step in steps(block).unwrap_or_default() {
            if let Action::Command(command) = step.action {
                commands.push((step.line, command));
            }
        }
    }
    // Code spans: what without_code blanks out, and is no block.
    let mut fence = None;
    let mut prose = String::new();
    for line in chapter.text.lines() {
        let trimmed = line.trim();
        let ticks = trimmed.len() - trimmed.trim_start_matches('`').len();
        match fence {
            Some(open) => {
                if trimmed == open {
                    fence = None;
                }
            }
            None if ticks >= 3 => fence = Some(&trimmed[..ticks]),
            None => prose.push_str(line),
        }
        prose.push('\n');
    }
    let mut line = 1;
    for (part, number) in prose.split('`').zip(0..) {
        let is_placeholder = |word: &str| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase());
        if number % 2 == 1
            && part.contains("cargo run")
            && !part.contains("...")
            && !part.split_whitespace().any(is_placeholder)
        {
            commands.push((line, part.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
        line += part.matches('\n').count();
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_in_prose_alone() {
        let text = "# A [b](b.md)\n\n`[no](x)` and ![a\npicture](p.svg)\n<!-- [no](y) -->\n```text\n[no](z)\n```\n\
                    <img src=\"q.svg\" alt=\"q\"> [![i](i.svg)](l.md#m)\n";
        let found = links(text);
        let found: Vec<_> = found.iter().map(|l| (l.line, l.is_image, &*l.text, &*l.target)).collect();
        assert_eq!(
            found,
            [
                (1, false, "b", "b.md"),
                (4, true, "a picture", "p.svg"),
                (9, true, "i", "i.svg"),
                (9, false, "![i](i.svg)", "l.md#m"),
                (9, true, "q", "q.svg"),
            ]
        );
    }

    #[test]
    fn anchors_are_those_of_forges() {
        let text = "# What `fork` copies, and what not\n## And?\n## And!\n```text\n# no\n```\n### [A](b.md) c_d\n";
        let expected = ["what-fork-copies-and-what-not", "and", "and-1", "a-c_d"];
        assert_eq!(anchors(text), expected.map(str::to_owned).into());
    }
}
