//! The programs of this workspace, for tests of packages that don't own them, and for exercises.
//!
//! Cargo tells a test where the binaries of its own package are (`CARGO_BIN_EXE_...`), and builds no others for it.

use std::collections::BTreeSet;
use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// Builds binary `name` of `package` with the profile that the running test was built with, once for each test program,
/// and returns where it is.
///
/// # Errors
/// It can't be built; cargo has said why on standard error.
pub fn built(package: &str, name: &str) -> io::Result<PathBuf> {
    Ok(built_target(package, "--bin", name)?.join(name))
}

/// The same for an example, which tests need that cargo does not tell where it is.
///
/// # Errors
/// It can't be built; cargo has said why on standard error.
pub fn built_example(package: &str, name: &str) -> io::Result<PathBuf> {
    Ok(built_target(package, "--example", name)?.join("examples").join(name))
}

/// The same for all examples of `package`. Returns the folder that they are in.
///
/// # Errors
/// One of them can't be built; cargo has said why on standard error.
pub fn built_examples(package: &str) -> io::Result<PathBuf> {
    Ok(built_target(package, "--examples", "")?.join("examples"))
}

/// Builds an example for a reader, who sees what cargo does and what it has to say about the code. Returns where the
/// example is, or `None` if it does not compile.
///
/// # Errors
/// Cargo can't be run.
pub fn build_for_reader(package: &str, name: &str) -> io::Result<Option<PathBuf>> {
    let folder = profile_folder()?;
    let is_built = cargo_build(&["--package", package, "--example", name], &folder)?.status()?.success();
    Ok(is_built.then(|| folder.join("examples").join(name)))
}

/// Builds several programs with `features` that all of their packages have; each is given as its package and its name.
/// Returns where they are, and that is where [`built`] puts those without features: whoever comes later wins.
///
/// # Errors
/// One of them can't be built; cargo has said why on standard error.
pub fn built_with(features: &[&str], programs: &[(&str, &str)]) -> io::Result<Vec<PathBuf>> {
    let features = features.join(",");
    let mut arguments = vec!["--features", &features];
    for (package, name) in programs {
        arguments.extend(["--package", package, "--bin", name]);
    }
    let folder = profile_folder()?;
    build(&arguments, &folder)?;
    Ok(programs.iter().map(|(_, name)| folder.join(name)).collect())
}

/// Builds what `kind` says, once for each test program. Returns the folder of the profile.
fn built_target(package: &str, kind: &'static str, name: &str) -> io::Result<PathBuf> {
    static BUILT: Mutex<BTreeSet<(String, &'static str, String)>> = Mutex::new(BTreeSet::new());

    let folder = profile_folder()?;
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let program = (package.to_owned(), kind, name.to_owned());
    if !built.contains(&program) {
        let arguments = ["--package", package, kind, name];
        build(arguments.strip_suffix(&[""]).unwrap_or(&arguments), &folder)?;
        built.insert(program);
    }
    Ok(folder)
}

/// The folder of the profile that the running test, or the program, was built with: target/PROFILE of
/// target/PROFILE/deps/test-0123456789abcdef, or of target/PROFILE/program.
pub(crate) fn profile_folder() -> io::Result<PathBuf> {
    let program = env::current_exe()?;
    let folder = program.ancestors().find(|folder| folder.join("deps").is_dir()).map(Path::to_owned);
    folder.ok_or_else(|| {
        let place = program.display();
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("{place} is not in Cargo's target folder (use: cargo run -p client)"),
        )
    })
}

fn build(arguments: &[&str], profile_folder: &Path) -> io::Result<()> {
    let mut cargo = cargo_build(arguments, profile_folder)?;
    cargo.arg("--quiet");
    if cargo.status()?.success() { Ok(()) } else { Err(io::Error::other(format!("{cargo:?} failed"))) }
}

fn cargo_build(arguments: &[&str], profile_folder: &Path) -> io::Result<Command> {
    let profile = profile_folder.file_name().filter(|folder| *folder != "debug").unwrap_or("dev".as_ref());
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.arg("build").args(arguments).arg("--profile").arg(profile);
    cargo.arg("--target-dir").arg(profile_folder.parent().ok_or(io::ErrorKind::NotFound)?);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    Ok(cargo)
}
