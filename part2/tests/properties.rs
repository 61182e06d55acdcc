//! What holds for every request, not only for those that somebody thought of: how it is split changes nothing, what is
//! accepted means one thing only, and nothing makes the server panic.

#[path = "common/rules.rs"]
mod rules;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use rules::{check_chunked, check_head, decode};

/// The sizes of the pieces that bytes come in.
fn sizes() -> impl Strategy<Value = Vec<usize>> {
    vec(1..40_usize, 1..5)
}

/// A request that keeps all rules.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let known = select(vec!["GET", "HEAD", "POST", "OPTIONS"]).prop_map(str::to_owned);
    let method = prop_oneof![known, "[-!#$%&'*+.^_`|~0-9a-zA-Z]{1,32}"]
        .prop_filter("CONNECT is refused", |method| method != "CONNECT");
    let path = "/([a-z./;=]|%[2-9a-f][0-9A-F]){0,20}(\\?[!-~&&[^#]]{0,10})?";
    let target = prop_oneof![path, "http://(a\\.b|\\[::1\\])(:[0-9]{0,5})?(/[a-z]{0,4})?"];
    let version = select(vec!["HTTP/1.0", "HTTP/1.1", "HTTP/1.2"]);
    let value = vec(prop_oneof![9 => 0x20..0x7f_u8, 1 => Just(b'\t'), 1 => 0x80..=0xff_u8], 0..20);
    let field = ("X[-_!#a-zA-Z0-9]{0,10}", "[ \t]{0,2}", value)
        .prop_map(|(name, space, value)| [name.as_bytes(), b":", space.as_bytes(), &value, b"\r\n"].concat());
    let body = ["", "Content-Length: 0\r\n", "content-length: 0017 \r\n", "Transfer-Encoding: \tChunked\r\n"];
    (select(vec!["", "\r\n", "\r\n\r\n"]), method, target, version, vec(field, 0..8), select(body.to_vec())).prop_map(
        |(before, method, target, version, fields, body)| {
            let body = if version == "HTTP/1.0" && body.starts_with('T') { "" } else { body };
            let lines = format!("{before}{method} {target} {version}\r\nHost: a.b:80\r\n{body}");
            [lines.as_bytes(), &fields.concat(), b"\r\n"].concat()
        },
    )
}

/// A chunked body and what it stands for.
fn chunked() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let extension = || select(vec!["", ";a", ";a=b", " ; a = \"b;\\\"c\"", ";a=\"\""]);
    let chunk = (vec(any::<u8>(), 1..40), 0..3_usize, any::<bool>(), extension());
    let trailers = select(vec!["", "A: b\r\n", "A:\r\nContent-Length: 5\r\n"]);
    (vec(chunk, 0..6), extension(), trailers).prop_map(|(chunks, last, trailers)| {
        let (mut coded, mut body) = (Vec::new(), Vec::new());
        for (data, zeros, is_upper, extension) in chunks {
            let size = if is_upper { format!("{:X}", data.len()) } else { format!("{:x}", data.len()) };
            coded.extend_from_slice(format!("{}{size}{extension}\r\n", "0".repeat(zeros)).as_bytes());
            coded.extend_from_slice(&data);
            coded.extend_from_slice(b"\r\n");
            body.extend_from_slice(&data);
        }
        coded.extend_from_slice(format!("0{last}\r\n{trailers}\r\n").as_bytes());
        (coded, body)
    })
}

/// Something that was right before somebody changed a few bytes of it.
fn damaged(right: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![select(b"\r\n\0 \t:;,%/#\"0aF\x7f\x80".to_vec()), any::<u8>()];
    (right, vec((any::<Index>(), 0..3, byte), 1..4)).prop_map(|(mut bytes, changes)| {
        for (place, kind, byte) in changes {
            let place = place.index(bytes.len());
            match kind {
                0 => bytes[place] = byte,
                1 => bytes.insert(place, byte),
                _ => _ = bytes.remove(place),
            }
        }
        bytes
    })
}

/// No files of its own: what it finds becomes a test by name.
fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_request_that_keeps_the_rules_is_accepted_however_it_is_split(request in request(), sizes in sizes()) {
        prop_assert!(check_head(&request, &sizes), "{}", request.escape_ascii());
    }

    #[test]
    fn a_damaged_request_is_judged_alike_however_it_is_split(request in damaged(request()), sizes in sizes()) {
        check_head(&request, &sizes);
    }

    #[test]
    fn no_bytes_make_a_head_that_panics(bytes in vec(any::<u8>(), 0..200), sizes in sizes()) {
        check_head(&bytes, &sizes);
    }

    #[test]
    fn a_chunked_body_decodes_to_what_was_encoded_and_ends_where_it_ends(
        (coded, body) in chunked(), next in vec(any::<u8>(), 0..9), sizes in sizes(),
    ) {
        let together = [&coded[..], &next].concat();
        let decoded = decode(&[&together]);
        prop_assert_eq!(decoded.outcome, Ok(Some(coded.len())), "{}", coded.escape_ascii());
        prop_assert_eq!(decoded.body, body);
        prop_assert!(check_chunked(&together, &sizes));
    }

    #[test]
    fn a_chunked_body_is_complete_with_its_last_byte_and_not_before((coded, _) in chunked(), at in any::<Index>()) {
        prop_assert_eq!(decode(&[&coded[..at.index(coded.len())]]).outcome, Ok(None));
    }

    #[test]
    fn a_damaged_chunked_body_is_judged_alike_however_it_is_split(
        coded in damaged(chunked().prop_map(|(coded, _)| coded)), sizes in sizes(),
    ) {
        check_chunked(&coded, &sizes);
    }

    #[test]
    fn no_bytes_make_a_chunked_body_that_panics(bytes in vec(any::<u8>(), 0..200), sizes in sizes()) {
        check_chunked(&bytes, &sizes);
    }
}
