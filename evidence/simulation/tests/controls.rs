//! Controls: each deliberate error of the simulated world is noticed within a stated number of seeds, by a property that
//! it breaks. If one is not, the checkers have gone blind.

use std::ops::Range;

use fairlock_simulation::{Sabotage, Sweep};

/// The queue's order, or what follows from it.
const ORDER: &[&str] = &["mutual exclusion", "first come, first served", "only a head is granted", "fencing"];

#[track_caller]
fn is_noticed(sabotage: Sabotage, within: Range<u64>, properties: &[&str]) {
    let mut first = within.start;
    loop {
        let sweep = Sweep { threads: 2, sabotage: Some(sabotage), ..Sweep::new(first..within.end) };
        let failure = sweep.run(|_| {}).failure;
        let failure = failure.unwrap_or_else(|| panic!("{sabotage:?} went unnoticed by the seeds {within:?}"));
        if properties.contains(&failure.violation.property) {
            return;
        }
        // Something that follows from it.
        first = failure.seed + 1;
    }
}

#[test]
fn a_deletion_told_as_a_write() {
    is_noticed(Sabotage::DeletionToldAsWrite, 0..100, ORDER);
}

#[test]
fn a_list_that_lacks_its_first() {
    is_noticed(Sabotage::SurveyLacksOne, 0..100, ORDER);
}

#[test]
fn a_baton_forged_by_hand() {
    is_noticed(Sabotage::BatonForged, 0..100, ORDER);
}

#[test]
fn a_deletion_of_the_own_node_that_is_not_told() {
    is_noticed(Sabotage::OwnDeletionForgotten, 0..200, &["loss told in time", "only a head is granted"]);
}

#[test]
fn news_of_a_session_that_are_relayed_too_late() {
    is_noticed(Sabotage::RelayTooLate, 0..200, &["loss told in time"]);
}

#[test]
fn a_barrier_that_leaks() {
    is_noticed(Sabotage::BarrierLeaks, 0..600, &["no orphan", "liveness"]);
}

#[test]
fn clocks_that_run_slow() {
    is_noticed(Sabotage::SlowClocks, 0..500, &["loss told in time"]);
}

#[test]
fn events_that_overtake_others() {
    is_noticed(Sabotage::EventsOvertake, 0..800, &["only a head is granted"]);
}

/// Rare: a queue is made anew during an interruption, with the same numbers, and its news come in the wrong order.
#[test]
fn an_interruption_that_is_forgotten() {
    is_noticed(Sabotage::InterruptionForgotten, 0..1_000, &["only a head is granted"]);
}

#[test]
fn a_record_that_is_read_as_it_was_before() {
    is_noticed(Sabotage::RecordStale, 0..100, &["no phantom leader"]);
}

#[test]
fn a_change_of_the_record_that_is_not_told() {
    is_noticed(Sabotage::RecordChangeForgotten, 0..100, &["the last state is told"]);
}

#[test]
fn a_record_written_though_the_node_is_gone() {
    is_noticed(Sabotage::CheckIgnored, 0..500, &["only who leads writes the record"]);
}

#[test]
fn a_proclamation_that_is_acknowledged_and_not_executed() {
    is_noticed(Sabotage::CommitForgotten, 0..100, &["what was proclaimed was written"]);
}
