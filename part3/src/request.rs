//! Reading a whole request.
//!
//! These stages judge nothing that they read, but they have to read all of it: when a socket is closed while bytes wait
//! in it unread, TCP resets the connection, and a reset may overtake the answer.

use std::os::fd::OwnedFd;
use std::time::Instant;

use nix::errno::Errno;
use part1::connection::read_before;
use part1::{Failure, Printable, print};

use crate::Options;

/// The longest head that is waited for, in bytes.
const HEAD_LIMIT: usize = 1 << 20;
/// The longest body that is waited for, in bytes.
const BODY_LIMIT: usize = 1 << 20;

/// Reads until the head is complete, and the body too if the head declares its length. What has come by then is the
/// request also when the client has nothing more to send, the time limit has passed, or a size limit is reached.
///
/// # Errors
/// Those of poll(2) and read(2), such as ECONNRESET when the client gave up.
pub fn read_request(connection: &OwnedFd, options: &Options) -> Result<Vec<u8>, Failure> {
    let deadline = Instant::now() + options.server.timeout;
    let mut request = Vec::new();
    let mut whole = None; // the length of head and body, once the head is known
    let mut buffer = [0; 1024];
    while request.len() < whole.unwrap_or(HEAD_LIMIT) {
        let length = match read_before(deadline, connection, &mut buffer) {
            Ok(0) | Err(Errno::ETIMEDOUT) => break,
            length => length.map_err(Failure::of("read"))?,
        };
        let searched = request.len().saturating_sub(2);
        request.extend_from_slice(&buffer[..length]);
        if whole.is_none() {
            whole = head_length(&request, searched).map(|head| head + body_length(&request[..head]).min(BODY_LIMIT));
        }
    }
    Ok(request)
}

/// Prints what came, in one write, so that the requests of several processes don't mix.
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

/// The length of the body as the head declares it (RFC 9112, section 6.2); 0 where it does not, or makes no sense.
fn body_length(head: &[u8]) -> usize {
    let mut fields = head.split(|&byte| byte == b'\n').filter_map(|line| str::from_utf8(line).ok()?.split_once(':'));
    let declared = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length")).map(|(_, value)| value.trim());
    match declared {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            digits.parse().unwrap_or(usize::MAX)
        }
        _ => 0,
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
        assert_eq!(body_length(b"POST / HTTP/1.1\r\ncontent-LENGTH:  12 \r\n\r\n"), 12);
        assert_eq!(body_length(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
        for nonsense in ["", "-1", "+5", "1e3", "12 13"] {
            assert_eq!(body_length(format!("POST / HTTP/1.1\r\nContent-Length: {nonsense}\r\n\r\n").as_bytes()), 0);
        }
        assert_eq!(body_length(b"Content-Length: 99999999999999999999999999\r\n"), usize::MAX);
    }
}
