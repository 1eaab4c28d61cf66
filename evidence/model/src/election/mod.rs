//! A small world around an election: the shipped cores decide what an observer does next, and what a leader does after each
//! outcome of a proclamation; the servers are modelled.
//!
//! # The abstraction
//!
//! * *Candidates.* Their lock is none of this world's business: somebody is elected when nobody's node is there, and gets the next
//!   number and token. A leader's writes are executed by the leader of the ensemble, in its order; the request or the reply may be
//!   lost, and a lost request may be executed later or never, but not after a later write of its session.
//! * *Servers.* As in the worlds of the queue: a leader, and a follower that has applied a prefix of its log. The observer is
//!   connected to one of them or to none; a server that lacks what it has seen refuses it.
//! * *The observer.* A reply is taken in when it is made, with all events before it, and what has fired is taken up when the
//!   core waits, the record's event first. A lost reply is the same as a request that was not executed: it is made again. On the
//!   next connection, watches tell what is different. Once it was told something it asks for more at once; that it asks later is
//!   the same as that events come later.
//!
//! What is not modelled: several observers, which have nothing to do with each other, and refused requests, which the core sees as
//! a question that is asked again.

mod observer;
mod properties;
mod servers;
pub mod state;
pub mod step;
pub mod worlds;

// The shipped ones, as they are: nothing of them is for users of the library.
#[path = "../../../../src/recipes/election/proclaiming.rs"]
mod proclaiming;
#[path = "../../../../src/recipes/election/watching.rs"]
#[allow(dead_code, reason = "what the observer shows of itself is not asked for here")]
mod watching;

pub use self::properties::{
    knows_once_nothing_is_under_way, only_who_leads_writes, told_what_is_true, what_is_proclaimed_is_written,
};

/// A world of an election.
#[derive(Clone, Debug)]
pub struct World {
    /// What to call it.
    pub name: &'static str,
    /// How many times somebody is elected.
    pub terms: u8,
    /// How many payloads a leader proclaims.
    pub payloads: u8,
    /// How many faults there are in a history.
    pub faults: u8,
    /// Which faults there are.
    pub kinds: Faults,
    /// How many times the observer's question is dropped half-way.
    pub drops: u8,
    /// How many times it looks for missed events.
    pub looks: u8,
    /// How the library and the servers behave.
    pub promises: Promises,
    /// Whether a record is left out that is written on the strength of another's node of the same name, where an operator has deleted
    /// the leader's: docs/PROTOCOL.md names that limit.
    pub excuses_namesakes: bool,
}

/// Kinds of faults.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// A leader's request or its reply is lost.
    pub loss: bool,
    /// A candidate's session ends.
    pub expire: bool,
    /// An operator deletes the leader's node.
    pub delete: bool,
    /// A stranger writes to the leader's node.
    pub write: bool,
    /// The servers remove the empty queue, so that numbers start again.
    pub reap: bool,
    /// The observer's connection is lost, with what is on its way.
    pub cut: bool,
    /// The observer's session ends.
    pub end: bool,
    /// The observer may find a server that lags behind.
    pub lag: bool,
}

impl Faults {
    /// All.
    pub const ALL: Self =
        Self { loss: true, expire: true, delete: true, write: true, reap: true, cut: true, end: true, lag: true };
}

/// What the cores rely on. Each can be left out, to see that the checker notices.
#[derive(Clone, Copy, Debug)]
pub struct Promises {
    /// A record is written only while the leader's node is there.
    pub writes_are_checked: bool,
    /// A read places its watch in the same request.
    pub watches_with_the_read: bool,
    /// Watches tell after a reconnect what has changed.
    pub watches_are_restored: bool,
    /// A node that goes is told.
    pub deletions_are_told: bool,
    /// A lost reply is told as unknown, not as success.
    pub unknown_is_unknown: bool,
}

impl Promises {
    /// As they are.
    pub const KEPT: Self = Self {
        writes_are_checked: true,
        watches_with_the_read: true,
        watches_are_restored: true,
        deletions_are_told: true,
        unknown_is_unknown: true,
    };
}
