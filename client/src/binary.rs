//! The programs of this workspace, for tests of packages that don't own them.
//!
//! Cargo tells a test where the binaries of its own package are (`CARGO_BIN_EXE_...`), and builds no others for it.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
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

/// Builds what `kind` says. Returns the folder of the profile.
fn built_target(package: &str, kind: &'static str, name: &str) -> io::Result<PathBuf> {
    static BUILT: Mutex<BTreeSet<(String, &'static str, String)>> = Mutex::new(BTreeSet::new());

    let test = env::current_exe()?; // target/PROFILE/deps/test-0123456789abcdef
    let profile_folder = test.ancestors().nth(2).ok_or(io::ErrorKind::NotFound)?;
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let program = (package.to_owned(), kind, name.to_owned());
    if !built.contains(&program) {
        build(package, kind, name, profile_folder)?;
        built.insert(program);
    }
    Ok(profile_folder.to_owned())
}

fn build(package: &str, kind: &str, name: &str, profile_folder: &Path) -> io::Result<()> {
    let profile = match profile_folder.file_name() {
        Some(folder) if folder != "debug" => folder.to_owned(),
        _ => OsString::from("dev"),
    };
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", package, kind, name, "--profile"]).arg(profile);
    cargo.arg("--target-dir").arg(profile_folder.parent().ok_or(io::ErrorKind::NotFound)?);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    if cargo.status()?.success() { Ok(()) } else { Err(io::Error::other(format!("{cargo:?} failed"))) }
}

/// Builds several programs with `features` that all of their packages have; each is given as its package and its name.
/// Returns where they are, and that is where [`built`] puts those without features: whoever comes later wins.
///
/// # Errors
/// One of them can't be built; cargo has said why on standard error.
pub fn built_with(features: &[&str], programs: &[(&str, &str)]) -> io::Result<Vec<PathBuf>> {
    let test = env::current_exe()?;
    let profile_folder = test.ancestors().nth(2).ok_or(io::ErrorKind::NotFound)?;
    let profile = profile_folder.file_name().filter(|folder| *folder != "debug").unwrap_or("dev".as_ref());
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--profile"]).arg(profile).args(["--features", &features.join(",")]);
    for (package, name) in programs {
        cargo.args(["--package", package, "--bin", name]);
    }
    cargo.arg("--target-dir").arg(profile_folder.parent().ok_or(io::ErrorKind::NotFound)?);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    match cargo.status()?.success() {
        true => Ok(programs.iter().map(|(_, name)| profile_folder.join(name)).collect()),
        false => Err(io::Error::other(format!("{cargo:?} failed"))),
    }
}
