//! Connect strings, as far as they are checked before anything is sent.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Err(broken) = fairlock_fuzz::connect_strings(data) {
        panic!("{broken}");
    }
});
