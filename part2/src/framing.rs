//! Where a request ends: what its head says of its body (RFC 9112, section 6).
//!
//! Two programs that read a request one behind the other, such as a proxy and this server, must agree on where it ends:
//! else one takes for a second request what the other took for a body. That is called request smuggling, and it is why
//! nothing here is forgiven.

use crate::Refusal;
use crate::head::{Head, Version};

/// How long a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes; 0 when the head declares no body.
    Length(u64),
    /// As long as its chunks are (section 7.1).
    Chunked,
}

impl Framing {
    /// What `head` declares.
    ///
    /// # Errors
    /// 400: Content-Length is no number or repeated; Transfer-Encoding is no list that ends in `chunked`, or comes with
    /// HTTP/1.0; or both are there.
    /// 501: the body has a coding besides `chunked`.
    pub fn of(head: &Head) -> Result<Framing, Refusal> {
        let codings: Vec<&[u8]> = head.values("transfer-encoding").collect();
        let mut lengths = head.values("content-length");
        let length = lengths.next();
        if lengths.next().is_some() {
            return Err(Refusal::bad_request("there is more than one Content-Length field"));
        }
        match (length, &codings[..]) {
            (None, []) => Ok(Framing::Length(0)),
            (Some(length), []) => content_length(length),
            (Some(_), _) => Err(Refusal::bad_request("there are Content-Length and Transfer-Encoding fields")),
            (None, _) if head.version == Version::Http10 => {
                Err(Refusal::bad_request("HTTP/1.0 has no Transfer-Encoding"))
            }
            (None, codings) => transfer_encoding(codings),
        }
    }
}

/// Reads a Content-Length: digits, and nothing but digits.
fn content_length(value: &[u8]) -> Result<Framing, Refusal> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::bad_request("the value of Content-Length is not a number"));
    }
    // What is too long for a number is too long for a body.
    let digits = str::from_utf8(value).unwrap_or_default();
    Ok(Framing::Length(digits.parse().unwrap_or(u64::MAX)))
}

/// Reads the values of all Transfer-Encoding fields, which are one list.
fn transfer_encoding(values: &[&[u8]]) -> Result<Framing, Refusal> {
    let list = values.join(&b","[..]);
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let codings: Vec<&[u8]> = list.split(|&byte| byte == b',').map(crate::head::trim).collect();
    match &codings[..] {
        [only] if is_chunked(only) => Ok(Framing::Chunked),
        [others @ .., last]
            if is_chunked(last) && !others.iter().any(|coding| coding.is_empty() || is_chunked(coding)) =>
        {
            Err(Refusal::not_implemented("of the transfer codings, only chunked is known"))
        }
        _ => Err(Refusal::bad_request("Transfer-Encoding is not a list that ends in chunked, named once")),
    }
}
