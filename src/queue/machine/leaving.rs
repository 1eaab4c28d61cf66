//! From the grant, or from giving up, to the certain end of the node.

use super::{Ending, Machine, OwnWatch, Phase};
use crate::error::LossReason;
use crate::queue::event::{Action, Event, Failure, LeaveForm};

impl Machine {
    pub(super) fn held(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Release => {
                let form = self.release_form();
                self.leave(form, Ending::Released)
            }
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
            Event::LeaveMissing if self.ending == Ending::Released => {
                // Nobody else deletes a node of ours by design, so the lock was lost before it was released.
                self.ending = Ending::Lost;
                let mut actions = vec![Action::Lose(LossReason::NodeDeleted)];
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

    pub(super) fn verifying(&mut self, form: LeaveForm, event: Event) -> Vec<Action> {
        match event {
            Event::Verified { exists: false } => self.finish(),
            Event::Verified { exists: true } => self.leave(form, self.ending),
            Event::Unknown => vec![Action::Verify],
            Event::Refused => self.fail_now(Failure::Refused),
            other => self.irrelevant(&other),
        }
    }

    pub(super) fn cancel(&mut self) -> Vec<Action> {
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

    pub(super) fn own_gone(&mut self) -> Vec<Action> {
        self.own_watch = OwnWatch::Absent;
        match self.phase {
            Phase::Surveying | Phase::Placing(_) | Phase::Waiting(_) | Phase::Probing(_) => {
                self.fail_now(Failure::Removed)
            }
            Phase::Held => {
                self.ending = Ending::Lost;
                let mut actions = vec![Action::Lose(LossReason::NodeDeleted)];
                actions.extend(self.finish());
                actions
            }
            // Leaving is what deletes it; the answer to that decides.
            _ => vec![],
        }
    }

    pub(super) fn session_ended(&mut self, reason: LossReason) -> Vec<Action> {
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
        match self.ending {
            Ending::Open | Ending::Cancelled | Ending::Lost => vec![Action::Finish],
            Ending::Failed(failure) => vec![Action::Fail(failure), Action::Finish],
            Ending::Released => vec![Action::Released, Action::Finish],
        }
    }

    pub(super) fn leave(&mut self, form: LeaveForm, ending: Ending) -> Vec<Action> {
        assert!(self.node.is_some(), "Q1: nothing to leave: {self:?}");
        self.phase = Phase::Leaving(form);
        self.ending = ending;
        self.watching = None;
        vec![Action::Leave(form)]
    }

    pub(super) fn release_form(&self) -> LeaveForm {
        if self.own().sequence >= self.limits.heal_from { LeaveForm::CloseQueue } else { LeaveForm::Release }
    }
}
