//! Reading a whole request.
//!
//! These stages judge nothing that they read, but they have to read all of it: when a socket is closed while bytes wait
//! in it unread, TCP resets the connection, and a reset may overtake the answer.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use part1::connection::{TimeLimit, read_within};
use part1::{Failure, Printable, print};

use crate::Options;

/// The longest head that is waited for, in bytes.
const HEAD_LIMIT: usize = 1 << 20;
/// The longest body that is waited for, in bytes.
const BODY_LIMIT: usize = 1 << 20;

/// Reads until the head is complete, and the body too if the head declares one. What has come by then is the request
/// also when the client has nothing more to send, the time limit has passed, or a size limit is reached.
///
/// # Errors
/// Those of recv(2) and poll(2), such as ECONNRESET when the client gave up.
pub fn read_request(connection: &OwnedFd, options: &Options) -> Result<Vec<u8>, Failure> {
    let mut limit = TimeLimit::new(options.server.timeout);
    let mut request = Vec::new();
    let mut end = End::OfHead;
    let mut buffer = [0; 1024];
    while !end.is_reached(&request) {
        let length = match read_within(&mut limit, connection, &mut buffer) {
            Ok(0) | Err(Errno::ETIMEDOUT) => break,
            outcome => outcome.map_err(Failure::of("recv"))?,
        };
        let searched = request.len().saturating_sub(2);
        request.extend_from_slice(&buffer[..length]);
        if end == End::OfHead
            && let Some(head) = head_length(&request, searched)
        {
            end = End::declared_by(&request[..head]);
        }
    }
    Ok(request)
}

/// Prints what came.
pub fn print_request(request: &[u8]) {
    print(Printable(request));
}

/// The length of the head, which ends with an empty line, if that lies beyond `searched`. A line may end in a bare
/// newline (RFC 9112, section 2.2), as it does for whoever types it into nc.
fn head_length(request: &[u8], searched: usize) -> Option<usize> {
    (searched..request.len()).filter(|&at| request[at] == b'\n').find_map(|at| match &request[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// Where a request ends, as far as that is known.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// Beyond the head, which is not complete.
    OfHead,
    /// Behind so many bytes of head and body.
    At(usize),
    /// Behind the last chunk: a body that declares the length of each of its pieces (RFC 9112, section 7.1).
    LastChunk,
}

impl End {
    /// What `head` declares (RFC 9112, section 6.3). Nothing here judges it: what makes no sense declares no body.
    fn declared_by(head: &[u8]) -> End {
        let field = |wanted: &str| {
            let mut lines =
                head.split(|&byte| byte == b'\n').filter_map(|line| str::from_utf8(line).ok()?.split_once(':'));
            lines.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
        };
        if field("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            return End::LastChunk;
        }
        let digits = field("content-length").filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
        let length = digits.map_or(0, |digits| match digits {
            "" => 0,
            digits => digits.parse().unwrap_or(usize::MAX), // too long for a number, and so for the limit
        });
        End::At(head.len() + length.min(BODY_LIMIT))
    }

    fn is_reached(&self, request: &[u8]) -> bool {
        match self {
            End::OfHead => request.len() >= HEAD_LIMIT,
            End::At(length) => request.len() >= *length,
            End::LastChunk => request.ends_with(b"\r\n0\r\n\r\n") || request.len() >= HEAD_LIMIT + BODY_LIMIT,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_ends_with_an_empty_line() {
        assert_eq!(head_length(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody", 0), Some(27));
        assert_eq!(head_length(b"GET / HTTP/1.1\n\nbody", 0), Some(16));
        assert_eq!(head_length(b"GET / HTTP/1.1\r\nHost: a\r\n\r", 0), None);
        // The request of the articles' client begins with a newline.
        assert_eq!(head_length(b"\nGET / HTTP/1.1\n\n", 0), Some(17));
    }

    #[test]
    fn the_head_is_found_however_it_is_split() {
        for request in [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], b"GET / HTTP/1.1\nHost: a\n\n"] {
            for split in 0..request.len() {
                assert_eq!(head_length(&request[..split], 0), None);
                assert_eq!(head_length(request, split.saturating_sub(2)), Some(request.len()), "split at {split}");
            }
        }
    }

    #[test]
    fn the_body_is_as_long_as_declared() {
        let declared = |head: &str| End::declared_by(head.as_bytes());
        let head = "POST / HTTP/1.1\r\ncontent-LENGTH:  12 \r\n\r\n";
        assert_eq!(declared(head), End::At(head.len() + 12));
        for nonsense in ["", "-1", "+5", "1e3", "12 13"] {
            let head = format!("POST / HTTP/1.1\r\nContent-Length: {nonsense}\r\n\r\n");
            assert_eq!(declared(&head), End::At(head.len()), "{nonsense}");
        }
        for too_long in ["1048577", "99999999999999999999999999"] {
            let head = format!("POST / HTTP/1.1\r\nContent-Length: {too_long}\r\n\r\n");
            assert_eq!(declared(&head), End::At(head.len() + BODY_LIMIT), "{too_long}");
        }
        assert_eq!(declared("GET / HTTP/1.1\r\n\r\n"), End::At(18));
        assert_eq!(
            declared("POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\nContent-Length: 3\r\n\r\n"),
            End::LastChunk
        );
    }

    #[test]
    fn nothing_is_waited_for_beyond_its_limit() {
        assert!(!End::OfHead.is_reached(&vec![b'x'; HEAD_LIMIT - 1]));
        assert!(End::OfHead.is_reached(&vec![b'x'; HEAD_LIMIT]));
        assert!(!End::LastChunk.is_reached(b"\r\n\r\n3\r\nabc\r\n0\r\n"));
        assert!(End::LastChunk.is_reached(b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n"));
        assert!(End::LastChunk.is_reached(&vec![b'x'; HEAD_LIMIT + BODY_LIMIT]));
    }
}
