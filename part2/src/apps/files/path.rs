//! The path of a request as a place below the directory that is served, and back into a link.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// What stands in a link as it is: the unreserved characters (RFC 3986, section 2.3). All else is encoded, `:` and `\`
/// too: `a:b` would be a scheme, and browsers take `\` for `/`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A place below the directory that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The names on the way to it, none of which is empty, `.`, `..` or holds a `/`.
    names: Vec<Vec<u8>>,
    /// Whether the path ends with `/`, as those of directories do.
    pub ends_with_slash: bool,
}

impl Place {
    /// The place that a path means, whose %-escapes have been decoded: what was `%2F` separates as any `/` does, and
    /// what was `%2e%2e` is `..`. Several slashes in a row count as one.
    ///
    /// `None` if there is a `.` or `..` in it: a client resolves those before it asks (RFC 3986, section 5.2.4), and
    /// whoever does not has something else in mind. Also `None` for NUL, which would cut the name short.
    pub fn of(path: &[u8]) -> Option<Place> {
        let names = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty());
        let names: Vec<Vec<u8>> = names.map(<[u8]>::to_vec).collect();
        let is_name = |name: &Vec<u8>| name != b"." && name != b".." && !name.contains(&0);
        names.iter().all(is_name).then(|| Place { ends_with_slash: path.ends_with(b"/") || path.is_empty(), names })
    }

    /// The path to it from the directory that is served: `.` for that directory itself.
    pub fn relative(&self) -> PathBuf {
        match self.names[..] {
            [] => PathBuf::from("."),
            _ => self.names.iter().map(|name| OsStr::from_bytes(name)).collect(),
        }
    }

    /// The last of its names; none for the directory that is served.
    pub fn name(&self) -> Option<&[u8]> {
        self.names.last().map(Vec::as_slice)
    }

    /// The names on the way to it.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.names.iter().map(Vec::as_slice)
    }

    /// The path of it as a directory, for a Location field or a link. It begins with just one slash: `//host` and
    /// `/\host` would lead to another server.
    pub fn link(&self) -> String {
        self.names.iter().fold("/".to_owned(), |link, name| link + &encoded(name) + "/")
    }
}

/// `name` as it stands in a link.
pub fn encoded(name: &[u8]) -> String {
    percent_encode(name, ENCODED).to_string()
}

/// The bytes of a name, as the file system has them.
pub fn bytes(name: &(impl AsRef<Path> + ?Sized)) -> &[u8] {
    name.as_ref().as_os_str().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_place_below_the_directory() {
        for (path, relative, link) in [
            ("/", ".", "/"),
            ("", ".", "/"),
            ("/a", "a", "/a/"),
            ("/a/b.c", "a/b.c", "/a/b.c/"),
            ("/a/", "a", "/a/"),
            ("//a///b//", "a/b", "/a/b/"),
            ("/...", "...", "/.../"),
            ("/a\\..\\b", "a\\..\\b", "/a%5C..%5Cb/"),
            ("/\\host", "\\host", "/%5Chost/"),
            ("//host", "host", "/host/"),
            ("/a:b", "a:b", "/a%3Ab/"),
            ("/a b\r\nc", "a b\r\nc", "/a%20b%0D%0Ac/"),
            ("/\u{e9}\"<&>", "\u{e9}\"<&>", "/%C3%A9%22%3C%26%3E/"),
        ] {
            let place = Place::of(path.as_bytes()).unwrap();
            assert_eq!(place.relative(), Path::new(relative), "{path:?}");
            assert_eq!(place.link(), link, "{path:?}");
            assert_eq!(place.ends_with_slash, path.is_empty() || path.ends_with('/'), "{path:?}");
        }
        assert_eq!(Place::of(b"/\xff").unwrap().link(), "/%FF/");
    }

    #[test]
    fn no_path_leads_up_and_none_is_cut_short() {
        for path in ["/..", "/../a", "/a/..", "/a/../b", "/.", "/./a", "/a//..//b", "..", "/a\0b"] {
            assert_eq!(Place::of(path.as_bytes()), None, "{path:?}");
        }
    }
}
