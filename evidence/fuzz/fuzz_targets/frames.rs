//! Frames that pass through the proxy of the tests.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Err(broken) = fairlock_fuzz::frames(data) {
        panic!("{broken}");
    }
});
