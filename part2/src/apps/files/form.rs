//! A form with files, as a browser sends it: multipart/form-data (RFC 7578), read part by part.
//!
//! multer reads it. It is asynchronous and takes whatever its source has at once, so it is fed here by hand: a block
//! when it asks for one, and not before. So little of a form is in memory, however large the form is.

use std::io::{self, ErrorKind, Read};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use multer::bytes::Bytes;
use multer::{Field, Multipart};

/// How much is read at once.
const BLOCK: usize = 64 * 1024;
/// How many blocks multer may take to find the next part: the head of a part is in one of them, or reaches from one
/// into the next. multer itself sets no limit to a head.
const BLOCKS_OF_A_HEAD: usize = 2;

/// Why a form could not be read.
#[derive(Debug)]
pub enum FormError {
    /// Its Content-Type is not that of a form with files.
    NoForm,
    /// It breaks a rule; which, in words for whoever sent it.
    Broken(String),
    /// It could not be received.
    Input(io::Error),
}

/// A form that is being read.
pub struct Form {
    multipart: Multipart<'static>,
    /// How many blocks multer may take.
    allowance: Arc<AtomicUsize>,
}

/// A part of a form, of which there is one at a time.
pub struct Part<'a> {
    form: &'a Form,
    field: Field<'static>,
}

impl Form {
    /// The form that `input` holds, of this Content-Type.
    ///
    /// # Errors
    /// [`FormError::NoForm`].
    pub fn new(content_type: &str, input: impl Read + Send + 'static) -> Result<Form, FormError> {
        Form::with_blocks(content_type, input, BLOCK)
    }

    /// The same, with blocks of `length` bytes: for tests, which care about where a form is cut.
    ///
    /// # Errors
    /// [`FormError::NoForm`].
    pub fn with_blocks(
        content_type: &str,
        mut input: impl Read + Send + 'static,
        length: usize,
    ) -> Result<Form, FormError> {
        let boundary = multer::parse_boundary(content_type).map_err(|_| FormError::NoForm)?;
        // RFC 2046, section 5.1.1: 1 to 70 characters.
        if boundary.is_empty() || boundary.len() > 70 {
            return Err(FormError::NoForm);
        }
        let allowance = Arc::new(AtomicUsize::new(0));
        let allowed = Arc::clone(&allowance);
        let blocks = futures_util::stream::poll_fn(move |_| match allowed.swap(0, Ordering::Relaxed) {
            0 => Poll::Pending,
            _ => Poll::Ready(read_block(&mut input, length).transpose()),
        });
        Ok(Form { multipart: Multipart::new(blocks, boundary), allowance })
    }

    /// The next part; `None` behind the last.
    ///
    /// # Errors
    /// [`FormError::Broken`], [`FormError::Input`].
    pub fn next_part(&mut self) -> Result<Option<Part<'_>>, FormError> {
        let next = feed(&self.allowance, Some(BLOCKS_OF_A_HEAD), self.multipart.next_field())?;
        Ok(next.map(|field| Part { form: self, field }))
    }
}

impl Part<'_> {
    /// The name of the file; `None` if the part is not a file. It is empty when none was chosen.
    ///
    /// # Errors
    /// [`FormError::Broken`]: it is not UTF-8, or not of the form that it must have.
    pub fn file_name(&self) -> Result<Option<&str>, FormError> {
        // `filename*=` too, which RFC 7578, section 4.2, forbids: nobody is to believe that such a file was stored.
        let has_name = |value: &[u8]| {
            let mut parameters = value.split(|&byte| byte == b';').map(<[u8]>::trim_ascii_start);
            parameters.any(|parameter| parameter.get(..8).is_some_and(|name| name.eq_ignore_ascii_case(b"filename")))
        };
        let disposition = self.field.headers().get("content-disposition");
        let is_file = disposition.is_some_and(|value| has_name(value.as_bytes()));
        match self.field.file_name() {
            // multer takes a part whose name it can't read for one without.
            None if is_file => Err(FormError::Broken("the name of a file can't be read".to_owned())),
            name => Ok(name),
        }
    }

    /// What comes next of the part, which is never empty; `None` behind its end.
    ///
    /// # Errors
    /// [`FormError::Broken`], [`FormError::Input`].
    pub fn next_block(&mut self) -> Result<Option<Bytes>, FormError> {
        loop {
            match feed(&self.form.allowance, None, self.field.chunk())? {
                Some(block) if block.is_empty() => {}
                next => return Ok(next),
            }
        }
    }
}

/// Drives multer to its next step. Whenever it can't go on it may have a block, and `most` of them in all.
fn feed<T>(
    allowance: &AtomicUsize,
    most: Option<usize>,
    step: impl Future<Output = multer::Result<T>>,
) -> Result<T, FormError> {
    let mut step = pin!(step);
    let mut context = Context::from_waker(Waker::noop());
    let mut fed = 0;
    loop {
        match step.as_mut().poll(&mut context) {
            Poll::Ready(outcome) => return outcome.map_err(FormError::from),
            Poll::Pending if Some(fed) == most => {
                return Err(FormError::Broken(
                    "there is no part where one should be, or its head is too long".to_owned(),
                ));
            }
            Poll::Pending => {
                fed += 1;
                allowance.store(1, Ordering::Relaxed);
            }
        }
    }
}

/// Reads a block, as full as it gets; `None` at the end.
fn read_block(input: &mut impl Read, length: usize) -> io::Result<Option<Bytes>> {
    let mut block = Vec::with_capacity(length);
    input.take(length as u64).read_to_end(&mut block)?;
    Ok((!block.is_empty()).then(|| Bytes::from(block)))
}

impl From<multer::Error> for FormError {
    fn from(error: multer::Error) -> FormError {
        match error {
            multer::Error::StreamReadFailed(error) => {
                FormError::Input(error.downcast().map_or_else(io::Error::other, |error| *error))
            }
            multer::Error::IncompleteStream | multer::Error::IncompleteFieldData { .. } => {
                FormError::Broken("the form ends in the middle, or a part of it does not begin as it must".to_owned())
            }
            error => FormError::Broken(error.to_string()),
        }
    }
}

/// What is left of a body is read and dropped, so that the client gets to see the answer: one that sends a large file
/// does not look for it before.
pub fn drain(mut input: impl Read) {
    let mut block = vec![0; BLOCK];
    loop {
        match input.read(&mut block) {
            Ok(0) => return,
            Err(error) if error.kind() != ErrorKind::Interrupted => return,
            _ => {}
        }
    }
}
