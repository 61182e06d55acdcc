//! A chapter: a Markdown file, its blocks of code, and the comments that say what is to be done with them.

use std::fmt::{self, Display};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What is wrong with a chapter, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file, as it is named from the folder of the workspace.
    pub file: PathBuf,
    /// Its line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.what)
    }
}

/// A Markdown file, taken apart.
#[derive(Debug, Clone)]
pub struct Chapter {
    /// The file, as it is named from the folder of the workspace.
    pub file: PathBuf,
    /// All of it.
    pub text: String,
    /// Its blocks of code, in order.
    pub blocks: Vec<Block>,
}

/// A block of code between two fences.
#[derive(Debug, Clone)]
pub struct Block {
    /// The line of the first fence, from 1. The first line of the code is the next one.
    pub line: usize,
    /// The fences: three backticks, or more where the code holds three.
    pub fence: String,
    /// What stands behind the first fence: `console`, `rust`, `diff`.
    pub kind: String,
    /// The lines between the fences.
    pub code: Vec<String>,
    /// The comments right before the block.
    pub comments: Vec<Comment>,
}

/// An HTML comment before a block, `<!-- key: value -->`: readers don't see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Its line, from 1.
    pub line: usize,
    /// What it is about: `vary`, `needs`, `not run`.
    pub key: String,
    /// What it says.
    pub value: String,
}

impl Block {
    /// The comment with that key.
    pub fn comment(&self, key: &str) -> Option<&Comment> {
        self.comments.iter().find(|comment| comment.key == key)
    }
}

impl Chapter {
    /// Reads `file`, which is named from `root`, the folder of the workspace.
    ///
    /// # Errors
    /// It can't be read.
    pub fn read(root: &Path, file: &Path) -> io::Result<Chapter> {
        let text = fs::read_to_string(root.join(file))
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))?;
        Ok(Chapter::parse(file, text))
    }

    /// Takes a text apart that is, or could be, in `file`.
    pub fn parse(file: &Path, text: String) -> Chapter {
        let mut blocks = Vec::new();
        let mut comments = Vec::new();
        let mut lines = text.lines().zip(1..).peekable();
        while let Some((line, number)) = lines.next() {
            if let Some(rest) = line.strip_prefix("<!--") {
                let mut inside = rest.to_owned();
                while !inside.contains("-->") {
                    let Some((more, _)) = lines.next() else { break };
                    inside.push(' ');
                    inside.push_str(more.trim());
                }
                let inside = inside.split("-->").next().unwrap_or_default();
                let (key, value) = inside.split_once(':').unwrap_or((inside, ""));
                comments.push(Comment { line: number, key: key.trim().to_owned(), value: value.trim().to_owned() });
            } else if line.trim_start().starts_with("```") {
                let ticks = line.trim_start().chars().take_while(|c| *c == '`').count();
                let fence = "`".repeat(ticks);
                let kind = line.trim_start()[ticks..].trim().to_owned();
                let mut code = Vec::new();
                for (line, _) in lines.by_ref() {
                    if line.trim_end().trim_start() == fence {
                        break;
                    }
                    code.push(line.to_owned());
                }
                blocks.push(Block { line: number, fence, kind, code, comments: std::mem::take(&mut comments) });
            } else if !line.trim().is_empty() {
                comments.clear();
            }
        }
        Chapter { file: file.to_owned(), text, blocks }
    }

    /// Something that is wrong on a line of it.
    pub fn fault(&self, line: usize, what: impl Display) -> Fault {
        Fault { file: self.file.clone(), line, what: what.to_string() }
    }
}

/// The chapters in `folder` (named from `root`), and all other Markdown there, by name.
///
/// # Errors
/// The folder or one of them can't be read.
pub fn chapters(root: &Path, folder: &Path) -> io::Result<Vec<Chapter>> {
    let entries = fs::read_dir(root.join(folder))
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", folder.display())))?;
    let mut files = Vec::new();
    for entry in entries {
        let name = PathBuf::from(entry?.file_name());
        if name.extension().is_some_and(|extension| extension == "md") {
            files.push(folder.join(name));
        }
    }
    files.sort();
    files.iter().map(|file| Chapter::read(root, file)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_the_comments_right_before_them() {
        let text = "# A\n\n<!-- lost: x -->\ntext\n<!-- vary: pid 1;\n port 2 -->\n<!-- needs: nc -->\n```console\n\
                    1$ ls\n```\n\n````rust,ignore\n```\n````\n";
        let chapter = Chapter::parse(Path::new("a.md"), text.to_owned());
        let [console, rust] = &chapter.blocks[..] else { panic!("{:?}", chapter.blocks) };
        assert_eq!((console.line, console.kind.as_str(), &console.code[..]), (8, "console", &["1$ ls".to_owned()][..]));
        assert_eq!(console.comment("vary").unwrap().value, "pid 1; port 2");
        assert_eq!(console.comment("needs").unwrap().line, 7);
        assert_eq!(console.comments.len(), 2, "a comment belongs to what follows it at once");
        assert_eq!((rust.line, &rust.code[..], rust.comments.len()), (12, &["```".to_owned()][..], 0));
    }
}
