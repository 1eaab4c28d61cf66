//! The worlds that are checked.

use fairlock::queue::{Limits, Patience};

use crate::state::Server::{Follower, Leader};
use crate::world::{Driver, Faults, Setup, World};

/// Two contenders on two sessions, one fault: seconds.
pub fn small() -> World {
    World {
        name: "small",
        contenders: vec![waits(0), waits(1)],
        beginnings: vec![[Leader, Leader]],
        queue_exists: true,
        limits: Limits::default(),
        faults: 1,
        kinds: Faults { lag: false, ..Faults::ALL },
        cancels: 0,
        ticks: 0,
        driver: Driver::SHIPPED,
        excuses_forgery: true,
        drains: false,
    }
}

/// Three contenders, two of them sharing a session, one fault.
pub fn three() -> World {
    World {
        name: "three",
        contenders: vec![waits(0), Setup { starts_late: true, ..waits(0) }, waits(1)],
        beginnings: vec![[Follower, Leader]],
        drains: false,
        cancels: 0,
        ..small()
    }
}

fn waits(session: u8) -> Setup {
    Setup { session, patience: Patience::Wait, starts_late: false }
}
