//! A Python application as an [`Application`]: its environ is a dict, its body any iterable of bytes.

use std::cell::RefCell;
use std::collections::HashMap;

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyList, PyString, PyTuple};

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
    names: RefCell<HashMap<String, Py<PyString>>>,
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
        for (name, value) in environ.variables() {
            let value = native(py, value);
            match names.get(name) {
                Some(name) => dict.set_item(name, value)?,
                None => {
                    let text = PyString::intern(py, name);
                    dict.set_item(&text, value)?;
                    if names.len() < NAMES {
                        names.insert(name.to_owned(), text.unbind());
                    }
                }
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
        let left = match result.cast_exact::<PyTuple>() {
            Ok(tuple) => Some(tuple.len()),
            Err(_) if result.hasattr(intern!(py, "__len__"))? => Some(result.len()?),
            Err(_) => None,
        };
        let blocks = result.try_iter().map(Bound::unbind);
        Ok(match blocks {
            Ok(blocks) => Body::fallible(Blocks { result: result.unbind(), blocks, left }),
            Err(error) => return Err(error),
        })
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
    /// What the application returned, whose close() is called in the end.
    result: Py<PyAny>,
    blocks: Py<PyIterator>,
    /// How many are left, if the application said how many there are.
    left: Option<usize>,
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

impl Drop for Blocks {
    fn drop(&mut self) {
        Python::attach(|py| {
            let closed = match self.result.bind(py).getattr_opt(intern!(py, "close")) {
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
        Ok(text) if text.is_ascii() => PyString::new(py, text),
        _ => PyString::new(py, &bytes.iter().map(|byte| char::from(*byte)).collect::<String>()),
    }
}

/// An exception with its traceback, as Python would print it.
fn traceback(py: Python<'_>, error: &PyErr) -> String {
    let formatted = py
        .import(intern!(py, "traceback"))
        .and_then(|traceback| traceback.call_method1(intern!(py, "format_exception"), (error.value(py),)))
        .and_then(|lines| lines.extract::<Vec<String>>());
    formatted.map_or_else(|_| error.to_string(), |lines| lines.concat())
}
