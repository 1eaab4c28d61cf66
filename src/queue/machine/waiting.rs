//! From entering to the grant.

use super::{Chore, Ending, Machine, OwnWatch, Patience, Phase};
use crate::name::Sequence;
use crate::queue::event::{Action, Event, Failure, LeaveForm, Proof};
use crate::queue::survey::nearest_ahead;
use crate::store::{Neighbours, OwnNode};

impl Machine {
    pub(super) fn entering(&mut self, event: Event) -> Vec<Action> {
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

    pub(super) fn making_queue(&mut self, event: Event) -> Vec<Action> {
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

    pub(super) fn recovering(&mut self, event: Event) -> Vec<Action> {
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
            Event::Refused => self.get_stuck(Chore::Recover),
            other => self.irrelevant(&other),
        }
    }

    pub(super) fn entered(&mut self, node: OwnNode, neighbours: Neighbours) -> Vec<Action> {
        self.node = Some(node);
        self.is_own_doubtful = self.interrupted;
        if self.is_cancelled() {
            return self.leave(LeaveForm::Withdraw, Ending::Cancelled);
        }
        if node.sequence < Sequence::from(0) || node.sequence >= self.limits.refuse_from {
            // Should it be the last one here, the numbers start again with this; those of permits, by the recipe.
            let is_closed = node.sequence.permits().is_none();
            let form = if is_closed { LeaveForm::CloseQueue } else { LeaveForm::Withdraw };
            return self.leave(form, Ending::Failed(Failure::Exhausted));
        }
        // Whoever wants permits must know how many there are, also where nobody else wants any.
        if neighbours == Neighbours::None && node.sequence.permits().is_none() {
            // Alone, it has no share any more: others may have had the lock since.
            return if self.share.is_some() { self.share_gone() } else { self.grant(Proof::Alone) };
        }
        let mut actions = match self.patience {
            // Whoever will not wait needs no watches.
            Patience::Try => vec![],
            // Before the predecessor's: the baton counts only while this one is in place.
            Patience::Wait => self.place_own_watch(),
        };
        actions.push(match (self.patience, neighbours, node.sequence.before()) {
            // Whoever shares the lock may have nobody to wait for.
            (Patience::Wait, Neighbours::Some, Some(before)) if node.sequence.is_exclusive() => self.guess(before),
            _ => self.survey(),
        });
        actions
    }

    pub(super) fn surveying(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Surveyed(contenders) => match nearest_ahead(&contenders, self.own().sequence, self.share) {
                Err(_) => self.own_gone(),
                Ok(_) if self.share.is_some_and(|share| !contenders.contains(&share)) => self.share_gone(),
                // Only a watch that is silent says that the node of this name is the own one.
                Ok(None) if self.own_watch == OwnWatch::Placed => self.grant(Proof::Survey),
                Ok(None) => {
                    self.phase = Phase::Confirming;
                    vec![Action::Confirm]
                }
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

    pub(super) fn confirming(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Verified { exists: true } => {
                self.is_own_doubtful = self.interrupted;
                self.grant(Proof::Survey)
            }
            Event::Verified { exists: false } => self.own_gone(),
            Event::ShareGone => self.share_gone(),
            Event::Unknown => vec![Action::Confirm],
            Event::Refused => self.leave(LeaveForm::Withdraw, Ending::Failed(Failure::Refused)),
            other => self.irrelevant(&other),
        }
    }

    pub(super) fn guessing(&mut self, before: Sequence, event: Event) -> Vec<Action> {
        match event {
            // Waited for as what it is: a write to a reader's node is no baton.
            Event::ReaderWatchPlaced => self.placing(before.as_shared(), Event::WatchPlaced),
            Event::Unknown => vec![self.guess(before)],
            other => self.placing(before, other),
        }
    }

    pub(super) fn placing(&mut self, ahead: Sequence, event: Event) -> Vec<Action> {
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

    pub(super) fn waiting(&mut self, ahead: Sequence, event: Event) -> Vec<Action> {
        match event {
            Event::PredecessorReleased { continuous } if ahead.is_exclusive() && self.may_believe_baton(continuous) => {
                self.grant(Proof::Baton)
            }
            Event::PredecessorReleased { .. } | Event::PredecessorGone => vec![self.survey()],
            // A look at one node costs the same however long the queue; a survey by every waiter would not.
            Event::Tick => {
                self.phase = Phase::Probing(ahead);
                vec![Action::Probe(ahead)]
            }
            other => self.irrelevant(&other),
        }
    }

    pub(super) fn probing(&mut self, ahead: Sequence, event: Event) -> Vec<Action> {
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

    pub(super) fn may_believe_baton(&self, continuous: bool) -> bool {
        continuous && self.own_watch == OwnWatch::Placed && !self.suspended && self.patience == Patience::Wait
    }

    pub(super) fn grant(&mut self, proof: Proof) -> Vec<Action> {
        assert!(!self.granted && self.ending == Ending::Open, "Q4: granted twice or after the end: {self:?}");
        assert!(self.own().sequence < self.limits.refuse_from, "a number near the end is never granted: {self:?}");
        if proof == Proof::Baton {
            assert!(self.may_believe_baton(true), "the baton was believed on too little: {self:?}");
        }
        if self.share.is_some() {
            // What is ahead is its own only if the share's node was compared, not only its name.
            assert_eq!(self.phase, Phase::Confirming, "a share is given up for the lock on too little: {self:?}");
        }
        self.granted = true;
        self.phase = Phase::Held;
        let mut actions = vec![Action::Grant(proof)];
        actions.extend(self.place_own_watch());
        actions
    }

    fn share_gone(&mut self) -> Vec<Action> {
        self.leave(LeaveForm::Withdraw, Ending::Failed(Failure::ShareGone))
    }

    pub(super) fn survey(&mut self) -> Action {
        if self.own().sequence.permits().is_some() {
            return self.survey_room();
        }
        self.phase = Phase::Surveying;
        Action::Survey
    }

    /// Takes the number before for that of the nearest one ahead, which it is unless that one has left.
    fn guess(&mut self, before: Sequence) -> Action {
        if !self.expects_readers {
            return self.place_watch(before);
        }
        self.phase = Phase::Guessing(before);
        Action::PlaceWatchOnEither(before)
    }

    pub(super) fn place_watch(&mut self, ahead: Sequence) -> Action {
        // One watch on a predecessor at a time: the driver drops an earlier one with this.
        self.watching = None;
        self.phase = Phase::Placing(ahead);
        Action::PlaceWatch(ahead)
    }
}
