//! What is typed, and what is to be measured because of it.

use std::path::PathBuf;

use clap::Parser;

use crate::contenders::Name;
use crate::footprint::own::Part;
use crate::results::{LINKS, LOOPBACK, Link};

/// Measures fairlock beside other locks on ZooKeeper, in turn, on one server that it starts.
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
    /// Write docs/BENCHMARKS.md and its pictures
    #[arg(long)]
    pub(crate) write: bool,
    /// How many rounds of each, instead of what suits each
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: Option<u32>,
    /// Only these contenders
    #[arg(long, value_delimiter = ',')]
    pub(crate) contenders: Vec<Name>,
    /// A folder with the jars of Curator and what they need, if they are not installed
    #[arg(long)]
    pub(crate) curator_jars: Option<PathBuf>,
}

/// What is measured, how often and where.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) contenders: Vec<Name>,
    pub(crate) links: Vec<Link>,
    /// Of what is quick, and of what has a crowd.
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
    /// So many wait when a queue is drained of those contenders that can be expected to do it today.
    pub(crate) large_drains: Vec<usize>,
    /// So many locks are in use at the same time.
    pub(crate) locks: usize,
    /// Memory is measured with so many waiters, and with so many held locks.
    pub(crate) crowds_in_memory: Vec<u64>,
    /// Before anything is measured, the server is warmed up with so many nodes.
    pub(crate) warm_up: usize,
}

impl Arguments {
    pub(crate) fn plan(&self) -> Plan {
        let chosen = |name: &Name| match self.contenders.is_empty() {
            true => !self.quick || [Name::Floor, Name::Fairlock, Name::ZookeeperClient].contains(name),
            false => self.contenders.contains(name),
        };
        let contenders = Name::ALL.into_iter().filter(chosen).collect();
        let rounds = |usual| self.rounds.map_or(usual, |rounds| rounds as usize);
        if self.quick {
            return Plan {
                contenders,
                links: vec![LOOPBACK],
                rounds: rounds(3),
                crowd_rounds: rounds(2),
                cycles: 5,
                hand_overs: 3,
                waiters: vec![2],
                drains: vec![10, 20],
                large_drains: vec![],
                locks: 4,
                crowds_in_memory: vec![10, 20],
                warm_up: 0,
            };
        }
        Plan {
            contenders,
            links: LINKS.to_vec(),
            rounds: rounds(15),
            crowd_rounds: rounds(5),
            cycles: 20,
            hand_overs: 10,
            waiters: vec![2, 64, 1_000],
            drains: vec![100, 1_000],
            large_drains: if self.large { vec![10_000] } else { vec![] },
            locks: 64,
            crowds_in_memory: vec![100, 250, 500, 1_000],
            warm_up: 3_000,
        }
    }
}
