//! What is observed of a history, as far as the properties speak of it: plain values, so that each checker can be tested
//! with facts made up for it.

use crate::plan::FaultKind;

/// A lock, by its index in the plan.
pub(crate) type Lock = u8;

/// A node, by its fencing token: never the same again, unlike its name.
pub(crate) type Token = i64;

/// How a node came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Remover {
    /// A request of this session.
    Session(i64),
    /// The leader had not heard of its session in time.
    Expiry,
    /// Its session was closed.
    Close,
    /// An operator deleted it, its queue, or its session.
    Operator,
}

/// How the guard of a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Standing {
    /// There is none, or it is released.
    None,
    /// It says that it is lost.
    Lost,
    /// It says that it is valid.
    Valid,
}

/// Something observed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fact {
    /// The servers made a contender's node.
    Created {
        /// Its lock.
        lock: Lock,
        /// Its token.
        token: Token,
        /// Its number.
        number: i32,
        /// Its owner.
        session: i64,
    },
    /// The servers deleted a contender's node.
    Removed {
        /// Its lock.
        lock: Lock,
        /// Its token.
        token: Token,
        /// Its owner.
        owner: i64,
        /// Why.
        by: Remover,
        /// What its guard said at that moment.
        guard: Standing,
        /// Whether an operator has removed the queue, or the node of the attempt that asked for the deletion, since the
        /// connection began on which it was asked for.
        meddled_with: bool,
        /// Whether it was another attempt that asked for it than the one that the node was made for.
        by_another: bool,
    },
    /// An acquisition returned a guard.
    Granted {
        /// Whether it shares the lock.
        shares: bool,
        /// Its lock.
        lock: Lock,
        /// Its token.
        token: Token,
        /// Whether it is valid at all.
        valid: bool,
        /// Other unreleased guards of the lock that say that they are valid and exclude this one.
        others: Vec<Token>,
        /// A live node of the queue that was created earlier and is in the way of this one.
        ahead: Option<Token>,
        /// Whether its node was ever the first of the live ones.
        was_head: bool,
    },
    /// Whoever holds a guard begins to exchange it for another kind.
    Converting {
        /// Its lock.
        lock: Lock,
        /// Its token.
        token: Token,
    },
    /// It has another kind of guard.
    Converted {
        /// Its lock.
        lock: Lock,
        /// The token that it had.
        from: Token,
        /// The token that it has.
        to: Token,
        /// Whether the guard is valid.
        valid: bool,
    },
    /// It has the guard that it had, or none.
    NotConverted {
        /// Its lock.
        lock: Lock,
        /// Its token.
        token: Token,
    },
    /// A guard was released or dropped.
    Ended {
        /// Its lock.
        lock: Lock,
        /// Its token.
        token: Token,
    },
    /// Somebody looked at a guard.
    Seen {
        /// Its lock.
        lock: Lock,
        /// Its token.
        token: Token,
        /// What it said.
        valid: bool,
        /// Whether its node lives.
        lives: bool,
        /// Whether its session has had an undisturbed connection for how long, in milliseconds.
        calm_ms: u64,
    },
    /// A release was confirmed.
    Released {
        /// Its lock.
        lock: Lock,
        /// Its token.
        token: Token,
        /// Whether its node still lives.
        lives: bool,
    },
    /// The servers executed a guarded transaction.
    Committed {
        /// Its lock.
        lock: Lock,
        /// The token of the guard.
        token: Token,
        /// The token of the node that it was checked against.
        node: Token,
    },
    /// A watch was placed.
    Watching {
        /// The watching session.
        session: i64,
        /// The watched queue.
        lock: Lock,
        /// How many watches of that session are on that node now.
        watches: usize,
        /// Whether the node is the session's own.
        is_own: bool,
        /// Whether the queue was ever removed while nodes were in it.
        tampered: bool,
    },
    /// A change of one node was told.
    Told {
        /// The node's lock.
        lock: Lock,
        /// How many watches it fired of others than the node's owner.
        others: usize,
        /// Whether the queue was ever removed while nodes were in it.
        tampered: bool,
    },
    /// More nodes than attempts, of one session in one queue.
    Nodes {
        /// The session.
        session: i64,
        /// The queue.
        lock: Lock,
        /// Its live nodes.
        nodes: usize,
        /// The attempts that its client has under way.
        attempts: usize,
        /// How long its connection has been undisturbed, in milliseconds.
        calm_ms: u64,
    },
    /// The servers wrote the leader's record of the election.
    Recorded {
        /// The token that it names.
        token: Token,
        /// The number that is its payload: each proclamation has a higher one.
        payload: u64,
        /// The token of the live node that the transaction checked.
        node: Option<Token>,
        /// Whether the leader's node was ever the first of the live ones.
        was_head: bool,
    },
    /// A proclamation was confirmed, or the campaign that it belongs to.
    Confirmed {
        /// The leader's token.
        token: Token,
        /// Its payload.
        payload: u64,
        /// Whether it was ever written.
        took_effect: bool,
    },
    /// Somebody was told who leads.
    Observed {
        /// The observer; none for one who has asked only once.
        observer: Option<u8>,
        /// The leader's token.
        leader: Option<Token>,
        /// Whether it differs from what the observer was told before.
        is_new: bool,
        /// Whether it was the truth at some time since the look that it rests on.
        was_true: bool,
    },
    /// What an observer knows, as it waits for news.
    Known {
        /// The observer.
        observer: u8,
        /// Whether it was told what is true now.
        is_true: bool,
        /// For how long the truth has been the same, and the observer's connection undisturbed, in milliseconds.
        for_ms: u64,
    },
    /// What an observer knows in the end.
    KnownLast {
        /// The observer.
        observer: u8,
        /// Whether it was told what is true.
        is_true: bool,
    },
    /// An acquisition failed.
    Failed {
        /// The error.
        error: &'static str,
        /// Whether the faults of this history explain it.
        expected: bool,
    },
    /// A fault happened.
    Fault(FaultKind),
    /// All faults have ended.
    Healed,
    /// Everything that was to end after the faults has ended, or has not.
    Finished {
        /// Tasks that still wait or hold.
        unfinished: usize,
        /// Nodes left in the queues once all is over.
        nodes_left: usize,
        /// Sessions left at the servers.
        sessions_left: usize,
    },
    /// A task panicked.
    Panicked {
        /// What it said.
        message: String,
    },
}

impl Fact {
    /// The lock that it is about, if it is about one.
    pub(crate) fn lock(&self) -> Option<Lock> {
        match self {
            Fact::Created { lock, .. }
            | Fact::Removed { lock, .. }
            | Fact::Granted { lock, .. }
            | Fact::Converting { lock, .. }
            | Fact::Converted { lock, .. }
            | Fact::NotConverted { lock, .. }
            | Fact::Ended { lock, .. }
            | Fact::Seen { lock, .. }
            | Fact::Released { lock, .. }
            | Fact::Committed { lock, .. }
            | Fact::Watching { lock, .. }
            | Fact::Told { lock, .. }
            | Fact::Nodes { lock, .. } => Some(*lock),
            _ => None,
        }
    }
}
