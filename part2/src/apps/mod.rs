//! Applications by name: `module:callable`, the same way for every server.
//!
//! Those that are built in come first. Their modules are the files of this folder.

#[cfg(feature = "frameworks")]
pub mod axumapp;
pub mod hello;
#[cfg(feature = "frameworks")]
pub mod poemapp;
#[cfg(feature = "frameworks")]
pub mod warpapp;

use std::fmt::{self, Display};
use std::path::PathBuf;

use crate::Application;

/// An application, whichever it is.
pub type AnyApplication = Box<dyn Application>;

/// An application that is known by name.
struct Known {
    name: &'static str,
    /// What it is, in a few words.
    is: &'static str,
    place: Place,
}

/// Where an application is.
enum Place {
    /// In this build.
    Here(fn() -> AnyApplication),
    /// In a build with the feature `frameworks`, which this is not.
    #[cfg_attr(feature = "frameworks", expect(dead_code, reason = "nothing is elsewhere then"))]
    Elsewhere,
    /// Among Python's modules, which a build with the feature `python` can import.
    Python,
}

/// The place of an application that is made by `$application` in a build with the feature `frameworks`.
macro_rules! with_frameworks {
    ($application:expr) => {{
        #[cfg(feature = "frameworks")]
        let place = Place::Here(|| Box::new($application));
        #[cfg(not(feature = "frameworks"))]
        let place = Place::Elsewhere;
        place
    }};
}

/// What is known by name, in the order in which it is listed.
const KNOWN: &[Known] = &[
    Known { name: "hello:app", is: "a bare function", place: Place::Here(|| Box::new(hello::app)) },
    Known { name: "axumapp:app", is: "axum", place: with_frameworks!(axumapp::app()) },
    Known { name: "warpapp:app", is: "warp", place: with_frameworks!(warpapp::app()) },
    Known { name: "poemapp:app", is: "poem", place: with_frameworks!(poemapp::app()) },
    Known { name: "wsgiapp:app", is: "a bare Python function", place: Place::Python },
    Known { name: "flaskapp:app", is: "Flask", place: Place::Python },
    Known { name: "pyramidapp:app", is: "Pyramid", place: Place::Python },
    Known { name: "djangoapp:app", is: "Django", place: Place::Python },
];

/// Finds the application called `name`. Python modules are looked for in `pythonpath` first.
///
/// # Errors
/// There is none, or this build lacks it; the error says what to do.
pub fn find(name: &str, pythonpath: &[PathBuf]) -> Result<AnyApplication, NotFound> {
    let (module, callable) = match name.split_once(':') {
        Some((module, callable)) if !module.is_empty() && !callable.is_empty() => (module, callable),
        _ => return Err(NotFound(format!("{name:?} is not of the form module:callable"))),
    };
    let mut of_module =
        KNOWN.iter().filter(|known| known.name.split_once(':').is_some_and(|(other, _)| other == module));
    match of_module.clone().find(|known| known.name == name).map(|known| &known.place) {
        Some(Place::Here(make)) => return Ok(make()),
        Some(Place::Elsewhere) => return Err(lacks(name, "frameworks")),
        Some(Place::Python) => {}
        None => {
            if let Some(other) = of_module.find(|known| !matches!(known.place, Place::Python)) {
                return Err(NotFound(format!("{module} has no callable {callable:?}; there is {}", other.name)));
            }
        }
    }
    #[cfg(feature = "python")]
    return Ok(Box::new(crate::python::find(module, callable, pythonpath)?));
    #[cfg(not(feature = "python"))]
    {
        let _ = pythonpath;
        Err(lacks(name, "python"))
    }
}

/// What to do about a feature that this build lacks.
fn lacks(name: &str, feature: &str) -> NotFound {
    let what = match KNOWN.iter().any(|known| known.name == name) {
        true => format!("{name} needs the feature {feature}, which this build lacks"),
        false => format!("{name} is not built in, and Python's applications need the feature {feature}"),
    };
    NotFound(format!("{what}: add `--features {feature}` to `cargo run`, in front of `--`"))
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

/// The applications that are known, a line each, with what they need.
pub fn list() -> String {
    let line = |known: &Known| {
        let needs = match known.place {
            Place::Elsewhere => " (needs --features frameworks)",
            Place::Python if !cfg!(feature = "python") => " (needs --features python)",
            _ => "",
        };
        format!("  {:16} {}{needs}\n", known.name, known.is)
    };
    let others = if cfg!(feature = "python") { "  MODULE:CALLABLE  any other that Python can import\n" } else { "" };
    KNOWN.iter().map(line).chain([others.to_owned()]).collect()
}
