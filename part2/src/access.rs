//! The line that a server prints of each request, in the Common Log Format, which Python's http.server and nearly all
//! others have in common: address, two dashes, time, request line, status, bytes of the body.

use std::net::SocketAddr;
use std::time::SystemTime;

use part1::Printable;

use crate::date::Date;

/// The line for a request that began with `request_line`. `sent` is the status and the length of the body, as far as it
/// was sent; `None` if nothing was.
///
/// Whatever the client has sent, it is one line, its parts stay apart, and it can't command the terminal.
pub fn line(peer: Option<SocketAddr>, request_line: &[u8], sent: Option<(u16, u64)>) -> String {
    let address = peer.map_or_else(|| "-".to_owned(), |peer| peer.ip().to_canonical().to_string());
    let time = Date::of(SystemTime::now()).in_log();
    let request_line = Printable(request_line).to_string().replace('\n', "\\n").replace('"', "\\\"");
    let (code, length) = sent.map_or(("-".to_owned(), 0), |(code, length)| (code.to_string(), length));
    format!("{address} - - [{time}] \"{request_line}\" {code} {length}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_asked_when_for_what_and_what_came_of_it() {
        let peer = Some(([127, 0, 0, 1], 40000).into());
        let told = line(peer, b"GET /a HTTP/1.1", Some((200, 14)));
        assert!(told.starts_with("127.0.0.1 - - [") && told.ends_with(" +0000] \"GET /a HTTP/1.1\" 200 14"), "{told}");
        let mapped = Some("[::ffff:10.0.0.7]:1".parse().unwrap());
        assert!(line(mapped, b"", None).starts_with("10.0.0.7 - - ["));
    }

    #[test]
    fn a_client_can_neither_forge_a_line_nor_command_the_terminal() {
        let told = line(None, b"GET /\" 200 0\n\r\x1b[2J\xff\xe2\x80\xae", None);
        assert!(told.ends_with("\"GET /\\\" 200 0\\n\\r\\u{1b}[2J\u{fffd}\\u{202e}\" - 0"), "{told}");
        assert_eq!(told.lines().count(), 1);
    }
}
