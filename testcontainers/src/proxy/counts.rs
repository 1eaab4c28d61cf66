//! How much of what has passed through a proxy.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Sub;

use super::wire::{EventKind, Operation};

/// What a proxy has seen: everything that arrived at it, also what it swallowed. The handshake of a connection counts
/// only in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    requests: BTreeMap<Operation, u64>,
    replies: BTreeMap<Operation, u64>,
    events: BTreeMap<EventKind, u64>,
    bytes_to_server: u64,
    bytes_to_client: u64,
}

impl Counts {
    /// All requests without pings.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.iter().filter(|(operation, _)| **operation != Operation::Ping).map(|(_, count)| count).sum()
    }

    /// Requests of one kind.
    #[must_use]
    pub fn request(&self, operation: Operation) -> u64 {
        self.requests.get(&operation).copied().unwrap_or_default()
    }

    /// All replies without those to pings.
    #[must_use]
    pub fn replies(&self) -> u64 {
        self.replies.iter().filter(|(operation, _)| **operation != Operation::Ping).map(|(_, count)| count).sum()
    }

    /// Replies to one kind of request.
    #[must_use]
    pub fn reply(&self, operation: Operation) -> u64 {
        self.replies.get(&operation).copied().unwrap_or_default()
    }

    /// All watch notifications.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events.values().sum()
    }

    /// Watch notifications of one kind.
    #[must_use]
    pub fn event(&self, kind: EventKind) -> u64 {
        self.events.get(&kind).copied().unwrap_or_default()
    }

    /// Bytes that clients sent.
    #[must_use]
    pub fn bytes_to_server(&self) -> u64 {
        self.bytes_to_server
    }

    /// Bytes that the server sent.
    #[must_use]
    pub fn bytes_to_client(&self) -> u64 {
        self.bytes_to_client
    }

    pub(crate) fn add_request(&mut self, operation: Operation) {
        *self.requests.entry(operation).or_default() += 1;
    }

    pub(crate) fn add_reply(&mut self, operation: Operation) {
        *self.replies.entry(operation).or_default() += 1;
    }

    pub(crate) fn add_event(&mut self, kind: EventKind) {
        *self.events.entry(kind).or_default() += 1;
    }

    pub(crate) fn add_bytes_to_server(&mut self, bytes: usize) {
        self.bytes_to_server += bytes as u64;
    }

    pub(crate) fn add_bytes_to_client(&mut self, bytes: usize) {
        self.bytes_to_client += bytes as u64;
    }
}

/// What came between two counts of the same proxy: `later - earlier`. Never below zero.
impl Sub for Counts {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            requests: difference(self.requests, &earlier.requests),
            replies: difference(self.replies, &earlier.replies),
            events: difference(self.events, &earlier.events),
            bytes_to_server: self.bytes_to_server.saturating_sub(earlier.bytes_to_server),
            bytes_to_client: self.bytes_to_client.saturating_sub(earlier.bytes_to_client),
        }
    }
}

fn difference<K: Ord>(later: BTreeMap<K, u64>, earlier: &BTreeMap<K, u64>) -> BTreeMap<K, u64> {
    let since = later.into_iter().map(|(key, count)| {
        let before = earlier.get(&key).copied().unwrap_or_default();
        (key, count.saturating_sub(before))
    });
    since.filter(|(_, count)| *count > 0).collect()
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<20} {:>9} {:>9}", "", "requests", "replies")?;
        let mut operations: Vec<_> = self.requests.keys().chain(self.replies.keys()).collect();
        operations.sort();
        operations.dedup();
        for operation in operations {
            let (requests, replies) = (self.request(*operation), self.reply(*operation));
            writeln!(f, "{:<20} {requests:>9} {replies:>9}", operation.to_string())?;
        }
        for (kind, count) in &self.events {
            writeln!(f, "{:<20} {:>9} {count:>9}", kind.to_string(), "")?;
        }
        write!(f, "{:<20} {:>9} {:>9}", "bytes", self.bytes_to_server, self.bytes_to_client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_do_not_count_as_requests() {
        let mut counts = Counts::default();
        counts.add_request(Operation::Ping);
        counts.add_request(Operation::Create);
        assert_eq!(counts.requests(), 1);
        assert_eq!(counts.request(Operation::Ping), 1);
    }

    #[test]
    fn a_difference_holds_only_what_is_new() {
        let mut earlier = Counts::default();
        earlier.add_request(Operation::Create);
        earlier.add_event(EventKind::NodeDeleted);
        let mut later = earlier.clone();
        later.add_request(Operation::Create);
        later.add_reply(Operation::Create);
        later.add_bytes_to_server(10);
        let between = later - earlier;
        assert_eq!(between.requests(), 1);
        assert_eq!(between.reply(Operation::Create), 1);
        assert_eq!(between.events(), 0);
        assert_eq!(between.bytes_to_server(), 10);
    }

    #[test]
    fn the_table_has_a_line_for_each_kind() {
        let mut counts = Counts::default();
        counts.add_request(Operation::Create2);
        counts.add_event(EventKind::NodeDeleted);
        let table = counts.to_string();
        assert!(table.contains("Create2                      1         0"), "{table}");
        assert!(table.contains("NodeDeleted"), "{table}");
        assert_eq!(table.lines().count(), 4);
    }
}
