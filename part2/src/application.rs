//! The application: what a server calls, once for each request (PEP 3333, "The Application/Framework Side").

use std::error::Error;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use crate::{Environ, StartResponse};

/// Anything that answers requests: a function, a framework, a file server. This is all that a server knows of it, and
/// all that it knows of a server.
///
/// It is told about the request in `environ`. It calls `start_response` once, with the status and the headers, at the
/// latest when its body is asked for the first block. And it returns the body.
///
/// A function of this shape is an application:
///
/// ```
/// use part2::{Body, Environ, StartResponse};
///
/// fn app<'a>(environ: Environ, start_response: &'a StartResponse) -> Body<'a> {
///     start_response.start("200 OK", &[("Content-Type", "text/plain")]);
///     Body::from(format!("You asked for {}\n", environ.text("PATH_INFO")))
/// }
/// ```
pub trait Application {
    /// Answers one request.
    fn call<'a>(&'a self, environ: Environ, start_response: &'a StartResponse) -> Body<'a>;
}

impl<F> Application for F
where
    F: for<'a> Fn(Environ, &'a StartResponse) -> Body<'a>,
{
    fn call<'a>(&'a self, environ: Environ, start_response: &'a StartResponse) -> Body<'a> {
        self(environ, start_response)
    }
}

impl Application for Box<dyn Application + '_> {
    fn call<'a>(&'a self, environ: Environ, start_response: &'a StartResponse) -> Body<'a> {
        (**self).call(environ, start_response)
    }
}

/// Why an application could not go on: what it says stands in the errors, and the client is not told.
pub type AppError = Box<dyn Error>;

/// The body of a response: blocks of bytes, made one by one as the server asks for them, and sent as they come.
///
/// The server drops it in any case, at its end, after a failure, or when the client has gone: that is what PEP 3333
/// calls `close()`.
pub struct Body<'a>(Box<dyn Iterator<Item = Result<Block<'a>, AppError>> + 'a>);

/// A block of a body.
pub enum Block<'a> {
    /// Bytes, in whatever holds them.
    Bytes(Box<dyn AsRef<[u8]> + 'a>),
    /// A part of a file, which the kernel sends without showing it to this process, where it can (PEP 3333, "Optional
    /// Platform-Specific File Handling").
    File(FilePart),
}

impl<'a> Block<'a> {
    /// A block of these bytes.
    pub fn bytes(bytes: impl AsRef<[u8]> + 'a) -> Block<'a> {
        Block::Bytes(Box::new(bytes))
    }
}

/// A part of a file.
#[derive(Debug, Clone)]
pub struct FilePart {
    /// The file.
    pub file: Arc<File>,
    /// From which byte to which.
    pub range: Range<u64>,
}

impl<'a> Body<'a> {
    /// A body of these blocks. When there is just one, and the iterator's `size_hint` says so, it gets a
    /// Content-Length.
    pub fn new<B: AsRef<[u8]> + 'a>(blocks: impl IntoIterator<Item = B, IntoIter: 'a>) -> Body<'a> {
        Body(Box::new(blocks.into_iter().map(|block| Ok(Block::bytes(block)))))
    }

    /// The same for blocks that may fail to be made.
    pub fn fallible<B: AsRef<[u8]> + 'a, E: Into<AppError>>(
        blocks: impl IntoIterator<Item = Result<B, E>, IntoIter: 'a>,
    ) -> Body<'a> {
        Body::of_blocks(blocks.into_iter().map(|block| block.map(Block::bytes)))
    }

    /// The same for blocks of any kind.
    pub fn of_blocks<'b: 'a, E: Into<AppError>>(
        blocks: impl IntoIterator<Item = Result<Block<'b>, E>, IntoIter: 'a>,
    ) -> Body<'a> {
        Body(Box::new(blocks.into_iter().map(|block| match block {
            Ok(block) => Ok(block),
            Err(error) => Err(error.into()),
        })))
    }

    /// What an application returns that could not do its work. The client gets a 500, if nothing has been sent yet.
    pub fn failed(error: impl Into<AppError>) -> Body<'a> {
        let error: AppError = error.into();
        Body(Box::new(std::iter::once(Err(error))))
    }

    /// A body without bytes.
    pub fn empty() -> Body<'a> {
        Body(Box::new(std::iter::empty()))
    }

    /// Whether the next block is known to be the last.
    pub(crate) fn has_one_block(&self) -> bool {
        self.0.size_hint() == (1, Some(1))
    }
}

impl<'a> Iterator for Body<'a> {
    type Item = Result<Block<'a>, AppError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl From<Vec<u8>> for Body<'_> {
    fn from(block: Vec<u8>) -> Self {
        Body::new([block])
    }
}

impl From<String> for Body<'_> {
    fn from(block: String) -> Self {
        Body::new([block])
    }
}

impl<'a> From<&'a str> for Body<'a> {
    fn from(block: &'a str) -> Self {
        Body::new([block])
    }
}

impl<'a> From<&'a [u8]> for Body<'a> {
    fn from(block: &'a [u8]) -> Self {
        Body::new([block])
    }
}
