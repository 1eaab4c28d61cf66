//! The worlds of an election that are checked, each with the exact number of its states.

use super::{Faults, Promises, World};

/// An election's world and how many states it has.
pub type Counted = (World, usize);

/// Two terms of two payloads, and any one fault; no server lags behind.
pub fn election() -> World {
    World {
        name: "election",
        terms: 2,
        payloads: 2,
        faults: 1,
        kinds: Faults { lag: false, ..Faults::ALL },
        drops: 1,
        looks: 1,
        promises: Promises::KEPT,
        excuses_namesakes: true,
    }
}

/// As [`election`], with a server that lags behind.
pub fn election_lagging() -> World {
    World { name: "election lagging", kinds: Faults::ALL, drops: 0, looks: 0, ..election() }
}

/// As [`election`], with any two faults and a third term.
pub fn election_twice() -> World {
    World { name: "election twice", terms: 3, faults: 2, drops: 0, looks: 0, ..election() }
}

/// What is checked against deliberate defects.
pub fn smalls() -> Vec<Counted> {
    vec![(election(), 64_546)]
}

/// What is checked with every change.
pub fn ci() -> Vec<Counted> {
    let mut all = smalls();
    all.extend([(election_lagging(), 259_396), (election_twice(), 813_490)]);
    all
}
