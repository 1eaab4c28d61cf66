//! From the grant, or from giving up, to the certain end of the node.

use super::{Chore, Ending, Machine, OwnWatch, Phase};
use crate::error::LossReason;
use crate::queue::event::{Action, Event, Failure, LeaveForm};

impl Machine {
    pub(super) fn held(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Release => {
                let form = self.release_form();
                self.leave(form, Ending::Released)
            }
            Event::Downgrade => self.downgrade(),
            Event::DeadlinePassed => {
                // The holder is told first; only then is the lock given to others.
                let mut actions = vec![Action::Lose(LossReason::DeadlinePassed)];
                actions.extend(self.leave(LeaveForm::Withdraw, Ending::Lost));
                actions
            }
            other => self.irrelevant(&other),
        }
    }

    pub(super) fn leaving(&mut self, form: LeaveForm, event: Event) -> Vec<Action> {
        match event {
            Event::Left => self.finish(),
            Event::LeaveMissing if self.ending == Ending::Released => self.lost_before(),
            Event::LeaveMissing => self.finish(),
            Event::Unknown => {
                self.phase = Phase::Verifying(form);
                vec![Action::Verify]
            }
            // From the form that asks most of the store to the one that asks least.
            Event::Refused => match form {
                // The baton is for holders only.
                LeaveForm::CloseQueue if self.passes_the_baton() => self.leave(LeaveForm::Release, self.ending),
                LeaveForm::CloseQueue => self.leave(LeaveForm::Withdraw, self.ending),
                LeaveForm::Release => self.leave(LeaveForm::Withdraw, self.ending),
                LeaveForm::Withdraw => self.get_stuck(Chore::Withdraw),
            },
            other => self.irrelevant(&other),
        }
    }

    pub(super) fn verifying(&mut self, form: LeaveForm, event: Event) -> Vec<Action> {
        match event {
            // If it was asked for before anything was sent, somebody else deleted it; after a lost reply, this did.
            Event::Verified { exists: false } if self.ending == Ending::Released && !self.leave_sent => {
                self.lost_before()
            }
            Event::Verified { exists: false } => self.finish(),
            Event::Verified { exists: true } => {
                self.is_own_doubtful = self.interrupted;
                self.leave(form, self.ending)
            }
            Event::Unknown => vec![Action::Verify],
            Event::Refused => self.get_stuck(Chore::Verify),
            other => self.irrelevant(&other),
        }
    }

    /// Nobody else deletes a node of ours by design: the lock was lost before it was released.
    pub(super) fn lost_before(&mut self) -> Vec<Action> {
        self.ending = Ending::Lost;
        let mut actions = vec![Action::Lose(LossReason::NodeDeleted)];
        actions.extend(self.finish());
        actions
    }

    pub(super) fn stuck(&mut self, chore: Chore, event: Event) -> Vec<Action> {
        if event != Event::Tick {
            return self.irrelevant(&event);
        }
        match chore {
            Chore::Recover => {
                self.phase = Phase::Recovering;
                vec![Action::Recover]
            }
            Chore::Verify => {
                self.phase = Phase::Verifying(LeaveForm::Withdraw);
                vec![Action::Verify]
            }
            Chore::Withdraw => {
                // Much may have happened since: unless a watch would have told, the name may be another's by now.
                self.is_own_doubtful |= self.own_watch != OwnWatch::Placed;
                self.leave(LeaveForm::Withdraw, self.ending)
            }
        }
    }

    /// Tells the user, and goes on trying: a node must not outlive its attempt in a session that lives.
    pub(super) fn get_stuck(&mut self, chore: Chore) -> Vec<Action> {
        self.phase = Phase::Stuck(chore);
        match std::mem::replace(&mut self.ending, Ending::Cancelled) {
            Ending::Cancelled | Ending::Lost => vec![],
            Ending::Failed(failure) => vec![Action::Fail(failure)],
            Ending::Open | Ending::Released => vec![Action::Fail(Failure::Refused)],
        }
    }

    pub(super) fn cancel(&mut self) -> Vec<Action> {
        match self.phase {
            // Only the outcome tells whether there is a node to delete.
            Phase::Entering | Phase::MakingQueue | Phase::Recovering => {
                self.ending = Ending::Cancelled;
                vec![]
            }
            phase if phase.awaits_grant() => self.leave(LeaveForm::Withdraw, Ending::Cancelled),
            Phase::Held => {
                let form = self.release_form();
                self.leave(form, Ending::Cancelled)
            }
            // Only the outcome tells which node there is to delete.
            Phase::Downgrading | Phase::Locating => self.leave_later(Ending::Cancelled),
            // It leaves already, or is gone.
            _ => vec![],
        }
    }

    pub(super) fn own_gone(&mut self) -> Vec<Action> {
        self.own_watch = OwnWatch::Absent;
        match self.phase {
            phase if phase.awaits_grant() => self.fail_now(Failure::Removed),
            Phase::Held => self.lost_before(),
            // It may be its own doing. Should it have its node all the same, that is not to be deleted by its name alone.
            Phase::Downgrading => {
                self.is_own_doubtful = true;
                vec![]
            }
            Phase::Locating => {
                self.interrupted = true;
                vec![]
            }
            // Nothing is left to clean up; deleted by its name later, it might be another's.
            Phase::Stuck(_) => self.finish(),
            // Leaving is what deletes it; the answer to that decides.
            _ => vec![],
        }
    }

    pub(super) fn session_ended(&mut self, reason: LossReason) -> Vec<Action> {
        let told = match (self.phase, self.ending) {
            (Phase::Held | Phase::Downgrading | Phase::Locating, Ending::Open) | (_, Ending::Released) => {
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
    pub(super) fn fail_now(&mut self, failure: Failure) -> Vec<Action> {
        if self.ending != Ending::Cancelled {
            self.ending = Ending::Failed(failure);
        }
        self.finish()
    }

    pub(super) fn finish(&mut self) -> Vec<Action> {
        self.phase = Phase::Gone;
        self.node = None;
        self.watching = None;
        self.is_room_watched = false;
        match self.ending {
            Ending::Open | Ending::Cancelled | Ending::Lost => vec![Action::Finish],
            Ending::Failed(failure) => vec![Action::Fail(failure), Action::Finish],
            Ending::Released => vec![Action::Released, Action::Finish],
        }
    }

    pub(super) fn leave(&mut self, form: LeaveForm, ending: Ending) -> Vec<Action> {
        assert!(self.node.is_some(), "Q1: nothing to leave: {self:?}");
        self.ending = ending;
        self.watching = None;
        self.is_room_watched = false;
        if self.is_own_doubtful {
            self.phase = Phase::Verifying(form);
            return vec![Action::Verify];
        }
        self.phase = Phase::Leaving(form);
        self.leave_sent = true;
        vec![Action::Leave(form)]
    }

    pub(super) fn release_form(&self) -> LeaveForm {
        // The directory of permits stays: it says how many there are.
        let is_closed = self.own().sequence.permits().is_none();
        if is_closed && self.own().sequence >= self.limits.heal_from {
            return LeaveForm::CloseQueue;
        }
        if self.passes_the_baton() { LeaveForm::Release } else { LeaveForm::Withdraw }
    }

    /// Whether its leaving means that whoever waits for it is next. Not for one who shares the lock, since others may be left, nor for
    /// one that was upgraded, since its share may be.
    fn passes_the_baton(&self) -> bool {
        self.granted && self.own().sequence.is_exclusive() && self.share.is_none()
    }
}
