//! Signals as a person's shell leaves them, however the tests were started.
//!
//! A shell without job control starts what is put into the background with INT and QUIT ignored, and `nohup` ignores HUP; whatever is
//! started from there inherits that, and the program respects it. Tests that send those signals must not depend on it.

use std::sync::Once;

use tokio::signal::unix::{SignalKind, signal};

/// Those that the tests send.
const SENT: [i32; 7] = [1, 2, 3, 10, 12, 15, 20];

/// From here on, what these tests start ignores none of them. A signal that is caught, if only to no purpose, is back at its default in
/// whatever is started.
pub(crate) fn ignore_none() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let ignored = line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0);
        let caught = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                for number in SENT.into_iter().filter(|number| ignored & (1 << (number - 1)) != 0) {
                    drop(signal(SignalKind::from_raw(number)).expect("it can be caught"));
                }
            });
        };
        // A thread of its own: the caller may be on a runtime already.
        std::thread::spawn(caught).join().expect("no panic");
    });
}
