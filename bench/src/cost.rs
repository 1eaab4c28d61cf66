//! What an operation costs on the wire, and whether it costs the same each time.

use fairlock_testcontainers::{Counts, Operation};

/// What passed the proxy during one operation, without pings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) reads: u64,
    pub(crate) writes: u64,
    pub(crate) events: u64,
    /// Both ways.
    pub(crate) bytes: u64,
}

impl Cost {
    pub(crate) fn requests(self) -> u64 {
        self.reads + self.writes
    }
}

/// What goes through the leader and its log.
const WRITES: [Operation; 7] = [
    Operation::Create,
    Operation::Create2,
    Operation::CreateContainer,
    Operation::CreateTtl,
    Operation::Delete,
    Operation::Multi,
    Operation::SetData,
];

impl From<Counts> for Cost {
    fn from(counts: Counts) -> Self {
        let writes = WRITES.iter().map(|operation| counts.request(*operation)).sum();
        Self {
            reads: counts.requests().saturating_sub(writes),
            writes,
            events: counts.events(),
            bytes: counts.bytes_to_server() + counts.bytes_to_client(),
        }
    }
}

/// The costs of one kind of operation, each time it was done.
#[derive(Debug, Clone, Default)]
pub(crate) struct Costs(Vec<Cost>);

impl Costs {
    pub(crate) fn push(&mut self, cost: Cost) {
        self.0.push(cost);
    }

    /// The first of them, which stands for all where they are [`equal`](Self::equal).
    pub(crate) fn first(&self) -> Option<Cost> {
        self.0.first().copied()
    }

    /// Whether each time there were as many reads, writes and events. Bytes may differ by the digits of a number.
    pub(crate) fn equal(&self) -> bool {
        self.0.windows(2).all(|pair| {
            let [a, b] = [pair[0], pair[1]];
            (a.reads, a.writes, a.events) == (b.reads, b.writes, b.events)
        })
    }

    /// Whether each time there were as many reads and writes.
    pub(crate) fn equal_requests(&self) -> bool {
        self.0.windows(2).all(|pair| (pair[0].reads, pair[0].writes) == (pair[1].reads, pair[1].writes))
    }

    /// The least and the most of something.
    pub(crate) fn span(&self, of: impl Fn(Cost) -> u64) -> Option<(u64, u64)> {
        let all = || self.0.iter().copied().map(&of);
        Some((all().min()?, all().max()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(all: &[(u64, u64)]) -> Costs {
        let mut costs = Costs::default();
        for (reads, bytes) in all {
            costs.push(Cost { reads: *reads, writes: 1, events: 0, bytes: *bytes });
        }
        costs
    }

    #[test]
    fn costs_that_differ_in_a_request_are_not_equal() {
        assert!(costs(&[(1, 100), (1, 100)]).equal());
        assert!(costs(&[(1, 100), (1, 101)]).equal(), "a digit more");
        assert!(!costs(&[(1, 100), (1, 100), (2, 100)]).equal());
        assert!(costs(&[]).equal());
    }

    #[test]
    fn events_are_no_requests() {
        let mut costs = costs(&[(1, 100)]);
        costs.push(Cost { reads: 1, writes: 1, events: 7, bytes: 100 });
        assert!(costs.equal_requests() && !costs.equal());
        costs.push(Cost { reads: 1, writes: 2, events: 0, bytes: 100 });
        assert!(!costs.equal_requests());
    }

    #[test]
    fn a_span_is_of_what_it_was_asked_for() {
        assert_eq!(costs(&[(1, 100), (2, 90)]).span(|cost| cost.bytes), Some((90, 100)));
        assert_eq!(costs(&[(1, 100), (2, 90)]).span(Cost::requests), Some((2, 3)));
        assert_eq!(costs(&[]).span(|cost| cost.bytes), None);
    }
}
