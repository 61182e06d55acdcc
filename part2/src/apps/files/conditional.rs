//! Conditional requests: whether what the client has is what there is (RFC 9110, section 13).

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use httpdate::{fmt_http_date, parse_http_date};

use crate::Environ;

/// How old a change has to be before it is told from one that follows it: clocks of file systems are coarse.
const SETTLED: Duration = Duration::from_secs(2);

/// What tells one state of a file from another (RFC 9110, section 8.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validators {
    /// The value of ETag.
    pub etag: String,
    /// The value of Last-Modified: not later than now, whatever the file says (section 8.8.2.1).
    pub last_modified: String,
    modified: SystemTime,
    /// Whether two states of the file can't have the same validators (section 8.8.1).
    is_strong: bool,
}

impl Validators {
    /// Those of a file. While it has just been changed they are weak: another change may follow within what its times
    /// can tell apart.
    pub fn of(metadata: &Metadata, now: SystemTime) -> Validators {
        // The time of the last change of the inode goes in too, because the time of modification can be set back.
        let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        let modified = nanoseconds(metadata.mtime(), metadata.mtime_nsec());
        let changed = nanoseconds(metadata.ctime(), metadata.ctime_nsec());
        let is_settled = |time: i128| {
            let settled = u128::try_from(time).unwrap_or(0) + SETTLED.as_nanos();
            now.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|now| settled <= now.as_nanos())
        };
        let is_strong = is_settled(modified) && is_settled(changed);
        let weak = if is_strong { "" } else { "W/" };
        let modified_time = metadata.modified().unwrap_or(now).clamp(SystemTime::UNIX_EPOCH, now);
        Validators {
            etag: format!("{weak}\"{:x}-{modified:x}-{changed:x}\"", metadata.len()),
            last_modified: fmt_http_date(modified_time),
            modified: parse_http_date(&fmt_http_date(modified_time)).unwrap_or(modified_time), // whole seconds
            is_strong,
        }
    }
}

/// What the conditions of a request come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The request is answered as if it had none.
    Proceed,
    /// 304: the client has what there is.
    NotModified,
    /// 412: the client wants it only as it was.
    PreconditionFailed,
}

/// Evaluates the conditions of a GET or HEAD in the order of section 13.2.2.
pub fn evaluate(environ: &Environ, current: &Validators) -> Verdict {
    let date = |name| environ.get(name).and_then(date);
    let fails = match environ.get("HTTP_IF_MATCH") {
        Some(tags) => !matches(tags, |tag| current.is_strong && tag == current.etag),
        None => date("HTTP_IF_UNMODIFIED_SINCE").is_some_and(|date| current.modified > date),
    };
    if fails {
        return Verdict::PreconditionFailed;
    }
    let weak = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    let is_same = match environ.get("HTTP_IF_NONE_MATCH") {
        Some(tags) => matches(tags, |tag| weak(tag) == weak(&current.etag)),
        None => date("HTTP_IF_MODIFIED_SINCE").is_some_and(|date| current.modified <= date),
    };
    if is_same { Verdict::NotModified } else { Verdict::Proceed }
}

/// Whether a Range field counts: always without If-Range, and else only if the client has a part of just what there is
/// (section 13.1.5).
pub fn if_range(environ: &Environ, current: &Validators) -> bool {
    match environ.get("HTTP_IF_RANGE") {
        None => true,
        Some(_) if !current.is_strong => false,
        Some(value) => value == current.etag.as_bytes() || date(value).is_some_and(|date| date == current.modified),
    }
}

/// Reads a date. What is no date is no condition.
fn date(value: &[u8]) -> Option<SystemTime> {
    parse_http_date(str::from_utf8(value).ok()?).ok()
}

/// Whether `is_it` holds for one of a list of entity tags, or the list is `*` (sections 8.8.3 and 13.1.1). What follows
/// something that is no tag is not read.
fn matches(list: &[u8], is_it: impl Fn(&str) -> bool) -> bool {
    let mut rest = str::from_utf8(list).unwrap_or_default().trim();
    if rest == "*" {
        return true;
    }
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let Some(inside) = rest.strip_prefix("W/").unwrap_or(rest).strip_prefix('"') else { return false };
        let Some(length) = inside.find('"') else { return false };
        let after = &inside[length + 1..];
        let tag = &rest[..rest.len() - after.len()];
        if is_it(tag) {
            return true;
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_tags_is_read_tag_by_tag() {
        for (list, found) in [
            ("\"a\"", true),
            ("*", true),
            ("\"b\", \"a\"", true),
            ("\"b\",\t\"a\"", true),
            (" , \"b\",, \"a\" ,", true),
            ("W/\"b\", \"a\"", true),
            ("\"x,y\", \"a\"", true),
            ("\"\", \"a\"", true),
            ("\"b\"", false),
            ("W/\"a\"", false),
            ("", false),
            ("a", false),
            ("\"a", false),
            ("\"", false),
            ("W/", false),
            ("\u{e9}", false),
            ("b, \"a\"", false),
            ("\"*\"", false),
        ] {
            assert_eq!(matches(list.as_bytes(), |tag| tag == "\"a\""), found, "{list:?}");
        }
        assert!(!matches(b"\xff\"a\"", |_| true));
    }

    #[test]
    fn what_has_just_changed_has_weak_validators_and_none_is_later_than_now() {
        let file = tempfile::tempfile().unwrap();
        let metadata = file.metadata().unwrap();
        let modified = metadata.modified().unwrap();
        let just_now = Validators::of(&metadata, modified);
        let later = Validators::of(&metadata, modified + Duration::from_secs(60));
        assert!(just_now.etag.starts_with("W/\"") && later.etag.starts_with('"'), "{just_now:?} {later:?}");
        assert_eq!(just_now.etag, format!("W/{}", later.etag));
        let earlier = Validators::of(&metadata, modified - Duration::from_secs(60));
        assert_eq!(earlier.last_modified, fmt_http_date(modified - Duration::from_secs(60)));
    }
}
