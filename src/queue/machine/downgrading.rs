//! From holding the lock alone to sharing it, without letting go of it.
//!
//! # The argument
//!
//! One transaction deletes the exclusive node and creates a shared one with the same number. Whoever lists the queue sees one
//! of the two, never both or none, and at the same place. So whoever waits behind goes on waiting for what is in its way: a
//! writer for either, a reader for the exclusive one only. Holding only gets weaker by this, and a list that is older than the
//! transaction shows the stronger form. The deletion is no baton: a writer behind would take it for its turn.
//!
//! Until the outcome is known, the contender has one of two nodes, and does not know which. It holds the lock as long, is told of
//! its loss as always, and leaves once it knows what to delete.

use super::{Ending, Machine, OwnWatch, Phase};
use crate::error::LossReason;
use crate::queue::event::{Action, Event, LeaveForm};
use crate::store::OwnNode;

impl Machine {
    pub(super) fn downgrade(&mut self) -> Vec<Action> {
        assert!(self.own().sequence.is_exclusive(), "what is shared already is not downgraded: {self:?}");
        if self.is_own_doubtful {
            // By its name alone, another's might be deleted.
            return self.locate();
        }
        self.phase = Phase::Downgrading;
        vec![Action::Downgrade]
    }

    fn locate(&mut self) -> Vec<Action> {
        self.phase = Phase::Locating;
        vec![Action::Locate]
    }

    pub(super) fn downgrading(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Downgraded(node) => self.downgraded(node),
            Event::Unknown => self.locate(),
            Event::Refused if self.ending == Ending::Open => {
                self.phase = Phase::Held;
                let mut actions = vec![Action::NotDowngraded];
                // What its watch told in the meantime was left to the outcome.
                actions.extend(self.place_own_watch());
                actions
            }
            Event::Refused => self.leave_now(),
            other => self.while_downgrading(&other),
        }
    }

    pub(super) fn locating(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Recovered(found) => {
                // A surplus node of this attempt has another number.
                let is_here = |node: &&OwnNode| node.sequence.as_i32() == self.own().sequence.as_i32();
                match found.iter().find(is_here).copied() {
                    Some(node) if node == self.own() => {
                        self.is_own_doubtful = self.interrupted;
                        if self.ending == Ending::Open { self.downgrade() } else { self.leave_now() }
                    }
                    Some(node) => self.downgraded(node),
                    None if matches!(self.ending, Ending::Open | Ending::Released) => self.lost_before(),
                    None => self.finish(),
                }
            }
            Event::Unknown => vec![Action::Locate],
            other => self.while_downgrading(&other),
        }
    }

    fn downgraded(&mut self, node: OwnNode) -> Vec<Action> {
        let same_place = node.sequence.as_i32() == self.own().sequence.as_i32();
        assert!(same_place && !node.sequence.is_exclusive(), "a share keeps the place: {node:?}, {self:?}");
        self.node = Some(node);
        // It was on the node that is gone.
        self.own_watch = OwnWatch::Absent;
        self.is_own_doubtful = self.interrupted;
        if self.ending != Ending::Open {
            return self.leave_now();
        }
        self.phase = Phase::Held;
        let mut actions = vec![Action::Downgraded];
        actions.extend(self.place_own_watch());
        actions
    }

    fn while_downgrading(&mut self, event: &Event) -> Vec<Action> {
        match event {
            Event::Release => self.leave_later(Ending::Released),
            Event::DeadlinePassed if self.ending == Ending::Open => {
                self.leave_later(Ending::Lost);
                vec![Action::Lose(LossReason::DeadlinePassed)]
            }
            other => self.irrelevant(other),
        }
    }

    pub(super) fn leave_later(&mut self, ending: Ending) -> Vec<Action> {
        if self.ending == Ending::Open {
            self.ending = ending;
        }
        vec![]
    }

    fn leave_now(&mut self) -> Vec<Action> {
        let form = if self.ending == Ending::Lost { LeaveForm::Withdraw } else { self.release_form() };
        self.leave(form, self.ending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{Mode, Sequence};
    use crate::queue::{Failure, Limits, Patience, Proof};
    use crate::store::{Entered, Neighbours};
    use crate::token::FencingToken;

    #[track_caller]
    fn play(machine: &mut Machine, script: impl IntoIterator<Item = (Event, Vec<Action>)>) {
        for (step, (event, expected)) in script.into_iter().enumerate() {
            let shown = format!("step {step}: {event:?}");
            assert_eq!(machine.handle(event), expected, "{shown}");
        }
    }

    fn shared(number: i32) -> Sequence {
        Sequence::new(number, Mode::Shared)
    }

    fn exclusive_node() -> OwnNode {
        OwnNode { sequence: 7.into(), token: FencingToken::from(100) }
    }

    fn shared_node() -> OwnNode {
        OwnNode { sequence: shared(7), token: FencingToken::from(300) }
    }

    fn entered(neighbours: Neighbours) -> Event {
        let OwnNode { sequence, token } = exclusive_node();
        Event::Entered(Entered { sequence, token, neighbours })
    }

    /// Number 7 holds the lock alone, with its own watch in place.
    fn holding() -> Machine {
        let mut machine = Machine::new(Patience::Wait, Limits::default());
        play(
            &mut machine,
            [
                (entered(Neighbours::None), vec![Action::Grant(Proof::Alone), Action::PlaceOwnWatch]),
                (Event::OwnWatchPlaced, vec![]),
            ],
        );
        machine
    }

    fn downgrading() -> Machine {
        let mut machine = holding();
        play(&mut machine, [(Event::Downgrade, vec![Action::Downgrade])]);
        assert!(machine.is_held());
        machine
    }

    #[test]
    fn a_downgraded_holder_watches_its_new_node_and_leaves_without_the_baton() {
        let mut machine = downgrading();
        play(
            &mut machine,
            [
                // The deletion of the exclusive node is its own doing.
                (Event::OwnGone, vec![]),
                (Event::Downgraded(shared_node()), vec![Action::Downgraded, Action::PlaceOwnWatch]),
                (Event::OwnWatchPlaced, vec![]),
                (Event::Release, vec![Action::Leave(LeaveForm::Withdraw)]),
                (Event::Left, vec![Action::Released, Action::Finish]),
            ],
        );
    }

    #[test]
    fn a_refused_downgrade_leaves_the_lock_held_alone() {
        let mut machine = downgrading();
        play(
            &mut machine,
            [(Event::Refused, vec![Action::NotDowngraded]), (Event::Release, vec![Action::Leave(LeaveForm::Release)])],
        );
        // Deleted by somebody else meanwhile: its watch is spent, and placing it again tells.
        let mut machine = downgrading();
        play(
            &mut machine,
            [
                (Event::OwnGone, vec![]),
                (Event::Refused, vec![Action::NotDowngraded, Action::PlaceOwnWatch]),
                (Event::OwnGone, vec![Action::Lose(LossReason::NodeDeleted), Action::Finish]),
            ],
        );
    }

    #[test]
    fn a_lost_reply_is_followed_by_a_look_at_which_node_there_is() {
        let mut machine = downgrading();
        play(
            &mut machine,
            [
                (Event::Unknown, vec![Action::Locate]),
                (Event::Unknown, vec![Action::Locate]),
                (Event::Recovered(vec![shared_node()]), vec![Action::Downgraded, Action::PlaceOwnWatch]),
            ],
        );
        let mut machine = downgrading();
        play(
            &mut machine,
            [
                (Event::Unknown, vec![Action::Locate]),
                (Event::Recovered(vec![exclusive_node()]), vec![Action::Downgrade]),
                (Event::Downgraded(shared_node()), vec![Action::Downgraded, Action::PlaceOwnWatch]),
            ],
        );
        let mut machine = downgrading();
        play(
            &mut machine,
            [
                (Event::Unknown, vec![Action::Locate]),
                (Event::Recovered(vec![]), vec![Action::Lose(LossReason::NodeDeleted), Action::Finish]),
            ],
        );
    }

    #[test]
    fn a_surplus_node_is_not_taken_for_the_own_one() {
        let mut machine = downgrading();
        let surplus = OwnNode { sequence: 9.into(), token: FencingToken::from(200) };
        play(
            &mut machine,
            [
                (Event::Unknown, vec![Action::Locate]),
                (Event::Recovered(vec![surplus, shared_node()]), vec![Action::Downgraded, Action::PlaceOwnWatch]),
            ],
        );
    }

    #[test]
    fn after_an_interruption_the_node_is_looked_for_before_it_is_replaced_by_name() {
        let mut machine = holding();
        play(
            &mut machine,
            [
                (Event::Suspended, vec![]),
                (Event::Resumed, vec![]),
                (Event::Downgrade, vec![Action::Locate]),
                // Interrupted again while the answer was on its way.
                (Event::Suspended, vec![]),
                (Event::Resumed, vec![]),
                (Event::Recovered(vec![exclusive_node()]), vec![Action::Locate]),
                (Event::Recovered(vec![exclusive_node()]), vec![Action::Downgrade]),
            ],
        );
    }

    #[test]
    fn whoever_lets_go_while_it_is_downgraded_leaves_with_whatever_node_it_has_then() {
        let mut machine = downgrading();
        play(
            &mut machine,
            [
                (Event::Release, vec![]),
                (Event::Downgraded(shared_node()), vec![Action::Leave(LeaveForm::Withdraw)]),
                (Event::Left, vec![Action::Released, Action::Finish]),
            ],
        );
        let mut machine = downgrading();
        play(
            &mut machine,
            [
                (Event::Release, vec![]),
                (Event::Unknown, vec![Action::Locate]),
                (Event::Recovered(vec![exclusive_node()]), vec![Action::Leave(LeaveForm::Release)]),
                (Event::Left, vec![Action::Released, Action::Finish]),
            ],
        );
        let mut machine = downgrading();
        play(
            &mut machine,
            [
                (Event::Release, vec![]),
                (Event::Refused, vec![Action::Leave(LeaveForm::Release)]),
                (Event::Left, vec![Action::Released, Action::Finish]),
            ],
        );
    }

    #[test]
    fn a_loss_while_it_is_downgraded_is_told_at_once() {
        let mut machine = downgrading();
        play(
            &mut machine,
            [
                (Event::DeadlinePassed, vec![Action::Lose(LossReason::DeadlinePassed)]),
                (Event::Release, vec![]),
                (Event::Downgraded(shared_node()), vec![Action::Leave(LeaveForm::Withdraw)]),
                (Event::Left, vec![Action::Finish]),
            ],
        );
        for ending in [vec![], vec![Event::Release]] {
            let mut machine = downgrading();
            play(&mut machine, ending.into_iter().map(|event| (event, vec![])));
            let ended = Event::SessionEnded(LossReason::SessionExpired);
            play(&mut machine, [(ended, vec![Action::Lose(LossReason::SessionExpired), Action::Finish])]);
        }
    }

    #[test]
    fn whoever_waits_behind_a_downgraded_one_waits_for_the_share_or_shares_as_well() {
        let waiting = |own: Sequence| {
            let mut machine = Machine::new(Patience::Wait, Limits::default());
            let node = Entered { sequence: own, token: FencingToken::from(200), neighbours: Neighbours::Unknown };
            play(
                &mut machine,
                [
                    (Event::Entered(node), vec![Action::PlaceOwnWatch, Action::Survey]),
                    (Event::OwnWatchPlaced, vec![]),
                    (Event::Surveyed(vec![7.into(), own]), vec![Action::PlaceWatch(7.into())]),
                    (Event::WatchPlaced, vec![]),
                    (Event::PredecessorGone, vec![Action::Survey]),
                ],
            );
            machine
        };
        let mut writer = waiting(8.into());
        play(&mut writer, [(Event::Surveyed(vec![shared(7), 8.into()]), vec![Action::PlaceWatch(shared(7))])]);
        let mut reader = waiting(shared(8));
        play(&mut reader, [(Event::Surveyed(vec![shared(7), shared(8)]), vec![Action::Grant(Proof::Survey)])]);
    }

    /// Number 7 wants the lock alone, for the share with the number 3.
    fn upgrading(neighbours: Neighbours) -> (Machine, Vec<Action>) {
        let mut machine = Machine::upgrading(shared(3), Limits::default());
        let actions = machine.handle(entered(neighbours));
        (machine, actions)
    }

    #[test]
    fn a_share_that_is_alone_ahead_is_given_up_for_the_lock_once_both_nodes_were_compared() {
        let (mut machine, actions) = upgrading(Neighbours::Some);
        assert_eq!(actions, [Action::Survey]);
        play(
            &mut machine,
            [
                // Who came later waits.
                (Event::Surveyed(vec![7.into(), shared(3), shared(8), 9.into()]), vec![Action::Confirm]),
                (Event::Verified { exists: true }, vec![Action::Grant(Proof::Survey), Action::PlaceOwnWatch]),
                // The share may still be there: whoever waits is to look.
                (Event::Release, vec![Action::Leave(LeaveForm::Withdraw)]),
                (Event::Left, vec![Action::Released, Action::Finish]),
            ],
        );
    }

    #[test]
    fn whoever_else_is_ahead_keeps_the_share_a_share() {
        for other in [shared(2), shared(4), 5.into()] {
            let (mut machine, _) = upgrading(Neighbours::Some);
            play(
                &mut machine,
                [
                    (Event::Surveyed(vec![shared(3), other, 7.into()]), vec![Action::Leave(LeaveForm::Withdraw)]),
                    (Event::Left, vec![Action::Fail(Failure::WouldBlock), Action::Finish]),
                ],
            );
        }
    }

    #[test]
    fn a_share_that_is_gone_is_not_given_up_for_the_lock() {
        let fails = |mut machine: Machine, actions: Vec<Action>| {
            assert_eq!(actions, [Action::Leave(LeaveForm::Withdraw)]);
            play(&mut machine, [(Event::Left, vec![Action::Fail(Failure::ShareGone), Action::Finish])]);
        };
        let (machine, actions) = upgrading(Neighbours::None);
        fails(machine, actions);
        let (mut machine, _) = upgrading(Neighbours::Some);
        let actions = machine.handle(Event::Surveyed(vec![7.into(), 8.into()]));
        fails(machine, actions);
        let (mut machine, _) = upgrading(Neighbours::Some);
        play(&mut machine, [(Event::Surveyed(vec![shared(3), 7.into()]), vec![Action::Confirm])]);
        let actions = machine.handle(Event::ShareGone);
        fails(machine, actions);
    }
}
