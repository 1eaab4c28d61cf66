//! Histories of the simulation: they replay, and they pass.

use fairlock_simulation::{Stats, run};

#[test]
fn a_seed_gives_one_history_and_another_seed_another() {
    for seed in 0..20 {
        let (one, same, other) = (run(seed, None, false), run(seed, None, true), run(seed + 1_000, None, false));
        assert_eq!(one.hash, same.hash, "seed {seed}");
        assert_eq!(one.stats, same.stats, "seed {seed}");
        assert_ne!(one.hash, other.hash, "seed {seed}");
    }
}

#[test]
fn a_history_is_the_same_on_another_thread() {
    // At the same time, so that what is counted for the whole process differs.
    let hashes = || (100..140).map(|seed| run(seed, None, false).hash).collect::<Vec<_>>();
    let others = [std::thread::spawn(hashes), std::thread::spawn(hashes)];
    let here = hashes();
    for other in others {
        assert_eq!(here, other.join().expect("no panic"));
    }
}

#[test]
fn some_hundred_histories_break_no_property_and_have_every_kind_of_fault() {
    let mut stats = Stats::default();
    for seed in 0..200 {
        let outcome = run(seed, None, false);
        assert_eq!(outcome.violation, None, "seed {seed}");
        stats.add(&outcome.stats);
    }
    let missing: Vec<_> = stats.missing().into_iter().filter(|name| name != "granted, but lost already").collect();
    assert_eq!(missing, Vec::<String>::new());
    assert!(stats.grants > 2_000 && stats.batons > 500, "too little happens: {stats:?}");
}
