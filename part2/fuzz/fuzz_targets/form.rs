//! Tries to find a form with files that panics, hangs, is read differently in one piece and in several, or is read
//! differently by another reader. The first two bytes say how it is split, and the form follows; its boundary is `XX`.
//!
//! Run: `cargo install cargo-fuzz`, and then, in part2,
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run form -- -dict=fuzz/form.dict -max_total_time=300`
//! (fuzzing needs options that a stable compiler has only with that variable, or `cargo +nightly fuzz run ...`).

#![no_main]

#[path = "../../tests/common/forms.rs"]
mod forms;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some((&[first, others], form)) = bytes.split_first_chunk() {
        forms::check(form, &[first.into(), others.into()]);
    }
});
