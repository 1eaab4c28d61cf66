//! The worlds that are checked, each with the exact number of its states: a model that shrinks by accident is noticed.

mod conversion;

use fairlock::queue::{Limits, Patience};

pub use self::conversion::*;
use crate::state::Server::{Follower, Leader};
use crate::world::{Converts, Driver, Faults, Setup, World};

/// A world and how many states it has.
pub type Counted = (World, usize);

/// Two contenders on two sessions, one fault of any kind, and one waiter may give up. Seconds, also without optimisation.
pub fn small() -> World {
    World {
        name: "small",
        contenders: vec![waits(0), waits(1)],
        permits: 0,
        permits_after: 0,
        beginnings: vec![[Leader, Leader]],
        queue_exists: true,
        is_settled: false,
        has_surplus: false,
        limits: Limits::default(),
        faults: 1,
        kinds: Faults { lag: false, ..Faults::ALL },
        cancels: 0,
        ticks: 0,
        driver: Driver::SHIPPED,
        excuses_forgery: true,
        reduces: true,
        drains: false,
    }
}

/// As [`small`], with every state drained.
pub fn drained() -> World {
    World { name: "drained", drains: true, ..small() }
}

/// As [`small`], without the reduction.
pub fn unreduced() -> World {
    World { name: "unreduced", reduces: false, ..small() }
}

/// As [`small`], with a waiter that may give up and a look for missed events.
pub fn restless() -> World {
    World { name: "restless", cancels: 1, ticks: 1, ..small() }
}

/// A server that lags behind, and connections that change between the two.
pub fn lagging() -> World {
    World {
        name: "lagging",
        beginnings: vec![[Leader, Follower]],
        kinds: Faults { disconnect: true, time_out: true, reap: true, delete: true, lag: true, ..Faults::NONE },
        ..small()
    }
}

/// One contender does not wait; the queue must be made first; numbers near their end are healed.
pub fn impatient() -> World {
    World {
        name: "impatient",
        contenders: vec![Setup { patience: Patience::Try, ..waits(0) }, waits(1)],
        queue_exists: false,
        limits: Limits { heal_from: 1.into(), ..Limits::default() },
        ..small()
    }
}

/// Three contenders, two of them sharing a session; no fault, but one waiter may give up.
pub fn three() -> World {
    World {
        name: "three",
        contenders: vec![waits(0), begins_late(0), waits(1)],
        beginnings: vec![[Leader, Leader], [Leader, Follower], [Follower, Leader]],
        faults: 0,
        cancels: 1,
        ..small()
    }
}

/// Three contenders, and one session ended by force or one meddling in the tree.
pub fn three_meddled_with() -> World {
    World {
        name: "three meddled with",
        beginnings: vec![[Leader, Leader]],
        faults: 1,
        cancels: 0,
        kinds: Faults { disconnect: false, time_out: false, lag: false, ..Faults::ALL },
        ..three()
    }
}

/// Three contenders, and one connection that is lost.
pub fn three_cut_off() -> World {
    World {
        name: "three cut off",
        beginnings: vec![[Leader, Leader]],
        faults: 1,
        cancels: 0,
        kinds: Faults { disconnect: true, ..Faults::NONE },
        ..three()
    }
}

/// Three contenders at rest, and two connections that are lost.
pub fn three_cut_off_twice() -> World {
    World { name: "three cut off twice", faults: 2, is_settled: true, ..three_cut_off() }
}

/// Two faults that together give a name to another's node, or a watch another node.
pub fn anew() -> World {
    World {
        name: "anew",
        faults: 2,
        kinds: Faults { disconnect: true, reap: true, write: true, ..Faults::NONE },
        ..small()
    }
}

/// An operator deletes the queue of somebody who is cut off.
pub fn removed() -> World {
    World {
        name: "removed",
        contenders: vec![waits(0), begins_late(1)],
        is_settled: true,
        kinds: Faults { disconnect: true, delete_all: true, ..Faults::NONE },
        ..anew()
    }
}

/// As [`anew`], with a stranger who writes to the node of a holder whose successor is cut off.
pub fn forged() -> World {
    World {
        name: "forged",
        is_settled: true,
        kinds: Faults { disconnect: true, write: true, ..Faults::NONE },
        ..anew()
    }
}

/// As [`anew`], with a queue that is made anew by somebody who comes while a holder leaves.
pub fn namesakes() -> World {
    World {
        name: "namesakes",
        contenders: vec![waits(0), begins_late(1)],
        is_settled: true,
        kinds: Faults { disconnect: true, reap: true, ..Faults::NONE },
        ..anew()
    }
}

/// A waiter that may give up, and a look for missed events; nothing else goes wrong.
pub fn wavering() -> World {
    World { name: "wavering", faults: 0, cancels: 1, ticks: 1, ..small() }
}

/// As [`impatient`], with few kinds of faults.
pub fn hasty() -> World {
    World { name: "hasty", kinds: Faults { disconnect: true, ..Faults::NONE }, ..impatient() }
}

/// A contender that entered twice.
pub fn surplus() -> World {
    World { name: "surplus", has_surplus: true, kinds: Faults { disconnect: true, ..Faults::NONE }, ..small() }
}

/// Two contenders and two faults.
pub fn twice() -> World {
    World { name: "twice", faults: 2, ..small() }
}

/// Three contenders, two of them sharing a session on a server that lags behind; any one fault.
pub fn large() -> World {
    World { name: "large", beginnings: vec![[Follower, Leader]], faults: 1, cancels: 0, kinds: Faults::ALL, ..three() }
}

/// Three contenders from their beginning, and two connections that are lost.
pub fn large_twice() -> World {
    World { name: "large twice", faults: 2, ..three_cut_off() }
}

/// Two that share the lock and one that does not, on two sessions; no fault, but one waiter may give up.
pub fn sharing() -> World {
    World { name: "sharing", contenders: vec![shares(0), writes_late(0), shares(1)], ..three() }
}

/// As [`sharing`], without the reduction.
pub fn sharing_unreduced() -> World {
    World { name: "sharing unreduced", reduces: false, ..sharing() }
}

/// As [`sharing`], the other way round: one that shares the lock between two that do not.
pub fn shared_between() -> World {
    World { name: "shared between", contenders: vec![writes(0), shares_late(0), writes(1)], ..three() }
}

/// As [`sharing`], with one meddling in the tree or one session ended by force.
pub fn sharing_meddled_with() -> World {
    World { name: "sharing meddled with", contenders: sharing().contenders, ..three_meddled_with() }
}

/// As [`sharing`], with one connection that is lost.
pub fn sharing_cut_off() -> World {
    World { name: "sharing cut off", contenders: sharing().contenders, ..three_cut_off() }
}

/// As [`shared_between`], with one connection that is lost.
pub fn shared_between_cut_off() -> World {
    World { name: "shared between cut off", contenders: shared_between().contenders, ..three_cut_off() }
}

/// Two contenders of which one shares the lock, and any one fault; numbers near their end are healed.
pub fn mixed() -> World {
    World {
        name: "mixed",
        contenders: vec![shares(0), writes(1)],
        limits: Limits { heal_from: 1.into(), ..Limits::default() },
        ..small()
    }
}

/// Three contenders for two permits, two of them on one session, of whom the second wants both; no fault, but one waiter may give up.
pub fn permits() -> World {
    World {
        name: "permits",
        contenders: vec![wants(1, 0), Setup { starts_late: true, ..wants(2, 0) }, wants(1, 1)],
        permits: 2,
        permits_after: 1,
        limits: Limits { make_queue_max: 0, ..Limits::default() },
        ticks: 1,
        ..three()
    }
}

/// As [`permits`], without the reduction.
pub fn permits_unreduced() -> World {
    World { name: "permits unreduced", reduces: false, ticks: 0, ..permits() }
}

/// As [`permits`], with one connection that is lost.
pub fn permits_cut_off() -> World {
    World {
        name: "permits cut off",
        beginnings: vec![[Leader, Leader]],
        faults: 1,
        cancels: 0,
        ticks: 0,
        kinds: Faults { disconnect: true, ..Faults::NONE },
        ..permits()
    }
}

/// As [`permits`], with a number of permits that becomes lower, one meddling in the tree, or one session ended by force.
pub fn permits_meddled_with() -> World {
    World {
        name: "permits meddled with",
        kinds: Faults { disconnect: false, time_out: false, lag: false, reap: false, ..Faults::ALL },
        ..permits_cut_off()
    }
}

/// As [`permits`], with one permit that becomes two, and a server that lags behind.
pub fn permits_resized() -> World {
    World {
        name: "permits resized",
        contenders: vec![wants(1, 0), wants(1, 1)],
        permits: 1,
        permits_after: 2,
        beginnings: vec![[Leader, Follower], [Follower, Leader]],
        faults: 2,
        kinds: Faults { disconnect: true, lag: true, resize: true, ..Faults::NONE },
        ..permits_cut_off()
    }
}

/// What is checked against deliberate defects, in seconds, also without optimisation.
pub fn smalls() -> Vec<Counted> {
    vec![
        (wavering(), 703),
        (small(), 38_900),
        (surplus(), 13_233),
        (forged(), 17_245),
        (namesakes(), 67_849),
        (removed(), 101_694),
        (three(), 38_564),
        (hasty(), 58_874),
        (sharing(), 53_529),
        (shared_between(), 46_972),
        (permits(), 68_894),
        (downgrading(), 220_677),
        (upgrading(), 85_434),
    ]
}

/// What is checked with every change.
pub fn ci() -> Vec<Counted> {
    let mut all = smalls();
    all.extend([
        (impatient(), 118_597),
        (restless(), 139_965),
        (unreduced(), 66_478),
        (drained(), 38_900),
        (anew(), 563_690),
        (lagging(), 95_858),
        (three_meddled_with(), 231_415),
        (three_cut_off(), 1_092_539),
        (three_cut_off_twice(), 1_543_917),
        (mixed(), 41_690),
        (sharing_unreduced(), 223_366),
        (sharing_meddled_with(), 306_186),
        (sharing_cut_off(), 1_769_011),
        (shared_between_cut_off(), 1_435_602),
        (permits_unreduced(), 187_706),
        (permits_cut_off(), 647_328),
        (permits_meddled_with(), 217_094),
        (permits_resized(), 1_843_975),
        (downgrading_cut_off(), 187_287),
        (downgrading_lagging(), 798_379),
        (upgrading_both(), 748_842),
        (upgrading_meddled_with(), 85_054),
    ]);
    all
}

/// What is checked by hand: as large as fits ten minutes.
pub fn larges() -> Vec<Counted> {
    vec![
        (twice(), 2_387_646),
        (downgrading_meddled_with(), 1_684_886),
        (upgrading_cut_off(), 3_328_557),
        (downgrading_large(), 12_268_043),
        (large(), 5_303_369),
        (large_twice(), 53_559_112),
    ]
}

fn waits(session: u8) -> Setup {
    Setup {
        session,
        patience: Patience::Wait,
        starts_late: false,
        shares: false,
        expects_readers: false,
        permits: 0,
        converts: Converts::Never,
    }
}

fn wants(permits: u8, session: u8) -> Setup {
    Setup { permits, ..waits(session) }
}

fn shares(session: u8) -> Setup {
    Setup { shares: true, ..waits(session) }
}

fn shares_late(session: u8) -> Setup {
    Setup { starts_late: true, ..shares(session) }
}

fn begins_late(session: u8) -> Setup {
    Setup { starts_late: true, ..waits(session) }
}

fn writes(session: u8) -> Setup {
    Setup { expects_readers: true, ..waits(session) }
}

fn writes_late(session: u8) -> Setup {
    Setup { starts_late: true, ..writes(session) }
}
