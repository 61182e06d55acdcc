//! Tries to find a chunked body that panics, is judged differently in one piece and in several, or is decoded
//! differently by another reader. The first two bytes say how it is split, and the body follows.
//!
//! Run: `cargo install cargo-fuzz`, and then, in part2,
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run chunked -- -dict=fuzz/http.dict -max_total_time=300`
//! (fuzzing needs options that a stable compiler has only with that variable, or `cargo +nightly fuzz run ...`).

#![no_main]

#[path = "../../tests/common/rules.rs"]
#[allow(dead_code, reason = "the other target uses the rest")]
mod rules;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some((&[first, others], body)) = bytes.split_first_chunk() {
        rules::check_chunked(body, &[first.into(), others.into()]);
    }
});
