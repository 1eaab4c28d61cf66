//! The worlds hold what is promised, with exactly as many states as were counted; and a world with a defect is noticed.

use fairlock_model::check::{Report, check};
use fairlock_model::election::{self, Promises};
use fairlock_model::world::{Driver, Faults, World};
use fairlock_model::worlds;

const THREADS: usize = 2;

#[track_caller]
fn holds(name: &str, reached: usize) {
    let found = worlds::smalls().into_iter().find(|(world, _)| world.name == name);
    let (world, expected) = found.expect("it is one of the small worlds");
    let report = check(world, THREADS, false);
    assert!(report.violations.is_empty(), "{report}\n{}", histories(&report));
    assert_eq!(report.states, expected, "{report}");
    assert_eq!(report.reached.len(), reached, "{report}");
}

fn histories(report: &Report) -> String {
    report.violations.iter().map(|(property, history)| format!("{property}\n{history}\n")).collect()
}

/// Finds a violation of one of these properties.
#[track_caller]
fn fails(world: World, properties: &[&str]) {
    let report = check(world, THREADS, false);
    let violated: Vec<_> = report.violations.iter().map(|(property, _)| *property).collect();
    assert!(violated.iter().any(|violated| properties.contains(violated)), "{report}: {violated:?}");
}

fn with(world: World, change: impl FnOnce(&mut Driver)) -> World {
    let mut driver = Driver::SHIPPED;
    change(&mut driver);
    World { driver, ..world }
}

#[test]
fn small_world_holds() {
    holds("small", 5);
}

#[test]
fn world_without_faults_holds() {
    holds("wavering", 5);
}

#[test]
fn world_with_readers_and_a_writer_holds() {
    holds("sharing", 5);
}

#[test]
fn world_with_a_reader_between_writers_holds() {
    holds("shared between", 5);
}

#[test]
fn world_with_a_stranger_who_writes_holds() {
    // Somebody holds already when it begins.
    holds("forged", 4);
}

#[test]
fn world_with_a_contender_that_entered_twice_holds() {
    holds("surplus", 5);
}

#[test]
fn a_write_by_a_stranger_defeats_the_baton() {
    let kinds = Faults { write: true, ..Faults::NONE };
    fails(World { excuses_forgery: false, kinds, ..worlds::small() }, &["a grant is to the head, with a rising token"]);
}

#[test]
fn servers_that_do_not_wait_for_the_clock_give_the_lock_to_two() {
    fails(with(worlds::small(), |driver| driver.servers_wait = false), &["at most one guard is valid"]);
}

#[test]
fn watches_that_are_not_restored_leave_somebody_waiting() {
    let broken = with(worlds::small(), |driver| driver.restores_watches = false);
    fails(broken, &["a waiter is woken", "nobody waits for ever"]);
}

#[test]
fn a_lost_reply_to_entering_that_is_looked_for_without_a_barrier_blocks_its_own_contender() {
    fails(with(worlds::small(), |driver| driver.barrier_before_recover = false), &["nobody waits for ever"]);
}

#[test]
fn an_unknown_outcome_taken_for_a_refusal_leaves_a_node() {
    let broken = with(worlds::small(), |driver| driver.unknown_is_unknown = false);
    fails(broken, &["no node outlives its contender"]);
}

#[test]
fn a_grant_to_a_lapsed_session_that_is_handed_over_at_once_has_no_node() {
    let broken = with(worlds::small(), |driver| driver.renews_before_hand_over = false);
    fails(broken, &["a guard is handed over for a live node only", "at most one guard is valid"]);
}

#[test]
fn the_baton_is_not_reached_if_a_release_is_told_as_a_deletion() {
    let report = check(with(worlds::small(), |driver| driver.release_is_told = false), THREADS, false);
    assert!(report.violations.is_empty() && !report.reached.contains(&"granted by the baton"), "{report}");
}

#[test]
fn the_baton_before_news_of_the_own_node_is_believed_wrongly() {
    fails(with(worlds::small(), |driver| driver.own_news_first = false), &["the baton is believed rightly"]);
}

#[test]
fn a_proof_without_a_watch_of_the_own_node_is_believed_wrongly() {
    let broken = with(worlds::small(), |driver| driver.places_own_watch = false);
    fails(broken, &["the baton is believed rightly", "a list is believed rightly"]);
}

#[test]
fn a_difference_taken_for_the_baton_is_believed_wrongly() {
    fails(with(worlds::forged(), |driver| driver.tells_interruptions = false), &["the baton is believed rightly"]);
}

#[test]
fn a_node_looked_for_by_its_name_may_be_anothers() {
    fails(with(worlds::namesakes(), |driver| driver.compares_identity = false), &["nobody deletes another's node"]);
}

#[test]
fn a_lost_reply_to_leaving_that_is_looked_for_without_a_barrier_deletes_anothers_node() {
    fails(with(worlds::namesakes(), |driver| driver.barrier_before_verify = false), &["nobody deletes another's node"]);
}

#[test]
fn a_deletion_by_name_that_is_sent_over_a_reconnect_deletes_anothers_node() {
    fails(with(worlds::removed(), |driver| driver.leaves_only_connected = false), &["nobody deletes another's node"]);
}

#[test]
fn a_surplus_node_that_is_not_removed_outlives_its_contender() {
    fails(with(worlds::surplus(), |driver| driver.removes_surplus = false), &["no node outlives its contender"]);
}

/// Finds a violation of one of these properties in an election's world.
#[track_caller]
fn fails_to_elect(change: impl FnOnce(&mut Promises), properties: &[&str]) {
    let mut world = election::worlds::election();
    change(&mut world.promises);
    let report = check(world, THREADS, false);
    let violated: Vec<_> = report.violations.iter().map(|(property, _)| *property).collect();
    assert!(violated.iter().any(|violated| properties.contains(violated)), "{report}: {violated:?}");
}

const KNOWS: &str = "once nothing is under way, the observer knows who leads";

#[test]
fn world_of_an_election_holds() {
    for (world, expected) in election::worlds::smalls() {
        let report = check(world, THREADS, false);
        assert!(report.violations.is_empty(), "{report}\n{}", histories(&report));
        assert_eq!(report.states, expected, "{report}");
        assert_eq!((report.reached.len(), report.missing.len()), (6, 0), "{report}");
    }
}

#[test]
fn a_record_that_is_written_without_a_check_names_somebody_who_leads_no_more() {
    fails_to_elect(|promises| promises.writes_are_checked = false, &["only who leads writes the record"]);
}

#[test]
fn a_record_that_is_watched_after_it_was_read_changes_unnoticed() {
    fails_to_elect(|promises| promises.watches_with_the_read = false, &[KNOWS]);
}

#[test]
fn an_observer_whose_watches_are_not_restored_misses_a_change() {
    fails_to_elect(|promises| promises.watches_are_restored = false, &[KNOWS]);
}

#[test]
fn a_deletion_that_is_not_told_leaves_a_phantom() {
    fails_to_elect(|promises| promises.deletions_are_told = false, &[KNOWS]);
}

#[test]
fn an_unknown_outcome_taken_for_success_is_no_proclamation() {
    fails_to_elect(|promises| promises.unknown_is_unknown = false, &["what is proclaimed is written"]);
}

#[test]
fn a_leader_whose_node_was_deleted_by_hand_may_write_on_the_strength_of_a_namesake() {
    let world = election::World { excuses_namesakes: false, ..election::worlds::election_twice() };
    let report = check(world, THREADS, false);
    let violated: Vec<_> = report.violations.iter().map(|(property, _)| *property).collect();
    assert_eq!(violated, ["only who leads writes the record"], "{report}");
}

#[test]
fn world_with_a_writer_that_becomes_a_reader_holds() {
    holds("downgrading", 6);
}

#[test]
fn world_with_a_reader_that_tries_to_become_a_writer_holds() {
    holds("upgrading", 7);
}
