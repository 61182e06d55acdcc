//! What holds for any bytes that a client may send, in pieces of any size. Property tests (`tests/properties.rs`) and
//! fuzzing (`fuzz/`) try to refute it.
//!
//! What is accepted is also read by a second reader, which knows no rules and is written to be read at a glance.
//! Request smuggling is two readers that disagree.

use part2::Refusal;
use part2::chunked::Decoder;
use part2::framing::Framing;
use part2::head::{Head, HeadReader, Version};
use part2::target::Target;

/// `bytes` in pieces of these sizes, over and over; 0 counts as 1.
pub fn pieces<'a>(bytes: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let (mut rest, mut sizes) = (bytes, sizes.iter().cycle());
    while !rest.is_empty() {
        let size = sizes.next().copied().unwrap_or(usize::MAX).clamp(1, rest.len());
        let (piece, after) = rest.split_at(size);
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// How far a head gets: which rule it breaks, or its length once it is complete.
pub fn read_head(pieces: &[&[u8]]) -> (HeadReader, Result<Option<usize>, Refusal>) {
    let mut reader = HeadReader::default();
    for piece in pieces {
        reader.push(piece);
        match reader.end() {
            Ok(None) => {}
            outcome => return (reader, outcome),
        }
    }
    (reader, Ok(None))
}

/// Whether a head is complete and a request; panics where a rule does not hold.
pub fn check_head(bytes: &[u8], sizes: &[usize]) -> bool {
    let (reader, outcome) = read_head(&[bytes]);
    let (split_reader, split_outcome) = read_head(&pieces(bytes, sizes));
    assert_eq!(outcome, split_outcome, "in one piece, and in pieces of {sizes:?}");
    let Ok(Some(length)) = outcome else { return false };
    let parsed = reader.parse(length);
    assert_eq!(parsed, split_reader.parse(length), "in one piece, and in pieces of {sizes:?}");
    let Ok(head) = parsed else { return false };

    check_like_a_simple_reader(&bytes[..length], &head);
    check_parts(&head);
    let target = Target::of(&head);
    let framing = Framing::of(&head);
    if let Ok(target) = &target {
        check_target(&head, target);
    }
    if let Ok(framing) = &framing {
        check_framing(&head, *framing);
    }
    target.is_ok() && framing.is_ok()
}

fn check_like_a_simple_reader(bytes: &[u8], head: &Head) {
    let text: String = bytes.iter().copied().map(char::from).collect();
    let text = text.trim_start_matches("\r\n").strip_suffix("\r\n\r\n").expect("a head ends with an empty line");
    let mut lines = text.split("\r\n");
    let request_line: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    assert_eq!(request_line[..2], [head.method, head.target]);
    assert_eq!(request_line.len(), 3);
    assert!(matches!((request_line[2], head.version), ("HTTP/1.0", Version::Http10) | (_, Version::Http11)));

    let fields: Vec<(String, String)> = lines
        .map(|line| line.split_once(':').expect("a field has a colon"))
        .map(|(name, value)| (name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
        .collect();
    let as_text = |value: &[u8]| value.iter().copied().map(char::from).collect();
    let parsed: Vec<(String, String)> =
        head.fields.iter().map(|(name, value)| ((*name).to_owned(), as_text(value))).collect();
    assert_eq!(parsed, fields);
}

fn check_parts(head: &Head) {
    let is_token = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(&byte))
    };
    assert!(is_token(head.method) && head.method.len() <= 32 && head.method != "CONNECT", "{:?}", head.method);
    assert!(!head.target.is_empty() && head.target.bytes().all(|byte| byte.is_ascii_graphic()), "{:?}", head.target);
    assert!(head.fields.len() <= 100);
    for (name, value) in &head.fields {
        assert!(is_token(name), "{name:?}");
        assert!(!value.iter().any(|&byte| byte.is_ascii_control() && byte != b'\t'), "{value:?}");
    }
}

fn check_target(head: &Head, target: &Target) {
    let hosts = head.values("Host").count();
    assert!(hosts == 1 || hosts == 0 && head.version == Version::Http10, "{hosts} Host fields");
    match target {
        Target::Server => assert_eq!(head.method, "OPTIONS"),
        Target::Resource { path, query, host } => {
            assert!(path.starts_with(b"/") && !path.contains(&0), "{path:?}");
            assert!(head.target.ends_with(query));
            assert!(!host.is_some_and(|host| host.iter().any(|byte| b"/?#@ \\".contains(byte))), "{host:?}");
        }
    }
}

fn check_framing(head: &Head, framing: Framing) {
    let lengths: Vec<&[u8]> = head.values("Content-Length").collect();
    let codings: Vec<&[u8]> = head.values("Transfer-Encoding").collect();
    match framing {
        Framing::Length(0) if lengths.is_empty() => assert!(codings.is_empty()),
        Framing::Length(length) => {
            let [digits] = lengths[..] else { panic!("{lengths:?}") };
            assert!(codings.is_empty() && digits.iter().all(u8::is_ascii_digit), "{codings:?} {digits:?}");
            let digits = str::from_utf8(digits).unwrap().trim_start_matches('0');
            assert!(length == u64::MAX || digits == if length == 0 { String::new() } else { length.to_string() });
        }
        Framing::Chunked => {
            assert!(lengths.is_empty() && head.version == Version::Http11);
            assert_eq!(codings.concat().to_ascii_lowercase(), b"chunked");
        }
    }
}

/// What became of a chunked body.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The body, as far as it was decoded.
    pub body: Vec<u8>,
    /// How many bytes of the coded body were taken, if it is complete.
    pub outcome: Result<Option<usize>, Refusal>,
}

/// Decodes a chunked body that comes in `pieces`.
pub fn decode(pieces: &[&[u8]]) -> Decoded {
    let mut decoder = Decoder::default();
    let (mut body, mut taken) = (Vec::new(), 0);
    for piece in pieces {
        let outcome = decoder.decode(piece, |decoded| {
            body.extend_from_slice(decoded);
            Ok(())
        });
        match outcome {
            Ok(length) => taken += length,
            Err(refusal) => return Decoded { body, outcome: Err(refusal) },
        }
        if decoder.is_complete() {
            return Decoded { body, outcome: Ok(Some(taken)) };
        }
        assert_eq!(outcome, Ok(piece.len()), "a body that goes on takes all of a piece");
    }
    Decoded { body, outcome: Ok(None) }
}

/// Whether a chunked body is complete; panics where a rule does not hold.
pub fn check_chunked(bytes: &[u8], sizes: &[usize]) -> bool {
    let decoded = decode(&[bytes]);
    assert_eq!(decoded, decode(&pieces(bytes, sizes)), "in one piece, and in pieces of {sizes:?}");
    assert!(decoded.body.len() <= bytes.len(), "the body is longer than what came");
    let Ok(Some(taken)) = decoded.outcome else { return false };
    assert_eq!(decode_simply(&bytes[..taken]), Some(decoded.body));
    true
}

/// Reads a chunked body, and all of it.
fn decode_simply(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line_end = bytes.windows(2).position(|two| two == b"\r\n")?;
        let line = str::from_utf8(&bytes[..line_end].to_ascii_lowercase()).ok().map(str::to_owned);
        let line = line.unwrap_or_else(|| bytes[..line_end].iter().copied().map(char::from).collect());
        let size = line.split([';', ' ', '\t']).next()?;
        let size = usize::from_str_radix(size, 16).ok()?;
        bytes = &bytes[line_end + 2..];
        if size == 0 {
            // Trailer fields up to an empty line, and nothing behind it.
            let end = match bytes {
                b"\r\n" => 2,
                _ => bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4,
            };
            return (end == bytes.len()).then_some(body);
        }
        body.extend_from_slice(bytes.get(..size)?);
        bytes = bytes.get(size..)?.strip_prefix(b"\r\n")?;
    }
}
