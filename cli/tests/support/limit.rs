//! Tests that wait for a program that does not do its part would wait for ever, and nobody would learn which.

use std::sync::Once;
use std::time::Duration;

/// Far more than all tests of a program take.
const LIMIT: Duration = Duration::from_secs(300);

/// Ends this program of tests, as failed, if it is not done in time. The harness names the tests that take long.
pub(crate) fn all_tests() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::thread::spawn(|| {
            std::thread::sleep(LIMIT);
            eprintln!("these tests were not done within {LIMIT:?}");
            std::process::exit(101);
        });
    });
}
