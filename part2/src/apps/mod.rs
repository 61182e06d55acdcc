//! Applications by name: `module:callable`, the same way for every server.
//!
//! Those that are built in come first. Their modules are the files of this folder.

pub mod hello;

use std::fmt::{self, Display};

use crate::Application;

/// An application, whichever it is.
pub type AnyApplication = Box<dyn Application>;

/// An application that is built in, or would be with another feature of this package.
struct Known {
    name: &'static str,
    /// What it shows, in a few words.
    shows: &'static str,
    feature: Option<&'static str>,
    make: Option<fn() -> AnyApplication>,
}

/// What is known by name, in the order in which it is listed.
const KNOWN: &[Known] =
    &[Known { name: "hello:app", shows: "a bare function", feature: None, make: Some(|| Box::new(hello::app)) }];

/// Finds the application called `name`.
///
/// # Errors
/// There is none, or this build lacks it; the error says what to do.
pub fn find(name: &str) -> Result<AnyApplication, NotFound> {
    let (module, callable) = match name.split_once(':') {
        Some((module, callable)) if !module.is_empty() && !callable.is_empty() => (module, callable),
        _ => return Err(NotFound(format!("{name:?} is not of the form module:callable"))),
    };
    let of_module = KNOWN.iter().filter(|known| known.name.split_once(':').is_some_and(|(other, _)| other == module));
    let mut others = Vec::new();
    for known in of_module {
        match (known.name == name, known.make, known.feature) {
            (true, Some(make), _) => return Ok(make()),
            (true, None, feature) => return Err(lacks(name, feature.unwrap_or_default())),
            (false, ..) => others.push(known.name),
        }
    }
    if !others.is_empty() {
        return Err(NotFound(format!("{module} has no callable {callable:?}; there is {}", others.join(", "))));
    }
    Err(lacks(name, "python"))
}

/// What to do about a feature that this build lacks.
fn lacks(name: &str, feature: &str) -> NotFound {
    NotFound(format!("{name} is not in this build; add --features {feature} to cargo run"))
}

/// Why an application was not found, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotFound(pub String);

impl Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotFound {}

/// The applications that are known, a line each.
pub fn list() -> String {
    let lines = KNOWN.iter().map(|known| format!("  {:16} {}\n", known.name, known.shows));
    lines.collect()
}
