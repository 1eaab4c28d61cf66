//! Paths that an application gives for a lock.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Err(broken) = fairlock_fuzz::lock_paths(data) {
        panic!("{broken}");
    }
});
