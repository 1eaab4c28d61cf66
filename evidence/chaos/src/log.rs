//! One line per fault, with the time since the beginning; and how many there were of each kind.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::faults::Kind;

#[derive(Debug)]
pub(crate) struct Log {
    begin: Instant,
    counts: Mutex<BTreeMap<Kind, u64>>,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self { begin: Instant::now(), counts: Mutex::default() }
    }

    pub(crate) fn line(&self, text: impl fmt::Display) {
        println!("{:9.3} s  {text}", self.begin.elapsed().as_secs_f64());
    }

    pub(crate) fn fault(&self, kind: Kind, detail: impl fmt::Display) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default() += 1;
        self.line(format_args!("{kind:22}  {detail}"));
    }

    pub(crate) fn counts(&self) -> BTreeMap<Kind, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
