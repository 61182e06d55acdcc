//! Python inside this program: its start, in a virtual environment if there is one, and its fork.

use std::ffi::{CStr, CString, OsString};
use std::fs;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::unistd::{ForkResult, Pid};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::{ffi, intern};

use crate::apps::NotFound;

/// Whether Python has been started, or why it could not be.
static STARTED: OnceLock<Result<(), NotFound>> = OnceLock::new();

/// Starts Python, once.
///
/// # Errors
/// The virtual environment is not there or made for another version of Python, or Python does not start.
pub fn start() -> Result<(), NotFound> {
    STARTED
        .get_or_init(|| {
            let environment = std::env::var_os("VIRTUAL_ENV").filter(|folder| !folder.is_empty()).map(PathBuf::from);
            if let Some(folder) = &environment {
                check_version(folder)?;
            }
            initialize(environment.map(|folder| folder.join("bin/python3").into_os_string()))?;
            leave_ctrl_c().map_err(|error| NotFound(format!("Python's module signal can't be had: {error}")))
        })
        .clone()
}

/// Whether Python is inside, and not just linked.
pub fn is_started() -> bool {
    matches!(STARTED.get(), Some(Ok(())))
}

/// The version of Python that this program was built with, such as `3.11`.
fn version() -> String {
    // SAFETY: it may be called at any time.
    let version = unsafe { ffi::Py_GetVersion() };
    // SAFETY: that was a string which lives as long as the program.
    let version = unsafe { CStr::from_ptr(version) }.to_string_lossy();
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

/// Looks whether the packages of a virtual environment are for the Python that is inside: it would start in any case,
/// and then not find a single one of them.
fn check_version(environment: &Path) -> Result<(), NotFound> {
    let shown = environment.display();
    let entries = fs::read_dir(environment.join("lib")).map_err(|error| {
        NotFound(format!("the virtual environment {shown} can't be used: lib: {error} (deactivate it)"))
    })?;
    let names: Vec<OsString> = entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
    let versions: Vec<&str> = names.iter().filter_map(|name| name.to_str()?.strip_prefix("python")).collect();
    let ours = version();
    match versions.iter().any(|version| *version == ours) {
        true => Ok(()),
        false => Err(NotFound(format!(
            "the virtual environment {shown} is for Python {}, and this program has Python {ours} inside \
             (make one with python{ours} -m venv, or build again with that environment active)",
            versions.join(", "),
        ))),
    }
}

/// Starts Python as if it had been called by the name `program`: it looks for `pyvenv.cfg` beside that, as it always
/// does (PEP 405), and finds the packages of the virtual environment. Without a name, it looks for python3 in PATH.
fn initialize(program: Option<OsString>) -> Result<(), NotFound> {
    let program = program.map(|path| CString::new(path.as_bytes()).unwrap_or_default());
    let mut config = MaybeUninit::uninit();
    // SAFETY: this fills all of the configuration in.
    unsafe { ffi::PyConfig_InitPythonConfig(config.as_mut_ptr()) };
    // SAFETY: it has just been filled in.
    let mut config: ffi::PyConfig = unsafe { config.assume_init() };
    // Ctrl-C ends this program as it does any other; what an application prints is seen even if its process ends by
    // _exit.
    config.install_signal_handlers = 0;
    config.buffered_stdio = 0;
    config.parse_argv = 0;

    let program_name = &raw mut config.program_name;
    let config = &raw mut config;
    let mut status = match &program {
        Some(program) => {
            // SAFETY: both pointers are to the configuration, and the string ends with a zero.
            unsafe { ffi::PyConfig_SetBytesString(config, program_name, program.as_ptr()) }
        }
        // SAFETY: it takes nothing.
        None => unsafe { ffi::PyStatus_Ok() },
    };
    // SAFETY: a status is looked at.
    if unsafe { ffi::PyStatus_Exception(status) } == 0 {
        // SAFETY: the configuration is complete, and Python has not been started (this runs once).
        status = unsafe { ffi::Py_InitializeFromConfig(config) };
    }
    // SAFETY: the configuration is not used any more.
    unsafe { ffi::PyConfig_Clear(config) };
    // SAFETY: a status is looked at.
    if unsafe { ffi::PyStatus_Exception(status) } != 0 {
        let reason = match status.err_msg.is_null() {
            true => "no reason is given".into(),
            // SAFETY: not null, it is a string that lives as long as the program.
            false => unsafe { CStr::from_ptr(status.err_msg) }.to_string_lossy(),
        };
        return Err(NotFound(format!("Python {} does not start: {reason}", version())));
    }
    // SAFETY: this thread has started Python and holds its lock; from here on it is taken when it is needed.
    unsafe { ffi::PyEval_SaveThread() };
    Ok(())
}

/// Leaves Ctrl-C to the system. The first import of `signal` has Python handle it, whatever its configuration says, and
/// half of all packages import `signal`: the server would go on, for a call that a handler interrupts is called again.
/// So it is imported here, and what it did is undone.
fn leave_ctrl_c() -> PyResult<()> {
    Python::attach(|py| {
        let signal = py.import("signal")?;
        let interrupt = signal.getattr("SIGINT")?;
        if signal.call_method1("getsignal", (&interrupt,))?.is(&signal.getattr("default_int_handler")?) {
            signal.call_method1("signal", (interrupt, signal.getattr("SIG_DFL")?))?;
        }
        Ok(())
    })
}

/// Makes a child process by Python's own fork: it has Python's modules prepare for it, so that each child has random
/// numbers of its own, and no lock that another thread held stays locked for ever.
///
/// # Errors
/// Those of fork(2).
pub fn fork() -> Result<ForkResult, Errno> {
    Python::attach(|py| {
        let forked = py.import(intern!(py, "os")).and_then(|os| os.call_method0(intern!(py, "fork"))?.extract::<i32>());
        match forked {
            Ok(0) => Ok(ForkResult::Child),
            Ok(child) => Ok(ForkResult::Parent { child: Pid::from_raw(child) }),
            Err(error) if error.is_instance_of::<PyOSError>(py) => {
                let errno = error.value(py).getattr(intern!(py, "errno")).and_then(|errno| errno.extract::<i32>());
                Err(errno.map_or(Errno::UnknownErrno, Errno::from_raw))
            }
            Err(error) => {
                // Not the system, but what an application has put in os.fork's place. (It may be SystemExit, which
                // Python's own way of printing an exception would obey.)
                error.write_unraisable(py, None);
                Err(Errno::EAGAIN)
            }
        }
    })
}
