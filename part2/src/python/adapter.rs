//! A Python application as an [`Application`]: its environ is a dict, its body any iterable of bytes.

use std::cell::RefCell;

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyList, PyString};

use super::objects::{InputFile, Starter};
use crate::{Application, Body, Environ, StartResponse};

/// A callable of a Python module.
pub struct PythonApplication {
    callable: Py<PyAny>,
    /// `wsgi.errors`
    errors: Py<PyAny>,
    /// `wsgi.file_wrapper`
    file_wrapper: Py<PyAny>,
    /// The names of variables, as Python strings: made once, and hashed once.
    names: RefCell<Vec<(String, Py<PyString>)>>,
}

/// How many names are kept. A client can make up as many as it likes.
const NAMES: usize = 256;

impl PythonApplication {
    /// Looks up what does not change from request to request.
    ///
    /// # Errors
    /// Python lacks a part of its library.
    pub fn new(callable: &Bound<'_, PyAny>) -> PyResult<PythonApplication> {
        let py = callable.py();
        Ok(PythonApplication {
            callable: callable.clone().unbind(),
            errors: py.import("sys")?.getattr("stderr")?.unbind(),
            file_wrapper: py.import("wsgiref.util")?.getattr("FileWrapper")?.unbind(),
            names: RefCell::default(),
        })
    }

    /// The environ as a dict (PEP 3333, "environ Variables").
    fn environ<'py>(&self, py: Python<'py>, environ: Environ) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        let mut names = self.names.borrow_mut();
        let mut next = 0;
        for (name, value) in environ.variables() {
            let value = native(py, value);
            // Most requests have the same variables in the same order.
            let is_it = |at: &usize| names.get(*at).is_some_and(|(known, _)| known == name);
            match Some(next).filter(is_it).or_else(|| (0..names.len()).find(is_it)) {
                Some(at) => {
                    dict.set_item(&names[at].1, value)?;
                    next = at + 1;
                }
                None if names.len() < NAMES => {
                    let text = PyString::intern(py, name);
                    dict.set_item(&text, value)?;
                    names.push((name.to_owned(), text.unbind()));
                }
                // Not interned: in Python 3.12, what is interned stays for ever.
                None => dict.set_item(PyString::new(py, name), value)?,
            }
        }
        dict.set_item(intern!(py, "wsgi.version"), (1, 0))?;
        dict.set_item(intern!(py, "wsgi.url_scheme"), intern!(py, "http"))?;
        dict.set_item(intern!(py, "wsgi.errors"), &self.errors)?;
        dict.set_item(intern!(py, "wsgi.multithread"), environ.multithread)?;
        dict.set_item(intern!(py, "wsgi.multiprocess"), environ.multiprocess)?;
        dict.set_item(intern!(py, "wsgi.run_once"), environ.run_once)?;
        dict.set_item(intern!(py, "wsgi.file_wrapper"), &self.file_wrapper)?;
        dict.set_item(intern!(py, "wsgi.input"), Bound::new(py, InputFile(environ.input))?)?;
        Ok(dict)
    }

    /// Calls the application, and takes hold of the body that it returns.
    fn start<'a>(&self, py: Python<'_>, environ: Environ, start_response: &StartResponse) -> PyResult<Body<'a>> {
        let environ = self.environ(py, environ)?;
        let start_response = Bound::new(py, Starter(start_response.clone()))?;
        let result = self.callable.bind(py).call1((environ, start_response))?;
        // What most applications return: a list of one block, with nothing to iterate lazily, and no close().
        if let Ok(list) = result.cast_exact::<PyList>()
            && list.len() == 1
        {
            return Ok(Body::new([block(&list.get_item(0)?)?]));
        }
        let result = Closing(result.unbind());
        let iterable = result.0.bind(py);
        let blocks = iterable.try_iter()?.unbind();
        // One that says how many there are is believed; one that fails to has not said it.
        let left = iterable.len().ok();
        Ok(Body::fallible(Blocks { blocks, left, _result: result }))
    }
}

impl Application for PythonApplication {
    fn call<'a>(&'a self, environ: Environ, start_response: &'a StartResponse) -> Body<'a> {
        Python::attach(|py| {
            self.start(py, environ, start_response).unwrap_or_else(|error| Body::failed(traceback(py, &error)))
        })
    }
}

/// The blocks of a body, made one by one.
struct Blocks {
    blocks: Py<PyIterator>,
    /// How many are left, if the application said how many there are.
    left: Option<usize>,
    _result: Closing,
}

impl Iterator for Blocks {
    type Item = Result<PyBackedBytes, String>;

    fn next(&mut self) -> Option<Self::Item> {
        Python::attach(|py| {
            let next = self.blocks.bind(py).clone().next()?;
            self.left = self.left.and_then(|left| left.checked_sub(1));
            Some(next.and_then(|next| block(&next)).map_err(|error| traceback(py, &error)))
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left.unwrap_or(0), self.left)
    }
}

/// What an application has returned. Its close() is called in the end, also when it turns out to be no body.
struct Closing(Py<PyAny>);

impl Drop for Closing {
    fn drop(&mut self) {
        Python::attach(|py| {
            let closed = match self.0.bind(py).getattr_opt(intern!(py, "close")) {
                Ok(Some(close)) => close.call0().map(drop),
                outcome => outcome.map(drop),
            };
            if let Err(error) = closed {
                crate::report_application(&traceback(py, &error));
            }
        });
    }
}

/// A block of a body: bytes, and nothing that only looks like them.
fn block(block: &Bound<'_, PyAny>) -> PyResult<PyBackedBytes> {
    match block.cast::<PyBytes>() {
        Ok(bytes) => Ok(bytes.clone().into()),
        Err(_) => {
            let kind = block.get_type().name()?;
            Err(PyTypeError::new_err(format!("a block of the body has to be bytes, not {kind}")))
        }
    }
}

/// A native string: a character for each byte (PEP 3333, "A Note On String Types").
fn native<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    match str::from_utf8(bytes) {
        Ok(text) if bytes.is_ascii() => PyString::new(py, text),
        _ => PyString::new(py, &bytes.iter().map(|byte| char::from(*byte)).collect::<String>()),
    }
}

/// An exception with its traceback, as Python would print it. (Before Python 3.12, the exception may not have it yet.)
fn traceback(py: Python<'_>, error: &PyErr) -> String {
    let exception = (error.get_type(py), error.value(py), error.traceback(py));
    let formatted = py
        .import(intern!(py, "traceback"))
        .and_then(|traceback| traceback.call_method1(intern!(py, "format_exception"), exception))
        .and_then(|lines| PyString::new(py, "").call_method1(intern!(py, "join"), (lines,)))
        // What is no Unicode is shown all the same, as Python itself does on standard error.
        .and_then(|text| text.call_method1(intern!(py, "encode"), ("utf-8", "backslashreplace")))
        .and_then(|bytes| bytes.extract::<Vec<u8>>());
    formatted.map_or_else(|_| error.to_string(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}
