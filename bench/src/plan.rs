//! What is typed, and what is to be measured because of it.

use std::path::PathBuf;

use clap::Parser;

use crate::contenders::{Independent, Name};
use crate::footprint::own::Part;
use crate::results::{LINKS, LOOPBACK, Link, Servers};

/// Measures fairlock beside other locks, in turn, on servers that it starts: first one, then an ensemble of three.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) part: Option<Part>,
    /// The smallest form: seconds, no delays, only contenders that need nothing else than this program. No figure for anybody
    #[arg(long)]
    pub(crate) quick: bool,
    /// Also drain queues of 10,000, of the floor and of fairlock
    #[arg(long)]
    pub(crate) large: bool,
    /// Also drain queues of 10,000 of all others: minutes for each, and gigabytes of memory
    #[arg(long, requires = "large")]
    pub(crate) large_peers: bool,
    /// Write docs/BENCHMARKS.md and its pictures
    #[arg(long)]
    pub(crate) write: bool,
    /// How many rounds of each, instead of what suits each
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: Option<u32>,
    /// Measure only this. No page can be written of it
    #[arg(long, value_delimiter = ',', conflicts_with = "write")]
    pub(crate) only: Vec<Group>,
    /// Only these contenders
    #[arg(long, value_delimiter = ',')]
    pub(crate) contenders: Vec<Name>,
    /// Leave out the ensemble of three servers
    #[arg(long)]
    pub(crate) no_ensemble: bool,
    /// A folder with the jars of Curator and what they need, if they are not installed
    #[arg(long)]
    pub(crate) curator_jars: Option<PathBuf>,
}

/// What can be measured without the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Group {
    Uncontended,
    Independent,
    Try,
    ColdStart,
    HandOver,
    Mix,
    Drain,
    ServerTime,
    FailOver,
    OwnTime,
    Memory,
    Instructions,
}

/// What is measured, how often and where.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Nothing else, unless it is empty.
    pub(crate) only: Vec<Group>,
    pub(crate) servers: Servers,
    pub(crate) contenders: Vec<Name>,
    pub(crate) links: Vec<Link>,
    /// Of single operations, of independent locks and of killed leaders; and of what else has a crowd.
    pub(crate) rounds: usize,
    pub(crate) crowd_rounds: usize,
    /// Acquiring and releasing so often makes one figure.
    pub(crate) cycles: usize,
    /// Handing over so often makes one figure.
    pub(crate) hand_overs: usize,
    /// So many wait at a hand-over.
    pub(crate) waiters: Vec<usize>,
    /// So many wait when a queue is drained.
    pub(crate) drains: Vec<usize>,
    /// So many wait when a queue is drained; other locks do it once, if they come to an end.
    pub(crate) large_drains: Vec<usize>,
    pub(crate) large_peers: bool,
    /// So many locks are in use at the same time.
    pub(crate) independent: Vec<Independent>,
    /// So many share a lock or take it alone at the same time, each so often.
    pub(crate) mix: (usize, usize),
    /// So many leaders are killed.
    pub(crate) kills: usize,
    /// Memory is measured with so many waiters, and with so many held locks.
    pub(crate) crowds_in_memory: Vec<u64>,
    /// So many cycles, and as many hand-overs, are counted in instructions.
    pub(crate) cycles_in_instructions: usize,
    /// Before anything is measured, the server is warmed up with so many nodes.
    pub(crate) warm_up: usize,
}

impl Arguments {
    pub(crate) fn plan(&self) -> Plan {
        let chosen = |name: &Name| match self.contenders.is_empty() {
            true => !self.quick || Name::LIBRARIES.contains(name),
            false => self.contenders.contains(name),
        };
        let contenders = Name::ALL.into_iter().filter(chosen).collect();
        let rounds = |usual| self.rounds.map_or(usual, |rounds| rounds as usize);
        if self.quick {
            return Plan {
                only: self.only.clone(),
                servers: Servers::One,
                contenders,
                links: vec![LOOPBACK],
                rounds: rounds(3),
                crowd_rounds: rounds(2),
                cycles: 5,
                hand_overs: 3,
                waiters: vec![2],
                drains: vec![10, 20],
                large_drains: vec![],
                large_peers: false,
                independent: vec![Independent { locks: 4, sessions: 1 }, Independent { locks: 4, sessions: 2 }],
                mix: (4, 5),
                kills: 1,
                crowds_in_memory: vec![10, 20],
                cycles_in_instructions: 0,
                warm_up: 0,
            };
        }
        let independent = |locks| [1, 8].map(|sessions| Independent { locks, sessions });
        Plan {
            only: self.only.clone(),
            servers: Servers::One,
            contenders,
            links: LINKS.to_vec(),
            rounds: rounds(5),
            crowd_rounds: rounds(3),
            cycles: 20,
            hand_overs: 6,
            waiters: vec![2, 8, 64, 1_000],
            drains: vec![100, 1_000],
            large_drains: if self.large { vec![10_000] } else { vec![] },
            large_peers: self.large_peers,
            independent: [64, 1_000].into_iter().flat_map(independent).collect(),
            mix: (32, 5),
            kills: rounds(5),
            crowds_in_memory: vec![100, 250, 500, 1_000],
            cycles_in_instructions: 100,
            warm_up: 3_000,
        }
    }
}

impl Plan {
    pub(crate) fn measures(&self, group: Group) -> bool {
        self.only.is_empty() || self.only.contains(&group)
    }

    /// The part of it that is also done on three servers, if any, of those contenders that have got so far: what an ensemble makes a
    /// difference to. Redis has no servers that agree on who holds a lock.
    pub(crate) fn on_three(self, contenders: impl Iterator<Item = Name>) -> Option<Self> {
        let groups = [Group::Uncontended, Group::Independent, Group::HandOver, Group::Drain];
        let only: Vec<_> = groups.into_iter().filter(|group| self.measures(*group)).collect();
        (!only.is_empty()).then(|| Self {
            only,
            servers: Servers::Three,
            contenders: contenders.filter(|name| *name != Name::Redis).collect(),
            links: vec![Link { servers: Servers::Three, delay_millis: 0 }],
            waiters: vec![64],
            drains: vec![1_000],
            large_drains: vec![],
            independent: vec![Independent { locks: 64, sessions: 1 }],
            kills: 0,
            ..self
        })
    }
}
