//! Worlds in which a writer becomes a reader, or a reader tries to become a writer.

use fairlock::queue::Patience;

use super::{
    begins_late, shares, shares_late, small, three, three_cut_off, three_meddled_with, waits, writes, writes_late,
};
use crate::state::Server::{Follower, Leader};
use crate::world::{Converts, Faults, Setup, World};

/// One that holds the lock alone and may share it, with a reader and a writer behind it; no fault, but one waiter may give up.
pub fn downgrading() -> World {
    World { name: "downgrading", contenders: vec![downgrades(0), shares_late(0), writes(1)], ..three() }
}

/// One that may share the lock, and one that waits to have it alone; one connection is lost.
pub fn downgrading_cut_off() -> World {
    World {
        name: "downgrading cut off",
        contenders: vec![downgrades(0), writes_late(1)],
        reduces: false,
        ..three_cut_off()
    }
}

/// As [`downgrading`], with one connection that is lost.
pub fn downgrading_large() -> World {
    World { name: "downgrading large", contenders: downgrading().contenders, ..three_cut_off() }
}

/// As [`downgrading`], with one meddling in the tree or one session ended by force.
pub fn downgrading_meddled_with() -> World {
    World { name: "downgrading meddled with", contenders: downgrading().contenders, ..three_meddled_with() }
}

/// One that may share the lock, and another that waits for it, on a server that lags behind; one connection is lost, or one node or the queue removed.
pub fn downgrading_lagging() -> World {
    World {
        name: "downgrading lagging",
        contenders: vec![downgrades(0), shares(1)],
        beginnings: vec![[Leader, Follower], [Follower, Leader]],
        faults: 1,
        kinds: Faults { disconnect: true, reap: true, delete: true, lag: true, ..Faults::NONE },
        ..small()
    }
}

/// A reader that may try to be alone, and one that wants the lock alone without knowing of readers, as a mutex of the same path does;
/// no fault, but one waiter, or the attempt, may be given up.
pub fn upgrading() -> World {
    World { name: "upgrading", contenders: vec![shares(0), upgrades(0, 0), waits(1)], reduces: false, ..three() }
}

/// Two readers on two sessions, of whom either may try to be alone; no fault, but one of the attempts may be given up.
pub fn upgrading_both() -> World {
    World {
        name: "upgrading both",
        contenders: vec![shares(0), upgrades(0, 0), shares(1), upgrades(2, 1)],
        ..upgrading()
    }
}

/// As [`upgrading`], with one connection that is lost.
pub fn upgrading_cut_off() -> World {
    World { name: "upgrading cut off", contenders: vec![shares(0), upgrades(0, 0), begins_late(1)], ..three_cut_off() }
}

/// As [`upgrading_cut_off`], with a session of its own for the attempt, and one meddling in the tree or one session ended by force.
pub fn upgrading_meddled_with() -> World {
    World {
        name: "upgrading meddled with",
        contenders: vec![shares(0), upgrades(0, 1), waits(1)],
        reduces: false,
        ..three_meddled_with()
    }
}

fn downgrades(session: u8) -> Setup {
    Setup { converts: Converts::Downgrades, ..writes(session) }
}

fn upgrades(share: u8, session: u8) -> Setup {
    Setup { converts: Converts::Upgrades(share), patience: Patience::Try, starts_late: true, ..waits(session) }
}
