//! The data of a contender's node.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Err(broken) = fairlock_fuzz::tickets(data) {
        panic!("{broken}");
    }
});
