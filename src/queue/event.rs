//! What a contender's machine is told, and what it asks for.

use crate::error::LossReason;
use crate::name::Sequence;
use crate::store::{Entered, OwnNode};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Answer to [`Action::Enter`].
    Entered(Entered),
    /// The queue does not exist. Answer to [`Action::Enter`], [`Action::Survey`].
    QueueMissing,
    /// Answer to [`Action::MakeQueue`].
    QueueMade,
    /// Answer to [`Action::Recover`] and [`Action::Locate`]: the nodes of this attempt.
    Recovered(Vec<OwnNode>),
    /// Answer to [`Action::Survey`]: the numbers of all contenders, in any order.
    Surveyed(Vec<Sequence>),
    /// Answer to [`Action::SurveyRoom`], and to [`Action::WatchRoom`], where it says that the watch is in place too.
    RoomSurveyed {
        /// The contenders for permits, in any order.
        contenders: Vec<Sequence>,
        /// How many permits the semaphore has; `None` if nothing says that.
        permits: Option<u32>,
    },
    /// Answer to [`Action::PlaceWatch`] and [`Action::PlaceWatchOnEither`]: the watch is in place, on the writer's node if it
    /// might be either.
    WatchPlaced,
    /// Answer to [`Action::PlaceWatchOnEither`]: the watch is in place, on the reader's node.
    ReaderWatchPlaced,
    /// Answer to [`Action::PlaceWatch`] and [`Action::PlaceWatchOnEither`]: there is no such node.
    WatchMissing,
    /// Answer to [`Action::Probe`].
    Probed {
        /// Whether the node exists.
        exists: bool,
    },
    /// Answer to [`Action::Leave`]: the node has been deleted.
    Left,
    /// Answer to [`Action::Leave`]: there was no such node.
    LeaveMissing,
    /// Answer to [`Action::Verify`] and [`Action::Confirm`].
    Verified {
        /// Whether the node, with the own session and token, still exists.
        exists: bool,
    },
    /// Answer to [`Action::Confirm`] of a contender that holds a share already: the own node exists, the share's is gone.
    ShareGone,
    /// Answer to [`Action::Downgrade`]: the node that has come in place of the own one.
    Downgraded(OwnNode),
    /// The outstanding request's outcome is unknown.
    Unknown,
    /// The outstanding request was refused for good; the driver keeps the error.
    Refused,

    /// The predecessor's node was written: by the holder, in the transaction that released it.
    PredecessorReleased {
        /// Whether the connection has held since the watch was placed.
        continuous: bool,
    },
    /// The predecessor's node was deleted, nobody knows by whom.
    PredecessorGone,
    /// A contender for permits came or went, or their number was changed: what [`Action::WatchRoom`] watches.
    RoomChanged,
    /// Answer to [`Action::PlaceOwnWatch`]: in place, and the node is still this attempt's.
    OwnWatchPlaced,
    /// The own node was written by somebody else, or its watch could not be placed: it is not watched any more.
    OwnWatchSpent,
    /// The own node is gone, or another's node has its name.
    OwnGone,

    /// No server answers.
    Suspended,
    /// A server answers again, for the same session.
    Resumed,
    /// The session is over.
    SessionEnded(LossReason),
    /// The time up to which the lock could be relied upon has passed.
    DeadlinePassed,
    /// It is time to look whether an event was missed.
    Tick,
    /// Nobody wants the lock any more.
    Cancel,
    /// The holder is done.
    Release,
    /// The holder wants to share the lock from now on.
    Downgrade,
}

/// Something to do. The answers are named with [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Create the node, in one transaction with finding out whether it is alone.
    Enter,
    /// Make the queue's directories.
    MakeQueue,
    /// After a write barrier, find the nodes of this attempt.
    Recover,
    /// List the queue.
    Survey,
    /// List the contenders for permits, and read how many there are.
    SurveyRoom,
    /// The same, and watch both.
    WatchRoom,
    /// Watch this contender's node.
    PlaceWatch(Sequence),
    /// Watch the node of the contender with this number, be it this writer or a reader.
    PlaceWatchOnEither(Sequence),
    /// Look whether the own node still is the own one, and also that of the share, if one is held. Answered by
    /// [`Event::Verified`] and [`Event::ShareGone`].
    Confirm,
    /// Look whether this contender's node exists.
    Probe(Sequence),
    /// Watch the own node.
    PlaceOwnWatch,
    /// Tell the user: the lock is held.
    Grant(Proof),
    /// Tell the holder: the lock is lost.
    Lose(LossReason),
    /// Tell the waiter: it will not be granted.
    Fail(Failure),
    /// Tell the holder: the lock is released.
    Released,
    /// Put a shared node with the same number in place of the own one, in one transaction.
    Downgrade,
    /// After a write barrier, find the own node, or the one that has come in its place, again and again until there is an answer.
    Locate,
    /// Tell the holder: the lock is shared from now on.
    Downgraded,
    /// Tell the holder: the lock is held alone as before; the driver knows the error.
    NotDowngraded,
    /// Delete the own node.
    Leave(LeaveForm),
    /// After a write barrier, find out whether the own node still exists.
    Verify,
    /// Delete a surplus node of this attempt; nothing depends on the outcome.
    RemoveSurplus(OwnNode),
    /// All done; the machine wants no more events.
    Finish,
}

/// Why a contender may believe that it is the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proof {
    /// It was alone when it entered.
    Alone,
    /// A list of the queue shows nobody ahead.
    Survey,
    /// The predecessor handed over.
    Baton,
}

/// How to delete the own node; see [`Departure`](crate::store::Departure).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeaveForm {
    /// Together with the queue, if nobody else is there, so that numbers start again.
    CloseQueue,
    /// As the holder, handing the baton on.
    Release,
    /// Plainly.
    Withdraw,
}

/// Why a waiter is not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// A request was refused; the driver knows the error.
    Refused,
    /// The own node was removed by somebody else.
    Removed,
    /// The share that was to be given for the lock is gone: others may have had the lock since.
    ShareGone,
    /// The session ended.
    SessionEnded(LossReason),
    /// Somebody is ahead, and the contender was told not to wait.
    WouldBlock,
    /// The queue's numbers are used up.
    Exhausted,
    /// It wants more permits than the semaphore has by now.
    TooManyPermits {
        /// How many it wants.
        asked: u32,
        /// How many the semaphore has.
        permits: u32,
    },
    /// Nothing says how many permits the semaphore has.
    NoAgreement,
}
