//! The machine of one contender. The argument for its safety, and its invariants Q1 to Q5, are in the module's doc.

mod downgrading;
mod leaving;
mod room;
mod waiting;

use super::event::{Action, Event, Failure, LeaveForm};
use crate::name::{Mode, Sequence};
use crate::store::OwnNode;

/// Where a queue's numbers end, and where to begin to do something about it.
///
/// A number is the directory's count of creations. Past 2,147,483,647, servers up to 3.5 go on with negative numbers
/// and later ones refuse or repeat numbers, so that order is lost. The machine stays well away from that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// From this number on, the last one out tries to remove the queue, so that numbers start again at 0.
    pub heal_from: Sequence,
    /// From this number on, contenders are turned away.
    pub refuse_from: Sequence,
    /// How often a missing queue is made before giving up, in one attempt.
    pub make_queue_max: u8,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            heal_from: Sequence::from(1 << 30),
            refuse_from: Sequence::from(i32::MAX - 1_000_000),
            make_queue_max: 8,
        }
    }
}

/// Whether a contender waits for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Patience {
    /// Wait.
    Wait,
    /// Leave again if it is not the head.
    Try,
}

// Asked about by `matches!`: the derived comparison is so long that it is called, many times for each event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Entering,
    MakingQueue,
    Recovering,
    Surveying,
    /// Head by a survey, but whether the node of that name is still the own one must be looked at.
    Confirming,
    /// Has asked for a watch on the node with this number, whether it is this writer's or a reader's.
    Guessing(Sequence),
    Placing(Sequence),
    Waiting(Sequence),
    Probing(Sequence),
    /// Asked how many permits are wanted ahead, and with a watch or without.
    SurveyingRoom {
        is_watched: bool,
    },
    /// Waits for permits.
    AwaitingRoom,
    Held,
    /// Holds the lock, alone as yet, and has asked for a share in its place.
    Downgrading,
    /// Holds the lock, and looks whether it is alone or shared by now.
    Locating,
    Leaving(LeaveForm),
    Verifying(LeaveForm),
    /// A clean-up was refused for good. The node would block the queue as long as its session lives, so it is tried
    /// again from time to time.
    Stuck(Chore),
    Gone,
}

impl Phase {
    /// Whether the contender has its node, and waits for the grant.
    fn awaits_grant(self) -> bool {
        match self {
            Phase::Surveying
            | Phase::Confirming
            | Phase::Guessing(_)
            | Phase::Placing(_)
            | Phase::Waiting(_)
            | Phase::Probing(_)
            | Phase::SurveyingRoom { .. }
            | Phase::AwaitingRoom => true,
            Phase::Entering | Phase::MakingQueue | Phase::Recovering => false,
            Phase::Held | Phase::Downgrading | Phase::Locating => false,
            Phase::Leaving(_) | Phase::Verifying(_) | Phase::Stuck(_) | Phase::Gone => false,
        }
    }

    /// Whether the lock is held while it is being downgraded.
    fn is_downgrading(self) -> bool {
        matches!(self, Phase::Downgrading | Phase::Locating)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Chore {
    Recover,
    Verify,
    Withdraw,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum OwnWatch {
    Absent,
    Asked,
    Placed,
}

/// What to report once the node is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Ending {
    Open,
    Cancelled,
    Failed(Failure),
    Released,
    Lost,
}

/// One contender, from entering to leaving. See the [module](super) for the protocol.
///
/// Two machines that are equal behave the same from then on, so that a model checker may take them for one state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Machine {
    limits: Limits,
    patience: Patience,
    expects_readers: bool,
    /// The contender of the same owner that holds a share, which it gives up for this one.
    share: Option<Sequence>,
    phase: Phase,
    node: Option<OwnNode>,
    own_watch: OwnWatch,
    /// The contender whose node is watched, and has not fired.
    watching: Option<Sequence>,
    /// Whether the contenders for permits and their number are watched, and have not changed.
    is_room_watched: bool,
    suspended: bool,
    /// Whether the connection was interrupted since the own node was last known to be the own one: by its name alone
    /// it might be another's now.
    is_own_doubtful: bool,
    /// Whether the connection was interrupted since the outstanding request that identifies the own node was made: its
    /// answer may be older than the interruption.
    interrupted: bool,
    ending: Ending,
    queue_made: u8,
    granted: bool,
    leave_sent: bool,
}

impl Machine {
    /// A contender that has not entered yet. Execute [`Action::Enter`] first.
    pub fn new(patience: Patience, limits: Limits) -> Self {
        Self {
            limits,
            patience,
            expects_readers: false,
            share: None,
            phase: Phase::Entering,
            node: None,
            own_watch: OwnWatch::Absent,
            watching: None,
            is_room_watched: false,
            suspended: false,
            is_own_doubtful: false,
            interrupted: false,
            ending: Ending::Open,
            queue_made: 0,
            granted: false,
            leave_sent: false,
        }
    }

    /// Whether the one ahead may well be a reader: a writer then looks for either at once. That takes one request and two round trips
    /// less where it is a reader, and one request more where it is a writer or has left.
    #[must_use]
    pub fn expecting_readers(self, expects_readers: bool) -> Self {
        Self { expects_readers, ..self }
    }

    /// A contender that wants the lock alone for an owner who has a share of it already: it is granted if that share is all
    /// that is ahead, and leaves again if it is not.
    pub fn upgrading(share: Sequence, limits: Limits) -> Self {
        assert_eq!(share.mode(), Mode::Shared, "only a share can be upgraded");
        Self { share: Some(share), ..Self::new(Patience::Try, limits) }
    }

    /// The own node, while there is one.
    pub fn node(&self) -> Option<OwnNode> {
        self.node
    }

    /// The contender this one waits for, if it waits.
    pub fn waiting_for(&self) -> Option<Sequence> {
        match self.phase {
            Phase::Guessing(ahead) | Phase::Placing(ahead) | Phase::Waiting(ahead) | Phase::Probing(ahead) => {
                Some(ahead)
            }
            _ => None,
        }
    }

    /// Whether the contender waits for permits.
    pub fn is_awaiting_room(&self) -> bool {
        matches!(self.phase, Phase::SurveyingRoom { .. } | Phase::AwaitingRoom)
    }

    /// Whether the lock is held.
    pub fn is_held(&self) -> bool {
        matches!(self.phase, Phase::Held) || self.phase.is_downgrading() && self.ending == Ending::Open
    }

    /// Whether a share is being put in place of the own node: which of the two there is, only the answer tells.
    pub fn is_downgrading(&self) -> bool {
        self.phase.is_downgrading()
    }

    /// Whether this event tells that another node has come in place of the own one: what is known of its watch is of the one that
    /// is gone.
    pub fn is_replaced_by(&self, event: &Event) -> bool {
        match event {
            Event::Downgraded(_) => true,
            Event::Recovered(found) if self.is_downgrading() => {
                found.first().is_some_and(|found| Some(*found) != self.node)
            }
            _ => false,
        }
    }

    /// Whether the node is being removed.
    pub fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Leaving(_) | Phase::Verifying(_) | Phase::Stuck(_))
    }

    /// Whether the node's removal was refused, and is tried again at each [`Event::Tick`].
    pub fn is_stuck(&self) -> bool {
        matches!(self.phase, Phase::Stuck(_))
    }

    /// Whether the machine wants a [`Event::Tick`] now and then.
    pub fn wants_ticks(&self) -> bool {
        self.waiting_for().is_some() || matches!(self.phase, Phase::AwaitingRoom | Phase::Stuck(_))
    }

    /// Whether the machine has ended.
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Gone)
    }

    /// Takes in an event and says what to do, in this order.
    ///
    /// # Panics
    ///
    /// If the event answers a request that is not outstanding, or an invariant is broken: both are bugs.
    pub fn handle(&mut self, event: Event) -> Vec<Action> {
        let actions = if self.is_finished() { Vec::new() } else { self.dispatch(event) };
        let identifies_own = |action: &Action| {
            let looks = matches!(action, Action::Recover | Action::Verify | Action::Confirm | Action::Locate);
            looks || matches!(action, Action::Enter | Action::Downgrade)
        };
        if actions.iter().any(identifies_own) {
            self.interrupted = false;
        }
        self.assert_invariants();
        actions
    }

    fn dispatch(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::SessionEnded(reason) => return self.session_ended(reason),
            Event::Suspended => {
                self.suspended = true;
                self.interrupted = true;
                self.is_own_doubtful = true;
                return vec![];
            }
            Event::Resumed => {
                // Also where the suspension itself was not noticed.
                self.suspended = false;
                self.interrupted = true;
                self.is_own_doubtful = true;
                return vec![];
            }
            Event::OwnWatchPlaced => {
                self.own_watch = OwnWatch::Placed;
                self.is_own_doubtful = false;
                return vec![];
            }
            Event::OwnWatchSpent => return self.own_watch_spent(),
            Event::OwnGone => return self.own_gone(),
            Event::Cancel => return self.cancel(),
            Event::PredecessorReleased { .. } | Event::PredecessorGone => self.watching = None,
            Event::RoomChanged => self.is_room_watched = false,
            _ => {}
        }
        match self.phase {
            Phase::Entering => self.entering(event),
            Phase::MakingQueue => self.making_queue(event),
            Phase::Recovering => self.recovering(event),
            Phase::Surveying => self.surveying(event),
            Phase::Confirming => self.confirming(event),
            Phase::Guessing(before) => self.guessing(before, event),
            Phase::Placing(ahead) => self.placing(ahead, event),
            Phase::Waiting(ahead) => self.waiting(ahead, event),
            Phase::Probing(ahead) => self.probing(ahead, event),
            Phase::SurveyingRoom { is_watched } => self.surveying_room(is_watched, event),
            Phase::AwaitingRoom => self.awaiting_room(event),
            Phase::Held => self.held(event),
            Phase::Downgrading => self.downgrading(event),
            Phase::Locating => self.locating(event),
            Phase::Leaving(form) => self.leaving(form, event),
            Phase::Verifying(form) => self.verifying(form, event),
            Phase::Stuck(chore) => self.stuck(chore, event),
            Phase::Gone => vec![],
        }
    }

    fn own_watch_spent(&mut self) -> Vec<Action> {
        self.own_watch = OwnWatch::Absent;
        self.is_own_doubtful = true;
        if self.phase.awaits_grant() || matches!(self.phase, Phase::Held) {
            return self.place_own_watch();
        }
        vec![]
    }

    fn place_own_watch(&mut self) -> Vec<Action> {
        if self.own_watch != OwnWatch::Absent {
            return vec![];
        }
        self.own_watch = OwnWatch::Asked;
        vec![Action::PlaceOwnWatch]
    }

    fn own(&self) -> OwnNode {
        self.node.expect("Q1: this phase has a node")
    }

    fn is_cancelled(&self) -> bool {
        self.ending == Ending::Cancelled
    }

    /// News that may come at any time and mean nothing in this phase. An *answer* in the wrong phase is a bug.
    fn irrelevant(&self, event: &Event) -> Vec<Action> {
        let news = matches!(
            event,
            Event::PredecessorReleased { .. }
                | Event::PredecessorGone
                | Event::RoomChanged
                | Event::DeadlinePassed
                | Event::Tick
                | Event::Release
                | Event::Downgrade
        );
        assert!(news, "Q3: {event:?} answers nothing that was asked in {self:?}");
        vec![]
    }

    fn assert_invariants(&self) {
        let before = matches!(
            self.phase,
            Phase::Entering | Phase::MakingQueue | Phase::Recovering | Phase::Stuck(Chore::Recover)
        );
        assert_eq!(self.node.is_none(), before || matches!(self.phase, Phase::Gone), "Q1: {self:?}");
        if let (Some(ahead), Some(node)) = (self.waiting_for(), self.node) {
            assert!(ahead < node.sequence, "Q2: {self:?}");
        }
        if let Phase::Waiting(ahead) = self.phase {
            assert_eq!(self.watching, Some(ahead), "a waiter watches whom it waits for: {self:?}");
        }
        if matches!(self.phase, Phase::AwaitingRoom) {
            assert!(self.is_room_watched, "who waits for permits watches whether there are any: {self:?}");
        }
        if matches!(self.phase, Phase::Held) {
            assert!(self.granted && self.ending == Ending::Open, "Q4: {self:?}");
        }
        if self.phase.is_downgrading() {
            assert!(self.granted, "Q4: only a holder downgrades: {self:?}");
        }
        if self.is_leaving() {
            assert!(self.ending != Ending::Open, "Q5: leaving needs a reason: {self:?}");
        }
    }
}
