//! The machine, situation by situation: events in, actions out.

use super::{Action, Event, Failure, LeaveForm, Limits, Machine, Mode, Patience, Proof, Sequence};
use crate::error::LossReason;
use crate::store::{Entered, Neighbours, OwnNode};
use crate::token::FencingToken;

fn machine() -> Machine {
    Machine::new(Patience::Wait, Limits::default())
}

fn node(sequence: i32) -> OwnNode {
    OwnNode { sequence: sequence.into(), token: FencingToken::from(i64::from(sequence) + 100) }
}

fn entered(sequence: i32, neighbours: Neighbours) -> Event {
    let OwnNode { sequence, token } = node(sequence);
    Event::Entered(Entered { sequence, token, neighbours })
}

fn surveyed(numbers: &[i32]) -> Event {
    Event::Surveyed(numbers.iter().copied().map(Sequence::from).collect())
}

const BATON: Event = Event::PredecessorReleased { continuous: true };

/// Feeds the events one by one, each with what it must lead to.
#[track_caller]
fn play(machine: &mut Machine, script: impl IntoIterator<Item = (Event, Vec<Action>)>) {
    for (step, (event, expected)) in script.into_iter().enumerate() {
        let shown = format!("step {step}: {event:?}");
        assert_eq!(machine.handle(event), expected, "{shown}");
    }
}

fn waiting_behind_its_predecessor() -> Machine {
    let mut machine = machine();
    play(
        &mut machine,
        [
            (entered(7, Neighbours::Some), vec![Action::PlaceOwnWatch, Action::PlaceWatch(6.into())]),
            (Event::OwnWatchPlaced, vec![]),
            (Event::WatchPlaced, vec![]),
        ],
    );
    machine
}

fn holder() -> Machine {
    let mut machine = machine();
    play(
        &mut machine,
        [
            (entered(0, Neighbours::None), vec![Action::Grant(Proof::Alone), Action::PlaceOwnWatch]),
            (Event::OwnWatchPlaced, vec![]),
        ],
    );
    machine
}

#[test]
fn alone_means_held_at_once() {
    let mut machine = holder();
    play(
        &mut machine,
        [
            (Event::Release, vec![Action::Leave(LeaveForm::Release)]),
            (Event::OwnGone, vec![]),
            (Event::Left, vec![Action::Released, Action::Finish]),
        ],
    );
    assert!(machine.is_finished());
}

#[test]
fn the_baton_grants_without_any_request() {
    let mut machine = waiting_behind_its_predecessor();
    play(&mut machine, [(BATON, vec![Action::Grant(Proof::Baton)])]);
}

#[test]
fn a_baton_over_an_interrupted_connection_is_surveyed() {
    let mut machine = waiting_behind_its_predecessor();
    play(
        &mut machine,
        [
            (Event::PredecessorReleased { continuous: false }, vec![Action::Survey]),
            (surveyed(&[7, 9]), vec![Action::Grant(Proof::Survey)]),
        ],
    );
}

#[test]
fn a_baton_while_suspended_is_surveyed() {
    let mut machine = waiting_behind_its_predecessor();
    play(&mut machine, [(Event::Suspended, vec![]), (BATON, vec![Action::Survey])]);
}

#[test]
fn a_baton_before_the_own_watch_is_placed_is_surveyed() {
    let mut machine = machine();
    play(
        &mut machine,
        [
            (entered(7, Neighbours::Some), vec![Action::PlaceOwnWatch, Action::PlaceWatch(6.into())]),
            (Event::WatchPlaced, vec![]),
            (BATON, vec![Action::Survey]),
        ],
    );
}

#[test]
fn a_baton_after_somebody_wrote_to_the_own_node_is_surveyed_until_it_is_watched_again() {
    let mut machine = waiting_behind_its_predecessor();
    play(
        &mut machine,
        [
            (Event::OwnWatchSpent, vec![Action::PlaceOwnWatch]),
            (BATON, vec![Action::Survey]),
            (Event::OwnWatchPlaced, vec![]),
            (surveyed(&[7]), vec![Action::Grant(Proof::Survey)]),
        ],
    );
}

#[test]
fn a_deleted_predecessor_proves_nothing() {
    let mut machine = waiting_behind_its_predecessor();
    play(
        &mut machine,
        [
            (Event::PredecessorGone, vec![Action::Survey]),
            (surveyed(&[7, 2, 5, 11]), vec![Action::PlaceWatch(5.into())]),
            (Event::WatchMissing, vec![Action::Survey]),
            (surveyed(&[7, 2]), vec![Action::PlaceWatch(2.into())]),
            (Event::WatchPlaced, vec![]),
            (BATON, vec![Action::Grant(Proof::Baton)]),
        ],
    );
}

#[test]
fn own_node_deleted_while_waiting_fails_and_is_never_granted() {
    let mut machine = waiting_behind_its_predecessor();
    play(
        &mut machine,
        [
            (Event::OwnGone, vec![Action::Fail(Failure::Removed), Action::Finish]),
            (BATON, vec![]),
            (surveyed(&[7]), vec![]),
        ],
    );
}

#[test]
fn own_node_missing_in_a_survey_fails() {
    let mut machine = waiting_behind_its_predecessor();
    play(
        &mut machine,
        [
            (Event::PredecessorGone, vec![Action::Survey]),
            (surveyed(&[8, 9]), vec![Action::Fail(Failure::Removed), Action::Finish]),
        ],
    );
}

#[test]
fn queue_deleted_under_a_waiter_fails() {
    let mut machine = waiting_behind_its_predecessor();
    play(
        &mut machine,
        [
            (Event::PredecessorGone, vec![Action::Survey]),
            (Event::QueueMissing, vec![Action::Fail(Failure::Removed), Action::Finish]),
        ],
    );
}

#[test]
fn own_node_deleted_while_held_is_a_loss_and_needs_no_deleting() {
    let mut machine = holder();
    play(&mut machine, [(Event::OwnGone, vec![Action::Lose(LossReason::NodeDeleted), Action::Finish])]);
}

#[test]
fn session_end_while_held_is_a_loss() {
    let mut machine = holder();
    let ended = Event::SessionEnded(LossReason::SessionExpired);
    play(&mut machine, [(ended, vec![Action::Lose(LossReason::SessionExpired), Action::Finish])]);
}

#[test]
fn session_end_while_waiting_fails_and_a_later_baton_grants_nothing() {
    let mut machine = waiting_behind_its_predecessor();
    let failure = Failure::SessionEnded(LossReason::SessionExpired);
    play(
        &mut machine,
        [
            (Event::SessionEnded(LossReason::SessionExpired), vec![Action::Fail(failure), Action::Finish]),
            (BATON, vec![]),
        ],
    );
}

#[test]
fn deadline_passed_tells_the_holder_before_the_lock_is_given_away() {
    let mut machine = holder();
    play(
        &mut machine,
        [
            (Event::DeadlinePassed, vec![Action::Lose(LossReason::DeadlinePassed), Action::Leave(LeaveForm::Withdraw)]),
            (Event::Release, vec![]),
            (Event::Left, vec![Action::Finish]),
        ],
    );
}

#[test]
fn missing_queue_is_made_and_entered_again_a_bounded_number_of_times() {
    let mut machine = machine();
    for _ in 0..Limits::default().make_queue_max {
        play(&mut machine, [(Event::QueueMissing, vec![Action::MakeQueue]), (Event::QueueMade, vec![Action::Enter])]);
    }
    play(&mut machine, [(Event::QueueMissing, vec![Action::Fail(Failure::Refused), Action::Finish])]);
}

#[test]
fn lost_reply_to_entering_finds_the_node_and_keeps_its_place() {
    let mut machine = machine();
    play(
        &mut machine,
        [
            (Event::Unknown, vec![Action::Recover]),
            (Event::Unknown, vec![Action::Recover]),
            (Event::Recovered(vec![node(4)]), vec![Action::PlaceOwnWatch, Action::Survey]),
            (surveyed(&[3, 4]), vec![Action::PlaceWatch(3.into())]),
        ],
    );
}

#[test]
fn lost_request_to_enter_is_sent_again() {
    let mut machine = machine();
    play(
        &mut machine,
        [
            (Event::Unknown, vec![Action::Recover]),
            (Event::Recovered(vec![]), vec![Action::Enter]),
            (entered(0, Neighbours::None), vec![Action::Grant(Proof::Alone), Action::PlaceOwnWatch]),
        ],
    );
}

#[test]
fn of_several_recovered_nodes_the_lowest_is_kept() {
    let mut machine = machine();
    play(
        &mut machine,
        [
            (Event::Unknown, vec![Action::Recover]),
            (
                Event::Recovered(vec![node(9), node(4)]),
                vec![Action::RemoveSurplus(node(9)), Action::PlaceOwnWatch, Action::Survey],
            ),
        ],
    );
    assert_eq!(machine.node(), Some(node(4)));
}

#[test]
fn cancelled_while_entering_leaves_once_the_outcome_is_known() {
    let mut machine = machine();
    play(
        &mut machine,
        [
            (Event::Cancel, vec![]),
            (Event::Unknown, vec![Action::Recover]),
            (Event::Recovered(vec![node(4)]), vec![Action::Leave(LeaveForm::Withdraw)]),
            (Event::Left, vec![Action::Finish]),
        ],
    );
}

#[test]
fn cancelled_before_the_queue_exists_makes_nothing() {
    let mut machine = machine();
    play(&mut machine, [(Event::Cancel, vec![]), (Event::QueueMissing, vec![Action::Finish])]);
}

#[test]
fn cancelled_while_the_queue_is_made_does_not_enter_it() {
    let mut machine = machine();
    let made = [(Event::QueueMissing, vec![Action::MakeQueue]), (Event::Cancel, vec![])];
    play(&mut machine, made);
    play(&mut machine, [(Event::QueueMade, vec![Action::Finish])]);
}

#[test]
fn cancelled_waiter_whose_node_is_gone_already_tells_nobody_of_a_loss() {
    let mut machine = waiting_behind_its_predecessor();
    play(
        &mut machine,
        [(Event::Cancel, vec![Action::Leave(LeaveForm::Withdraw)]), (Event::LeaveMissing, vec![Action::Finish])],
    );
}

#[test]
fn cancelled_with_nothing_recovered_does_not_enter_again() {
    let mut machine = machine();
    play(
        &mut machine,
        [
            (Event::Cancel, vec![]),
            (Event::Unknown, vec![Action::Recover]),
            (Event::Recovered(vec![]), vec![Action::Finish]),
        ],
    );
}

#[test]
fn cancelled_waiter_withdraws_without_passing_a_baton() {
    let mut machine = waiting_behind_its_predecessor();
    play(
        &mut machine,
        [
            (Event::Cancel, vec![Action::Leave(LeaveForm::Withdraw)]),
            (BATON, vec![]),
            (Event::Left, vec![Action::Finish]),
        ],
    );
}

#[test]
fn cancelled_right_after_the_grant_releases_as_a_holder() {
    let mut machine = holder();
    play(&mut machine, [(Event::Cancel, vec![Action::Leave(LeaveForm::Release)]), (Event::Left, vec![Action::Finish])]);
}

#[test]
fn lost_reply_to_releasing_is_verified_by_identity_before_anything_is_deleted_again() {
    let mut machine = holder();
    play(
        &mut machine,
        [
            (Event::Release, vec![Action::Leave(LeaveForm::Release)]),
            (Event::Unknown, vec![Action::Verify]),
            (Event::Verified { exists: true }, vec![Action::Leave(LeaveForm::Release)]),
            (Event::Unknown, vec![Action::Verify]),
            (Event::Verified { exists: false }, vec![Action::Released, Action::Finish]),
        ],
    );
}

#[test]
fn releasing_a_node_that_somebody_deleted_tells_of_the_loss() {
    let mut machine = holder();
    play(
        &mut machine,
        [
            (Event::Release, vec![Action::Leave(LeaveForm::Release)]),
            (Event::LeaveMissing, vec![Action::Lose(LossReason::NodeDeleted), Action::Finish]),
        ],
    );
}

#[test]
fn refused_release_falls_back_to_a_plain_delete_and_that_is_tried_again_after_the_user_was_told() {
    let mut machine = holder();
    play(
        &mut machine,
        [
            (Event::Release, vec![Action::Leave(LeaveForm::Release)]),
            (Event::Refused, vec![Action::Leave(LeaveForm::Withdraw)]),
            (Event::Refused, vec![Action::Fail(Failure::Refused)]),
            (Event::Tick, vec![Action::Leave(LeaveForm::Withdraw)]),
            (Event::Refused, vec![]),
            (Event::Tick, vec![Action::Leave(LeaveForm::Withdraw)]),
            (Event::Left, vec![Action::Finish]),
        ],
    );
    assert!(machine.is_finished());
}

/// Its delete was refused, so that it is tried again much later.
fn stuck(mut machine: Machine) -> Machine {
    machine.handle(Event::Release);
    machine.handle(Event::Refused);
    machine.handle(Event::Refused);
    assert!(machine.is_stuck(), "{machine:?}");
    machine
}

#[test]
fn own_node_deleted_by_somebody_while_its_deletion_is_refused_is_not_deleted_by_its_name_later() {
    let mut machine = stuck(holder());
    play(&mut machine, [(Event::OwnGone, vec![Action::Finish]), (Event::Tick, vec![])]);
}

#[test]
fn a_refused_deletion_without_a_watch_on_the_node_is_tried_again_once_it_is_known_to_be_the_own_one() {
    let mut unwatched = machine();
    unwatched.handle(entered(0, Neighbours::None));
    let mut machine = stuck(unwatched);
    play(
        &mut machine,
        [(Event::Tick, vec![Action::Verify]), (Event::Verified { exists: false }, vec![Action::Finish])],
    );
}

#[test]
fn a_try_that_finds_somebody_ahead_leaves_without_placing_a_watch() {
    let mut machine = Machine::new(Patience::Try, Limits::default());
    play(
        &mut machine,
        [
            (entered(3, Neighbours::Some), vec![Action::Survey]),
            (surveyed(&[2, 3]), vec![Action::Leave(LeaveForm::Withdraw)]),
            (Event::Left, vec![Action::Fail(Failure::WouldBlock), Action::Finish]),
        ],
    );
}

#[test]
fn a_try_beside_foreign_nodes_only_is_granted_by_survey_once_its_node_is_confirmed() {
    let mut machine = Machine::new(Patience::Try, Limits::default());
    play(
        &mut machine,
        [
            (entered(3, Neighbours::Some), vec![Action::Survey]),
            (surveyed(&[3]), vec![Action::Confirm]),
            (Event::Unknown, vec![Action::Confirm]),
            (Event::Verified { exists: true }, vec![Action::Grant(Proof::Survey), Action::PlaceOwnWatch]),
        ],
    );
}

#[test]
fn head_by_name_only_is_not_granted() {
    let mut machine = waiting_behind_its_predecessor();
    play(
        &mut machine,
        [
            (Event::OwnWatchSpent, vec![Action::PlaceOwnWatch]),
            (Event::PredecessorGone, vec![Action::Survey]),
            (surveyed(&[7]), vec![Action::Confirm]),
            (Event::Verified { exists: false }, vec![Action::Fail(Failure::Removed), Action::Finish]),
        ],
    );
}

#[test]
fn after_an_interruption_a_holder_makes_sure_of_its_node_before_deleting_it() {
    for interruption in [Event::Suspended, Event::Resumed, Event::OwnWatchSpent] {
        let mut machine = holder();
        let _actions = machine.handle(interruption);
        play(
            &mut machine,
            [
                (Event::Release, vec![Action::Verify]),
                (Event::Verified { exists: true }, vec![Action::Leave(LeaveForm::Release)]),
                (Event::Left, vec![Action::Released, Action::Finish]),
            ],
        );
    }
    let mut machine = holder();
    play(
        &mut machine,
        [
            (Event::Resumed, vec![]),
            (Event::Release, vec![Action::Verify]),
            (Event::Verified { exists: false }, vec![Action::Lose(LossReason::NodeDeleted), Action::Finish]),
        ],
    );
}

#[test]
fn an_answer_older_than_an_interruption_does_not_make_sure_of_the_node() {
    let mut machine = machine();
    play(
        &mut machine,
        [
            // Told in this order, though the answer had come before.
            (Event::Suspended, vec![]),
            (entered(0, Neighbours::None), vec![Action::Grant(Proof::Alone), Action::PlaceOwnWatch]),
            (Event::Release, vec![Action::Verify]),
            (Event::Resumed, vec![]),
            (Event::Verified { exists: true }, vec![Action::Verify]),
            (Event::Verified { exists: true }, vec![Action::Leave(LeaveForm::Release)]),
        ],
    );
}

#[test]
fn a_recovery_that_is_refused_is_told_and_tried_again() {
    let mut machine = machine();
    play(
        &mut machine,
        [
            (Event::Unknown, vec![Action::Recover]),
            (Event::Refused, vec![Action::Fail(Failure::Refused)]),
            (Event::Cancel, vec![]),
            (Event::Tick, vec![Action::Recover]),
            (Event::Refused, vec![]),
            (Event::Tick, vec![Action::Recover]),
            (Event::Recovered(vec![node(4)]), vec![Action::Leave(LeaveForm::Withdraw)]),
            (Event::Left, vec![Action::Finish]),
        ],
    );
}

#[test]
fn missed_events_are_found_by_a_probe_of_one_node() {
    let mut machine = waiting_behind_its_predecessor();
    play(
        &mut machine,
        [
            (Event::Tick, vec![Action::Probe(6.into())]),
            (Event::Probed { exists: true }, vec![]),
            (Event::Tick, vec![Action::Probe(6.into())]),
            (Event::Probed { exists: false }, vec![Action::Survey]),
            (surveyed(&[7]), vec![Action::Grant(Proof::Survey)]),
        ],
    );
}

#[test]
fn a_baton_during_a_probe_is_believed() {
    let mut machine = waiting_behind_its_predecessor();
    play(&mut machine, [(Event::Tick, vec![Action::Probe(6.into())]), (BATON, vec![Action::Grant(Proof::Baton)])]);
}

#[test]
fn a_survey_that_shows_the_watched_predecessor_again_asks_for_nothing() {
    let mut machine = waiting_behind_its_predecessor();
    play(
        &mut machine,
        [
            (Event::Tick, vec![Action::Probe(6.into())]),
            (Event::Probed { exists: false }, vec![Action::Survey]),
            // A server that lags behind the one that was probed.
            (surveyed(&[6, 7]), vec![]),
            (BATON, vec![Action::Grant(Proof::Baton)]),
        ],
    );
}

#[test]
fn a_predecessor_that_a_lagging_server_shows_again_is_watched_again() {
    let mut machine = waiting_behind_its_predecessor();
    play(
        &mut machine,
        [
            (Event::Tick, vec![Action::Probe(6.into())]),
            (Event::Probed { exists: false }, vec![Action::Survey]),
            (surveyed(&[3, 7]), vec![Action::PlaceWatch(3.into())]),
            (Event::WatchMissing, vec![Action::Survey]),
            (surveyed(&[6, 7]), vec![Action::PlaceWatch(6.into())]),
        ],
    );
}

#[test]
fn the_first_number_has_no_predecessor_to_guess() {
    let mut machine = machine();
    play(&mut machine, [(entered(0, Neighbours::Some), vec![Action::PlaceOwnWatch, Action::Survey])]);
}

#[test]
fn numbers_near_the_end_are_turned_away_and_leave_nothing() {
    for number in [i32::MAX, i32::MAX - 1_000_000, -2_147_483_648, -1] {
        let mut machine = machine();
        play(
            &mut machine,
            [
                (entered(number, Neighbours::None), vec![Action::Leave(LeaveForm::CloseQueue)]),
                // Not as a holder does: nobody may take it for the baton.
                (Event::Refused, vec![Action::Leave(LeaveForm::Withdraw)]),
                (Event::Left, vec![Action::Fail(Failure::Exhausted), Action::Finish]),
            ],
        );
    }
}

#[test]
fn past_half_the_range_the_last_one_out_closes_the_queue() {
    let mut machine = machine();
    play(
        &mut machine,
        [
            (entered(1 << 30, Neighbours::None), vec![Action::Grant(Proof::Alone), Action::PlaceOwnWatch]),
            (Event::Release, vec![Action::Leave(LeaveForm::CloseQueue)]),
            (Event::Refused, vec![Action::Leave(LeaveForm::Release)]),
            (Event::Left, vec![Action::Released, Action::Finish]),
        ],
    );
}

#[test]
#[should_panic(expected = "Q3")]
fn an_answer_to_nothing_is_a_bug() {
    let _actions = holder().handle(surveyed(&[0]));
}

/// What the driver asks of a machine: (waits for, held, leaving, stuck, wants ticks, finished).
fn standing(machine: &Machine) -> (Option<i32>, bool, bool, bool, bool, bool) {
    (
        machine.waiting_for().map(Sequence::as_i32),
        machine.is_held(),
        machine.is_leaving(),
        machine.is_stuck(),
        machine.wants_ticks(),
        machine.is_finished(),
    )
}

#[test]
fn a_machine_says_where_it_stands() {
    let mut waiter = machine();
    assert_eq!(standing(&waiter), (None, false, false, false, false, false), "entering");
    waiter.handle(entered(7, Neighbours::Some));
    assert_eq!(standing(&waiter), (Some(6), false, false, false, true, false), "placing its watch");
    waiter.handle(Event::OwnWatchPlaced);
    waiter.handle(Event::WatchPlaced);
    assert_eq!(standing(&waiter), (Some(6), false, false, false, true, false), "waiting");
    waiter.handle(Event::Tick);
    assert_eq!(standing(&waiter), (Some(6), false, false, false, true, false), "probing");
    waiter.handle(Event::Probed { exists: true });
    waiter.handle(BATON);
    assert_eq!(standing(&waiter), (None, true, false, false, false, false), "held");
    waiter.handle(Event::Release);
    assert_eq!(standing(&waiter), (None, false, true, false, false, false), "leaving");
    waiter.handle(Event::Unknown);
    assert_eq!(standing(&waiter), (None, false, true, false, false, false), "verifying");
    waiter.handle(Event::Refused);
    assert_eq!(standing(&waiter), (None, false, true, true, true, false), "stuck with its node");
    waiter.handle(Event::Tick);
    waiter.handle(Event::Verified { exists: false });
    assert_eq!(standing(&waiter), (None, false, false, false, false, true), "gone");
}

fn shared(number: i32) -> Sequence {
    Sequence::new(number, Mode::Shared)
}

fn entered_to_share(number: i32, neighbours: Neighbours) -> Event {
    Event::Entered(Entered { sequence: shared(number), token: node(number).token, neighbours })
}

fn sharing_with_others() -> Machine {
    let mut machine = machine();
    play(
        &mut machine,
        [
            (entered_to_share(7, Neighbours::Some), vec![Action::PlaceOwnWatch, Action::Survey]),
            (Event::OwnWatchPlaced, vec![]),
            (Event::Surveyed(vec![shared(5), shared(6), shared(7), 8.into()]), vec![Action::Grant(Proof::Survey)]),
        ],
    );
    machine
}

#[test]
fn who_shares_is_granted_beside_others_who_share() {
    let mut machine = sharing_with_others();
    play(
        &mut machine,
        [
            // Whoever waits for it must look who else is there: no baton.
            (Event::Release, vec![Action::Leave(LeaveForm::Withdraw)]),
            (Event::Left, vec![Action::Released, Action::Finish]),
        ],
    );
}

#[test]
fn who_shares_waits_for_the_nearest_exclusive_one_and_believes_its_baton() {
    let mut machine = machine();
    play(
        &mut machine,
        [
            (entered_to_share(7, Neighbours::Some), vec![Action::PlaceOwnWatch, Action::Survey]),
            (Event::OwnWatchPlaced, vec![]),
            (Event::Surveyed(vec![3.into(), 4.into(), shared(6), shared(7)]), vec![Action::PlaceWatch(4.into())]),
            (Event::WatchPlaced, vec![]),
            (BATON, vec![Action::Grant(Proof::Baton)]),
        ],
    );
}

#[test]
fn a_write_to_the_node_of_one_who_shares_is_no_baton() {
    let mut machine = machine();
    play(
        &mut machine,
        [
            (entered(7, Neighbours::Some), vec![Action::PlaceOwnWatch, Action::PlaceWatch(6.into())]),
            (Event::OwnWatchPlaced, vec![]),
            (Event::WatchMissing, vec![Action::Survey]),
            (Event::Surveyed(vec![shared(5), shared(6), 7.into()]), vec![Action::PlaceWatch(shared(6))]),
            (Event::WatchPlaced, vec![]),
            (BATON, vec![Action::Survey]),
            (Event::Surveyed(vec![shared(5), 7.into()]), vec![Action::PlaceWatch(shared(5))]),
            (Event::WatchPlaced, vec![]),
            (Event::PredecessorGone, vec![Action::Survey]),
            (surveyed(&[7]), vec![Action::Grant(Proof::Survey)]),
        ],
    );
}

/// Number 7, whose writer takes into account that a reader may be ahead, with its own watch in place.
fn looking_for_either() -> Machine {
    let mut machine = machine().expecting_readers(true);
    play(
        &mut machine,
        [
            (entered(7, Neighbours::Some), vec![Action::PlaceOwnWatch, Action::PlaceWatchOnEither(6.into())]),
            (Event::OwnWatchPlaced, vec![]),
        ],
    );
    machine
}

#[test]
fn a_writer_behind_a_reader_waits_for_it_without_a_list_and_takes_no_write_to_its_node_for_the_baton() {
    let mut machine = looking_for_either();
    play(&mut machine, [(Event::ReaderWatchPlaced, vec![])]);
    assert_eq!(machine.waiting_for(), Some(shared(6)));
    play(
        &mut machine,
        [
            (Event::Tick, vec![Action::Probe(shared(6))]),
            (Event::Probed { exists: true }, vec![]),
            (BATON, vec![Action::Survey]),
            (Event::Surveyed(vec![shared(5), 7.into()]), vec![Action::PlaceWatch(shared(5))]),
            (Event::Unknown, vec![Action::PlaceWatch(shared(5))]),
            (Event::WatchPlaced, vec![]),
            (Event::PredecessorGone, vec![Action::Survey]),
            (surveyed(&[7]), vec![Action::Grant(Proof::Survey)]),
        ],
    );
}

#[test]
fn a_writer_that_looked_for_either_and_found_a_writer_believes_its_baton() {
    let mut machine = looking_for_either();
    play(&mut machine, [(Event::WatchPlaced, vec![])]);
    assert_eq!(machine.waiting_for(), Some(6.into()));
    play(&mut machine, [(BATON, vec![Action::Grant(Proof::Baton)])]);
}

#[test]
fn a_writer_that_looked_for_either_and_found_neither_lists_the_queue() {
    let mut machine = looking_for_either();
    play(
        &mut machine,
        [
            (Event::WatchMissing, vec![Action::Survey]),
            (Event::Surveyed(vec![shared(3), 4.into(), 7.into()]), vec![Action::PlaceWatch(4.into())]),
            (Event::WatchMissing, vec![Action::Survey]),
            (surveyed(&[7]), vec![Action::Grant(Proof::Survey)]),
        ],
    );
}

#[test]
fn a_look_for_either_whose_answer_is_lost_is_taken_again_and_one_that_is_refused_ends_the_wait() {
    let mut machine = looking_for_either();
    assert_eq!(standing(&machine), (Some(6), false, false, false, true, false));
    play(
        &mut machine,
        [
            (Event::Tick, vec![]),
            (Event::Unknown, vec![Action::PlaceWatchOnEither(6.into())]),
            (Event::Refused, vec![Action::Leave(LeaveForm::Withdraw)]),
            (Event::Left, vec![Action::Fail(Failure::Refused), Action::Finish]),
        ],
    );
    let mut machine = looking_for_either();
    play(
        &mut machine,
        [(Event::Cancel, vec![Action::Leave(LeaveForm::Withdraw)]), (Event::Left, vec![Action::Finish])],
    );
}

#[test]
fn whoever_does_not_guess_whom_it_waits_for_does_not_look_for_either() {
    let mut reader = machine().expecting_readers(true);
    play(&mut reader, [(entered_to_share(7, Neighbours::Some), vec![Action::PlaceOwnWatch, Action::Survey])]);
    let mut first = machine().expecting_readers(true);
    play(&mut first, [(entered(0, Neighbours::Some), vec![Action::PlaceOwnWatch, Action::Survey])]);
    let mut recovered = machine().expecting_readers(true);
    play(
        &mut recovered,
        [
            (Event::Unknown, vec![Action::Recover]),
            (Event::Recovered(vec![node(7)]), vec![Action::PlaceOwnWatch, Action::Survey]),
        ],
    );
    let mut hasty = Machine::new(Patience::Try, Limits::default()).expecting_readers(true);
    play(&mut hasty, [(entered(7, Neighbours::Some), vec![Action::Survey])]);
}

#[test]
#[should_panic(expected = "Q3")]
fn a_reader_found_by_who_looked_for_a_writer_is_a_bug() {
    let mut machine = machine();
    machine.handle(entered(7, Neighbours::Some));
    machine.handle(Event::ReaderWatchPlaced);
}

#[test]
fn who_shares_and_cannot_close_the_queue_withdraws_without_a_baton() {
    let limits = Limits { heal_from: 7.into(), ..Limits::default() };
    let mut machine = Machine::new(Patience::Wait, limits);
    play(
        &mut machine,
        [
            (entered_to_share(7, Neighbours::None), vec![Action::Grant(Proof::Alone), Action::PlaceOwnWatch]),
            (Event::OwnWatchPlaced, vec![]),
            (Event::Release, vec![Action::Leave(LeaveForm::CloseQueue)]),
            (Event::Refused, vec![Action::Leave(LeaveForm::Withdraw)]),
            (Event::Left, vec![Action::Released, Action::Finish]),
        ],
    );
}
