//! What a Python application gets from the server, beside strings: `wsgi.input`, start_response, and write.
//!
//! All of them are handles. After the request they are empty: Python may keep an object alive for long, for example in
//! the frames of a traceback, and a connection must not stay open because of it.

use std::borrow::Cow;
use std::io;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use crate::{Input, ResponseError, StartResponse, Write};

/// `wsgi.input` (PEP 3333, "Input and Error Streams").
#[pyclass(frozen, name = "Input", module = "wsgi")]
pub struct InputFile(pub Input);

#[pymethods]
impl InputFile {
    /// All that is left, or up to `size` bytes.
    #[pyo3(signature = (size = None, /))]
    fn read<'py>(&self, py: Python<'py>, size: Option<i64>) -> PyResult<Bound<'py, PyBytes>> {
        bytes(py, || self.0.read_up_to(limit(size)))
    }

    /// A line with its newline, or up to `size` bytes of it.
    #[pyo3(signature = (size = None, /))]
    fn readline<'py>(&self, py: Python<'py>, size: Option<i64>) -> PyResult<Bound<'py, PyBytes>> {
        bytes(py, || self.0.read_line(limit(size)))
    }

    /// All lines that are left, or as many as it takes to have `hint` bytes.
    #[pyo3(signature = (hint = None, /))]
    fn readlines<'py>(&self, py: Python<'py>, hint: Option<i64>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let enough = hint.filter(|hint| *hint > 0).map_or(u64::MAX, i64::unsigned_abs);
        let mut lines = Vec::new();
        let mut length = 0;
        while length < enough {
            let line = bytes(py, || self.0.read_line(u64::MAX))?;
            match line.as_bytes().len() {
                0 => break,
                more => length += more as u64,
            }
            lines.push(line);
        }
        Ok(lines)
    }

    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let line = bytes(py, || self.0.read_line(u64::MAX))?;
        Ok(Some(line).filter(|line| !line.as_bytes().is_empty()))
    }
}

/// The size that a method of a Python file takes: none or a negative one stands for all there is.
fn limit(size: Option<i64>) -> u64 {
    size.and_then(|size| u64::try_from(size).ok()).unwrap_or(u64::MAX)
}

/// What `read` returns. It may wait for the client, and other threads of the application run meanwhile.
fn bytes<'py>(py: Python<'py>, read: impl FnOnce() -> io::Result<Vec<u8>> + Send) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, &py.detach(read)?))
}

/// start_response (PEP 3333, "The start_response() Callable").
#[pyclass(frozen, name = "start_response", module = "wsgi")]
pub struct Starter(pub StartResponse);

#[pymethods]
impl Starter {
    #[pyo3(signature = (status, response_headers, exc_info = None, /))]
    fn __call__(
        &self,
        py: Python<'_>,
        status: &Bound<'_, PyAny>,
        response_headers: &Bound<'_, PyAny>,
        exc_info: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Writer> {
        let status = native(status, "the status")?;
        let list = response_headers
            .cast::<PyList>()
            .map_err(|_| PyTypeError::new_err("the headers have to be a list of (name, value) tuples"))?;
        let tuples = list.iter().map(|header| pair(&header)).collect::<PyResult<Vec<_>>>()?;
        let headers = tuples
            .iter()
            .map(|(name, value)| Ok((native(name, "the name of a header")?, native(value, "the value of a header")?)))
            .collect::<PyResult<Vec<_>>>()?;
        let exc_info = match exc_info {
            Some(exc_info) if exc_info.is_truthy()? => Some(exc_info),
            _ => None,
        };
        let again = exc_info.is_some();
        // Another thread may be sending, and hold the response until the client has taken what it sends.
        let started = py.detach(|| self.0.try_start(status, &headers, again));
        match (started, exc_info) {
            (Ok(write), _) => Ok(Writer(write)),
            // What the application could not tell the client any more, it gets back.
            (Err(ResponseError::Begun), Some(exc_info)) => Err(PyErr::from_value(exc_info.get_item(1)?)),
            (Err(error), _) => Err(exception(error)),
        }
    }
}

/// A header: a tuple of two.
fn pair<'py>(header: &Bound<'py, PyAny>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    match header.cast::<PyTuple>() {
        Ok(tuple) if tuple.len() == 2 => Ok((tuple.get_item(0)?, tuple.get_item(1)?)),
        _ => Err(PyTypeError::new_err("a header has to be a tuple of its name and its value")),
    }
}

/// The bytes of a native string: each of its characters stands for one (PEP 3333, "A Note On String Types").
fn native<'a>(text: &'a Bound<'_, PyAny>, what: &str) -> PyResult<Cow<'a, [u8]>> {
    let Ok(text) = text.cast::<PyString>() else {
        return Err(PyTypeError::new_err(format!("{what} has to be a str, not {}", text.get_type().name()?)));
    };
    let text = text.to_str()?;
    match text.is_ascii() {
        true => Ok(Cow::Borrowed(text.as_bytes())),
        false => {
            let bytes: Option<Vec<u8>> = text.chars().map(|character| u8::try_from(character).ok()).collect();
            let wide = || PyValueError::new_err(format!("{what} has a character beyond U+00FF: {text:?}"));
            bytes.map(Cow::Owned).ok_or_else(wide)
        }
    }
}

/// The write callable (PEP 3333, "The write() Callable").
#[pyclass(frozen, name = "write", module = "wsgi")]
pub struct Writer(Write);

#[pymethods]
impl Writer {
    #[pyo3(signature = (data, /))]
    fn __call__(&self, py: Python<'_>, data: &Bound<'_, PyBytes>) -> PyResult<()> {
        let block = data.as_bytes();
        py.detach(|| self.0.send(block)).map_err(exception)
    }
}

/// The exception that an application gets.
fn exception(error: ResponseError) -> PyErr {
    match error {
        ResponseError::Connection(errno) => io::Error::from(errno).into(),
        error => PyValueError::new_err(error.to_string()),
    }
}
