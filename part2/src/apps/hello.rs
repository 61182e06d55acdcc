//! `hello:app`: the smallest application there is, and a starting point for a framework of your own.

use crate::{Body, Environ, StartResponse};

/// Answers every request with the same text.
pub fn app<'a>(_environ: Environ, start_response: &'a StartResponse) -> Body<'a> {
    start_response.start("200 OK", &[("Content-Type", "text/plain")]);
    Body::from("Hello world from a simple WSGI application!\n")
}
