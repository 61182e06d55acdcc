//! The environ: what an application is told about a request (PEP 3333, "environ Variables").

use std::borrow::Cow;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::ops::Range;

use crate::Input;
use crate::head::Head;
use crate::target::Target;

/// The variables of a request, by the names that CGI gave them (RFC 3875, section 4.1), and the `wsgi.` ones, which are
/// fields here.
#[derive(Debug)]
pub struct Environ {
    /// All names, one behind the other, and all values: one piece of memory for each.
    names: String,
    values: Vec<u8>,
    /// Where the name and the value of each variable stand in them.
    variables: Vec<(Range<usize>, Range<usize>)>,
    /// `wsgi.input`: the body of the request.
    pub input: Input,
    /// `wsgi.errors`: where the application may say what went wrong.
    pub errors: Errors,
    /// `wsgi.multithread`: whether another thread of this process may call the application at the same time.
    pub multithread: bool,
    /// `wsgi.multiprocess`: whether another process may call an equal application at the same time.
    pub multiprocess: bool,
    /// `wsgi.run_once`: whether this process calls the application just this once.
    pub run_once: bool,
}

/// What is the same for all requests of a server.
#[derive(Debug, Clone)]
pub struct ServerFacts {
    /// SERVER_NAME: the host that it listens on.
    pub name: String,
    /// SERVER_PORT: the port that it listens on.
    pub port: u16,
    /// Whether each request has a process of its own, so that several may be at work at once.
    pub process_per_request: bool,
}

/// SERVER_SOFTWARE, and the Server field of responses (RFC 9110, section 10.2.4).
pub const SOFTWARE: &str = concat!("WSGIServer/", env!("CARGO_PKG_VERSION"));

impl Environ {
    /// The environ of a request.
    pub(crate) fn new(
        server: &ServerFacts,
        peer: Option<SocketAddr>,
        head: &Head,
        target: &Target,
        content_length: Option<u64>,
        input: Input,
    ) -> Environ {
        let mut environ = Environ {
            names: String::with_capacity(512),
            values: Vec::with_capacity(512),
            variables: Vec::with_capacity(32),
            input,
            errors: Errors,
            multithread: false,
            multiprocess: server.process_per_request,
            run_once: server.process_per_request,
        };
        let (path, query, host) = match target {
            Target::Resource { path, query, host } => (&path[..], *query, *host),
            Target::Server => (&[][..], "", head.values("host").next()),
        };
        environ.set("REQUEST_METHOD", head.method.as_bytes());
        environ.set("SCRIPT_NAME", b"");
        environ.set("PATH_INFO", path);
        environ.set("QUERY_STRING", query.as_bytes());
        environ.set("REQUEST_URI", head.target.as_bytes());
        environ.set("SERVER_PROTOCOL", head.version.as_str().as_bytes());
        environ.set("SERVER_NAME", server.name.as_bytes());
        environ.set("SERVER_PORT", server.port.to_string().as_bytes());
        environ.set("SERVER_SOFTWARE", SOFTWARE.as_bytes());
        environ.set("GATEWAY_INTERFACE", b"CGI/1.1");
        if let Some(peer) = peer {
            environ.set("REMOTE_ADDR", peer.ip().to_canonical().to_string().as_bytes());
            environ.set("REMOTE_PORT", peer.port().to_string().as_bytes());
        }
        if let Some(host) = host {
            environ.set("HTTP_HOST", host);
        }
        for (name, value) in &head.fields {
            environ.add_field(name, value);
        }
        if let Some(length) = content_length {
            environ.set("CONTENT_LENGTH", length.to_string().as_bytes());
        }
        environ
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.variables().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// The value of a variable as text: empty if it is not there, with U+FFFD for what is not UTF-8.
    pub fn text(&self, name: &str) -> Cow<'_, str> {
        String::from_utf8_lossy(self.get(name).unwrap_or_default())
    }

    /// All variables, names and values.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.variables.iter().map(|(name, value)| (&self.names[name.clone()], &self.values[value.clone()]))
    }

    /// Sets a variable, which is not there yet.
    pub(crate) fn set(&mut self, name: &str, value: &[u8]) {
        let begin = self.names.len();
        self.names.push_str(name);
        let value = self.append(value);
        self.variables.push((begin..self.names.len(), value));
    }

    fn append(&mut self, value: &[u8]) -> Range<usize> {
        let begin = self.values.len();
        self.values.extend_from_slice(value);
        begin..self.values.len()
    }

    /// Adds a header field: `User-Agent` becomes HTTP_USER_AGENT (RFC 3875, section 4.1.18).
    fn add_field(&mut self, name: &str, value: &[u8]) {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        // `Content_Length` would become what `Content-Length` becomes, and an application could not tell them apart,
        // nor whether a proxy has looked at it. `Proxy` would become HTTP_PROXY, which programs take for their own
        // setting. The others have been taken care of: the body is decoded, its length counted, the host known.
        if name.contains('_') || is("Proxy") || is("Transfer-Encoding") || is("Content-Length") || is("Host") {
            return;
        }
        let prefix = if is("Content-Type") { "" } else { "HTTP_" };
        let variable = [prefix, name].concat().to_ascii_uppercase().replace('-', "_");
        let known = self.variables().position(|(other, _)| other == variable);
        match known {
            None => self.set(&variable, value),
            // Fields of one name are one list (RFC 9110, section 5.3); only Cookie is joined otherwise (RFC 9113,
            // 8.2.3).
            Some(known) => {
                let separator: &[u8] = if is("Cookie") { b"; " } else { b", " };
                let joined = [&self.values[self.variables[known].1.clone()], separator, value].concat();
                self.variables[known].1 = self.append(&joined);
            }
        }
    }
}

/// `wsgi.errors`: standard error. Each write is one write(2), so that lines of several processes do not mix.
#[derive(Debug, Clone, Copy)]
pub struct Errors;

impl Write for Errors {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        part1::write_all(io::stderr(), bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::Version;

    /// The environ of a request with these fields, and with a body of `content_length`.
    fn environ(target: &str, fields: &[(&str, &[u8])], content_length: Option<u64>) -> Environ {
        let server = ServerFacts { name: "server".to_owned(), port: 8888, process_per_request: true };
        let fields = [&[("Host", &b"host"[..])], fields].concat();
        let head = Head { method: "GET", target, version: Version::Http10, fields };
        let target = Target::of(&head).unwrap();
        Environ::new(&server, Some(([127, 0, 0, 2], 40000).into()), &head, &target, content_length, Input::default())
    }

    #[test]
    fn variables_are_those_of_cgi() {
        let environ = environ("/a%20b/%e2%82%ac?q=%20", &[("User-Agent", b"x"), ("Content-Type", b"y")], Some(5));
        for (name, value) in [
            ("REQUEST_METHOD", "GET"),
            ("SCRIPT_NAME", ""),
            ("PATH_INFO", "/a b/\u{20ac}"),
            ("QUERY_STRING", "q=%20"),
            ("REQUEST_URI", "/a%20b/%e2%82%ac?q=%20"),
            ("SERVER_PROTOCOL", "HTTP/1.0"),
            ("SERVER_NAME", "server"),
            ("SERVER_PORT", "8888"),
            ("REMOTE_ADDR", "127.0.0.2"),
            ("REMOTE_PORT", "40000"),
            ("HTTP_HOST", "host"),
            ("HTTP_USER_AGENT", "x"),
            ("CONTENT_TYPE", "y"),
            ("CONTENT_LENGTH", "5"),
        ] {
            assert_eq!(environ.get(name), Some(value.as_bytes()), "{name}");
            assert_eq!(environ.text(name), value);
        }
        assert_eq!((environ.get("HTTP_X"), environ.text("HTTP_X").as_ref()), (None, ""));
        assert!(environ.multiprocess && environ.run_once && !environ.multithread);
    }

    #[test]
    fn bytes_that_are_not_utf_8_stay_as_they_are() {
        let environ = environ("/%ff", &[("X", b"\xe9")], None);
        assert_eq!((environ.get("PATH_INFO"), environ.get("HTTP_X")), (Some(&b"/\xff"[..]), Some(&b"\xe9"[..])));
        assert_eq!(environ.text("PATH_INFO"), "/\u{fffd}");
    }

    #[test]
    fn each_variable_is_there_once() {
        let fields: [(&str, &[u8]); 9] = [
            ("Accept", b"a"),
            ("Cookie", b"1"),
            ("ACCEPT", b"b"),
            ("accept", b""),
            ("cookie", b"2"),
            ("A-B", b"c"),
            ("A_B", b"d"),
            ("Proxy", b"e"),
            ("Content_Length", b"6"),
        ];
        let environ = environ("http://other/", &fields, None);
        for (name, value) in
            [("HTTP_ACCEPT", &b"a, b, "[..]), ("HTTP_COOKIE", b"1; 2"), ("HTTP_A_B", b"c"), ("HTTP_HOST", b"other")]
        {
            assert_eq!(environ.get(name), Some(value), "{name}");
        }
        let mut names: Vec<&str> = environ.variables().map(|(name, _)| name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{names:?}");
        for absent in ["HTTP_PROXY", "HTTP_CONTENT_LENGTH", "CONTENT_LENGTH", "CONTENT_TYPE"] {
            assert_eq!(environ.get(absent), None, "{absent}");
        }
    }
}
