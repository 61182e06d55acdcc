//! What holds the book to the programs notices when a page is wrong: each way to be wrong, on a small page, has its
//! line named. And it has nothing against the same page when it is right.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use docs::chapter::{Chapter, Fault, chapters};
use docs::run::{Pace, Report, run};
use docs::{check, quote, root};
use tempfile::TempDir;

const PACE: Pace = Pace { patience: Duration::from_secs(20), settle: Duration::from_millis(200) };
/// For pages that wait for what never comes.
const HASTY: Pace = Pace { patience: Duration::from_secs(2), settle: Duration::from_millis(200) };

fn page(text: &str) -> Chapter {
    Chapter::parse(Path::new("page.md"), text.to_owned())
}

/// Runs a page of one console block, which begins on line 3.
fn block(comments: &str, code: &str, pace: Pace) -> Result<Report, Fault> {
    run(&page(&format!("# Page\n{comments}\n```console\n{code}\n```\n")), pace)
}

fn is_right(comments: &str, code: &str) {
    let report = block(comments, code, PACE).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!((report.run, report.not_run.len()), (1, 0));
}

/// The page is wrong on that line, and what is said of it holds these texts.
fn is_wrong(comments: &str, code: &str, line: usize, says: &[&str]) {
    let fault = block(comments, code, HASTY).expect_err(code).to_string();
    assert!(fault.starts_with(&format!("page.md:{line}: ")), "{fault}");
    for text in says {
        assert!(fault.contains(text), "{text:?} is not in: {fault}");
    }
}

// ---------------------------------------------------------------- transcripts

const STAGE: &str = "1$ cargo run -p part3 --bin webserver3c\nServing HTTP on port 8888 ...\n\
                     Parent PID (PPID): 29767\n2$ curl http://localhost:8888/hello\nHello, World!\n1>\n\
                     Child PID: 29771. Parent PID 29767\nGET /hello HTTP/1.1\nHost: localhost:8888\n...\n\
                     3$ ps -A -o pid,ppid,stat,args | grep '[w]ebserver3c'\n\
                     29767  3148 S+   target/debug/webserver3c\n29771 29767 S+   target/debug/webserver3c\n1^C";
const VARY: &str = "<!-- vary: pid 29767 29771 3148 -->";

#[test]
fn a_page_about_a_stage_is_right_and_every_change_of_it_is_noticed() {
    is_right(VARY, STAGE);
    let changes = [
        ("Serving HTTP", "Serving FTP", 5, "Serving HTTP on port 8888"),
        ("Hello, World!\n", "", 7, "Hello, World!"),
        ("Hello, World!\n", "Hello, World!\nBye\n", 7, "Bye"),
        ("Child PID: 29771. Parent PID 29767\n", "Child PID: 29771. Parent PID 29771\n", 10, "Child PID"),
        ("Host: localhost:8888\n...\n", "Host: localhost:8888\n", 9, "User-Agent"),
        ("29771 29767 S+ ", "29771  3148 S+ ", 16, "target/debug/webserver3c"),
        ("/webserver3c\n1^C", "/webserver3c\n4^C", 17, "nothing runs in terminal 4"),
        ("\n1^C", "\n1$ echo", 17, "the command of line 4 still runs in terminal 1 (stop it: 1^C)"),
        ("--bin webserver3c", "--bin webserver3x", 4, "webserver3x"),
    ];
    // Each waits most of the time.
    thread::scope(|scope| {
        for (right, wrong, line, says) in changes {
            let code = STAGE.replacen(right, wrong, 1);
            assert_ne!(code, STAGE, "{right}");
            scope.spawn(move || is_wrong(VARY, &code, line, &[says]));
        }
    });
}

#[test]
fn every_line_counts() {
    is_right("", "1$ printf 'a\\nb\\n\\nc\\n'\na\nb\n\nc\n");
    is_wrong("", "1$ printf 'a\\nb\\nc\\n'\na\nx\nc", 6, &["  > x", "  > b"]);
    is_wrong("", "1$ printf 'a\\nb\\nc\\n'\na\nc", 6, &["  > c", "  > b"]);
    is_wrong("", "1$ printf 'a\\nb\\nc\\n'\na\nb", 4, &["  > c"]);
    is_wrong("", "1$ printf 'a\\nb\\n'\na\nb\nc", 4, &["does not show all of this"]);
    is_wrong("", "1$ printf 'a\\n\\nb\\n'\na\nb", 6, &["  > b"]);
    is_wrong("", "1$ echo a", 4, &["(nothing)", "  > a"]);
    is_wrong("", "1$ true\n...", 4, &["does not show all of this"]);
    is_right("", "1$ printf 'a\\nb\\nc\\n'\na\n...");
    is_right("", "1$ printf '\\033[1;31mred\\033[0m\\n'\nred");
    is_right("", "1$ test -t 0 && test -t 1 && tput cols\n100");
}

#[test]
fn what_comes_late_is_waited_for_and_what_comes_later_is_noticed() {
    is_right("", "1$ sleep 1; echo a\na");
    is_right("", "1$ echo a; sleep 1; echo b\na\n2$ true\n1>\nb\n");
    is_wrong("", "1$ echo a; sleep 1; echo b\na\n2$ true\n1$ true", 4, &["shows more", "b"]);
    is_wrong("", "1$ echo a; sleep 1; echo b\na\n2$ sleep 2\n2$ true", 4, &["shows more", "b"]);
    is_wrong("", "1$ echo a; sleep 30\na\n1>\nb", 6, &["terminal 1"]);
}

#[test]
fn what_does_not_end_is_noticed() {
    is_wrong("", "1$ sleep 30\n1$ echo a\na", 5, &["the command of line 4 still runs in terminal 1", "sleep 30"]);
    is_wrong("", "1$ trap '' INT; sleep 30\n1^C", 5, &["Ctrl-C does not end the command of line 4"]);
    is_right("", "1$ sleep 30\n1^C\n1$ echo a\na");
    is_right("", "1$ cat\n1< one\none\n1< two\ntwo\n1^D\n1$ echo a\na");
    is_wrong("", "1$ true\n1^C", 5, &["nothing runs in terminal 1: the command of line 4 has ended"]);
    is_wrong("", "1$ true\n1< a", 5, &["nothing runs in terminal 1"]);
}

#[test]
fn numbers_are_what_they_are_said_to_be() {
    let vary = "<!-- vary: pid 11 12; count 71 in 1..127; time 21.1 ms; text \"x y\" -->";
    let code = "1$ echo 5 5 6, 99, 3 s, what ever.\n11 11 12, 71, 21.1 ms, x y.";
    is_right(vary, code);
    for (right, wrong) in
        [("5 5 6", "5 6 6"), ("5 5 6", "5 5 5"), ("99", "128"), ("99", "0"), ("3 s", "3"), ("5 5", "5 a")]
    {
        is_wrong(vary, &code.replacen(right, wrong, 1), 5, &[wrong]);
    }
    let two = "1$ echo 5; echo 7\n11\n12\n1$ echo 5\n11\n1$ echo 12\n12";
    is_right("<!-- vary: pid 11 12 -->", two);
    is_wrong("<!-- vary: pid 11 12 -->", &two.replace("echo 5\n11\n1", "echo 8\n11\n1"), 8, &["8", "11 is 5"]);
    is_wrong("<!-- vary: pid 11 -->", "1$ echo 11\n11", 4, &["no terminal has shown 11"]);
    is_wrong("<!-- vary: count 5 in 1..9 -->", "1$ echo 4\n4", 3, &["does not show 5"]);
    is_wrong("<!-- vary: nonsense 5 -->", "1$ echo 5\n5", 2, &["nonsense"]);
    is_wrong("<!-- varry: pid 5 -->", "1$ echo 5\n5", 2, &["varry"]);
}

#[test]
fn what_is_not_run_says_why() {
    let report = block("<!-- not run: it opens a browser -->", "1$ exit 1", PACE).unwrap();
    assert_eq!(report.run, 0);
    assert_eq!(report.not_run[0].to_string(), "page.md:3: not run: it opens a browser");
    is_wrong("<!-- not run: -->", "1$ true", 2, &["says nothing"]);
    is_wrong("", "1$ cargo test --workspace", 4, &["not run: why"]);
    is_wrong("", "text alone", 4, &["```text"]);
    let elsewhere =
        format!("<!-- not run on {}: it can't -->", if cfg!(target_os = "linux") { "macos" } else { "linux" });
    is_right(&elsewhere, "1$ true");
    let needs = docs::run::needs(&page("```console\n1$ nc a | (grep b; cd x)\n```\n")).unwrap();
    assert_eq!(needs.iter().map(ToString::to_string).collect::<Vec<_>>(), ["bash", "grep", "nc"]);
}

/// A chapter's processes are its own, though chapters run at the same time; and nothing is left of them.
#[test]
fn ps_shows_the_processes_of_the_page_and_none_is_left() {
    let mut other = std::process::Command::new("sleep").arg("4242").spawn().unwrap();
    let name = "<!-- vary: pid 11 -->";
    is_right(
        name,
        "1$ sleep 4242\n2$ ps -A -o pid,args | grep '[s]leep 4242'\n11 sleep 4242\n1$ true"
            .trim_end_matches("\n1$ true"),
    );
    other.kill().unwrap();
    other.wait().unwrap();
    let left = std::process::Command::new("ps").args(["-A", "-o", "args"]).output().unwrap();
    assert!(!String::from_utf8_lossy(&left.stdout).lines().any(|line| line == "sleep 4242"));
}

#[test]
fn limits_bind_whoever_reads() {
    let recipe = "1$ (ulimit -u $(($(ps -U \"$(id -u)\" -L -o pid= | wc -l) + 50)); \
                  target/debug/webserver3d > /dev/null)\n\
                  2$ cargo run -p client -- --max-conns 100\n...\n1>\nwebserver3d: fork: EAGAIN: Try again (every child \
                  counts as a process, and so does every zombie: see it)";
    let vary = "<!-- not root: 1 -->\n<!-- vary: text \"see it\" -->";
    if cfg!(target_os = "linux") {
        let report = block(vary, recipe, PACE).unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!(report.run, 1);
    }
    is_wrong("<!-- not root: x -->", "1$ true", 2, &["not the number of a terminal"]);
}

// ---------------------------------------------------------------- quotations

/// A workspace of a file and a page.
fn workspace(code: &str, page: &str) -> (TempDir, Chapter) {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("code.rs"), code).unwrap();
    fs::write(folder.path().join("page.md"), page).unwrap();
    let chapter = Chapter::read(folder.path(), Path::new("page.md")).unwrap();
    (folder, chapter)
}

fn only_fault(faults: &[Fault]) -> String {
    let [fault] = faults else { panic!("{faults:?}") };
    fault.to_string()
}

const CODE: &str = "//! head\n\n/// One.\nfn one() {\n    two();\n}\n\nfn two() {}\n";

#[test]
fn a_quotation_that_is_stale_empty_or_gone_is_noticed_and_brought_up_to_date() {
    let right = "# Page\n\n<!-- excerpt: code.rs: fn one -->\n```rust\n/// One.\nfn one() {\n    two();\n}\n```\nend\n";
    let (folder, chapter) = workspace(CODE, right);
    assert_eq!(quote::faults(folder.path(), &chapter), []);
    assert_eq!(quote::updated(folder.path(), &chapter).unwrap(), right, "nothing else is changed");

    let (folder, chapter) = workspace(&CODE.replace("    two();", "    three();"), right);
    assert!(only_fault(&quote::faults(folder.path(), &chapter)).starts_with("page.md:7: this is not what the code is"));
    let updated = quote::updated(folder.path(), &chapter).unwrap();
    assert_eq!(updated, right.replace("two()", "three()"));

    let empty = "<!-- excerpt: code.rs: fn two -->\n```rust\n```\n";
    let (folder, chapter) = workspace(CODE, empty);
    assert!(only_fault(&quote::faults(folder.path(), &chapter)).starts_with("page.md:3: this is empty"));
    assert_eq!(quote::updated(folder.path(), &chapter).unwrap(), empty.replace("rust\n", "rust\nfn two() {}\n"));

    for (value, says) in [
        ("code.rs: fn three", "there is no \"fn three\""),
        ("gone.rs", "gone.rs: No such file"),
        ("code.rs: \"fn one\" .. \"gone\"", "no line after it begins with \"gone\""),
    ] {
        let (folder, chapter) = workspace(CODE, &format!("<!-- excerpt: {value} -->\n```rust\n```\n"));
        let fault = only_fault(&quote::faults(folder.path(), &chapter));
        assert!(fault.starts_with("page.md:2: ") && fault.contains(says), "{fault}");
        assert!(quote::updated(folder.path(), &chapter).is_err());
    }
    for (unheld, says) in [
        ("```rust\nlet a = 1;\n```\n", "quotes nothing"),
        ("```rust,ignore\nlet a = 1;\n```\n", "not tested"),
        ("```diff\n-a\n```\n", "diff: FILE FILE"),
        ("```\na\n```\n", "quotes nothing"),
    ] {
        let (folder, chapter) = workspace(CODE, unheld);
        assert!(only_fault(&quote::faults(folder.path(), &chapter)).contains(says), "{unheld}");
    }
}

#[test]
fn a_stale_diff_is_noticed_and_brought_up_to_date() {
    let page = "<!-- diff: code.rs other.rs -->\n```diff\n```\n";
    let (folder, chapter) = workspace(CODE, page);
    fs::write(folder.path().join("other.rs"), CODE.replace("fn two() {}", "fn two() {} // new")).unwrap();
    assert!(only_fault(&quote::faults(folder.path(), &chapter)).starts_with("page.md:3: this is empty"));
    let text = quote::updated(folder.path(), &chapter).unwrap();
    let expected = "<!-- diff: code.rs other.rs -->\n```diff\n--- code.rs\n+++ other.rs\n@@ -5,4 +5,4 @@\n     two();\n \
                    }\n \n-fn two() {}\n+fn two() {} // new\n```\n";
    assert_eq!(text, expected);
    let chapter = Chapter::parse(Path::new("page.md"), text);
    assert_eq!(quote::faults(folder.path(), &chapter), []);
    fs::write(folder.path().join("other.rs"), CODE.replace("fn two() {}", "fn two() {} // newer")).unwrap();
    assert!(only_fault(&quote::faults(folder.path(), &chapter)).starts_with("page.md:10: "));
    fs::write(folder.path().join("other.rs"), CODE).unwrap();
    assert!(only_fault(&quote::faults(folder.path(), &chapter)).contains("do not differ"));
}

// ---------------------------------------------------------------- links and contents

/// A book of three chapters, a picture and a file of code; with `change` made to the first chapter or the contents.
fn book(file: &str, right: &str, wrong: &str) -> (TempDir, Vec<Chapter>) {
    let folder = TempDir::new().unwrap();
    let chapters_folder = folder.path().join("docs/chapters");
    fs::create_dir_all(&chapters_folder).unwrap();
    fs::write(folder.path().join("code.rs"), CODE).unwrap();
    fs::write(chapters_folder.join("a.svg"), "<svg/>").unwrap();
    let one = "# One\n\n[two](02-two.md#the-end), [here](#one), [code](../../code.rs), ![a picture](a.svg)\n\
               [start](README.md)\n";
    for (name, text) in [
        ("README.md", "# Start\n\n[one](01-one.md)\n"),
        ("01-one.md", one),
        ("02-two.md", "# Two\n\n## The end\n"),
        ("SUMMARY.md", "# Summary\n\n[Start](README.md)\n- [One](01-one.md)\n- [Two](02-two.md)\n"),
    ] {
        let text = if name == file { text.replacen(right, wrong, 1) } else { text.to_owned() };
        fs::write(chapters_folder.join(name), text).unwrap();
    }
    let chapters = chapters(folder.path(), Path::new(docs::CHAPTERS)).unwrap();
    (folder, chapters)
}

#[test]
fn links_and_pictures_that_lead_nowhere_are_noticed() {
    let (folder, right) = book("", "", "");
    assert_eq!(check::links_that_lead_nowhere(folder.path(), &right), []);
    for (right, wrong, says) in [
        ("02-two.md#", "03-two.md#", "03-two.md#the-end does not exist"),
        ("#the-end", "#the-begin", "02-two.md has no heading #the-begin"),
        ("#one", "#two", "01-one.md has no heading #two"),
        ("../../code.rs", "../code.rs", "../code.rs does not exist"),
        ("../../code.rs", "../chapters/02-two.md", "write ../../docs/chapters/02-two.md"),
        ("../../code.rs", "../../code.rs#L5", "only chapters have headings"),
        ("a.svg", "b.svg", "b.svg does not exist"),
        ("![a picture]", "![]", "no text for those who don't see it"),
    ] {
        let (folder, chapters) = book("01-one.md", right, wrong);
        let fault = only_fault(&check::links_that_lead_nowhere(folder.path(), &chapters));
        assert!(fault.starts_with("docs/chapters/01-one.md:3: ") && fault.contains(says), "{fault}");
    }
}

#[test]
fn a_chapter_that_is_not_in_the_contents_is_noticed() {
    let (_folder, right) = book("", "", "");
    assert_eq!(check::table_of_contents(&right), []);
    for (file, right, wrong, says) in [
        ("SUMMARY.md", "- [Two](02-two.md)\n", "", "02-two.md:1: this chapter is not in SUMMARY.md"),
        ("SUMMARY.md", "(02-two.md)\n", "(02-two.md)\n- [Three](03.md)\n", "SUMMARY.md:6: 03.md is no chapter"),
        ("SUMMARY.md", "(02-two.md)\n", "(02-two.md)\n- [Two](02-two.md)\n", "SUMMARY.md:6: 02-two.md is here twice"),
        ("01-one.md", "02-two.md#the-end", "#one", "02-two.md:1: no other chapter links to this one"),
    ] {
        let (_folder, chapters) = book(file, right, wrong);
        let fault = only_fault(&check::table_of_contents(&chapters));
        assert!(fault.ends_with(says), "{fault}");
    }
}

#[test]
fn a_command_that_names_what_does_not_exist_is_noticed() {
    let right = "# Page\n`cargo run -p part3 --bin webserver3g -- --backlog 5` and `cargo run -p client -- --show`\n\
                 ```console\n1$ cargo run -p part1 --bin webserver1 -- --port 8080\n$ cargo bench -p part3 --bench \
                 cpu_per_request\n```\n";
    assert_eq!(check::commands_that_cannot_be_run(&page(right)), []);
    for (right_part, wrong, line, says) in [
        ("--backlog", "--backlag", 2, "webserver3g has no option --backlag"),
        ("--show", "--shown", 2, "client has no option --shown"),
        ("--bin webserver3g", "--bin webserver3z", 2, "webserver3z"),
        ("--port", "--part", 4, "webserver1 has no option --part"),
        ("cpu_per_request", "nothing", 5, "part3 has no nothing in benches"),
        ("bench -p part3", "bench -p part7", 5, "there is no package part7"),
    ] {
        let text = right.replacen(right_part, wrong, 1);
        let fault = only_fault(&check::commands_that_cannot_be_run(&page(&text)));
        assert!(fault.starts_with(&format!("page.md:{line}: ")) && fault.contains(says), "{fault}");
    }
    assert!(root().join("Cargo.toml").is_file());
}

// ---------------------------------------------------------------- the small examples

#[test]
fn the_examples_show_what_they_are_for() {
    let vary = "<!-- vary: pid 7182 7190 3148; port 40415 60589 -->";
    let code = "1$ cargo run -p docs --example ephemeral_port\nthe server listens on 127.0.0.1:40415\n\
                the client's end is 127.0.0.1:60589, and the other end is 127.0.0.1:40415\n\
                the server's end is 127.0.0.1:40415, and the other end is 127.0.0.1:60589\n\
                1$ cargo run -p docs --example process_ids\nmy process id is 7182\nmy parent's is 3148\n\
                1$ cargo run -p docs --example descriptors\nstandard input is 0, output 1, error 2\n\
                two sockets are 3 and 4\n3 is closed, and the next socket is 3\n\
                1$ cargo run -p docs --example write_to_descriptor\nhello\nwrite has written 6 bytes\n\
                1$ cargo run -p docs --example copies\n\
                the server has two copies of its end: the client would wait\n\
                one of them is closed:                the client would wait\n\
                both are closed:                      the client sees the end\n";
    is_right(vary, code);
    let vary = "<!-- vary: pid 7182 7190 -->";
    let code = "1$ cargo run -p docs --example fork_returns\nI am 7182, and call fork once\n\
                in the child, 7190, it returned Child; my parent is 7182\n\
                in the parent, 7182, it returned the child's id, 7190\n";
    is_right(vary, code);
    let code = "1$ cargo run -p docs --example wait_returns\nExited(Pid(7182), 7)\n\
                Signaled(Pid(7190), SIGKILL, false)\nErr(ECHILD)\n";
    is_right(vary, code);
}
