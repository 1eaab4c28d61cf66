//! What was measured: of each contender, for each piece of work, over each link.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::contenders::{Independent, Name};
use crate::cost::{Cost, Costs};
use crate::footprint::{Instructions, Memory};
use crate::statistics::Rounds;

/// How many servers there are; a contender is connected to one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Servers {
    One,
    /// They elect a leader, and contenders are connected to another.
    Three,
}

impl Servers {
    pub(crate) fn count(self) -> usize {
        match self {
            Self::One => 1,
            Self::Three => 3,
        }
    }
}

/// What is at the other end, and how long everything takes each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Link {
    pub(crate) servers: Servers,
    pub(crate) delay_millis: u64,
}

pub(crate) const LOOPBACK: Link = Link::to_one(0);
pub(crate) const LINKS: [Link; 3] = [LOOPBACK, Link::to_one(1), Link::to_one(10)];

impl Link {
    pub(crate) const fn to_one(delay_millis: u64) -> Self {
        Self { servers: Servers::One, delay_millis }
    }

    pub(crate) fn delay(self) -> Duration {
        Duration::from_millis(self.delay_millis)
    }

    /// Whether round trips outweigh everything else.
    pub(crate) fn is_slow(self) -> bool {
        self.delay_millis > 0
    }

    pub(crate) fn text(self) -> String {
        let delay = match self.delay_millis {
            0 => "loopback".to_owned(),
            millis => format!("{millis} ms each way"),
        };
        match self.servers {
            Servers::One => delay,
            Servers::Three => format!("three servers, {delay}"),
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
    Independent(Independent),
    /// So many share a lock, or take it alone, each so often.
    Mix {
        tasks: usize,
        cycles: usize,
    },
    Attempt,
    Connecting,
    /// Of a session that has just been opened.
    FirstGrant(Directory),
    /// Both of them.
    ColdStart(Directory),
    /// A leader is killed: how long nothing is granted.
    FailOver,
    /// The same: how long a holder cannot rely on what it holds.
    Doubt,
    /// Processor time that the server spends.
    Server(Busy),
    /// Processor time that the process with the lock spends.
    Own(Busy),
}

/// That of a lock's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Directory {
    Exists,
    IsNew,
}

impl Directory {
    fn text(self) -> &'static str {
        match self {
            Self::Exists => "directory exists",
            Self::IsNew => "directory is new",
        }
    }
}

/// What it is spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Busy {
    Cycle,
    HandOver {
        waiters: usize,
    },
    /// Several in turn, so that fewer and fewer wait.
    HandOvers {
        from: usize,
        to: usize,
    },
    Drain {
        waiters: usize,
    },
}

impl Busy {
    fn text(self) -> String {
        match self {
            Self::Cycle => Work::Uncontended,
            Self::HandOver { waiters } => Work::HandOver { waiters },
            Self::HandOvers { from, to } => return format!("hand-over with {from} waiting, then fewer, down to {to}"),
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
            Self::Independent(Independent { locks, sessions: 1 }) => {
                format!("acquire and release, {locks} locks at the same time")
            }
            Self::Independent(Independent { locks, sessions }) => {
                format!("acquire and release, {locks} locks at the same time over {sessions} sessions")
            }
            Self::Mix { tasks, .. } => format!("a cycle of {tasks} tasks on one lock, every tenth writes"),
            Self::Attempt => "try, while it is held".to_owned(),
            Self::Connecting => "connecting".to_owned(),
            Self::FirstGrant(directory) => format!("the first grant, {}", directory.text()),
            Self::ColdStart(directory) => format!("from connecting to the first grant, {}", directory.text()),
            Self::FailOver => "the leader is killed: until the next grant".to_owned(),
            Self::Doubt => "the leader is killed: a holder cannot rely on its lock".to_owned(),
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
            Self::Mix { tasks, cycles } => tasks * cycles,
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
    /// What it consists of.
    pub(crate) parts: Vec<(Work, Shot)>,
}

impl Shot {
    pub(crate) fn new(time: Duration, costs: Vec<(&'static str, Cost)>) -> Self {
        Self { time, costs, parts: vec![] }
    }
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
    /// What ran to be measured on, as text.
    pub(crate) servers: Vec<String>,
    pub(crate) memory: Memory,
    pub(crate) instructions: Instructions,
    /// Who was not measured, or not to the end, and why.
    pub(crate) missing: Vec<(Name, String)>,
    /// What no figure shows.
    pub(crate) remarks: Vec<String>,
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
        for (part, shot) in shot.parts {
            self.add(part, link, name, shot);
        }
    }

    pub(crate) fn row(&self, work: Work, link: Link, name: Name) -> Option<&Row> {
        self.rows.iter().find(|row| (row.work, row.link, row.name) == (work, link, name))
    }

    /// The other lock on ZooKeeper that was the quickest at it.
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
