//! A refusal: the answer that the server gives by itself, when there is no request that an application could be given.

use std::borrow::Cow;
use std::fmt::{self, Display};

/// A status from 400 on, and what is wrong, in words for whoever sent the request (RFC 9110, section 15.5 and 15.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status code and its reason phrase.
    pub status: &'static str,
    /// What is wrong; nothing that the client sent stands in it.
    pub reason: Cow<'static, str>,
}

impl Refusal {
    /// 400: the request breaks a rule of HTTP.
    pub fn bad_request(reason: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { status: "400 Bad Request", reason: reason.into() }
    }

    /// 408: the client took too long.
    pub fn timeout(reason: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { status: "408 Request Timeout", reason: reason.into() }
    }

    /// 413: the body is larger than `limit` bytes.
    pub fn body_too_large(limit: u64) -> Refusal {
        let reason = format!("a body may have {limit} bytes at most (--max-body says how many)").into();
        Refusal { status: "413 Content Too Large", reason }
    }

    /// 414: the request line is too long.
    pub fn target_too_long(limit: usize) -> Refusal {
        let reason = format!("a request line may have {limit} bytes at most").into();
        Refusal { status: "414 URI Too Long", reason }
    }

    /// 417: the client expects something other than `100-continue`.
    pub fn expectation_failed() -> Refusal {
        Refusal { status: "417 Expectation Failed", reason: "only Expect: 100-continue is known".into() }
    }

    /// 421: the target is not one of plain HTTP (RFC 9110, section 7.4).
    pub fn misdirected() -> Refusal {
        Refusal { status: "421 Misdirected Request", reason: "this server knows http: only".into() }
    }

    /// 431: the header fields are too many or too large.
    pub fn headers_too_large(reason: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { status: "431 Request Header Fields Too Large", reason: reason.into() }
    }

    /// 500: the application failed. Why is not the client's business.
    pub fn application_failed() -> Refusal {
        Refusal { status: "500 Internal Server Error", reason: "the application failed; its errors say why".into() }
    }

    /// 501: the request needs something that no application here could be asked for.
    pub fn not_implemented(reason: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { status: "501 Not Implemented", reason: reason.into() }
    }

    /// 505: another major version of HTTP.
    pub fn version_not_supported() -> Refusal {
        Refusal { status: "505 HTTP Version Not Supported", reason: "this server speaks HTTP/1.1 and 1.0".into() }
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.reason)
    }
}

impl std::error::Error for Refusal {}
