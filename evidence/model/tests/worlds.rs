//! The worlds hold what is promised, with exactly as many states as were counted; and a world with a defect is noticed.

use fairlock_model::check::{Report, check};
use fairlock_model::world::{Driver, Faults, World};
use fairlock_model::worlds;

const THREADS: usize = 2;

#[track_caller]
fn holds((world, expected): worlds::Counted) {
    let report = check(world, THREADS, false);
    assert!(report.violations.is_empty(), "{report}\n{}", histories(&report));
    assert_eq!(Some(report.states), expected, "{report}");
    assert_eq!(report.reached.len(), 4, "{report}");
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
    holds(worlds::smalls().remove(0));
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
