//! Python applications, unmodified: the same interface as everywhere, spoken with Python's objects (PEP 3333).
//!
//! - [`interpreter`]: starts Python inside this program, in the reader's virtual environment
//! - [`mod@find`]: imports `module:callable`
//! - [`adapter`]: an [`Application`](crate::Application) that calls it
//! - [`objects`]: what it gets from the server: `wsgi.input`, start_response and write

pub mod adapter;
pub mod find;
pub mod interpreter;
pub mod objects;

pub use find::find;
