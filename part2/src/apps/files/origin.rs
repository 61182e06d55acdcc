//! Where a request comes from: a page elsewhere must not be able to upload to the reader's own server.
//!
//! A browser lets any page send a form to any server, `localhost` included. It says from where (Origin, RFC 6454,
//! section 7; Sec-Fetch-Site, W3C Fetch Metadata), and that is what tells such a form from one of our own. A program
//! such as curl says neither, and needs nobody's page.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::Environ;

/// Why a form is not taken; `None` if it is.
pub fn objection(environ: &Environ) -> Option<&'static str> {
    let origin = environ.get("HTTP_ORIGIN");
    let site = environ.get("HTTP_SEC_FETCH_SITE");
    let host = environ.get("HTTP_HOST").unwrap_or_default();
    let is_own = |origin: &[u8]| {
        let authority = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
        !host.is_empty() && authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
    };
    // `none`: the reader, not a page, has sent it; again, for instance.
    if origin.is_some_and(|origin| !is_own(origin))
        || site.is_some_and(|site| site != b"same-origin" && site != b"none")
    {
        return Some("This form was sent by a page of another site. Only a page of this server may upload.");
    }
    let is_browser = origin.is_some() || site.is_some();
    let is_ours = |host: &str| is_ours(host, environ.get("SERVER_NAME").unwrap_or_default());
    if is_browser && !str::from_utf8(host).is_ok_and(is_ours) {
        return Some(
            "This server does not know the name that it was called by. Use its address, or start it with --host NAME.",
        );
    }
    None
}

/// Whether `host` can only mean this server: an address, the server's own name, or a name that nobody elsewhere can
/// give out. Any other may be one that leads to 127.0.0.1 since a moment ago, so that a page from there counts as ours
/// (DNS rebinding).
fn is_ours(host: &str, server: &[u8]) -> bool {
    let (name, rest) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address, rest),
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let is_private = [".localhost", ".local", ".lan", ".internal", ".home.arpa"].iter().any(|end| name.ends_with(end));
    (rest.is_empty() || rest.starts_with(':'))
        && !name.is_empty()
        && (name.parse::<Ipv4Addr>().is_ok()
            || name.parse::<Ipv6Addr>().is_ok()
            || !name.contains(['.', ':'])
            || is_private
            || name.as_bytes().eq_ignore_ascii_case(server))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_others_can_give_out_are_not_ours() {
        for host in [
            "localhost",
            "localhost:8080",
            "LOCALHOST:80",
            "localhost.",
            "a.localhost:1",
            "127.0.0.1:8080",
            "10.0.0.7",
            "[::1]:8080",
            "[fe80::1]",
            "mybox",
            "mybox.local:8080",
            "mybox.lan",
            "files.example.org:8080",
        ] {
            assert!(is_ours(host, b"files.example.org"), "{host}");
        }
        for host in [
            "",
            ":80",
            "example.org",
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "local",
            "[::1]x",
            "files.example.org.evil.example",
        ] {
            let is_single = host == "local"; // a name without a dot is not looked up elsewhere
            assert_eq!(is_ours(host, b"files.example.org"), is_single, "{host}");
        }
    }
}
