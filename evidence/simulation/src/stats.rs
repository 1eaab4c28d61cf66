//! Counts over one history or many, and what must not be zero if they are to prove anything.

use crate::plan::FaultKind;

/// See the module's doc.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Histories.
    pub seeds: u64,
    /// Simulated time.
    pub simulated_ms: u64,
    /// Steps of the trace.
    pub steps: u64,
    /// Contenders' nodes made.
    pub entered: u64,
    /// Guards returned.
    pub grants: u64,
    /// Guards returned to those who share a lock.
    pub shared: u64,
    /// Guards exchanged for another kind.
    pub converted: u64,
    /// Guards that were lost when they were returned.
    pub stillborn: u64,
    /// Releases told to a waiter as the baton.
    pub batons: u64,
    /// Departures that a waiter had to look into.
    pub surveys: u64,
    /// Guards that said that they were lost before they were released.
    pub losses: u64,
    /// Searches for a node after a lost reply.
    pub recoveries: u64,
    /// Nodes that went with a session the leader had not heard of.
    pub expired_nodes: u64,
    /// Guarded transactions executed.
    pub commits: u64,
    /// Leaders' records written.
    pub proclaimed: u64,
    /// Leaders told to observers, and that nobody leads.
    pub observed: u64,
    /// Acquisitions that failed.
    pub failures: u64,
    /// Futures dropped while they waited.
    pub cancelled: u64,
    /// Nodes deleted in another's place after an operator removed the queue: the limit that docs/PROTOCOL.md names.
    pub limit_met: u64,
    /// Faults, by kind.
    pub faults: [u64; FaultKind::ALL.len()],
}

impl Stats {
    /// Adds another history's counts.
    pub fn add(&mut self, other: &Stats) {
        self.seeds += other.seeds;
        self.simulated_ms += other.simulated_ms;
        self.steps += other.steps;
        self.limit_met += other.limit_met;
        for ((_, mine), (_, theirs)) in self.counts_mut().into_iter().zip(other.counts()) {
            *mine += theirs;
        }
        for (mine, theirs) in self.faults.iter_mut().zip(other.faults) {
            *mine += theirs;
        }
    }

    /// What happened, by name.
    pub fn counts(&self) -> [(&'static str, u64); 15] {
        let mut copy = self.clone();
        copy.counts_mut().map(|(name, count)| (name, *count))
    }

    fn counts_mut(&mut self) -> [(&'static str, &mut u64); 15] {
        [
            ("entered", &mut self.entered),
            ("granted", &mut self.grants),
            ("granted to share", &mut self.shared),
            ("converted", &mut self.converted),
            ("granted, but lost already", &mut self.stillborn),
            ("handed over by the baton", &mut self.batons),
            ("queues surveyed", &mut self.surveys),
            ("guards lost", &mut self.losses),
            ("lost replies looked into", &mut self.recoveries),
            ("nodes expired", &mut self.expired_nodes),
            ("guarded writes", &mut self.commits),
            ("leaders' records written", &mut self.proclaimed),
            ("news of leaders told", &mut self.observed),
            ("acquisitions failed", &mut self.failures),
            ("futures dropped", &mut self.cancelled),
        ]
    }

    /// How often each kind of fault happened.
    pub fn faults_by_kind(&self) -> [(FaultKind, u64); FaultKind::ALL.len()] {
        FaultKind::ALL.map(|kind| (kind, self.faults[kind as usize]))
    }

    /// What never happened, though over so many histories it must: then they prove nothing of it.
    pub fn missing(&self) -> Vec<String> {
        let counts = self.counts().into_iter().filter(|(_, count)| *count == 0).map(|(name, _)| name.to_owned());
        let faults = FaultKind::ALL.into_iter().filter(|kind| self.faults[*kind as usize] == 0);
        counts.chain(faults.map(|kind| format!("{kind:?}"))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_happened_is_missing_and_what_did_is_not() {
        let mut stats = Stats::default();
        assert_eq!(stats.missing().len(), 15 + FaultKind::ALL.len());
        let one = Stats { grants: 1, faults: [1; FaultKind::ALL.len()], ..Stats::default() };
        stats.add(&one);
        stats.add(&one);
        assert_eq!((stats.grants, stats.missing().len()), (2, 14));
        assert!(!stats.missing().contains(&"granted".to_owned()));
    }
}
