//! Controls: each deliberate error of the simulated world is noticed within a stated number of seeds. If one is not, the
//! checkers have gone blind.

use fairlock_simulation::{Sabotage, run};

#[track_caller]
fn is_noticed(sabotage: Sabotage, within: u64, properties: &[&str]) {
    let noticed = |seed| run(seed, Some(sabotage), false).violation.is_some_and(|by| properties.contains(&by.property));
    assert!((0..within).any(noticed), "{sabotage:?} went unnoticed for {within} seeds");
}

/// The queue's order, or what follows from it.
const ORDER: &[&str] = &["mutual exclusion", "first come, first served", "fencing"];

#[test]
fn a_deletion_told_as_a_write() {
    is_noticed(Sabotage::DeletionToldAsWrite, 100, ORDER);
}

#[test]
fn a_list_that_lacks_its_first() {
    is_noticed(Sabotage::SurveyLacksOne, 100, ORDER);
}

#[test]
fn a_baton_forged_by_hand() {
    is_noticed(Sabotage::BatonForged, 100, ORDER);
}

#[test]
fn a_deletion_of_the_own_node_that_is_not_told() {
    is_noticed(
        Sabotage::OwnDeletionForgotten,
        300,
        &["loss told in time", "mutual exclusion", "liveness", "no orphan"],
    );
}

#[test]
fn clocks_that_run_slow() {
    is_noticed(Sabotage::SlowClocks, 300, &["loss told in time", "mutual exclusion"]);
}

#[test]
fn news_of_a_session_that_are_relayed_too_late() {
    is_noticed(Sabotage::RelayTooLate, 300, &["loss told in time", "mutual exclusion", "explained failures"]);
}

#[test]
fn a_barrier_that_leaks() {
    is_noticed(Sabotage::BarrierLeaks, 600, &["liveness", "no orphan", "first come, first served", "no panic"]);
}
