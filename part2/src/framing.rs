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

#[cfg(test)]
mod tests {
    use super::*;

    /// What these fields declare, one to a line.
    fn of(version: Version, fields: &str) -> Result<Framing, &'static str> {
        let fields = fields.lines().map(|line| line.split_once(':').unwrap());
        let fields = fields.map(|(name, value)| (name, crate::head::trim(value.as_bytes()))).collect();
        Framing::of(&Head { method: "POST", target: "/", version, fields })
            .map_err(|refusal| refusal.status.split_at(3).0)
    }

    #[test]
    fn a_body_is_as_long_as_its_one_number_says() {
        for (fields, expected) in [
            ("", Ok(0)),
            ("Content-Length: 0", Ok(0)),
            ("Content-Length: 17", Ok(17)),
            ("content-LENGTH:\t017 ", Ok(17)),
            ("Content-Length: 18446744073709551615", Ok(u64::MAX)),
            ("Content-Length: 99999999999999999999999", Ok(u64::MAX)),
            ("Content_Length: 5", Ok(0)),
            ("X-Content-Length: 5", Ok(0)),
            ("Content-Length:", Err("400")),
            ("Content-Length: +5", Err("400")),
            ("Content-Length: -5", Err("400")),
            ("Content-Length: -0", Err("400")),
            ("Content-Length: 5,5", Err("400")),
            ("Content-Length: 5, 5", Err("400")),
            ("Content-Length: 5 5", Err("400")),
            ("Content-Length: 5;", Err("400")),
            ("Content-Length: 0x5", Err("400")),
            ("Content-Length: 5_0", Err("400")),
            ("Content-Length: 5.0", Err("400")),
            ("Content-Length: 1e3", Err("400")),
            ("Content-Length: \"5\"", Err("400")),
            ("Content-Length: \u{665}", Err("400")), // a digit in Arabic
            ("Content-Length: five", Err("400")),
            ("Content-Length: 5\nContent-Length: 5", Err("400")),
            ("Content-Length: 5\nContent-Length: 6", Err("400")),
            ("Content-Length: 5\nX: y\ncontent-length:", Err("400")),
        ] {
            for version in [Version::Http10, Version::Http11] {
                assert_eq!(of(version, fields), expected.map(Framing::Length), "{version:?} {fields:?}");
            }
        }
    }

    #[test]
    fn chunked_is_the_only_coding_and_never_beside_a_length() {
        for (fields, expected) in [
            ("Transfer-Encoding: chunked", Ok(Framing::Chunked)),
            ("transfer-encoding:\tCHUNKED ", Ok(Framing::Chunked)),
            ("Transfer-Encoding: gzip, chunked", Err("501")),
            ("Transfer-Encoding: gzip\nTransfer-Encoding: chunked", Err("501")),
            ("Transfer-Encoding: identity, chunked", Err("501")),
            ("Transfer-Encoding: xchunked", Err("400")),
            ("Transfer-Encoding: chunkedx", Err("400")),
            ("Transfer-Encoding: x chunked", Err("400")),
            ("Transfer-Encoding: chunk", Err("400")),
            ("Transfer-Encoding: \"chunked\"", Err("400")),
            ("Transfer-Encoding: chunked;q=1", Err("400")),
            ("Transfer-Encoding: identity", Err("400")),
            ("Transfer-Encoding: gzip", Err("400")),
            ("Transfer-Encoding: chunked, gzip", Err("400")),
            ("Transfer-Encoding: chunked, identity", Err("400")),
            ("Transfer-Encoding: chunked, chunked", Err("400")),
            ("Transfer-Encoding: chunked, gzip, chunked", Err("400")),
            ("Transfer-Encoding: chunked\nTransfer-Encoding: chunked", Err("400")),
            ("Transfer-Encoding: chunked\nTransfer-Encoding: identity", Err("400")),
            ("Transfer-Encoding: chunked\nTransfer-Encoding:", Err("400")),
            ("Transfer-Encoding:\nTransfer-Encoding: chunked", Err("400")),
            ("Transfer-Encoding:", Err("400")),
            ("Transfer-Encoding: ,", Err("400")),
            ("Transfer-Encoding: , chunked", Err("400")),
            ("Transfer-Encoding: chunked,", Err("400")),
            ("Transfer-Encoding: ch\u{fc}nked", Err("400")),
            ("Transfer-Encoding: chun\u{212a}ed", Err("400")), // a K in Unicode, whose lower case is k
            ("Transfer-Encoding: chunked\nContent-Length: 5", Err("400")),
            ("Content-Length: 5\nTransfer-Encoding: chunked", Err("400")),
            ("Content-Length: 0\nTransfer-Encoding: identity", Err("400")),
            ("Content-Length: 5\nTransfer-Encoding:", Err("400")),
            ("Transfer_Encoding: chunked", Ok(Framing::Length(0))),
        ] {
            assert_eq!(of(Version::Http11, fields), expected, "{fields:?}");
        }
        assert_eq!(of(Version::Http10, "Transfer-Encoding: chunked"), Err("400"));
    }
}
