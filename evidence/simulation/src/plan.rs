//! What a seed decides before a history begins: the size of the world, its speeds, and which faults it has at all.
//!
//! Swarm style: a history with every fault at once rarely gets far, so that each seed has about half of them.

use fairlock::queue::{Limits, Sequence};
use fastrand::Rng;

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// A request is lost on its way, with its connection.
    RequestLost,
    /// A request is executed, and its reply is lost with the connection.
    ReplyLost,
    /// A server refuses a request because it is overloaded.
    Overloaded,
    /// A connection breaks; of the requests on their way, some are executed.
    Disconnect,
    /// A connection breaks for longer than the session timeout.
    LongCut,
    /// Nothing passes any more, and the client does not notice.
    Zombie,
    /// Requests are executed, but replies and events are held up.
    Stall,
    /// The client's follower is cut off from the leader: it answers reads, and what it heard is never relayed.
    Isolated,
    /// An operator ends a session that is connected.
    RudeExpiry,
    /// Permissions are withdrawn for a while.
    Denied,
    /// An operator deletes a contender's node.
    NodeDeleted,
    /// An operator deletes a whole queue.
    QueueDeleted,
    /// Empty queues are removed, so that numbers start again.
    Reaped,
    /// A node that is not of this library lies in a queue.
    ForeignNode,
    /// Somebody writes to a contender's node while nobody waits for it.
    ForeignWrite,
    /// A client's clock runs ahead of its timers, as after a host's suspension.
    ClockJump,
    /// No server accepts a connection for a while.
    Unreachable,
    /// A server withholds an event, as it does when READ is revoked.
    Withheld,
    /// A queue's numbers begin near a boundary.
    Numbers,
    /// An application closes its handle.
    HandleClosed,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [FaultKind; 20] = [
        FaultKind::RequestLost,
        FaultKind::ReplyLost,
        FaultKind::Overloaded,
        FaultKind::Disconnect,
        FaultKind::LongCut,
        FaultKind::Zombie,
        FaultKind::Stall,
        FaultKind::Isolated,
        FaultKind::RudeExpiry,
        FaultKind::Denied,
        FaultKind::NodeDeleted,
        FaultKind::QueueDeleted,
        FaultKind::Reaped,
        FaultKind::ForeignNode,
        FaultKind::ForeignWrite,
        FaultKind::ClockJump,
        FaultKind::Unreachable,
        FaultKind::Withheld,
        FaultKind::Numbers,
        FaultKind::HandleClosed,
    ];

    /// Those that happen at moments drawn by the network, as opposed to per request or by the workload.
    pub(crate) fn is_spontaneous(self) -> bool {
        !matches!(
            self,
            FaultKind::RequestLost
                | FaultKind::ReplyLost
                | FaultKind::Overloaded
                | FaultKind::Withheld
                | FaultKind::Numbers
                | FaultKind::HandleClosed
        )
    }
}

/// A deliberate error of the simulated world: a control, which the checkers must notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sabotage {
    /// The deletion of a node is told as a write of it.
    DeletionToldAsWrite,
    /// The deletion of a session's own node is not told.
    OwnDeletionForgotten,
    /// A lost request may take effect after a later write.
    BarrierLeaks,
    /// Clients' clocks run 10 % slow.
    SlowClocks,
    /// An event may overtake earlier ones.
    EventsOvertake,
    /// An event that comes after an interruption is told as if there had been none.
    InterruptionForgotten,
    /// What a follower hears is relayed to the leader after more than a quarter of the session timeout.
    RelayTooLate,
    /// Somebody writes to the node of a contender that is waited for: the limit named in docs/PROTOCOL.md.
    BatonForged,
    /// A queue's list lacks its first contender now and then.
    SurveyLacksOne,
    /// A read of the leader's record shows now and then what was there before the last change.
    RecordStale,
    /// A change of the leader's record is not told.
    RecordChangeForgotten,
    /// A leader's record is written although the node that the transaction checks is gone.
    CheckIgnored,
    /// A transaction that writes the leader's record is acknowledged now and then, and not executed.
    CommitForgotten,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Sabotage; 13] = [
        Sabotage::DeletionToldAsWrite,
        Sabotage::OwnDeletionForgotten,
        Sabotage::BarrierLeaks,
        Sabotage::SlowClocks,
        Sabotage::EventsOvertake,
        Sabotage::InterruptionForgotten,
        Sabotage::RelayTooLate,
        Sabotage::BatonForged,
        Sabotage::SurveyLacksOne,
        Sabotage::RecordStale,
        Sabotage::RecordChangeForgotten,
        Sabotage::CheckIgnored,
        Sabotage::CommitForgotten,
    ];

    /// What it is called on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Sabotage::DeletionToldAsWrite => "deletion-told-as-write",
            Sabotage::OwnDeletionForgotten => "own-deletion-forgotten",
            Sabotage::BarrierLeaks => "barrier-leaks",
            Sabotage::SlowClocks => "slow-clocks",
            Sabotage::EventsOvertake => "events-overtake",
            Sabotage::InterruptionForgotten => "interruption-forgotten",
            Sabotage::RelayTooLate => "relay-too-late",
            Sabotage::BatonForged => "baton-forged",
            Sabotage::SurveyLacksOne => "survey-lacks-one",
            Sabotage::RecordStale => "record-stale",
            Sabotage::RecordChangeForgotten => "record-change-forgotten",
            Sabotage::CheckIgnored => "check-ignored",
            Sabotage::CommitForgotten => "commit-forgotten",
        }
    }

    /// Whether it is about elections.
    fn is_of_elections(self) -> bool {
        matches!(
            self,
            Sabotage::RecordStale
                | Sabotage::RecordChangeForgotten
                | Sabotage::CheckIgnored
                | Sabotage::CommitForgotten
        )
    }
}

/// What a seed has decided.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The session timeout.
    pub timeout_ms: u64,
    /// How many handles there are, each with a clock of its own.
    pub clients: usize,
    /// How many tasks contend.
    pub contenders: usize,
    /// How many locks there are.
    pub locks: usize,
    /// The longest ordinary latency of one direction.
    pub latency_ms: u64,
    /// How often a message takes up to half a session timeout instead, of a thousand.
    pub spikes: u32,
    /// The longest time from a follower's hearing of a session to the leader's.
    pub relay_ms: u64,
    /// The rate of each client's clock; the servers' is 1.
    pub rates: Vec<f64>,
    /// The faults that happen.
    pub faults: Vec<FaultKind>,
    /// The mean time between two spontaneous faults.
    pub fault_pause_ms: u64,
    /// How often a request or its reply is lost, and how often it is refused, of a thousand.
    pub losses: u32,
    /// How long the faults go on.
    pub faulty_ms: u64,
    /// The longest pause of a contender between two attempts.
    pub think_ms: u64,
    /// The longest time that a lock is held.
    pub hold_ms: u64,
    /// Where the queues' numbers end for the clients.
    pub limits: Limits,
    /// The number with which each queue begins.
    pub first_number: Option<i32>,
    /// How many of ten attempts share the lock.
    pub sharing: u32,
    /// Where some share it: how many of ten of those who share it try to have it alone, and the other way round.
    pub converting: u32,
    /// How many of ten attempts are for permits of a semaphore.
    pub permitting: u32,
    /// How many permits it has at first.
    pub permits: u32,
    /// Whether that is changed now and then.
    pub resizes: bool,
    /// How many of ten attempts are campaigns of an election.
    pub campaigning: u32,
    /// How many watch who leads.
    pub observers: usize,
    /// The deliberate error, if there is one.
    pub sabotage: Option<Sabotage>,
}

impl Plan {
    /// What this seed decides.
    pub fn of_seed(seed: u64, sabotage: Option<Sabotage>) -> Self {
        Self::draw(&mut Rng::with_seed(seed), sabotage)
    }

    /// What this generator decides.
    pub(crate) fn draw(rng: &mut Rng, sabotage: Option<Sabotage>) -> Self {
        // Of its own generator, so that a history in which nobody shares is what it was without.
        let mut sharing = Rng::with_seed(rng.clone().u64(..));
        let mut permitting = Rng::with_seed(!rng.clone().u64(..));
        let mut electing = Rng::with_seed(rng.clone().u64(..).rotate_left(32));
        let timeout_ms = [600, 1_000, 2_000, 4_000][rng.usize(..4)];
        let clients = rng.usize(2..=4);
        let contenders = rng.usize(3..=12);
        // Without faults at all, everything has to go well.
        let share = [0.0, 0.25, 0.5, 0.5, 0.75][rng.usize(..5)];
        let faults: Vec<_> = FaultKind::ALL.into_iter().filter(|_| rng.f64() < share).collect();
        let slow = sabotage == Some(Sabotage::SlowClocks);
        let rates = (0..clients).map(|_| if slow { 0.9 } else { 0.99 + rng.f64() * 0.02 }).collect();
        let mut relay_ms = [0, timeout_ms / 20, timeout_ms * 24 / 100, timeout_ms * 24 / 100][rng.usize(..4)];
        if sabotage == Some(Sabotage::RelayTooLate) {
            relay_ms = timeout_ms;
        }
        let mut limits = Limits::default();
        let mut first_number = None;
        if faults.contains(&FaultKind::Numbers) {
            match rng.usize(..4) {
                // Text would sort the ten-digit number first.
                0 => first_number = Some(999_999_997),
                1 => first_number = Some((1 << 30) - 3),
                // Beside the end, and at it: there nobody may be granted.
                2 => first_number = Some(i32::MAX - if rng.bool() { 1_000_006 } else { 2 }),
                _ => {
                    limits.heal_from = Sequence::from(rng.i32(2..8));
                    limits.refuse_from = Sequence::from(rng.i32(10..40));
                }
            }
        }
        let elects = match sabotage {
            None => electing.u8(..3) == 0,
            Some(sabotage) => sabotage.is_of_elections(),
        };
        let mut fault_pause_ms = timeout_ms * rng.u64(1..=16) / 8;
        let mut faults = faults;
        if sabotage == Some(Sabotage::InterruptionForgotten) {
            // It matters only where a queue is made anew meanwhile.
            faults.extend([FaultKind::Disconnect, FaultKind::QueueDeleted]);
            fault_pause_ms = timeout_ms / 8;
        }
        Self {
            timeout_ms,
            clients,
            contenders,
            locks: [1, 1, 2, 3][rng.usize(..4)],
            latency_ms: [0, 2, 10, 40][rng.usize(..4)],
            spikes: [0, 0, 5, 20][rng.usize(..4)],
            relay_ms,
            rates,
            faults,
            fault_pause_ms,
            losses: [2, 10, 40][rng.usize(..3)],
            faulty_ms: timeout_ms * rng.u64(3..=8),
            think_ms: [timeout_ms / 40, timeout_ms / 20, timeout_ms / 2][rng.usize(..3)],
            hold_ms: [timeout_ms / 40, timeout_ms / 10, timeout_ms / 2, timeout_ms * 3][rng.usize(..4)],
            limits,
            first_number,
            // Deliberate errors show most where contenders exclude each other.
            sharing: if sabotage.is_some() { 0 } else { [0, 0, 3, 7][sharing.usize(..4)] },
            converting: if sabotage.is_some() { 0 } else { [0, 3, 6][sharing.usize(..3)] },
            permitting: if sabotage.is_some() { 0 } else { [0, 0, 4, 10][permitting.usize(..4)] },
            permits: permitting.u32(1..=4),
            resizes: permitting.bool(),
            campaigning: if elects { electing.u32(3..=8) } else { 0 },
            observers: if elects { electing.usize(1..=3) } else { 0 },
            sabotage,
        }
    }

    /// Whether this fault happens.
    pub fn has(&self, kind: FaultKind) -> bool {
        self.faults.contains(&kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_is_in_some_plans_and_not_in_others() {
        let plans: Vec<_> = (0..200).map(|seed| Plan::draw(&mut Rng::with_seed(seed), None)).collect();
        for kind in FaultKind::ALL {
            let with = plans.iter().filter(|plan| plan.has(kind)).count();
            assert!((20..180).contains(&with), "{kind:?} is in {with} of 200 plans");
        }
    }

    #[test]
    fn clocks_stay_within_what_is_promised() {
        for seed in 0..100 {
            let plan = Plan::draw(&mut Rng::with_seed(seed), None);
            assert!(plan.rates.iter().all(|rate| (0.99..=1.01).contains(rate)), "{plan:?}");
            assert!(plan.relay_ms * 4 < plan.timeout_ms, "{plan:?}");
        }
    }
}
