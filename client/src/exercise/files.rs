//! The files of an exercise: a start, which is the reader's to work on, and an answer. What their headers say is all
//! that is known of an exercise.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::binary::profile_folder;
use crate::check::Stage;
use crate::output::Failure;

/// The folder of the workspace.
pub fn workspace() -> &'static Path {
    let client = Path::new(env!("CARGO_MANIFEST_DIR"));
    client.parent().unwrap_or(client)
}

/// An exercise: a folder `STAGE-name` of docs/exercises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exercise {
    /// The stage that its answer is.
    pub stage: Stage,
    folder: PathBuf,
    /// A copy of the start that passed last, in Cargo's target folder: no repository has it, and `cargo clean` forgets
    /// it.
    passed: PathBuf,
}

impl Exercise {
    /// All of them, in the order of the story.
    ///
    /// # Errors
    /// [`Failure::NoExercises`], when they are not where they should be.
    pub fn all() -> Result<Vec<Exercise>, Failure> {
        let records = profile_folder().map_err(Failure::Cargo)?.with_file_name("exercises");
        Exercise::all_in(&workspace().join("docs/exercises"), &records)
    }

    fn all_in(folder: &Path, records: &Path) -> Result<Vec<Exercise>, Failure> {
        let failure = |reason| Failure::NoExercises { folder: folder.to_owned(), reason };
        let mut exercises = Vec::new();
        for entry in fs::read_dir(folder).map_err(failure)? {
            let folder = entry.map_err(failure)?.path();
            let stage = folder.file_name().and_then(|name| name.to_str()?.split_once('-')?.0.parse().ok());
            let record = |stage| records.join(format!("{stage}.rs"));
            exercises.extend(stage.map(|stage| Exercise { stage, folder, passed: record(stage) }));
        }
        exercises.sort_by_key(|exercise| exercise.stage);
        if exercises.is_empty() { Err(failure(ErrorKind::NotFound.into())) } else { Ok(exercises) }
    }

    /// The one for `stage`.
    ///
    /// # Errors
    /// [`Failure::NoExercises`], when it is not where it should be.
    pub fn of(stage: Stage) -> Result<Exercise, Failure> {
        let wanted = || workspace().join(format!("docs/exercises/{stage}-..."));
        let missing = || Failure::NoExercises { folder: wanted(), reason: ErrorKind::NotFound.into() };
        Exercise::all()?.into_iter().find(|exercise| exercise.stage == stage).ok_or_else(missing)
    }

    /// The exercise that follows it.
    pub fn next(&self) -> Option<Exercise> {
        Exercise::all().ok()?.into_iter().find(|exercise| exercise.stage > self.stage)
    }

    /// The file that the reader works on.
    pub fn start(&self) -> PathBuf {
        self.folder.join("start.rs")
    }

    /// The file to compare it with.
    pub fn answer(&self) -> PathBuf {
        self.folder.join("answer.rs")
    }

    /// What the header of its start says.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn task(&self) -> Result<Header, Failure> {
        Header::of(&self.start())
    }

    /// What the header of its answer says: hints, and why it is the answer.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn explanation(&self) -> Result<Header, Failure> {
        Header::of(&self.answer())
    }

    /// Whether the start, as it is now, has passed its check.
    pub fn has_passed(&self) -> bool {
        fs::read(&self.passed).is_ok_and(|passed| fs::read(self.start()).is_ok_and(|start| start == passed))
    }

    /// Remembers `source`: a start that has passed its check.
    ///
    /// # Errors
    /// Those of writing a file in Cargo's target folder.
    pub fn remember(&self, source: &[u8]) -> io::Result<()> {
        fs::create_dir_all(self.passed.parent().ok_or(ErrorKind::NotFound)?)?;
        fs::write(&self.passed, source)
    }
}

/// The `//!` lines at the beginning of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The first line, without the name of the program.
    pub title: String,
    /// The others, by the word that each paragraph begins with.
    paragraphs: Vec<(String, String)>,
}

impl Header {
    /// The one of the file at `path`.
    ///
    /// # Errors
    /// The file can't be read.
    fn of(path: &Path) -> Result<Header, Failure> {
        match fs::read_to_string(path) {
            Ok(source) => Ok(Header::parse(&source)),
            Err(reason) => Err(Failure::NoExercises { folder: path.to_owned(), reason }),
        }
    }

    fn parse(source: &str) -> Header {
        let mut lines = source.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
        let first = lines.next().unwrap_or_default();
        let mut paragraphs: Vec<(String, String)> = Vec::new();
        for line in lines.filter(|line| !line.is_empty()) {
            let word =
                line.split_once(": ").filter(|(word, _)| WORDS.contains(&word.trim_end_matches([' ', '1', '2', '3'])));
            match (word, paragraphs.last_mut()) {
                (Some((word, text)), _) => paragraphs.push((word.to_owned(), text.to_owned())),
                (None, Some((_, text))) => *text = format!("{text} {line}"),
                (None, None) => {}
            }
        }
        let title = first.split_once(": ").map_or(first, |(_, title)| title);
        Header { title: title.to_owned(), paragraphs }
    }

    /// The paragraph that begins with `word`.
    pub fn paragraph(&self, word: &str) -> Option<&str> {
        let paragraph = self.paragraphs.iter().find(|(first, _)| first == word);
        paragraph.map(|(_, text)| text.as_str())
    }

    /// The hints, the least telling first.
    pub fn hints(&self) -> Vec<&str> {
        let hints = self.paragraphs.iter().filter(|(word, _)| word.starts_with("Hint"));
        hints.map(|(_, text)| text.as_str()).collect()
    }
}

/// What a paragraph of a header may begin with.
const WORDS: [&str; 5] = ["Task", "Now", "Try", "Hint", "Why"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_taken_apart() {
        let header = Header::parse(
            "//! exercise-0: nothing: at all\n//!\n//! Task: do it,\n//! and: well.\n//! Hint 1: a\n//! Hint 2: b: c\n\n//! Why: no",
        );
        assert_eq!(header.title, "nothing: at all");
        assert_eq!(header.paragraph("Task"), Some("do it, and: well."));
        assert_eq!(header.hints(), ["a", "b: c"]);
        assert_eq!(header.paragraph("Why"), None, "it is not in the header any more");
        assert_eq!(Header::parse("fn main() {}\n"), Header { title: String::new(), paragraphs: Vec::new() });
    }

    #[test]
    fn where_no_exercises_are_it_is_said_where_they_should_be() {
        let folder = tempfile::tempdir().unwrap();
        for folder in [folder.path().join("nowhere"), folder.path().to_owned()] {
            let failure = Exercise::all_in(&folder, &folder).unwrap_err().to_string();
            assert!(failure.contains(folder.to_str().unwrap()) && failure.contains("git checkout"), "{failure}");
        }
    }

    #[test]
    fn an_exercise_has_passed_until_its_start_is_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (exercises, records) = (folder.path().join("exercises"), folder.path().join("target/exercises"));
        for name in ["3a-later", "1-first", "notes"] {
            fs::create_dir_all(exercises.join(name)).unwrap();
        }
        let exercises = Exercise::all_in(&exercises, &records).unwrap();
        assert_eq!(exercises.iter().map(|exercise| exercise.stage.name()).collect::<Vec<_>>(), ["1", "3a"]);

        fs::write(exercises[0].start(), "solved").unwrap();
        assert!(!exercises[0].has_passed());
        exercises[0].remember(b"solved").unwrap();
        assert!(exercises[0].has_passed() && !exercises[1].has_passed());
        fs::write(exercises[0].start(), "spoilt").unwrap();
        assert!(!exercises[0].has_passed());
    }
}
