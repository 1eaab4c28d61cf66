//! Names of a queue's children, one a line.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Err(broken) = fairlock_fuzz::node_names(data) {
        panic!("{broken}");
    }
});
