//! What was measured: of each contender, for each piece of work, over each link.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::contenders::Name;
use crate::cost::{Cost, Costs};
use crate::footprint::Memory;
use crate::statistics::Rounds;

/// How long everything takes each way, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Link(pub(crate) u64);

pub(crate) const LOOPBACK: Link = Link(0);
pub(crate) const LINKS: [Link; 3] = [LOOPBACK, Link(1), Link(10)];

impl Link {
    pub(crate) fn delay(self) -> Duration {
        Duration::from_millis(self.0)
    }

    pub(crate) fn text(self) -> String {
        match self {
            LOOPBACK => "loopback".to_owned(),
            Self(millis) => format!("{millis} ms each way"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Work {
    Uncontended,
    HandOver {
        waiters: usize,
    },
    Drain {
        waiters: usize,
    },
    Independent {
        locks: usize,
    },
    Attempt,
    ColdStart,
    /// Processor time that the server spends.
    Server(Busy),
    /// Processor time that the process with the lock spends.
    Own(Busy),
}

/// What it is spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Busy {
    Cycle,
    HandOver { waiters: usize },
    Drain { waiters: usize },
}

impl Busy {
    fn text(self) -> String {
        match self {
            Self::Cycle => Work::Uncontended,
            Self::HandOver { waiters } => Work::HandOver { waiters },
            Self::Drain { waiters } => Work::Drain { waiters },
        }
        .text()
    }
}

impl Work {
    pub(crate) fn text(self) -> String {
        match self {
            Self::Uncontended => "acquire and release, uncontended".to_owned(),
            Self::HandOver { waiters } => format!("hand-over with {waiters} waiting"),
            Self::Drain { waiters } => format!("a hand-over of a drain of {waiters}"),
            Self::Independent { locks } => format!("acquire and release, {locks} locks at the same time"),
            Self::Attempt => "try, while it is held".to_owned(),
            Self::ColdStart => "from connecting to the first grant".to_owned(),
            Self::Server(busy) => format!("server: {}", busy.text()),
            Self::Own(busy) => format!("own process: {}", busy.text()),
        }
    }

    /// Whether it is time of a processor, not of a clock.
    pub(crate) fn is_processor_time(self) -> bool {
        matches!(self, Self::Server(_) | Self::Own(_))
    }

    /// How many operations a counted cost is of.
    pub(crate) fn operations(self) -> usize {
        match self {
            Self::Drain { waiters } => waiters,
            _ => 1,
        }
    }
}

/// One figure, and what it cost.
#[derive(Debug, Default)]
pub(crate) struct Shot {
    pub(crate) time: Duration,
    /// By what it was the cost of.
    pub(crate) costs: Vec<(&'static str, Cost)>,
}

#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) work: Work,
    pub(crate) link: Link,
    pub(crate) name: Name,
    pub(crate) times: Rounds,
    pub(crate) costs: BTreeMap<&'static str, Costs>,
}

#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) rows: Vec<Row>,
    pub(crate) memory: Memory,
    /// Who was not measured, or not to the end, and why.
    pub(crate) missing: Vec<(Name, String)>,
}

impl Results {
    pub(crate) fn add(&mut self, work: Work, link: Link, name: Name, shot: Shot) {
        let is_it = |row: &Row| (row.work, row.link, row.name) == (work, link, name);
        let at = self.rows.iter().position(is_it).unwrap_or_else(|| {
            self.rows.push(Row { work, link, name, times: Rounds::default(), costs: BTreeMap::new() });
            self.rows.len() - 1
        });
        let row = &mut self.rows[at];
        row.times.push(shot.time);
        for (what, cost) in shot.costs {
            row.costs.entry(what).or_default().push(cost);
        }
    }

    pub(crate) fn row(&self, work: Work, link: Link, name: Name) -> Option<&Row> {
        self.rows.iter().find(|row| (row.work, row.link, row.name) == (work, link, name))
    }

    /// The other lock that was the quickest at it.
    pub(crate) fn best_peer(&self, work: Work, link: Link) -> Option<&Row> {
        let peers = self.rows.iter().filter(|row| (row.work, row.link) == (work, link) && row.name.is_peer());
        peers.min_by(|a, b| a.times.median().partial_cmp(&b.times.median()).unwrap_or(std::cmp::Ordering::Equal))
    }

    /// The pieces of work and links, in the order in which they were measured.
    pub(crate) fn headings(&self) -> Vec<(Work, Link)> {
        let mut headings: Vec<(Work, Link)> = Vec::new();
        for row in &self.rows {
            if !headings.contains(&(row.work, row.link)) {
                headings.push((row.work, row.link));
            }
        }
        headings
    }
}
