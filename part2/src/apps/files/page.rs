//! What all pages have in common: their frame, their style, their script, and what a browser is told to allow them.

use std::fmt::{self, Display, Write};

use crate::{Body, StartResponse};

/// The style of every page.
const STYLE: &str = include_str!("page.css");
/// The script of pages with a form. Without it, the form works too.
const SCRIPT: &str = include_str!("upload.js");

/// A page may have this style and this script, which are named by their hashes, and nothing else: should something that
/// somebody uploaded get into it as markup after all, it does nothing (Content Security Policy Level 3).
/// Tested in this file: whoever changes style or script is told the new hash.
const POLICY: &str = "default-src 'none'; style-src 'sha256-STYLE'; base-uri 'none'; frame-ancestors 'none'";
const STYLE_HASH: &str = "fzGMPMiCZGVClcCtTI1II333Dw1z9KakD0hzdFlZofY=";
const SCRIPT_HASH: &str = "Gb6G0VzWiigK6lue4l+kqz0JNPLbzKeZHlNFykpdfjQ=";

/// A page, as far as pages differ.
pub struct Page {
    /// Its status line.
    pub status: &'static str,
    /// Its title, which is its heading too unless `heading` says otherwise: text, not markup.
    pub title: String,
    /// Its heading, as markup.
    pub heading: Option<String>,
    /// What stands below the heading, as markup.
    pub content: String,
    /// Whether it has a form, and the script that goes with it.
    pub has_form: bool,
    /// Further header fields.
    pub fields: Vec<(&'static str, String)>,
}

impl Page {
    /// A page with this status, and a heading.
    pub fn new(status: &'static str, title: impl Into<String>) -> Page {
        let title = title.into();
        Page { status, title, heading: None, content: String::new(), has_form: false, fields: Vec::new() }
    }

    /// A page that says in a sentence why there is not what was asked for.
    pub fn problem(status: &'static str, sentence: &str) -> Page {
        let mut page = Page::new(status, status.split_once(' ').map_or(status, |(_, phrase)| phrase));
        let _ = write!(page.content, "<p>{}</p>\n<p><a href=\"/\">To the first page</a></p>", Escaped(sentence));
        page
    }

    /// Adds a header field.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Page {
        self.fields.push((name, value.into()));
        self
    }

    /// Answers with it.
    pub fn send<'a>(self, start_response: &'a StartResponse) -> Body<'a> {
        let mut policy = POLICY.replace("STYLE", STYLE_HASH);
        if self.has_form {
            let _ = write!(policy, "; script-src 'sha256-{SCRIPT_HASH}'; connect-src 'self'; form-action 'self'");
        } else {
            policy += "; form-action 'none'";
        }
        let mut fields = vec![
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Security-Policy", &policy),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "same-origin"),
            ("Cache-Control", "no-cache"),
        ];
        fields.extend(self.fields.iter().map(|(name, value)| (*name, value.as_str())));
        start_response.start(self.status, &fields);
        Body::from(self.to_string())
    }
}

impl Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = Escaped(&self.title);
        write!(
            f,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>"
        )?;
        match &self.heading {
            Some(heading) => f.write_str(heading)?,
            None => write!(f, "{title}")?,
        }
        writeln!(f, "</h1>\n{}", self.content)?;
        if self.has_form {
            writeln!(f, "<script>{SCRIPT}</script>")?;
        }
        f.write_str("</body>\n</html>\n")
    }
}

/// Text that stands in markup, between tags or between double quotes. What would turn the direction of the text around
/// it, or can't be seen, is shown by its number: a name must not be able to look like another.
pub struct Escaped<T>(pub T);

impl<T: AsRef<str>> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.as_ref().chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                _ if is_obeyed(character) => write!(f, "{}", character.escape_unicode())?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// Whether `character` does something instead of being shown. In a name, that goes for line ends too.
pub fn is_obeyed(character: char) -> bool {
    matches!(character, '\n' | '\t') || part1::output::is_obeyed(character)
}

/// A number of bytes as it is read: `14 B`, `95.4 MiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    // What would be shown as 1024.0 is one of the next unit.
    while value >= 1023.95 {
        value /= 1024.0;
        unit = units.next();
    }
    format!("{value:.1} {}", unit.unwrap_or(&"EiB"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    fn base64(bytes: &[u8]) -> String {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let group = |three: &[u8]| {
            let bits = (0..3).fold(0, |bits, at| bits << 8 | usize::from(*three.get(at).unwrap_or(&0)));
            let digit = |at| if at <= three.len() { DIGITS[bits >> (18 - 6 * at) & 63] } else { b'=' };
            [digit(0), digit(1), digit(2), digit(3)]
        };
        String::from_utf8(bytes.chunks(3).flat_map(group).collect()).unwrap()
    }

    #[test]
    fn the_policy_names_the_style_and_the_script_that_there_are() {
        assert_eq!(base64(b"light w"), "bGlnaHQgdw==");
        assert_eq!(STYLE_HASH, base64(&Sha256::digest(STYLE)), "page.css has changed: put the new hash into page.rs");
        assert_eq!(
            SCRIPT_HASH,
            base64(&Sha256::digest(SCRIPT)),
            "upload.js has changed: put the new hash into page.rs"
        );
    }

    #[test]
    fn text_in_markup_is_text() {
        assert_eq!(Escaped("<a href=\"x\">&'").to_string(), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
        assert_eq!(Escaped("a\u{202e}b\n\u{e9}").to_string(), "a\\u{202e}b\\u{a}\u{e9}".replace("\\u{e9}", "\u{e9}"));
    }

    #[test]
    fn a_size_is_read_at_a_glance() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (100_000_000, "95.4 MiB"),
            (1024 * 1024 - 1, "1.0 MiB"),
            (1 << 30, "1.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
