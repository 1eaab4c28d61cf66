//! The signals that this process was started to ignore: whoever started it with `nohup` means what it goes on to run.

use std::fs;

use rustix::process::Signal;

/// A set of signals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ignored {
    bits: u64,
}

impl Ignored {
    /// Those that are ignored now, before any was caught. Nobody tells elsewhere than on Linux.
    pub(crate) fn at_start() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        Self { bits: line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0) }
    }

    pub(crate) fn contains(self, signal: Signal) -> bool {
        self.bits & (1 << (signal.as_raw() - 1)) != 0
    }
}
