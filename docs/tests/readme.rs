//! The README names what there is: stages, commands, options, files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use client::binary::built;
use client::server::Server;

/// The folder of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// The stages that exist: the package and the name of each.
fn stages() -> Vec<(String, String)> {
    let mut stages = Vec::new();
    for part in ["part1", "part2", "part3"] {
        for entry in fs::read_dir(root().join(part).join("src/bin")).into_iter().flatten() {
            let name = entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
            stages.push((part.to_owned(), name));
        }
    }
    stages.sort();
    stages
}

/// What the README has the reader type: every command behind a prompt or in a code span that runs one of our programs,
/// as words.
fn commands() -> Vec<Vec<String>> {
    let readme = readme();
    let programs = readme.split("cargo run ").skip(1).map(|rest| {
        let end = rest.find(['`', '\n', '#', ')', ';']).unwrap_or(rest.len());
        rest[..end].split_whitespace().map(str::to_owned).collect()
    });
    programs.collect()
}

#[test]
fn every_stage_is_on_the_road_and_can_be_seen() {
    let readme = readme();
    for (part, stage) in stages() {
        assert!(readme.contains(&format!("| [{stage}]({part}/src/bin/{stage}.rs) |")), "{stage} is not on the road");
        assert!(readme.contains(&format!("\n### {stage}\n")), "nothing says how to see {stage}");
        assert!(readme.contains(&format!("1$ cargo run -p {part} --bin {stage}")), "{stage} is not run");
    }
}

#[test]
fn every_command_names_a_program_and_its_options() {
    let commands = commands();
    assert!(commands.len() > 15, "the commands are not found: {commands:?}");
    for words in commands {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let (program, verb, options) = match &words[..] {
            // What stands between the name and `--` is for cargo.
            ["-p", package, "--bin", name, "--features", _, "--", options @ ..] => {
                (built(package, name).unwrap(), None, options)
            }
            ["-p", package, "--bin", name, options @ ..] => (built(package, name).unwrap(), None, options),
            ["-p", "client", "--", verb, options @ ..] if !verb.starts_with('-') => {
                (built("client", "client").unwrap(), Some(verb), options)
            }
            ["-p", "client", options @ ..] => (built("client", "client").unwrap(), None, options),
            _ => panic!("not a command that is known here: {words:?}"),
        };
        let help = Command::new(program).args(verb).arg("--help").output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        let known: BTreeSet<_> = help.split(|c: char| c != '-' && !c.is_alphanumeric()).collect();
        for option in options.iter().filter(|word| word.starts_with("--") && word.len() > 2) {
            assert!(known.contains(option), "{words:?}: there is no {option}");
        }
    }
}

#[test]
fn every_link_leads_somewhere() {
    let readme = readme();
    let targets: BTreeSet<_> = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(targets.len() > 8, "the links are not found: {targets:?}");
    for target in targets.into_iter().filter(|target| !target.starts_with("https://")) {
        assert!(root().join(target).exists(), "{target} does not exist");
    }
}

#[test]
fn the_last_words_of_a_stage_point_to_a_heading() {
    let source = fs::read_to_string(root().join("part3/src/options.rs")).unwrap();
    let headings: Vec<_> = source.split("see ").filter_map(|rest| rest.split_once(" in README.md")).collect();
    assert_eq!(headings.len(), 3, "{headings:?}");
    for (heading, _) in headings {
        assert!(readme().contains(&format!("\n### {heading}\n")), "{heading}");
    }
}

#[test]
fn the_checks_use_the_commands_of_the_readme() {
    let checks = fs::read_to_string(root().join(".ci/run")).unwrap();
    assert!(readme().contains("\n$ cargo test --workspace "));
    assert!(checks.contains("\nSKIP_NOTHING=1 cargo test --workspace\n"), "{checks}");
}

#[test]
fn no_recipe_takes_from_cargo_what_it_needs_itself() {
    let readme = readme();
    let recipes: Vec<_> = readme.lines().filter(|line| line.starts_with("1$ (ulimit ")).collect();
    assert_eq!(recipes.len(), 3, "{recipes:?}");
    for recipe in recipes {
        let is_tight = recipe.contains("ulimit -u") || recipe.contains("ulimit -n 4;");
        assert_eq!(recipe.contains("cargo run"), !is_tight, "{recipe}");
    }
}

/// The one place where cargo itself runs a server, as the reader has it do.
#[test]
fn the_first_command_serves_and_the_client_is_content() {
    assert!(readme().contains("\n$ cargo run -p part3 --bin webserver3g "));
    // Built before, for a build may take longer than a server is waited for.
    built("part3", "webserver3g").unwrap();
    built("client", "client").unwrap();
    let cargo = || {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(root()).arg("run");
        cargo
    };
    let server = Server::start(cargo().args(["-p", "part3", "--bin", "webserver3g", "--", "--port", "0"])).unwrap();

    let port = server.port().to_string();
    let output = cargo().args(["-p", "client", "--", "--max-clients", "128", "--port", &port]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains(&format!("128 clients x 1 connection -> 127.0.0.1:{port}\n")), "{printed}");
    assert!(printed.contains("  answered and closed  128\n"), "{printed}");
}
