//! The README names what there is: stages, commands, options, files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use client::binary::built;
use client::server::Server;
use docs::chapter::{Chapter, Fault};
use docs::check;

/// The folder of the workspace.
fn root() -> PathBuf {
    docs::root()
}

fn readme() -> String {
    page().text
}

fn page() -> Chapter {
    Chapter::read(&root(), Path::new("README.md")).unwrap()
}

fn assert_none(faults: &[Fault]) {
    assert!(faults.is_empty(), "{}", faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n"));
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
    let commands = check::commands(&page());
    assert!(commands.len() > 15, "the commands are not found: {commands:?}");
    assert_none(&check::commands_that_cannot_be_run(&page()));
}

#[test]
fn every_link_leads_somewhere() {
    assert!(readme().matches("](").count() > 8, "the links are not found");
    assert_none(&check::links_that_lead_nowhere(&root(), &[page()]));
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
