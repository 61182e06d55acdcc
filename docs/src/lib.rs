//! The book, in `chapters/`, and what holds it to the programs: the tests run every command of it, and compare.
//!
//! # The format of a chapter
//!
//! A chapter is plain Markdown that reads well on a forge and in mdBook. What only the tests are to know stands in
//! comments, `<!-- key: value -->`, right before a block of code. There are four kinds of blocks:
//!
//! - `console`: typed by the reader, run by the tests;
//! - `rust` with an `excerpt` comment, and `diff` with a `diff` comment: brought up to date from the code by
//!   `cargo run -p docs -- update`;
//! - `rust,ignore` with a `not tested: WHY` comment: code that is nowhere else;
//! - `text`: anything else.
//!
//! ## Console blocks
//!
//! ```text
//! 1$ cargo run -p part3 --bin webserver3c      typed into terminal 1
//! Serving HTTP on port 8888 ...                what terminal 1 shows then
//! 2$ curl http://localhost:8888/hello          typed into terminal 2
//! Hello, World!
//! 1>                                           terminal 1 is looked at again: what it shows since it was looked at
//! GET /hello HTTP/1.1
//! 2< GET /hello HTTP/1.1                       typed as a line for the program that runs in terminal 2 (nc)
//! 2^D                                          Ctrl-D in terminal 2: the program is told that no more will be typed
//! 1^C                                          Ctrl-C in terminal 1
//! ```
//!
//! - The terminals live through the whole chapter, and what runs in them does so until it ends, until `1^C`, or until
//!   the end of the chapter. `$ ` without a number is one more terminal. All begin in the folder of the workspace.
//! - What a terminal shows must be what the page shows: all of it, line by line. `...` alone on a line stands for any
//!   lines, one at least. Empty lines before and after what is shown do not count, nor do spaces at the ends of lines.
//!   A command that shows nothing on the page must show nothing. Only after `1^C` nothing need be shown.
//! - A command is over when it has ended, or when all that is shown has come and nothing more comes. Before the next
//!   command in the same terminal it must have ended (it is waited for), or have been stopped by `1^C`.
//! - Commands that only look (`ps`, `ss`, `lsof`, `netstat`, `ls`, alone or with a pipe behind them) are typed again
//!   until they show what is on the page, for half a minute. Their lines may begin with a later one and go on with the
//!   first, for ps sorts by numbers of processes, and these begin again from below at some time.
//! - What is run in the place of what is typed: [`command`]. What is not run there (`cargo test`, a browser) is marked.
//!   Programs other than ours are needed if a command begins with them: without one of them the test of the chapter is
//!   skipped, and fails with `SKIP_NOTHING=1`.
//!
//! The comments of a console block:
//!
//! - `<!-- vary: pid 29767 29771; port 50312; time 21.1 ms 3 s; count 71 in 1..127; text "curl/7.88.1" -->`: what is
//!   different each time, by the examples that the block shows. The same number of a process, or of a port, is the same
//!   process or port in all of the chapter, and different numbers are different ones; what is typed (`kill -9 29771`)
//!   gets the real number. A time is a number with a unit. A count is within bounds, both included. A text is anything
//!   within a line, one character at least: for little. Spaces beside numbers may be more or fewer.
//! - `<!-- needs: tput python:flask -->`: programs, or modules of Python's, without which this block is not run (nor
//!   may what follows depend on it). `python` and `python:...` need a Python that a program can have inside, too.
//! - `<!-- not run: it opens a browser -->`: the block is not run, for that reason. `not run on linux`, `not run on
//!   macos`: not there. All are counted and printed.
//! - `<!-- not root: 1 -->`: from this block on, terminal 1 is another user's, if who runs the tests is root, whom some
//!   limits (`ulimit -u`) do not bind. Nothing may run in it at that time.
//! - `<!-- sleep: 20 -->`: how long a stage sleeps that is started in this block and would sleep for a minute.
//!
//! ## Excerpts and diffs
//!
//! - `<!-- excerpt: part3/src/bin/webserver3c.rs: fn serve_forever -->` before a block of `rust` has it hold that item,
//!   with its documentation and attributes: `fn`, `struct`, `enum`, `impl A for B`, `const`, named as the line begins
//!   that begins it, without `pub` and the like. Only one may begin so. `<!-- excerpt: FILE -->` is the whole file, and
//!   `<!-- excerpt: FILE: "first" .. "last" -->` the lines from the one that begins with the first text to the next
//!   that begins with the second. Where the code holds three backticks, the fences have four. What is quoted need not
//!   be Rust: the block may be of another kind (`python`, `toml`).
//! - `<!-- diff: part3/src/bin/webserver3b.rs part3/src/bin/webserver3c.rs -->` before a block of `diff` has it hold
//!   the difference, as `diff -u` writes it: two lines with the names of the files, then hunks with three lines of
//!   context.
//! - `cargo run -p docs -- update` fills these blocks, and changes nothing else. The tests fail when one is not up to
//!   date, is empty, or names something that is gone.
//!
//! ## Links
//!
//! Links are relative: `09-keep-copies-open.md#zombies`, `../../part3/src/bin/webserver3c.rs`, `pictures/fork.svg`.
//! They must lead to a file, and to a heading of a chapter; a picture has a text in its place. SUMMARY.md lists every
//! chapter, and every chapter is linked from another one. In prose, a code span with `cargo run` must name programs and
//! options that exist, unless it has a placeholder (`...`, `NAME`).

pub mod chapter;
pub mod check;
pub mod command;
pub mod quote;
pub mod run;
pub mod screen;
pub mod terminal;
pub mod transcript;

use std::path::{Path, PathBuf};

/// The folder of the workspace.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The folder of the chapters, as it is named from the folder of the workspace.
pub const CHAPTERS: &str = "docs/chapters";
