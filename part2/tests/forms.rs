//! What holds for every form with files: how it comes changes nothing, its files are read as they were sent, and no
//! bytes make the reader panic or run for ever.

#[path = "common/forms.rs"]
mod forms;

use forms::{Outcome, check, read};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Content with much in it that looks like the end of it.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        vec(any::<u8>(), 0..40),
        select(vec!["\r\n--X", "\r\n--", "\r\n", "\r", "--X-", "\r\n\r\n", "X", "-"]).prop_map(|text| text.into()),
    ];
    vec(piece, 0..12)
        .prop_map(|pieces| pieces.concat())
        .prop_filter("it holds the boundary", |content| !content.windows(6).any(|six| six == b"\r\n--XX"))
}

/// A form, and what is in it.
fn form() -> impl Strategy<Value = (Vec<u8>, Outcome)> {
    let name = prop_oneof![Just(None), "[a-z\u{e9}/; .<>]{0,12}".prop_map(Some)];
    let end = select(vec!["", "\r\n", "\r\nwhatever"]);
    (vec((name, content()), 0..5), end).prop_map(|(parts, end)| {
        let mut bytes = Vec::new();
        for (name, content) in &parts {
            let file = name.as_ref().map(|name| format!("; filename=\"{name}\"")).unwrap_or_default();
            let head = format!("--XX\r\nContent-Disposition: form-data; name=\"a\"{file}\r\n\r\n");
            bytes.extend_from_slice(head.as_bytes());
            bytes.extend_from_slice(content);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(format!("--XX--{end}").as_bytes());
        (bytes, Outcome { parts, is_complete: true })
    })
}

/// No files of its own: what it finds becomes a test by name.
fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_was_sent_is_read_however_it_comes((bytes, sent) in form(), sizes in vec(1..50_usize, 1..4)) {
        prop_assert!(check(&bytes, &sizes), "{}", bytes.escape_ascii());
        prop_assert_eq!(&read(&bytes, &sizes, 256), &sent);
    }

    #[test]
    fn a_form_that_ends_too_early_is_not_complete((bytes, _) in form(), at in any::<Index>()) {
        let end = bytes.windows(6).rposition(|six| six == b"--XX--").unwrap_or_default() + 6;
        prop_assert!(!read(&bytes[..at.index(end)], &[7], 64 * 1024).is_complete);
    }

    #[test]
    fn a_damaged_form_is_read_alike_however_it_comes(
        (mut bytes, _) in form(), changes in vec((any::<Index>(), any::<u8>()), 1..4), sizes in vec(1..50_usize, 1..4),
    ) {
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        check(&bytes, &sizes);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in vec(any::<u8>(), 0..200), sizes in vec(1..50_usize, 1..4)) {
        check(&bytes, &sizes);
    }
}
