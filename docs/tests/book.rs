//! The book: every chapter's commands are run, and what they show is what the page shows; what the pages quote is what
//! the code is, and links lead somewhere; and a browser that is served the book by the server it teaches does not
//! complain.

// Another test program uses the rest of it.
#[allow(dead_code)]
#[path = "../../part2/tests/common/browser.rs"]
mod browser;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use browser::Browser;
use client::binary::built;
use client::server::Server;
use client::tools::Need::Program;
use client::tools::trial;
use docs::chapter::{Chapter, Fault, chapters};
use docs::run::{Pace, needs, run};
use docs::{check, quote, root};
use libtest_mimic::{Arguments, Trial};

fn main() {
    let mut arguments = Arguments::from_args();
    // Chapters wait most of the time.
    arguments.test_threads.get_or_insert(8);
    let mut trials: Vec<Trial> = Vec::new();
    for chapter in all().into_iter().filter(|chapter| chapter.blocks.iter().any(|block| block.kind == "console")) {
        let name = chapter.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match needs(&chapter) {
            Ok(needs) => trials.push(trial(name, &needs, move || is_what_is_seen(&chapter))),
            Err(fault) => trials.push(Trial::test(name, move || Err(fault.to_string().into()))),
        }
    }
    let browser = [Program("mdbook"), Program("chromium"), Program("chromedriver")];
    trials.extend([
        trial("there_is_a_book", &[], || assert!(all().len() > 2, "{} holds no chapters", docs::CHAPTERS)),
        trial("quotations_are_up_to_date", &[], || {
            assert_none(all().iter().flat_map(|chapter| quote::faults(&root(), chapter)));
        }),
        trial("links_lead_somewhere", &[], || assert_none(check::links_that_lead_nowhere(&root(), &all()))),
        trial("the_table_of_contents_is_complete", &[], || assert_none(check::table_of_contents(&all()))),
        trial("commands_name_what_exists", &[], || {
            assert_none(all().iter().flat_map(check::commands_that_cannot_be_run));
        }),
        trial("a_browser_reads_the_book", &browser, a_browser_reads_the_book),
    ]);
    libtest_mimic::run(&arguments, trials).exit();
}

/// The chapters, and the table of contents.
fn all() -> Vec<Chapter> {
    chapters(&root(), Path::new(docs::CHAPTERS)).unwrap_or_default()
}

fn is_what_is_seen(chapter: &Chapter) {
    let report = run(chapter, Pace::default()).unwrap_or_else(|fault| panic!("{fault}"));
    for block in &report.not_run {
        eprintln!("skipped: {block}");
    }
    if !report.not_run.is_empty() {
        eprintln!("{}: {} blocks run, {} not run", chapter.file.display(), report.run, report.not_run.len());
    }
}

fn assert_none(faults: impl IntoIterator<Item = Fault>) {
    let faults: Vec<_> = faults.into_iter().map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// The book as the reader builds and serves it: the folder of the workspace is served, for pages link to the code too.
fn a_browser_reads_the_book() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("target/book");
    let mut mdbook = Command::new("mdbook");
    mdbook.current_dir(root()).args(["build", "docs", "--dest-dir"]).arg(&pages);
    let output = mdbook.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains("WARN") && !said.contains("ERROR"), "{said}");
    for part in ["part1", "part2", "part3", "client", "docs"] {
        copy(&root().join(part), &folder.path().join(part));
    }
    let mut webserver3h = Command::new(built("part3", "webserver3h").unwrap());
    webserver3h.args(["files:app", "--quiet", "--port", "0", "--directory"]).arg(folder.path());
    let server = Server::start(&mut webserver3h).unwrap();
    let origin = format!("http://127.0.0.1:{}", server.port());

    let browser = Browser::start(true);
    let mut seen = BTreeSet::new();
    // As README.md has it.
    let command = "\n$ mdbook build docs && cargo run -p part3 --bin webserver3h -- files:app\n";
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.contains(command) && readme.contains("`http://localhost:8888/target/book/`"));
    let mut next = vec![format!("{origin}/target/book/")];
    let mut others = BTreeSet::new();
    while let Some(page) = next.pop() {
        if !seen.insert(page.clone()) {
            continue;
        }
        browser.open(&page);
        assert!(!browser.text("main h1").is_empty(), "{page}");
        let links = browser.run("return [...document.querySelectorAll('a[href]')].map(a => a.href.split('#')[0])");
        for link in links.as_array().unwrap().iter().map(|link| link.as_str().unwrap().to_owned()) {
            if link.starts_with(&format!("{origin}/target/book/")) && link.ends_with(".html") {
                next.push(link);
            } else if link.starts_with(&origin) {
                others.insert(link);
            }
        }
        // Nothing is loaded from elsewhere, and every picture has come.
        let loaded = browser.run("return performance.getEntriesByType('resource').map(entry => entry.name)");
        for resource in loaded.as_array().unwrap() {
            let resource = resource.as_str().unwrap();
            assert!(resource.starts_with(&origin) || resource.starts_with("data:"), "{page} loads {resource}");
        }
        let broken = browser.run(
            "await Promise.all([...document.images].map(image => image.decode().catch(() => null)));
             return [...document.images].filter(image => !image.naturalWidth).map(image => image.src)",
        );
        assert_eq!(broken.as_array().unwrap().len(), 0, "{page} does not show {broken}");
        assert_eq!(browser.complaints(), "[]", "{page}");
    }
    for chapter in all().iter().filter(|chapter| !chapter.file.ends_with("SUMMARY.md")) {
        let name = chapter.file.with_extension("html").file_name().unwrap().to_string_lossy().into_owned();
        assert!(seen.contains(&format!("{origin}/target/book/{name}")), "no link leads to {name}: {seen:?}");
    }
    for link in others {
        let status = browser.run(&format!("return (await fetch({link:?})).status"));
        assert_eq!(status.as_u64(), Some(200), "{link}");
    }
    assert_eq!(browser.complaints(), "[]");

    // For whoever wants to look at it: desk and phone, light and dark.
    let chapters = all();
    let pictured = chapters.iter().find(|chapter| chapter.text.contains(".svg)")).unwrap_or(&chapters[0]);
    let name = pictured.file.with_extension("html").file_name().unwrap().to_string_lossy().into_owned();
    for (device, width) in [("desk", 1200), ("phone", 390)] {
        for (scheme, is_dark) in [("light", false), ("dark", true)] {
            browser.look(width, is_dark);
            browser.open(&format!("{origin}/target/book/{name}"));
            browser.photograph(&format!("book-{device}-{scheme}.png"));
            let fits = browser.run("return document.documentElement.scrollWidth <= window.innerWidth");
            assert_eq!(fits.as_bool(), Some(true), "{name} is wider than a {device}");
        }
    }
    assert_eq!(browser.complaints(), "[]");
}

/// Copies a folder, without what is built or hidden.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let name = PathBuf::from(entry.file_name());
        if name.starts_with("target") || name.to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(name));
        } else {
            fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}
