//! Parts of a file: the Range field, and how several parts are sent in one response (RFC 9110, section 14).

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::ops::Range;

/// The most parts that are sent in one response. Whoever asks for more gets the whole file: many small parts cost more
/// than they save, and have been used to wear servers out (section 17.15).
const LIMIT: usize = 16;

/// What a Range field asks of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// All of it: the field is not one of byte ranges, or better ignored.
    Whole,
    /// These parts, in the order in which they were asked for; there is at least one, and none is empty.
    Parts(Vec<Range<u64>>),
    /// 416: only what lies behind its end.
    Nothing,
}

/// Reads the value of a Range field, for a file of `length` bytes (section 14.2).
///
/// Parts that overlap become one. So no more bytes are sent than the file has, whatever is asked for.
pub fn wanted(value: &[u8], length: u64) -> Wanted {
    let Some(specs) = specs(value) else { return Wanted::Whole };
    if specs.len() > LIMIT {
        return Wanted::Whole;
    }
    // The end of an empty file is all of it, and can't be told as a part (section 14.1.2).
    if length == 0 && specs.iter().any(|spec| matches!(spec, Spec::Last(1..))) {
        return Wanted::Whole;
    }
    let parts: Vec<Range<u64>> = specs.iter().filter_map(|spec| spec.part_of(length)).collect();
    match parts.is_empty() {
        true => Wanted::Nothing,
        false => Wanted::Parts(merged(parts)),
    }
}

/// One range of a Range field (section 14.1.1).
enum Spec {
    /// `first-last`, or `first-`.
    From(u64, Option<u64>),
    /// `-length`: the last bytes.
    Last(u64),
}

impl Spec {
    fn part_of(&self, length: u64) -> Option<Range<u64>> {
        let part = match *self {
            Spec::From(first, last) => first..last.map_or(length, |last| last.saturating_add(1).min(length)),
            Spec::Last(count) => length.saturating_sub(count)..length,
        };
        (!part.is_empty()).then_some(part)
    }
}

/// The ranges of a field; `None` if it has not the form of one.
fn specs(value: &[u8]) -> Option<Vec<Spec>> {
    let (unit, list) = str::from_utf8(value).ok()?.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let specs = list.split(',').map(|spec| spec.trim_matches([' ', '\t'])).filter(|spec| !spec.is_empty());
    let specs: Vec<Spec> = specs.map(spec).collect::<Option<_>>()?;
    (!specs.is_empty()).then_some(specs)
}

fn spec(text: &str) -> Option<Spec> {
    let (first, last) = text.split_once('-')?;
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Some(Spec::From(first, Some(last))),
        (Some(first), None) if last.is_empty() => Some(Spec::From(first, None)),
        (None, Some(last)) if first.is_empty() => Some(Spec::Last(last)),
        _ => None,
    }
}

/// Reads digits. A number that is too large for a number is beyond the end of any file.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// The same parts, if none overlaps another; else in ascending order, with those that overlap or touch joined.
fn merged(parts: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut sorted = parts.clone();
    sorted.sort_by_key(|part| part.start);
    if sorted.windows(2).all(|two| two[0].end <= two[1].start) {
        return parts;
    }
    let mut merged: Vec<Range<u64>> = Vec::new();
    for part in sorted {
        match merged.last_mut() {
            Some(last) if part.start <= last.end => last.end = last.end.max(part.end),
            _ => merged.push(part),
        }
    }
    merged
}

/// The value of a Content-Range field (section 14.4).
pub fn content_range(part: &Range<u64>, length: u64) -> String {
    format!("bytes {}-{}/{length}", part.start, part.end - 1)
}

/// Several parts as one body: `multipart/byteranges` (section 14.6).
pub struct Multipart {
    /// Stands between the parts. It is drawn at random, so that no file can be made to contain it.
    boundary: String,
    /// What stands in front of each part.
    heads: Vec<String>,
}

impl Multipart {
    /// For these parts of a file of `length` bytes, which is of `content_type`.
    pub fn new(parts: &[Range<u64>], length: u64, content_type: &str) -> Multipart {
        let random = || RandomState::new().hash_one(0);
        let boundary = format!("{:016x}{:016x}", random(), random());
        let head = |part| {
            let range = content_range(part, length);
            format!("\r\n--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: {range}\r\n\r\n")
        };
        let heads = parts.iter().map(head).collect();
        Multipart { boundary, heads }
    }

    /// The value of the Content-Type field.
    pub fn content_type(&self) -> String {
        format!("multipart/byteranges; boundary={}", self.boundary)
    }

    /// What stands in front of each part.
    pub fn heads(&self) -> &[String] {
        &self.heads
    }

    /// What stands behind the last part.
    pub fn end(&self) -> String {
        format!("\r\n--{}--\r\n", self.boundary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "it is a list of parts, of which there is one")]
    fn parts_are_found_in_the_file() {
        for (value, expected) in [
            ("bytes=0-0", &[0..1][..]),
            ("bytes=0-9", &[0..10]),
            ("bytes=0-", &[0..10]),
            ("bytes=3-5", &[3..6]),
            ("bytes=3-99", &[3..10]),
            ("bytes=9-18446744073709551615", &[9..10]),
            ("bytes=9-99999999999999999999999", &[9..10]),
            ("bytes=-1", &[9..10]),
            ("bytes=-99", &[0..10]),
            ("Bytes=0-1", &[0..2]),
            ("bytes=0-1,4-5", &[0..2, 4..6]),
            ("bytes= 4-5 ,\t0-1, ", &[4..6, 0..2]),
            ("bytes=0-1,10-12", &[0..2]),
            ("bytes=0-1,2-3", &[0..2, 2..4]),
            ("bytes=4-8,0-5", &[0..9]),
            ("bytes=0-,0-,0-", &[0..10]),
            ("bytes=8-9,0-1,1-2,-1", &[0..3, 8..10]),
        ] {
            assert_eq!(wanted(value.as_bytes(), 10), Wanted::Parts(expected.to_vec()), "{value}");
        }
    }

    #[test]
    fn what_lies_behind_the_end_is_nothing() {
        for value in ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999999-", "bytes=10-,-0"] {
            assert_eq!(wanted(value.as_bytes(), 10), Wanted::Nothing, "{value}");
        }
        assert_eq!(wanted(b"bytes=0-", 0), Wanted::Nothing);
        assert_eq!(wanted(b"bytes=-5", 0), Wanted::Whole);
    }

    #[test]
    fn what_is_no_range_of_bytes_is_ignored() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-3",
            "bytes=+1-2",
            "bytes=1-+2",
            "bytes=1",
            "bytes=1-2-3",
            "bytes=0-1,x",
            "bytes=0 - 1",
            "lines=0-1",
            "bytes 0-1",
            "=0-1",
            "bytes=\u{661}-",
        ] {
            assert_eq!(wanted(value.as_bytes(), 10), Wanted::Whole, "{value}");
        }
        assert_eq!(wanted(b"bytes=\xff-", 10), Wanted::Whole);
    }

    #[test]
    fn many_parts_are_the_whole_file() {
        let many = |count: u64| (0..count).map(|at| format!("{0}-{0}", at * 2)).collect::<Vec<_>>().join(",");
        let ask = |count| wanted(format!("bytes={}", many(count)).as_bytes(), 1000);
        assert!(matches!(ask(16), Wanted::Parts(parts) if parts.len() == 16));
        assert_eq!(ask(17), Wanted::Whole);
    }
}
