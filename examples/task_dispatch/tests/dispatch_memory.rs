//! Every task is done once, with the locks in this process.

mod bed;

use std::time::Duration;

use fairlock::store::memory::Memory;
use fairlock_task_dispatch::{Place, STAGES, Trouble, What};

use self::bed::{ORDERS, run};

#[tokio::test(flavor = "multi_thread")]
async fn each_task_is_claimed_and_done_once_where_nothing_happens() {
    let memory = Memory::new();
    // A limit that even a slow machine does not meet.
    let report = run(Place::Memory(memory.clone()), Duration::from_secs(600), &[]).await;
    assert_eq!(report.count(What::Claimed), ORDERS * STAGES.len());
    assert_eq!(report.count(What::Refused) + report.count(What::GivenBack), 0);
    assert_eq!(memory.sessions(), [], "nothing is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_task_is_done_once_though_a_worker_dies_one_hangs_and_one_comes_late() {
    let troubles = [(0, Trouble::Dies), (1, Trouble::Hangs), (2, Trouble::ComesLate)];
    let memory = Memory::new();
    let report = run(Place::Memory(memory.clone()), Duration::from_millis(400), &troubles).await;
    assert!(report.count(What::Claimed) >= ORDERS * STAGES.len() + troubles.len(), "each of them has had one in vain");
    assert_eq!(memory.sessions(), [], "nothing is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_worker_that_is_left_does_all() {
    let troubles = [(0, Trouble::Dies), (1, Trouble::Dies), (3, Trouble::Dies), (4, Trouble::Dies), (5, Trouble::Dies)];
    run(Place::Memory(Memory::new()), Duration::from_millis(400), &troubles).await;
}
