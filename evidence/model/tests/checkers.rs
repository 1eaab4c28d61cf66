//! Each property flags a state that it must flag, and passes the state next to it that is right.

use fairlock::queue::{Event, Proof, Sequence};
use fairlock::store::{Entered, Neighbours};
use fairlock::{FencingToken, LossReason};
use fairlock_model::election::{self, step::Step as ElectionStep};
use fairlock_model::properties::{conduct, drain, fifo, holder, orphans, progress, watches};
use fairlock_model::state::{Note, State, User, Watch};
use fairlock_model::step::{Act, Step};
use fairlock_model::tree::Node;
use fairlock_model::world::World;
use fairlock_model::worlds;
use stateright::Model;

/// Contender 0 has node 0, contender 1 has node 1 and waits for node 0; nothing is on its way.
fn queue_of_two(world: &World) -> State {
    let mut state = world.beginnings().remove(0);
    for number in 0..2_u8 {
        let contender = usize::from(number);
        state.sessions[contender].requests.clear();
        state.leader.nodes.push(Node {
            number,
            token: number + 1,
            session: number,
            ticket: number,
            version: 0,
            shares: false,
        });
        let _actions = state.contenders[contender].machine.handle(entered(number));
    }
    let waiter = &mut state.contenders[1];
    for event in [Event::OwnWatchPlaced, Event::WatchPlaced] {
        let _actions = waiter.machine.handle(event);
    }
    waiter.own_watch = Some(watch(1));
    waiter.predecessor_watch = Some(watch(0));
    state.tokens = 2;
    state
}

fn entered(number: u8) -> Event {
    Event::Entered(Entered {
        sequence: Sequence::from(i32::from(number)),
        token: FencingToken::from(i64::from(number) + 1),
        neighbours: Neighbours::Some,
    })
}

fn watch(number: u8) -> Watch {
    Watch { number, token: number + 1, version: 0, shares: false, is_known: true, is_continuous: true, told: None }
}

fn granted(contender: u8) -> Option<Note> {
    Some(Note::Granted { contender, proof: Proof::Survey, forged: false, differs: false, is_confirmed: false })
}

#[test]
fn a_grant_past_an_earlier_waiter_is_not_first_come_first_served() {
    let world = worlds::small();
    let mut state = queue_of_two(&world);
    state.note = granted(0);
    assert!(fifo::first_come_first_served(&world, &state), "the first");
    state.note = granted(1);
    assert!(!fifo::first_come_first_served(&world, &state), "the second, while the first waits");
    state.leader.nodes.remove(0);
    assert!(fifo::first_come_first_served(&world, &state), "the second, after the first");
}

#[test]
fn a_grant_to_another_than_the_head_or_with_an_old_token_is_flagged() {
    let world = worlds::small();
    let mut state = queue_of_two(&world);
    state.note = granted(0);
    assert!(holder::grant_is_to_the_head(&world, &state), "the head");
    state.granted_highest = 1;
    assert!(!holder::grant_is_to_the_head(&world, &state), "a token that was granted before");
    state.granted_highest = 0;
    state.note = granted(1);
    assert!(!holder::grant_is_to_the_head(&world, &state), "not the head");
}

#[test]
fn a_guard_without_a_node_is_flagged_unless_somebody_was_rude() {
    let world = worlds::small();
    let mut state = queue_of_two(&world);
    state.note = granted(0);
    state.contenders[0].user = User::Holding;
    assert!(holder::guard_has_a_node(&world, &state));
    state.leader.nodes.remove(0);
    assert!(!holder::guard_has_a_node(&world, &state));
    state.is_rude = true;
    assert!(holder::guard_has_a_node(&world, &state));
}

#[test]
fn two_valid_guards_are_flagged() {
    let world = worlds::small();
    let mut state = queue_of_two(&world);
    state.contenders[0].user = User::Holding;
    assert!(holder::one_valid_guard(&world, &state), "one");
    state.contenders[1].user = User::Holding;
    assert!(!holder::one_valid_guard(&world, &state), "two");
    state.contenders[0].has_lapsed = true;
    assert!(holder::one_valid_guard(&world, &state), "one, and one that has lapsed");
}

#[test]
fn a_baton_believed_without_the_own_watch_or_on_a_difference_is_flagged() {
    let world = worlds::small();
    let mut state = queue_of_two(&world);
    let baton = |differs| {
        Some(Note::Granted { contender: 1, proof: Proof::Baton, forged: false, differs, is_confirmed: false })
    };
    state.note = baton(false);
    assert!(holder::baton_is_believed_rightly(&world, &state), "over a silent watch");
    state.note = baton(true);
    assert!(!holder::baton_is_believed_rightly(&world, &state), "on a difference");
    state.note = baton(false);
    state.contenders[1].own_watch = None;
    assert!(!holder::baton_is_believed_rightly(&world, &state), "without a watch");
}

#[test]
fn a_list_believed_without_the_own_watch_or_a_look_at_the_own_node_is_flagged() {
    let world = worlds::small();
    let mut state = queue_of_two(&world);
    state.note = granted(1);
    assert!(holder::list_is_believed_rightly(&world, &state), "over a silent watch");
    state.contenders[1].own_watch = None;
    assert!(!holder::list_is_believed_rightly(&world, &state), "without a watch");
    state.note =
        Some(Note::Granted { contender: 1, proof: Proof::Survey, forged: false, differs: false, is_confirmed: true });
    assert!(holder::list_is_believed_rightly(&world, &state), "after a look");
}

#[test]
fn a_node_of_an_ended_contender_is_flagged_while_its_session_lives() {
    let world = worlds::small();
    let mut state = queue_of_two(&world);
    assert!(orphans::no_node_outlives_its_contender(&world, &state));
    let _actions = state.contenders[0].machine.handle(Event::SessionEnded(LossReason::Closed));
    assert!(!orphans::no_node_outlives_its_contender(&world, &state));
    state.sessions[0].lives = false;
    assert!(orphans::no_node_outlives_its_contender(&world, &state));
}

#[test]
fn a_watch_asked_for_twice_or_on_a_wrong_node_is_flagged() {
    let world = worlds::small();
    let right = queue_of_two(&world);
    assert!(watches::one_watch_of_each_kind(&world, &right));
    let is_flagged = |change: fn(&mut State)| {
        let mut state = right.clone();
        change(&mut state);
        !watches::one_watch_of_each_kind(&world, &state)
    };
    assert!(is_flagged(|state| state.note = Some(Note::WatchedTwice(1))), "twice");
    assert!(is_flagged(|state| state.contenders[1].predecessor_watch = Some(watch(2))), "somebody behind");
    let on_a_reader =
        |state: &mut State| state.contenders[1].predecessor_watch = Some(Watch { shares: true, ..watch(0) });
    assert!(is_flagged(on_a_reader), "a reader, while it waits for a writer of that number");
    assert!(is_flagged(|state| state.contenders[1].own_watch = Some(watch(0))), "another's node as the own one");
    let waits_for_nobody_watched = |state: &mut State| {
        let _actions = state.contenders[1].machine.handle(Event::Tick);
        state.contenders[1].predecessor_watch = Some(Watch { number: 0, ..watch(1) });
    };
    assert!(!is_flagged(waits_for_nobody_watched), "a look for missed events keeps the watch");
}

#[test]
fn a_second_watch_of_the_own_node_is_noted() {
    let world = worlds::small();
    let mut state = queue_of_two(&world);
    state.contenders[1].own_watch_delayed = true;
    let state = world.step(&state, Step::Act(1, None, Act::OwnWatchTime));
    assert_eq!(state.note, Some(Note::WatchedTwice(1)));
}

#[test]
fn a_waiter_whose_predecessor_went_unnoticed_is_flagged() {
    let world = worlds::small();
    let mut state = queue_of_two(&world);
    assert!(progress::a_waiter_is_woken(&world, &state));
    state.leader.nodes.remove(0);
    assert!(!progress::a_waiter_is_woken(&world, &state));
}

#[test]
fn a_failed_assertion_of_the_machine_is_flagged_and_ends_the_history() {
    let world = worlds::small();
    let mut state = queue_of_two(&world);
    assert!(conduct::no_assertion_fails(&world, &state));
    // The answer to something that was never asked.
    state.contenders[1].answer = Some(Event::Left);
    let state = world.step(&state, Step::Act(1, None, Act::TakeAnswer));
    let Some(Note::Panicked(message)) = &state.note else { panic!("{:?}", state.note) };
    assert!(message.starts_with("Q3: Left answers nothing"), "{message}");
    assert!(!conduct::no_assertion_fails(&world, &state));
    let mut steps = vec![];
    world.steps(&state, &mut steps);
    assert_eq!(steps, []);
}

#[test]
fn a_write_dropped_for_another_request_is_flagged() {
    let world = worlds::small();
    let state = world.beginnings().remove(0);
    assert!(conduct::no_write_is_dropped(&world, &state));
    // It is entering already.
    let state = world.step(&state, Step::Start(0));
    assert!(!conduct::no_write_is_dropped(&world, &state), "{:?}", state.note);
}

#[test]
fn a_look_dropped_for_another_request_is_passed() {
    let world = worlds::small();
    let mut state = queue_of_two(&world);
    state.sessions[0].requests.clone_from(&world.beginnings().remove(0).sessions[0].requests);
    state.sessions[0].requests[0].request = fairlock_model::state::Request::Survey;
    let state = world.step(&state, Step::Start(0));
    assert!(conduct::no_write_is_dropped(&world, &state), "{:?}", state.note);
}

#[test]
fn a_contender_that_ends_and_leaves_its_user_waiting_is_flagged() {
    let world = worlds::small();
    let mut state = queue_of_two(&world);
    let told = world.step(&state, Step::SeeEnd(0));
    assert!(told.contenders[0].machine.is_finished());
    assert!(conduct::users_are_told(&world, &told), "{:?}", told.note);
    // Its action, which would tell the user, is lost.
    let _actions = state.contenders[0].machine.handle(Event::SessionEnded(LossReason::SessionExpired));
    let untold = world.step(&state, Step::SeeEnd(0));
    assert!(!conduct::users_are_told(&world, &untold), "{:?}", untold.note);
}

#[test]
fn a_foreign_deletion_is_flagged() {
    let world = worlds::small();
    let mut state = queue_of_two(&world);
    assert!(conduct::nobody_deletes_anothers_node(&world, &state));
    state.note = Some(Note::DeletedAnothers(0));
    assert!(!conduct::nobody_deletes_anothers_node(&world, &state));
}

#[test]
fn a_state_that_never_ends_well_is_flagged_by_the_drain_before_anybody_is_stuck() {
    let world = worlds::small();
    let mut state = world.beginnings().remove(0);
    assert!(drain::all_ends_well(&world, &state));
    // A request that was lost without anybody being told.
    state.sessions[0].requests.clear();
    assert!(progress::nobody_waits_for_ever(&world, &state), "the other one is not through yet");
    assert!(!drain::all_ends_well(&world, &state));
}

/// The state of an election after these steps.
fn elected(steps: &[ElectionStep]) -> election::state::State {
    let world = election::worlds::election();
    let begins = world.init_states().remove(0);
    steps.iter().fold(begins, |state, &step| world.step(&state, step))
}

/// A leader has proclaimed, in a record that was made for it.
const PROCLAIMED: [ElectionStep; 4] =
    [ElectionStep::Elect(0), ElectionStep::Execute(0), ElectionStep::Execute(0), ElectionStep::Execute(0)];

#[test]
fn an_observer_that_was_told_what_was_not_true_or_the_same_again_is_flagged() {
    let world = election::worlds::election();
    let mut state = elected(&[&PROCLAIMED[..], &[ElectionStep::Look, ElectionStep::Look]].concat());
    assert!(matches!(state.note, Some(election::state::Note::Told { leader: Some(_), .. })), "{:?}", state.note);
    assert!(election::told_what_is_true(&world, &state));
    let told = |leader, before, was_true| Some(election::state::Note::Told { leader, before, was_true });
    state.note = told(None, None, false);
    assert!(!election::told_what_is_true(&world, &state), "it was not true");
    state.note = told(None, Some(None), true);
    assert!(!election::told_what_is_true(&world, &state), "it was told before");
}

#[test]
fn a_record_written_by_somebody_who_leads_no_more_or_with_an_older_payload_is_flagged() {
    let world = election::worlds::election();
    let mut state = elected(&PROCLAIMED);
    let right = state.written.expect("a record");
    assert!(election::only_who_leads_writes(&world, &state));
    state.written = Some(election::state::Written { by_living: false, ..right });
    assert!(!election::only_who_leads_writes(&world, &state), "it leads no more");
    state.written = Some(election::state::Written { in_order: false, ..right });
    assert!(!election::only_who_leads_writes(&world, &state), "an older one");
    state.written = Some(election::state::Written { by_living: false, is_namesake: true, ..right });
    assert!(election::only_who_leads_writes(&world, &state), "the limit that is named");
}

#[test]
fn a_proclamation_confirmed_but_never_written_is_flagged() {
    let world = election::worlds::election();
    let mut state = elected(&PROCLAIMED);
    assert_eq!(state.note, Some(election::state::Note::Confirmed { is_written: true }));
    assert!(election::what_is_proclaimed_is_written(&world, &state));
    state.note = Some(election::state::Note::Confirmed { is_written: false });
    assert!(!election::what_is_proclaimed_is_written(&world, &state));
}

#[test]
fn an_observer_that_is_never_told_is_flagged_once_nothing_is_under_way() {
    let world = election::worlds::election();
    let mut state = elected(&[&PROCLAIMED[..], &[ElectionStep::Look, ElectionStep::Look]].concat());
    assert!(election::knows_once_nothing_is_under_way(&world, &state));
    // Its leader goes, and the watch says nothing.
    state.observer.node = None;
    let state = world.step(&state, ElectionStep::Resign(0));
    assert!(!election::knows_once_nothing_is_under_way(&world, &state));
}
