//! What has happened, as far as it was observed: the evidence for the summary.

use std::time::Duration;

use fairlock::FencingToken;
use fairlock::queue::Sequence;

use super::news::{How, Who};

#[derive(Debug, Default)]
pub(super) struct Story {
    /// The contenders with their numbers, as the store listed them.
    pub(super) entries: Vec<(Who, Sequence)>,
    /// In the order in which the contenders got their guards.
    pub(super) grants: Vec<(Who, FencingToken)>,
    pub(super) departures: Vec<Departure>,
    /// In the order of their arrival at the contenders.
    pub(super) notifications: Vec<Notification>,
    /// How many contenders the store listed at the end.
    pub(super) left_behind: usize,
    pub(super) took: Duration,
}

/// A contender leaves the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Departure {
    pub(super) who: Who,
    pub(super) how: How,
    /// How many others waited at that moment.
    pub(super) waiters: usize,
    /// Who was right behind it.
    pub(super) next: Option<Who>,
}

/// A contender is told that a node has changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Notification {
    pub(super) to: Who,
    pub(super) about: Sequence,
}

impl Story {
    pub(super) fn sequence(&self, who: Who) -> Option<Sequence> {
        self.entries.iter().find(|(entered, _)| *entered == who).map(|(_, sequence)| *sequence)
    }

    pub(super) fn owner(&self, sequence: Sequence) -> Option<Who> {
        self.entries.iter().find(|(_, entered)| *entered == sequence).map(|(who, _)| *who)
    }

    /// Who was notified of this one's departure. What a contender hears of its own node is not counted: it wakes
    /// nobody else.
    pub(super) fn notified(&self, left: Who) -> Vec<Who> {
        let about = self.sequence(left);
        let notifications = self.notifications.iter();
        notifications.filter(|n| Some(n.about) == about && n.to != left).map(|n| n.to).collect()
    }
}
