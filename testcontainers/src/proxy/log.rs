//! The order in which things passed through a proxy.

use std::collections::VecDeque;
use std::time::Instant;

use super::wire::{EventKind, Operation};

/// How many entries a proxy keeps; older ones are forgotten.
pub const LOG_LENGTH: usize = 65_536;

/// Something that arrived at a proxy, whether or not it was passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Instant,
    /// On which connection, counted from 1.
    pub connection: u64,
    /// What.
    pub what: What,
}

/// What arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// A client connected.
    Opened,
    /// A client's request.
    Request {
        /// Its kind.
        operation: Operation,
        /// The path it is about; for a transaction that of its first part.
        path: Option<String>,
    },
    /// The server's reply.
    Reply {
        /// What it replies to.
        operation: Operation,
        /// ZooKeeper's error code, 0 for none.
        err: i32,
    },
    /// The server's watch notification.
    Event {
        /// Its kind.
        kind: EventKind,
        /// The watched path.
        path: String,
    },
    /// The connection ended.
    Closed,
}

#[derive(Debug, Default)]
pub(crate) struct Log(VecDeque<Entry>);

impl Log {
    pub(crate) fn add(&mut self, connection: u64, what: What) {
        if self.0.len() == LOG_LENGTH {
            self.0.pop_front();
        }
        self.0.push_back(Entry { at: Instant::now(), connection, what });
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.0.iter().cloned().collect()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
