//! The tower adapter: what a framework calls a service is an [`Application`].
//!
//! A tower service maps an `http::Request` to a future of an `http::Response`. axum's `Router` and warp's `service` are
//! such services, and anything else becomes one in a few lines (`apps/poemapp.rs`). Frameworks run them on hyper, many
//! at a time; here the server calls, one request at a time, and a tokio runtime in the same thread drives the future.

use std::cell::OnceCell;
use std::error::Error;
use std::future::poll_fn;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::{Frame, SizeHint};
use tokio::runtime::{Builder, Runtime};
use tower::{BoxError, Service, ServiceExt};

use crate::response::HOP_BY_HOP;
use crate::{AppError, Application, Body, Environ, Input, StartResponse};

/// A tower service as an [`Application`].
#[derive(Debug)]
pub struct Tower<S> {
    service: S,
    /// Built on the first call. The server may fork before that, and a runtime does not survive a fork: its threads for
    /// `spawn_blocking` stay behind in the parent, and the child shares the parent's epoll.
    runtime: OnceCell<Runtime>,
}

impl<S> Tower<S> {
    /// Makes an application of `service`, of which each request gets a clone.
    pub fn new(service: S) -> Tower<S> {
        Tower { service, runtime: OnceCell::new() }
    }

    fn runtime(&self) -> io::Result<&Runtime> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime);
        }
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(self.runtime.get_or_init(|| runtime))
    }
}

impl<S, B> Application for Tower<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone,
    S::Error: Into<BoxError>,
    B: http_body::Body + 'static,
    B::Error: Into<BoxError>,
{
    fn call<'a>(&'a self, environ: Environ, start_response: &'a StartResponse) -> Body<'a> {
        let request = match request(environ) {
            Ok(request) => request,
            Err(problem) => {
                start_response.start("400 Bad Request", &[("Content-Type", "text/plain; charset=utf-8")]);
                return Body::from(format!("{problem}\n"));
            }
        };
        let runtime = match self.runtime() {
            Ok(runtime) => runtime,
            Err(error) => return Body::failed(error),
        };
        let method = request.method().clone();
        // oneshot waits until the service is ready, and calls it.
        let (mut head, body) = match runtime.block_on(self.service.clone().oneshot(request)) {
            Ok(response) => response.into_parts(),
            Err(error) => return Body::failed(Into::<BoxError>::into(error) as AppError),
        };
        add_content_length(&method, head.status, &mut head.headers, body.size_hint().exact());
        // Frameworks leave the connection to hyper, and may say to it what to do with it.
        let headers: Vec<_> = head.headers.iter().filter(|(name, _)| !HOP_BY_HOP.contains(&name.as_str())).collect();
        start_response.start(status_line(head.status), &headers);
        Body::fallible(Blocks { runtime, body: Some(Box::pin(body)), ended: false })
    }
}

/// The request as the http crate has it.
///
/// # Errors
/// What of it the http crate can't express, for the client to read. It is stricter than a server need be: a target is
/// at most 65534 bytes, for instance.
fn request(environ: Environ) -> Result<Request<RequestBody>, String> {
    let variable = |name| environ.get(name).unwrap_or_default();
    let method = Method::from_bytes(variable("REQUEST_METHOD")).map_err(|error| error.to_string())?;
    let uri = Uri::try_from(variable("REQUEST_URI")).map_err(|error| error.to_string())?;
    let version = if variable("SERVER_PROTOCOL") == b"HTTP/1.0" { Version::HTTP_10 } else { Version::HTTP_11 };
    let headers = headers(&environ)?;
    let length = match headers.get(CONTENT_LENGTH) {
        Some(length) => length.to_str().ok().and_then(|digits| digits.parse().ok()).ok_or("invalid content length")?,
        None => 0,
    };
    let mut request = Request::new(RequestBody { input: environ.input, left: length });
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.version_mut() = version;
    *request.headers_mut() = headers;
    Ok(request)
}

/// The headers that the variables were made of: `HTTP_USER_AGENT` was `User-Agent`, and `CONTENT_TYPE` and
/// `CONTENT_LENGTH` have no prefix (RFC 3875, section 4.1).
fn headers(environ: &Environ) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (variable, value) in environ.variables() {
        let name = match variable {
            // A variable that is empty is one that is not there (RFC 3875, section 4.1).
            "CONTENT_TYPE" | "CONTENT_LENGTH" if !value.is_empty() => variable,
            _ => match variable.strip_prefix("HTTP_") {
                Some(name) => name,
                None => continue,
            },
        };
        let name = name.replace('_', "-");
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| format!("{error}: {name}"))?;
        let value = HeaderValue::from_bytes(value).map_err(|error| format!("{error}: {name}"))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Adds `Content-Length` where the length is known and the header may be sent, as hyper does: not with a status that
/// has no body (RFC 9110, section 8.6), and not for HEAD, to which an empty body says nothing of what GET would get.
fn add_content_length(method: &Method, status: StatusCode, headers: &mut HeaderMap, length: Option<u64>) {
    let bodiless = status.is_informational() || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
    if let Some(length) = length
        && !bodiless
        && !(method == Method::HEAD && length == 0)
    {
        headers.entry(CONTENT_LENGTH).or_insert(length.into());
    }
}

/// The status as `start` takes it: `404 Not Found`.
fn status_line(status: StatusCode) -> String {
    format!("{} {}", status.as_str(), status.canonical_reason().unwrap_or("Unnamed"))
}

/// The body of a request, as http_body has it: what is left to read of [`Environ::input`].
///
/// Reading blocks the thread, which asynchronous code must not do as a rule: every other task would wait too. Here that
/// is all right, because a process has one request at a time, and a client that sends nothing runs into the server's
/// time limit. Only what the service itself has spawned waits along.
pub struct RequestBody {
    input: Input,
    left: u64,
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let most = self.left.min(16 * 1024);
        let mut block = vec![0; most as usize];
        let outcome = loop {
            match self.input.read(&mut block) {
                Ok(0) => break Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    block.truncate(count);
                    self.left -= count as u64;
                    break Ok(Frame::data(Bytes::from(block)));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        Poll::Ready(Some(outcome))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// The body of a response, block by block: each `next` drives the runtime until the service has produced one.
struct Blocks<'a, B> {
    runtime: &'a Runtime,
    /// None only while it is dropped.
    body: Option<Pin<Box<B>>>,
    ended: bool,
}

impl<B> Iterator for Blocks<'_, B>
where
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    type Item = Result<Bytes, Box<dyn Error>>;

    fn next(&mut self) -> Option<Self::Item> {
        let body = self.body.as_mut().filter(|_| !self.ended)?;
        loop {
            match self.runtime.block_on(poll_fn(|context| body.as_mut().poll_frame(context))) {
                // A frame without data is empty, or one of trailers; the gateway has no use for either.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(mut data) if data.has_remaining() => return Some(Ok(data.copy_to_bytes(data.remaining()))),
                    _ => {}
                },
                Some(Err(error)) => {
                    self.ended = true;
                    return Some(Err(error.into()));
                }
                None => {
                    self.ended = true;
                    return None;
                }
            }
        }
    }
}

impl<B> Drop for Blocks<'_, B> {
    /// What goes with the body may ask for the runtime, to spawn a task that cleans up for instance.
    fn drop(&mut self) {
        let _inside = self.runtime.enter();
        self.body = None;
    }
}
