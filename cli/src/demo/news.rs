//! What the world tells those who show it.

use std::fmt;
use std::time::Duration;

use fairlock::{FencingToken, LossReason};

/// A contender, in the order in which they were sent off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Who(pub(super) u8);

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A script has at most 26 contenders.
        fmt::Write::write_char(f, char::from(b'A' + self.0 % 26))
    }
}

/// How a contender left the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Released,
    Crashed,
    GaveUp,
}

/// Something that happened, with the time since the start.
#[derive(Clone, Debug)]
pub(super) struct News {
    pub(super) at: Duration,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    /// A contender's node is in the queue.
    Entered {
        who: Who,
    },
    Granted {
        who: Who,
        token: FencingToken,
    },
    /// A contender leaves; so many others wait at that moment.
    Leaves {
        who: Who,
        how: How,
        waiters: usize,
    },
    /// The store told a waiter that the node it watches has changed.
    Notified {
        who: Who,
        about: Who,
    },
    /// A holder learned that its lock is gone.
    Lost {
        who: Who,
        reason: LossReason,
    },
    /// The queue as the store lists it.
    Queue(Vec<Who>),
    /// Some time after a departure: who has been notified of it.
    Settled {
        left: Who,
        notified: Vec<Who>,
        waiters: usize,
    },
}
