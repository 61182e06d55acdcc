//! The target of a request: what it asks for, and of which host (RFC 9112, section 3.2, and RFC 9110, section 7).

use crate::Refusal;
use crate::head::{Head, Version};

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target<'a> {
    /// `/path?query`, alone or behind `http://host`.
    Resource {
        /// The path with its %-escapes decoded: bytes in whatever encoding the application takes them to be in.
        path: Vec<u8>,
        /// What stands behind the first `?`, as it was sent.
        query: &'a str,
        /// The host and perhaps the port that the client means, if it says so.
        host: Option<&'a [u8]>,
    },
    /// `*`: the server itself (OPTIONS only).
    Server,
}

impl<'a> Target<'a> {
    /// Takes the target of `head` apart, and looks at its Host field.
    ///
    /// # Errors
    /// 400: the target has none of the forms that its method allows, or Host is missing, repeated or no host.
    /// 421: the target is not one of plain HTTP.
    pub fn of(head: &Head<'a>) -> Result<Target<'a>, Refusal> {
        let host = host_field(head)?;
        let (authority, rest) = match head.target {
            "*" if head.method == "OPTIONS" => return Ok(Target::Server),
            target if target.starts_with('/') => (None, target),
            target => {
                let (authority, rest) = absolute_form(target)?;
                if head.method == "OPTIONS" && rest.is_empty() {
                    return Ok(Target::Server); // RFC 9110, section 7.1
                }
                (Some(authority), rest)
            }
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = decode(if path.is_empty() { "/" } else { path })?;
        // The host of an absolute target overrules the field (RFC 9112, section 3.2.2).
        Ok(Target::Resource { path, query, host: authority.map(str::as_bytes).or(host) })
    }
}

/// The host of `http://host/path?query`, and the rest.
fn absolute_form(target: &str) -> Result<(&str, &str), Refusal> {
    const NO_FORM: &str = "the target is neither /PATH nor http://HOST/PATH (nor * for OPTIONS)";
    let (scheme, rest) = target.split_once("://").ok_or(Refusal::bad_request(NO_FORM))?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if !is_scheme {
        return Err(Refusal::bad_request(NO_FORM));
    }
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(Refusal::misdirected());
    }
    let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if authority.is_empty() || !is_host(authority.as_bytes()) {
        return Err(Refusal::bad_request("the target names no host"));
    }
    Ok((authority, rest))
}

/// The value of Host: there has to be one, and no more (RFC 9112, section 3.2); HTTP/1.0 may do without.
fn host_field<'a>(head: &Head<'a>) -> Result<Option<&'a [u8]>, Refusal> {
    let mut values = head.values("host");
    match (values.next(), values.next()) {
        (Some(_), Some(_)) => Err(Refusal::bad_request("there is more than one Host field")),
        (Some(host), None) if !is_host(host) => Err(Refusal::bad_request("the value of Host is no host")),
        (None, _) if head.version == Version::Http11 => Err(Refusal::bad_request("there is no Host field")),
        (host, _) => Ok(host),
    }
}

/// Whether `text` is `host` or `host:port` (RFC 3986, section 3.2): a name, an IPv4 address, or an IPv6 address in
/// brackets. A name may be empty, as it is for a client that means no host in particular; not so with a port behind it
/// (RFC 9110, section 4.2.1).
fn is_host(text: &[u8]) -> bool {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte);
    let (host, port) = match text {
        [b'[', rest @ ..] => match rest.iter().position(|&byte| byte == b']') {
            Some(end) => (str::from_utf8(&rest[..end]).is_ok_and(is_ip_literal), &rest[end + 1..]),
            None => return false,
        },
        _ => {
            let end = text.iter().position(|&byte| byte == b':').unwrap_or(text.len());
            (
                escapes(&text[..end]).all(|part| part.is_some_and(|(byte, is_escape)| is_escape || is_name(byte))),
                &text[end..],
            )
        }
    };
    host && match port {
        [] => true,
        [b':', digits @ ..] => port.len() < text.len() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// Whether `text` may stand in brackets: an IPv6 address, or what a later version might be called.
fn is_ip_literal(text: &str) -> bool {
    let is_later = || {
        let (version, address) = text.strip_prefix(['v', 'V'])?.split_once('.')?;
        let is_address = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:".contains(&byte);
        Some(
            !version.is_empty()
                && version.bytes().all(|byte| byte.is_ascii_hexdigit())
                && !address.is_empty()
                && address.bytes().all(is_address),
        )
    };
    text.parse::<std::net::Ipv6Addr>().is_ok() || is_later().unwrap_or(false)
}

/// Decodes the %-escapes of a path (RFC 3986, section 2.1).
fn decode(path: &str) -> Result<Vec<u8>, Refusal> {
    let mut decoded = Vec::with_capacity(path.len());
    for part in escapes(path.as_bytes()) {
        match part {
            // What would cut a name short in C is no part of any path (RFC 3986, section 7.3).
            Some((0, _)) => return Err(Refusal::bad_request("the path has a %00")),
            Some((byte, _)) => decoded.push(byte),
            None => return Err(Refusal::bad_request("the path has a % without two hexadecimal digits behind it")),
        }
    }
    Ok(decoded)
}

/// The bytes of `text`, each with whether it was %-escaped; `None` for a broken escape.
fn escapes(text: &[u8]) -> impl Iterator<Item = Option<(u8, bool)>> {
    let mut rest = text.iter();
    std::iter::from_fn(move || {
        Some(match rest.next()? {
            b'%' => {
                let mut digit = || char::from(*rest.next()?).to_digit(16);
                digit().zip(digit()).map(|(high, low)| ((high << 4 | low) as u8, true))
            }
            byte => Some((*byte, false)),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The target of a request with these parts; an empty `hosts` is a request without Host.
    fn of<'a>(method: &'a str, target: &'a str, version: Version, hosts: &[&'a str]) -> Result<Target<'a>, Refusal> {
        let fields = hosts.iter().map(|host| ("Host", host.as_bytes())).collect();
        Target::of(&Head { method, target, version, fields })
    }

    fn get<'a>(target: &'a str, host: &'a str) -> Result<Target<'a>, Refusal> {
        of("GET", target, Version::Http11, &[host])
    }

    fn status(outcome: Result<Target, Refusal>) -> &'static str {
        outcome.map_or_else(|refusal| refusal.status.split_at(3).0, |_| "accepted")
    }

    #[test]
    fn a_target_is_a_path_and_a_query_and_perhaps_a_host() {
        for (target, path, query, host) in [
            ("/", "/", "", "h"),
            ("/a/b?c=d?e", "/a/b", "c=d?e", "h"),
            ("/a?", "/a", "", "h"),
            ("//a//b", "//a//b", "", "h"),
            ("/../a/./b", "/../a/./b", "", "h"),
            ("/%41%2f%2F?%41", "/A//", "%41", "h"),
            ("/%E2%82%ac", "/\u{20ac}", "", "h"),
            ("/?%zz", "/", "%zz", "h"),
            ("/http://x/", "/http://x/", "", "h"),
            ("http://a", "/", "", "a"),
            ("http://a?b", "/", "b", "a"),
            ("HTTP://a.b:80/c?d", "/c", "d", "a.b:80"),
            ("http://[::1]:8888/", "/", "", "[::1]:8888"),
        ] {
            let resource = Target::Resource { path: path.into(), query, host: Some(host.as_bytes()) };
            assert_eq!(get(target, "h"), Ok(resource), "{target}");
        }
    }

    #[test]
    fn what_has_no_form_of_a_target_is_refused() {
        for (target, expected) in [
            ("*", "400"), // with OPTIONS only
            ("a", "400"),
            ("a/b", "400"),
            ("?a", "400"),
            ("a:443", "400"), // with CONNECT only
            ("mailto:a", "400"),
            ("://a/", "400"),
            ("1http://a/", "400"),
            ("ht tp://a/", "400"),
            ("http:///a", "400"),
            ("http://:80/", "400"),
            ("http://user@a/", "400"),
            ("http://user:secret@a/", "400"),
            ("http://a:b/", "400"),
            ("http://a:80:80/", "400"),
            ("http://[::1/", "400"),
            ("http://a\\b/", "400"),
            ("https://a/", "421"),
            ("ftp://a/", "421"),
            ("/%", "400"),
            ("/%4", "400"),
            ("/%4g", "400"),
            ("/%%41", "400"),
            ("/a%00b", "400"),
            ("http://a/%00", "400"),
        ] {
            assert_eq!(status(get(target, "h")), expected, "{target}");
        }
    }

    #[test]
    fn only_options_asks_for_the_server_itself() {
        for target in ["*", "http://a"] {
            assert_eq!(of("OPTIONS", target, Version::Http11, &["h"]), Ok(Target::Server), "{target}");
        }
        for target in ["/", "http://a/", "http://a?b"] {
            assert!(matches!(of("OPTIONS", target, Version::Http11, &["h"]), Ok(Target::Resource { .. })), "{target}");
        }
        assert_eq!(status(of("OPTIONS", "*", Version::Http11, &[])), "400", "Host has to be there all the same");
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        for host in [
            "",
            "a",
            "a.b",
            "A-b_c.",
            "a:80",
            "a:",
            "127.0.0.1:8888",
            "[::1]",
            "[::1]:80",
            "[::ffff:127.0.0.1]",
            "[v1.a:b]",
            "%41",
            "a,b",
            "\u{7e}",
        ] {
            assert_eq!(status(get("/", host)), "accepted", "{host}");
        }
        for host in [
            ":80",
            "a b",
            "a/b",
            "a?b",
            "a#b",
            "a@b",
            "user:secret@a",
            "a:b",
            "a:80:80",
            "a:+80",
            "a:-1",
            "http://a",
            "::1",
            "[::1",
            "[::1]a",
            "[a]",
            "[]",
            "[v.a]",
            "[v1.]",
            "[1.2.3.4]",
            "a[::1]",
            "%4",
            "%zz",
            "a\tb",
            "a, b",
            "\u{e9}",
            "a\\b",
            "\"a\"",
            "<a>",
        ] {
            assert_eq!(status(get("/", host)), "400", "{host}");
            assert_eq!(status(get("http://a/", host)), "400", "{host} beside an absolute target");
        }
    }

    #[test]
    fn there_is_one_host_and_http_1_0_may_do_without() {
        for (version, hosts, expected) in [
            (Version::Http11, &["a"][..], "accepted"),
            (Version::Http11, &[], "400"),
            (Version::Http11, &["a", "a"], "400"),
            (Version::Http11, &["a", "b"], "400"),
            (Version::Http10, &["a"], "accepted"),
            (Version::Http10, &[], "accepted"),
            (Version::Http10, &["a", "a"], "400"),
            (Version::Http10, &["a b"], "400"),
        ] {
            assert_eq!(status(of("GET", "/", version, hosts)), expected, "{version:?} {hosts:?}");
            assert_eq!(status(of("GET", "http://a/", version, hosts)), expected, "{version:?} {hosts:?}, absolute");
        }
    }
}
