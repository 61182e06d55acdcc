//! Imports `module:callable`, and says in one line why it can't.

use std::path::{Path, PathBuf};

use pyo3::exceptions::{PyAttributeError, PyModuleNotFoundError};
use pyo3::intern;
use pyo3::prelude::*;

use super::adapter::PythonApplication;
use super::interpreter;
use crate::apps::NotFound;

/// The applications of this project.
const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python");

/// Imports `module`, which is looked for in `pythonpath`, the current directory, this project's own applications, and
/// then where Python itself looks.
///
/// # Errors
/// Python does not start, the import fails, or there is no callable of that name.
pub fn find(module: &str, callable: &str, pythonpath: &[PathBuf]) -> Result<PythonApplication, NotFound> {
    interpreter::start()?;
    Python::attach(|py| {
        extend_path(py, pythonpath).map_err(|error| NotFound(format!("sys.path: {}", one_line(py, &error))))?;
        let imported = py.import(module).map_err(|error| not_imported(py, module, &error))?;
        let application =
            imported.getattr(callable).map_err(|error| match error.is_instance_of::<PyAttributeError>(py) {
                true => NotFound(format!("the Python module {module} has no callable {callable:?}")),
                false => NotFound(format!("{module}:{callable} can't be had: {}", one_line(py, &error))),
            })?;
        if !application.is_callable() {
            let kind = application.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
            return Err(NotFound(format!("{module}:{callable} can't be called: it is of type {kind}")));
        }
        PythonApplication::new(&application).map_err(|error| NotFound(one_line(py, &error)))
    })
}

/// Puts the folders of applications in front of sys.path.
fn extend_path(py: Python<'_>, pythonpath: &[PathBuf]) -> PyResult<()> {
    let path = py.import("sys")?.getattr("path")?;
    let current = std::env::current_dir().ok();
    let folders = pythonpath.iter().map(PathBuf::as_path).chain(current.as_deref()).chain([Path::new(OWN)]);
    for (index, folder) in folders.enumerate() {
        path.call_method1("insert", (index, folder.as_os_str()))?;
    }
    Ok(())
}

/// Why a module can't be imported, and what to do.
fn not_imported(py: Python<'_>, module: &str, error: &PyErr) -> NotFound {
    let missing: Option<String> = match error.is_instance_of::<PyModuleNotFoundError>(py) {
        true => error.value(py).getattr(intern!(py, "name")).and_then(|name| name.extract()).ok(),
        false => None,
    };
    let advice = match missing.as_deref() {
        // It, or a package that it is in.
        Some(missing) if module.strip_prefix(missing).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) => {
            " (it is looked for in --pythonpath, the current directory and part2/python)"
        }
        Some(_) if Path::new(OWN).join(format!("{module}.py")).exists() => {
            " (python3 -m pip install -r part2/python/requirements.txt, in an active virtual environment)"
        }
        Some(_) => " (install it into the virtual environment that is active)",
        None => "",
    };
    NotFound(format!("the Python module {module} can't be imported: {}{advice}", one_line(py, error)))
}

/// An exception as one line, with the place where it was raised.
fn one_line(py: Python<'_>, error: &PyErr) -> String {
    let what = error.to_string().lines().map(str::trim).collect::<Vec<_>>().join("; ");
    match place(py, error) {
        Some(place) => format!("{what} ({place})"),
        None => what,
    }
}

/// The file and line where an exception was raised, if that is not in Python's machinery for imports.
fn place(py: Python<'_>, error: &PyErr) -> Option<String> {
    let mut traceback = error.traceback(py)?.into_any();
    let mut place = None;
    loop {
        let frame = traceback.getattr("tb_frame").ok()?;
        let file: String = frame.getattr("f_code").ok()?.getattr("co_filename").ok()?.extract().ok()?;
        let line: u32 = traceback.getattr("tb_lineno").ok()?.extract().ok()?;
        if !file.starts_with('<') {
            place = Some(format!("{file}, line {line}"));
        }
        let next = traceback.getattr("tb_next").ok()?;
        if next.is_none() {
            return place;
        }
        traceback = next;
    }
}
