//! What a test needs from outside: a program that may not be installed, a right that it may not have.
//!
//! The test programs that hold such tests have no harness of Rust's, which can't skip a test once it runs.

use std::collections::BTreeMap;
use std::env;
use std::fmt::{self, Display};
use std::fs;
use std::net::{Ipv6Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use nix::unistd::geteuid;

/// Something that a test needs from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A program on the PATH.
    Program(&'static str),
    /// The right to run a program as another user, which only root has.
    AnotherUser,
    /// Ports below 1024 that not everybody may bind. Linux lets the administrator move that border (ip(7)).
    PrivilegedPorts,
    /// The right to mount a file system where nobody else sees it: root has it, and where a user may be root in a
    /// namespace of their own, everybody (user_namespaces(7)).
    Mounts,
    /// An IPv6 loopback address, which some containers lack.
    Ipv6,
    /// A module of Python's that is not part of it.
    PythonModule(&'static str),
}

impl Need {
    /// Whether it is there.
    pub fn is_met(self) -> bool {
        match self {
            Need::Program(name) => {
                let path = env::var_os("PATH").unwrap_or_default();
                env::split_paths(&path).any(|folder| folder.join(name).is_file())
            }
            Need::AnotherUser => geteuid().is_root(),
            Need::PrivilegedPorts => {
                let border = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
                border.map_or(Some(1024), |border| border.trim().parse().ok()).is_some_and(|border| border >= 1024)
            }
            Need::Mounts => {
                let mut unshare = Command::new("unshare");
                unshare.args(["--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]);
                unshare.stdout(Stdio::null()).stderr(Stdio::null());
                unshare.status().is_ok_and(|status| status.success())
            }
            Need::Ipv6 => TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok(),
            Need::PythonModule(name) => is_importable(name),
        }
    }
}

/// The Python of the virtual environment that is active, or else the first one on the PATH.
pub fn python() -> PathBuf {
    match env::var_os("VIRTUAL_ENV").filter(|folder| !folder.is_empty()) {
        Some(folder) => Path::new(&folder).join("bin/python3"),
        None => PathBuf::from("python3"),
    }
}

/// Whether that Python finds `module`. It is asked once for each.
fn is_importable(module: &'static str) -> bool {
    const ASK: &str = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)";
    static KNOWN: Mutex<BTreeMap<&str, bool>> = Mutex::new(BTreeMap::new());

    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    *known.entry(module).or_insert_with(|| {
        let mut ask = Command::new(python());
        ask.args(["-c", ASK, module]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        ask.status().is_ok_and(|status| status.success())
    })
}

impl Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Need::Program(name) => write!(f, "{name}"),
            Need::AnotherUser => write!(f, "root, to become another user"),
            Need::PrivilegedPorts => write!(f, "ports below 1024 to be privileged"),
            Need::Mounts => write!(f, "unshare and the right to mount a file system with it"),
            Need::Ipv6 => write!(f, "an IPv6 loopback address"),
            Need::PythonModule(name) => write!(f, "Python's module {name} (part2/python/test installs it)"),
        }
    }
}

/// A test that needs something from outside. It is skipped, and counted as ignored, where that is missing; with
/// `SKIP_NOTHING=1` in the environment it fails there.
#[cfg(feature = "trials")]
pub fn trial(name: impl Into<String>, needs: &[Need], test: impl FnOnce() + Send + 'static) -> libtest_mimic::Trial {
    let name = name.into();
    let missing = needs.iter().copied().find(|need| !need.is_met());
    let skip_nothing = env::var_os("SKIP_NOTHING").is_some_and(|value| value != "0");
    let skip = missing.filter(|_| !skip_nothing);
    if let Some(need) = skip {
        eprintln!("skipped: {name}: it needs {need}");
    }
    let run = move || match missing {
        Some(need) => Err(format!("it needs {need}").into()),
        None => {
            test();
            Ok(())
        }
    };
    libtest_mimic::Trial::test(name, run).with_ignored_flag(skip.is_some())
}
