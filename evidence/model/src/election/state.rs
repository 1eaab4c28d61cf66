//! A state of an election's world.

use super::watching::{Event, Names, Watching};
pub use crate::state::Server;

/// How many candidates there are.
pub const CANDIDATES: usize = 2;

/// What a leader's record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// The number in its node's name.
    pub number: u8,
    /// Its token.
    pub token: u8,
    /// What it has proclaimed.
    pub payload: u8,
}

impl Names for Record {
    type Token = u8;

    fn node_token(&self) -> u8 {
        self.token
    }
}

/// The leader's node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// The number in its name, which may come again.
    pub number: u8,
    /// Its token, which never does.
    pub token: u8,
    /// How often it was written to.
    pub version: u8,
}

/// What a server has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tree {
    /// The record, if there is one; it may be empty.
    pub record: Option<Option<Record>>,
    /// How often the record was written.
    pub version: u8,
    /// The node of whoever leads.
    pub node: Option<Node>,
}

impl Tree {
    /// Who leads, as far as this tree tells.
    pub fn truth(&self) -> Option<Record> {
        self.record.flatten().filter(|record| self.node.is_some_and(|node| node.token == record.token))
    }
}

/// An entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// A node was made.
    Made(Node),
    /// The node was deleted.
    Gone,
    /// A stranger wrote to the node.
    Written,
    /// The record was made or written.
    Recorded(Option<Record>),
}

/// A leader's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// The transaction that writes the record.
    Write,
    /// The making of an empty record.
    Make,
}

/// A candidate who leads, or believes so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Term {
    /// The number in its node's name.
    pub number: u8,
    /// Its token.
    pub token: u8,
    /// What it proclaims, or has proclaimed.
    pub payload: u8,
    /// What is under way.
    pub request: Option<Request>,
    /// A proclamation that was lost on its way, by its payload: it may be executed after all.
    pub ghost: Option<u8>,
    /// Whether its payload was ever written.
    pub is_written: bool,
    /// Whether its session lives.
    pub lives: bool,
    /// Whether an operator has deleted its node.
    pub is_robbed: bool,
}

/// What the observer waits for an answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ask {
    /// The record.
    Record,
    /// The node of this number.
    Node(u8),
}

/// How far the event of a watch has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Nothing has changed.
    Placed,
    /// It is on its way.
    Sent,
    /// It has arrived.
    Arrived,
}

/// A watch, and what it saw when it was placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Watch<T> {
    /// What it saw.
    pub saw: T,
    /// How far its event has come.
    pub stage: Stage,
}

/// The observer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Observer {
    /// The shipped core.
    pub(super) core: Watching<Record>,
    /// The request under way; none while the core waits.
    pub ask: Option<Ask>,
    /// Whether the core waits for news of the node too.
    pub for_node: bool,
    /// Whether its session lives, for the servers.
    pub lives: bool,
    /// Where it is connected.
    pub link: Option<Server>,
    /// Where it was connected last.
    pub home: Server,
    /// How many of the log's entries that the follower lacks it has seen.
    pub seen: u8,
    /// The record's watch: how often the record had been written.
    pub record: Option<Watch<u8>>,
    /// The node's watch.
    pub node: Option<Watch<Node>>,
    /// Everything that was true since it looked at the record, at its server or on the way to the next.
    pub window: Vec<Option<Record>>,
    /// What it was told last.
    pub told: Option<Option<Record>>,
    /// What it has read without a watch, as it must not be.
    pub peeked: Option<Option<Record>>,
}

/// A write of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Written {
    /// Whether the leader whom it names lives.
    pub by_living: bool,
    /// Whether its token, and among equal ones its payload, is as high as the one before.
    pub in_order: bool,
    /// Whether an operator deleted the leader's node, and another has its name.
    pub is_namesake: bool,
    /// Whether it was written already.
    pub again: bool,
}

/// What the last step has shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Note {
    /// The observer was told this.
    Told {
        /// What.
        leader: Option<Record>,
        /// What it was told before.
        before: Option<Option<Record>>,
        /// Whether it was true since the look.
        was_true: bool,
    },
    /// A proclamation was told as made.
    Confirmed {
        /// Whether it was written.
        is_written: bool,
    },
    /// The core's assertion failed.
    Panicked,
}

/// See the module's doc.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The leader's tree.
    pub leader: Tree,
    /// The follower's.
    pub follower: Tree,
    /// What the follower has not applied yet.
    pub pending: Vec<Change>,
    /// The candidates, while they lead.
    pub terms: [Option<Term>; CANDIDATES],
    /// The next number.
    pub next: u8,
    /// How many were elected.
    pub elected: u8,
    /// The observer.
    pub observer: Observer,
    /// How many faults are left.
    pub faults: u8,
    /// How many questions may still be dropped.
    pub drops: u8,
    /// How many looks for missed events are left.
    pub looks: u8,
    /// What the last step has shown.
    pub note: Option<Note>,
    /// The write of the record that the last step was.
    pub written: Option<Written>,
}

impl State {
    /// What a server has.
    pub fn tree_at(&self, server: Server) -> &Tree {
        match server {
            Server::Leader => &self.leader,
            Server::Follower => &self.follower,
        }
    }
}

/// What an observer's core takes in.
pub(super) type Fired = Event<Record>;
