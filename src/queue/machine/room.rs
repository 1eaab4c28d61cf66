//! Waiting for permits of a semaphore.
//!
//! A contender is granted once it and all contenders ahead of it want no more permits, together, than the semaphore has.
//! Nobody enters ahead of a live node, so that sum only falls: whoever was granted stays so, however many come later. The
//! latest of those granted counted all the others of them, so together they never have more than there are. Those who wait
//! ahead count as well: a contender that wants many is not overtaken by others that want few.
//!
//! Any departure ahead may make room, so no single node is watched but the list of all. Whoever waits here is told of each
//! change; the recipe lets one contender at a time wait here, and the others behind it, in a queue for their turn
//! (`lock::semaphore`). Safety does not rest on that.

use super::{Ending, Machine, OwnWatch, Patience, Phase};
use crate::name::Sequence;
use crate::queue::event::{Action, Event, Failure, LeaveForm, Proof};
use crate::queue::survey::permits_wanted;

impl Machine {
    pub(super) fn survey_room(&mut self) -> Action {
        self.phase = Phase::SurveyingRoom { is_watched: false };
        Action::SurveyRoom
    }

    pub(super) fn surveying_room(&mut self, is_watched: bool, event: Event) -> Vec<Action> {
        match event {
            Event::RoomSurveyed { contenders, permits } => self.room_surveyed(&contenders, permits, is_watched),
            Event::QueueMissing => self.own_gone(),
            Event::Unknown if is_watched => vec![self.watch_room()],
            Event::Unknown => vec![self.survey()],
            Event::Refused => self.leave(LeaveForm::Withdraw, Ending::Failed(Failure::Refused)),
            other => self.irrelevant(&other),
        }
    }

    fn room_surveyed(&mut self, contenders: &[Sequence], permits: Option<u32>, is_watched: bool) -> Vec<Action> {
        self.is_room_watched |= is_watched;
        let Some(permits) = permits else {
            return self.leave(LeaveForm::Withdraw, Ending::Failed(Failure::NoAgreement));
        };
        let own = self.own().sequence;
        let Ok(wanted) = permits_wanted(contenders, own) else { return self.own_gone() };
        let asked = own.permits().expect("only who wants permits surveys the room");
        if asked > permits {
            // Waiting, it would keep everybody behind it from permits that there are.
            return self.leave(LeaveForm::Withdraw, Ending::Failed(Failure::TooManyPermits { asked, permits }));
        }
        if wanted <= u64::from(permits) {
            // As with a lock: only a watch that is silent says that the node of this name is the own one.
            if self.own_watch == OwnWatch::Placed {
                return self.grant(Proof::Survey);
            }
            self.phase = Phase::Confirming;
            return vec![Action::Confirm];
        }
        if self.patience == Patience::Try {
            return self.leave(LeaveForm::Withdraw, Ending::Failed(Failure::WouldBlock));
        }
        if self.is_room_watched {
            self.phase = Phase::AwaitingRoom;
            return vec![];
        }
        // Never watched, or changed while the answer was on its way: it may be of before the change.
        vec![self.watch_room()]
    }

    pub(super) fn awaiting_room(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::RoomChanged | Event::Tick => vec![self.survey()],
            other => self.irrelevant(&other),
        }
    }

    fn watch_room(&mut self) -> Action {
        // One watch at a time: the driver drops an earlier one with this.
        self.is_room_watched = false;
        self.phase = Phase::SurveyingRoom { is_watched: true };
        Action::WatchRoom
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::name::Mode;
    use crate::queue::Limits;
    use crate::store::{Entered, Neighbours};
    use crate::token::FencingToken;

    fn wants(number: i32, permits: u32) -> Sequence {
        Sequence::new(number, Mode::Permits(NonZeroU32::new(permits).expect("some")))
    }

    fn surveyed(contenders: &[Sequence], permits: u32) -> Event {
        Event::RoomSurveyed { contenders: contenders.to_vec(), permits: Some(permits) }
    }

    #[track_caller]
    fn play(machine: &mut Machine, script: impl IntoIterator<Item = (Event, Vec<Action>)>) {
        for (step, (event, expected)) in script.into_iter().enumerate() {
            let shown = format!("step {step}: {event:?}");
            assert_eq!(machine.handle(event), expected, "{shown}");
        }
    }

    fn entered(number: i32, permits: u32, neighbours: Neighbours) -> Event {
        Event::Entered(Entered { sequence: wants(number, permits), token: FencingToken::from(100), neighbours })
    }

    fn entering(patience: Patience) -> Machine {
        Machine::new(patience, Limits { make_queue_max: 0, ..Limits::default() })
    }

    /// Number 7, who wants two of three permits, of which two are held.
    fn waiting() -> Machine {
        let mut machine = entering(Patience::Wait);
        play(
            &mut machine,
            [
                (entered(7, 2, Neighbours::Unknown), vec![Action::PlaceOwnWatch, Action::SurveyRoom]),
                (Event::OwnWatchPlaced, vec![]),
                (surveyed(&[wants(7, 2), wants(3, 1), wants(5, 1)], 3), vec![Action::WatchRoom]),
                (surveyed(&[wants(7, 2), wants(3, 1), wants(5, 1)], 3), vec![]),
            ],
        );
        assert!(machine.is_awaiting_room() && machine.wants_ticks());
        machine
    }

    #[test]
    fn whoever_finds_room_is_granted_also_if_nobody_else_is_there() {
        for others in [&[][..], &[wants(1, 1)], &[wants(1, 2), wants(9, 3)]] {
            let mut machine = entering(Patience::Wait);
            let mut all = others.to_vec();
            all.push(wants(7, 1));
            play(
                &mut machine,
                [
                    // Being alone proves nothing as long as nobody knows how many permits there are.
                    (entered(7, 1, Neighbours::None), vec![Action::PlaceOwnWatch, Action::SurveyRoom]),
                    (Event::OwnWatchPlaced, vec![]),
                    (surveyed(&all, 3), vec![Action::Grant(Proof::Survey)]),
                    // Others may be left, so there is no baton.
                    (Event::Release, vec![Action::Leave(LeaveForm::Withdraw)]),
                    (Event::Left, vec![Action::Released, Action::Finish]),
                ],
            );
        }
    }

    #[test]
    fn each_change_is_surveyed_and_the_watch_placed_again_if_there_is_no_room_yet() {
        let mut machine = waiting();
        play(
            &mut machine,
            [
                (Event::RoomChanged, vec![Action::SurveyRoom]),
                // Somebody came behind.
                (surveyed(&[wants(7, 2), wants(3, 1), wants(5, 1), wants(9, 1)], 3), vec![Action::WatchRoom]),
                (Event::Unknown, vec![Action::WatchRoom]),
                // Somebody left in between: no event will tell of that.
                (surveyed(&[wants(7, 2), wants(3, 1), wants(9, 1)], 3), vec![Action::Grant(Proof::Survey)]),
            ],
        );
    }

    #[test]
    fn a_look_for_missed_changes_leaves_the_watch_in_place() {
        let mut machine = waiting();
        let all = [wants(7, 2), wants(3, 1), wants(5, 1)];
        play(
            &mut machine,
            [
                (Event::Tick, vec![Action::SurveyRoom]),
                (surveyed(&all, 3), vec![]),
                (Event::Tick, vec![Action::SurveyRoom]),
                // What changes while the answer is on its way may not be in it.
                (Event::RoomChanged, vec![]),
                (surveyed(&all, 3), vec![Action::WatchRoom]),
                (surveyed(&all, 4), vec![Action::Grant(Proof::Survey)]),
            ],
        );
    }

    #[test]
    fn whoever_wants_more_than_there_are_by_now_leaves_and_says_so() {
        let mut machine = waiting();
        play(
            &mut machine,
            [
                (Event::RoomChanged, vec![Action::SurveyRoom]),
                (surveyed(&[wants(7, 2), wants(3, 1)], 1), vec![Action::Leave(LeaveForm::Withdraw)]),
                (Event::OwnGone, vec![]),
                (Event::Left, vec![Action::Fail(Failure::TooManyPermits { asked: 2, permits: 1 }), Action::Finish]),
            ],
        );
    }

    #[test]
    fn whoever_cannot_know_how_many_permits_there_are_leaves_and_says_so() {
        let mut machine = waiting();
        play(
            &mut machine,
            [
                (Event::RoomChanged, vec![Action::SurveyRoom]),
                (
                    Event::RoomSurveyed { contenders: vec![wants(7, 2)], permits: None },
                    vec![Action::Leave(LeaveForm::Withdraw)],
                ),
                (Event::Left, vec![Action::Fail(Failure::NoAgreement), Action::Finish]),
            ],
        );
    }

    #[test]
    fn whoever_does_not_wait_leaves_again_or_confirms_its_node_and_is_granted() {
        let mut machine = entering(Patience::Try);
        play(
            &mut machine,
            [
                (entered(7, 2, Neighbours::Unknown), vec![Action::SurveyRoom]),
                (surveyed(&[wants(7, 2), wants(3, 2)], 3), vec![Action::Leave(LeaveForm::Withdraw)]),
                (Event::Left, vec![Action::Fail(Failure::WouldBlock), Action::Finish]),
            ],
        );
        let mut machine = entering(Patience::Try);
        play(
            &mut machine,
            [
                (entered(7, 2, Neighbours::Unknown), vec![Action::SurveyRoom]),
                (surveyed(&[wants(7, 2), wants(3, 1)], 3), vec![Action::Confirm]),
                (Event::Verified { exists: true }, vec![Action::Grant(Proof::Survey), Action::PlaceOwnWatch]),
            ],
        );
    }

    #[test]
    fn a_node_or_directory_that_is_gone_ends_the_wait() {
        for event in [Event::OwnGone, Event::RoomChanged] {
            let mut machine = waiting();
            let mut actions = machine.handle(event);
            if actions == [Action::SurveyRoom] {
                actions = machine.handle(surveyed(&[wants(3, 1), wants(5, 1)], 3));
            }
            assert_eq!(actions, [Action::Fail(Failure::Removed), Action::Finish]);
        }
        let mut machine = waiting();
        play(
            &mut machine,
            [
                (Event::RoomChanged, vec![Action::SurveyRoom]),
                (Event::QueueMissing, vec![Action::Fail(Failure::Removed), Action::Finish]),
            ],
        );
    }

    #[test]
    fn whoever_gives_up_deletes_its_node() {
        let mut machine = waiting();
        play(
            &mut machine,
            [
                (Event::Cancel, vec![Action::Leave(LeaveForm::Withdraw)]),
                (Event::RoomChanged, vec![]),
                (Event::Left, vec![Action::Finish]),
            ],
        );
    }

    #[test]
    fn the_directory_of_permits_is_not_removed_for_its_numbers() {
        let limits = Limits { heal_from: 7.into(), refuse_from: 9.into(), make_queue_max: 0 };
        let mut machine = Machine::new(Patience::Wait, limits);
        play(
            &mut machine,
            [
                (entered(8, 1, Neighbours::Unknown), vec![Action::PlaceOwnWatch, Action::SurveyRoom]),
                (Event::OwnWatchPlaced, vec![]),
                (surveyed(&[wants(8, 1)], 1), vec![Action::Grant(Proof::Survey)]),
                (Event::Release, vec![Action::Leave(LeaveForm::Withdraw)]),
            ],
        );
        let mut machine = Machine::new(Patience::Wait, limits);
        play(
            &mut machine,
            [
                (entered(9, 1, Neighbours::Unknown), vec![Action::Leave(LeaveForm::Withdraw)]),
                (Event::Left, vec![Action::Fail(Failure::Exhausted), Action::Finish]),
            ],
        );
    }
}
