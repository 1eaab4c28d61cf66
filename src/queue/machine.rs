//! The machine of one contender. The argument for its safety, and its invariants Q1 to Q5, are in the module's doc.

use super::event::{Action, Event, Failure, LeaveForm, Proof};
use super::survey::nearest_ahead;
use crate::name::Sequence;
use crate::store::{Neighbours, OwnNode};

/// Where a queue's numbers end, and where to begin to do something about it.
///
/// A number is the directory's count of creations. Past 2,147,483,647, servers up to 3.5 go on with negative numbers
/// and later ones refuse or repeat numbers, so that order is lost. The machine stays well away from that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Entering,
    MakingQueue,
    Recovering,
    Surveying,
    Placing(Sequence),
    Waiting(Sequence),
    Probing(Sequence),
    Held,
    Leaving(LeaveForm),
    Verifying(LeaveForm),
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OwnWatch {
    Absent,
    Asked,
    Placed,
}

/// What to report once the node is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Open,
    Cancelled,
    Failed(Failure),
    Released,
    Lost,
}

/// One contender, from entering to leaving. See the [module](super) for the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    limits: Limits,
    patience: Patience,
    phase: Phase,
    node: Option<OwnNode>,
    own_watch: OwnWatch,
    /// The contender whose node is watched, and has not fired.
    watching: Option<Sequence>,
    suspended: bool,
    ending: Ending,
    queue_made: u8,
    granted: bool,
}

impl Machine {
    /// A contender that has not entered yet. Execute [`Action::Enter`] first.
    pub fn new(patience: Patience, limits: Limits) -> Self {
        Self {
            limits,
            patience,
            phase: Phase::Entering,
            node: None,
            own_watch: OwnWatch::Absent,
            watching: None,
            suspended: false,
            ending: Ending::Open,
            queue_made: 0,
            granted: false,
        }
    }

    /// The own node, while there is one.
    pub fn node(&self) -> Option<OwnNode> {
        self.node
    }

    /// The contender this one waits for, if it waits.
    pub fn waiting_for(&self) -> Option<Sequence> {
        match self.phase {
            Phase::Placing(ahead) | Phase::Waiting(ahead) | Phase::Probing(ahead) => Some(ahead),
            _ => None,
        }
    }

    /// Whether the lock is held.
    pub fn is_held(&self) -> bool {
        self.phase == Phase::Held
    }

    /// Whether the machine has ended.
    pub fn is_finished(&self) -> bool {
        self.phase == Phase::Gone
    }

    /// Takes in an event and says what to do, in this order.
    ///
    /// # Panics
    ///
    /// If the event answers a request that is not outstanding, or an invariant is broken: both are bugs.
    pub fn handle(&mut self, event: Event) -> Vec<Action> {
        self.assert_invariants();
        let actions = if self.is_finished() { Vec::new() } else { self.dispatch(event) };
        self.assert_invariants();
        actions
    }

    fn dispatch(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::SessionEnded(reason) => return self.session_ended(reason),
            Event::Suspended => {
                self.suspended = true;
                return vec![];
            }
            Event::Resumed => {
                self.suspended = false;
                return vec![];
            }
            Event::OwnWatchPlaced => {
                self.own_watch = OwnWatch::Placed;
                return vec![];
            }
            Event::OwnWatchSpent => return self.own_watch_spent(),
            Event::OwnGone => return self.own_gone(),
            Event::Cancel => return self.cancel(),
            Event::PredecessorReleased { .. } | Event::PredecessorGone => self.watching = None,
            _ => {}
        }
        match self.phase {
            Phase::Entering => self.entering(event),
            Phase::MakingQueue => self.making_queue(event),
            Phase::Recovering => self.recovering(event),
            Phase::Surveying => self.surveying(event),
            Phase::Placing(ahead) => self.placing(ahead, event),
            Phase::Waiting(ahead) => self.waiting(ahead, event),
            Phase::Probing(ahead) => self.probing(ahead, event),
            Phase::Held => self.held(event),
            Phase::Leaving(form) => self.leaving(form, event),
            Phase::Verifying(form) => self.verifying(form, event),
            Phase::Gone => vec![],
        }
    }

    fn entering(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Entered(entered) => {
                let node = OwnNode { sequence: entered.sequence, token: entered.token };
                self.entered(node, entered.neighbours)
            }
            Event::QueueMissing if self.is_cancelled() => self.finish(),
            Event::QueueMissing if self.queue_made == self.limits.make_queue_max => self.fail_now(Failure::Refused),
            Event::QueueMissing => {
                self.queue_made += 1;
                self.phase = Phase::MakingQueue;
                vec![Action::MakeQueue]
            }
            Event::Unknown => {
                self.phase = Phase::Recovering;
                vec![Action::Recover]
            }
            Event::Refused => self.fail_now(Failure::Refused),
            other => self.irrelevant(&other),
        }
    }

    fn making_queue(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::QueueMade | Event::Unknown if self.is_cancelled() => self.finish(),
            // Making is idempotent, and entering finds out whether it worked.
            Event::QueueMade | Event::Unknown => {
                self.phase = Phase::Entering;
                vec![Action::Enter]
            }
            Event::Refused => self.fail_now(Failure::Refused),
            other => self.irrelevant(&other),
        }
    }

    fn recovering(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Recovered(mut found) => {
                found.sort_unstable_by_key(|node| node.sequence);
                let Some((&first, surplus)) = found.split_first() else {
                    if self.is_cancelled() {
                        return self.finish();
                    }
                    self.phase = Phase::Entering;
                    return vec![Action::Enter];
                };
                let mut actions: Vec<Action> = surplus.iter().copied().map(Action::RemoveSurplus).collect();
                actions.extend(self.entered(first, Neighbours::Unknown));
                actions
            }
            Event::Unknown => vec![Action::Recover],
            Event::Refused => self.fail_now(Failure::Refused),
            other => self.irrelevant(&other),
        }
    }

    fn entered(&mut self, node: OwnNode, neighbours: Neighbours) -> Vec<Action> {
        self.node = Some(node);
        if self.is_cancelled() {
            return self.leave(LeaveForm::Withdraw, Ending::Cancelled);
        }
        if node.sequence < Sequence::from(0) || node.sequence >= self.limits.refuse_from {
            return self.leave(LeaveForm::Withdraw, Ending::Failed(Failure::Exhausted));
        }
        if neighbours == Neighbours::None {
            return self.grant(Proof::Alone);
        }
        let mut actions = match self.patience {
            // Whoever will not wait needs no watches.
            Patience::Try => vec![],
            // Before the predecessor's: the baton counts only while this one is in place.
            Patience::Wait => self.place_own_watch(),
        };
        actions.push(match (self.patience, neighbours, node.sequence.before()) {
            (Patience::Wait, Neighbours::Some, Some(before)) => self.place_watch(before),
            _ => self.survey(),
        });
        actions
    }

    fn surveying(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Surveyed(contenders) => match nearest_ahead(&contenders, self.own().sequence) {
                Err(_) => self.own_gone(),
                Ok(None) => self.grant(Proof::Survey),
                Ok(Some(_)) if self.patience == Patience::Try => {
                    self.leave(LeaveForm::Withdraw, Ending::Failed(Failure::WouldBlock))
                }
                Ok(Some(ahead)) if self.watching == Some(ahead) => {
                    self.phase = Phase::Waiting(ahead);
                    vec![]
                }
                Ok(Some(ahead)) => vec![self.place_watch(ahead)],
            },
            Event::QueueMissing => self.own_gone(),
            Event::Unknown => vec![self.survey()],
            Event::Refused => self.leave(LeaveForm::Withdraw, Ending::Failed(Failure::Refused)),
            other => self.irrelevant(&other),
        }
    }

    fn placing(&mut self, ahead: Sequence, event: Event) -> Vec<Action> {
        match event {
            Event::WatchPlaced => {
                self.watching = Some(ahead);
                self.phase = Phase::Waiting(ahead);
                vec![]
            }
            Event::WatchMissing => vec![self.survey()],
            Event::Unknown => vec![self.place_watch(ahead)],
            Event::Refused => self.leave(LeaveForm::Withdraw, Ending::Failed(Failure::Refused)),
            other => self.irrelevant(&other),
        }
    }

    fn waiting(&mut self, ahead: Sequence, event: Event) -> Vec<Action> {
        match event {
            Event::PredecessorReleased { continuous } if self.may_believe_baton(continuous) => self.grant(Proof::Baton),
            Event::PredecessorReleased { .. } | Event::PredecessorGone => vec![self.survey()],
            // A look at one node costs the same however long the queue; a survey by every waiter would not.
            Event::Tick => {
                self.phase = Phase::Probing(ahead);
                vec![Action::Probe(ahead)]
            }
            other => self.irrelevant(&other),
        }
    }

    fn probing(&mut self, ahead: Sequence, event: Event) -> Vec<Action> {
        match event {
            Event::Probed { exists: false } => vec![self.survey()],
            Event::Probed { exists: true } | Event::Unknown | Event::Refused => {
                self.phase = Phase::Waiting(ahead);
                vec![]
            }
            Event::Tick => vec![],
            other => self.waiting(ahead, other),
        }
    }

    fn held(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Release => {
                let form = self.release_form();
                self.leave(form, Ending::Released)
            }
            Event::DeadlinePassed => {
                // The holder is told first; only then is the lock given to others.
                let mut actions = vec![Action::Lose(crate::error::LossReason::DeadlinePassed)];
                actions.extend(self.leave(LeaveForm::Withdraw, Ending::Lost));
                actions
            }
            other => self.irrelevant(&other),
        }
    }

    fn leaving(&mut self, form: LeaveForm, event: Event) -> Vec<Action> {
        match event {
            Event::Left => self.finish(),
            Event::LeaveMissing if self.ending == Ending::Released => {
                // Nobody else deletes a node of ours by design, so the lock was lost before it was released.
                self.ending = Ending::Lost;
                let mut actions = vec![Action::Lose(crate::error::LossReason::NodeDeleted)];
                actions.extend(self.finish());
                actions
            }
            Event::LeaveMissing => self.finish(),
            Event::Unknown => {
                self.phase = Phase::Verifying(form);
                vec![Action::Verify]
            }
            // From the form that asks most of the store to the one that asks least.
            Event::Refused => match form {
                LeaveForm::CloseQueue => self.leave(LeaveForm::Release, self.ending),
                LeaveForm::Release => self.leave(LeaveForm::Withdraw, self.ending),
                LeaveForm::Withdraw => self.fail_now(Failure::Refused),
            },
            other => self.irrelevant(&other),
        }
    }

    fn verifying(&mut self, form: LeaveForm, event: Event) -> Vec<Action> {
        match event {
            Event::Verified { exists: false } => self.finish(),
            Event::Verified { exists: true } => self.leave(form, self.ending),
            Event::Unknown => vec![Action::Verify],
            Event::Refused => self.fail_now(Failure::Refused),
            other => self.irrelevant(&other),
        }
    }

    fn may_believe_baton(&self, continuous: bool) -> bool {
        continuous && self.own_watch == OwnWatch::Placed && !self.suspended && self.patience == Patience::Wait
    }

    fn grant(&mut self, proof: Proof) -> Vec<Action> {
        assert!(!self.granted && self.ending == Ending::Open, "Q4: granted twice or after the end: {self:?}");
        assert!(self.own().sequence < self.limits.refuse_from, "a number near the end is never granted: {self:?}");
        if proof == Proof::Baton {
            assert!(self.may_believe_baton(true), "the baton was believed on too little: {self:?}");
        }
        self.granted = true;
        self.phase = Phase::Held;
        let mut actions = vec![Action::Grant(proof)];
        actions.extend(self.place_own_watch());
        actions
    }

    fn leave(&mut self, form: LeaveForm, ending: Ending) -> Vec<Action> {
        assert!(self.node.is_some(), "Q1: nothing to leave: {self:?}");
        self.phase = Phase::Leaving(form);
        self.ending = ending;
        self.watching = None;
        vec![Action::Leave(form)]
    }

    fn release_form(&self) -> LeaveForm {
        if self.own().sequence >= self.limits.heal_from { LeaveForm::CloseQueue } else { LeaveForm::Release }
    }

    fn cancel(&mut self) -> Vec<Action> {
        match self.phase {
            // Only the outcome tells whether there is a node to delete.
            Phase::Entering | Phase::MakingQueue | Phase::Recovering => {
                self.ending = Ending::Cancelled;
                vec![]
            }
            Phase::Surveying | Phase::Placing(_) | Phase::Waiting(_) | Phase::Probing(_) => {
                self.leave(LeaveForm::Withdraw, Ending::Cancelled)
            }
            Phase::Held => {
                let form = self.release_form();
                self.leave(form, Ending::Cancelled)
            }
            Phase::Leaving(_) | Phase::Verifying(_) | Phase::Gone => vec![],
        }
    }

    fn own_watch_spent(&mut self) -> Vec<Action> {
        self.own_watch = OwnWatch::Absent;
        match self.phase {
            Phase::Surveying | Phase::Placing(_) | Phase::Waiting(_) | Phase::Probing(_) | Phase::Held => {
                self.place_own_watch()
            }
            _ => vec![],
        }
    }

    fn own_gone(&mut self) -> Vec<Action> {
        self.own_watch = OwnWatch::Absent;
        match self.phase {
            Phase::Surveying | Phase::Placing(_) | Phase::Waiting(_) | Phase::Probing(_) => {
                self.fail_now(Failure::Removed)
            }
            Phase::Held => {
                self.ending = Ending::Lost;
                let mut actions = vec![Action::Lose(crate::error::LossReason::NodeDeleted)];
                actions.extend(self.finish());
                actions
            }
            // Leaving is what deletes it; the answer to that decides.
            _ => vec![],
        }
    }

    fn session_ended(&mut self, reason: crate::error::LossReason) -> Vec<Action> {
        let told = match (self.phase, self.ending) {
            (Phase::Held, _) | (Phase::Leaving(_) | Phase::Verifying(_), Ending::Released) => {
                self.ending = Ending::Lost;
                vec![Action::Lose(reason)]
            }
            (_, Ending::Open) => {
                self.ending = Ending::Cancelled;
                vec![Action::Fail(Failure::SessionEnded(reason))]
            }
            _ => vec![],
        };
        // The node needs no deleting: the servers do that with the session.
        let mut actions = told;
        actions.extend(self.finish());
        actions
    }

    /// Ends without a node, or with one that cannot be deleted and goes with the session.
    fn fail_now(&mut self, failure: Failure) -> Vec<Action> {
        if self.ending != Ending::Cancelled {
            self.ending = Ending::Failed(failure);
        }
        self.finish()
    }

    fn finish(&mut self) -> Vec<Action> {
        self.phase = Phase::Gone;
        self.node = None;
        self.watching = None;
        match self.ending {
            Ending::Open | Ending::Cancelled | Ending::Lost => vec![Action::Finish],
            Ending::Failed(failure) => vec![Action::Fail(failure), Action::Finish],
            Ending::Released => vec![Action::Released, Action::Finish],
        }
    }

    fn survey(&mut self) -> Action {
        self.phase = Phase::Surveying;
        Action::Survey
    }

    fn place_watch(&mut self, ahead: Sequence) -> Action {
        // One watch on a predecessor at a time: the driver drops an earlier one with this.
        self.watching = None;
        self.phase = Phase::Placing(ahead);
        Action::PlaceWatch(ahead)
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
                | Event::DeadlinePassed
                | Event::Tick
                | Event::Release
        );
        assert!(news, "Q3: {event:?} answers nothing that was asked in {self:?}");
        vec![]
    }

    fn assert_invariants(&self) {
        let before = matches!(self.phase, Phase::Entering | Phase::MakingQueue | Phase::Recovering);
        assert_eq!(self.node.is_none(), before || self.phase == Phase::Gone, "Q1: {self:?}");
        if let (Some(ahead), Some(node)) = (self.waiting_for(), self.node) {
            assert!(ahead < node.sequence, "Q2: {self:?}");
        }
        if let Phase::Waiting(ahead) = self.phase {
            assert_eq!(self.watching, Some(ahead), "a waiter watches whom it waits for: {self:?}");
        }
        if self.phase == Phase::Held {
            assert!(self.granted && self.ending == Ending::Open, "Q4: {self:?}");
        }
        if matches!(self.phase, Phase::Leaving(_) | Phase::Verifying(_)) {
            assert!(self.ending != Ending::Open, "Q5: leaving needs a reason: {self:?}");
        }
    }
}
