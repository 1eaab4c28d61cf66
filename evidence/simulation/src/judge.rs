//! Hears every fact, keeps the trace, counts, and asks each checker.

use std::collections::BTreeSet;

use crate::checkers::{self, Checker};
use crate::facts::{Fact, Lock, Remover};
use crate::plan::Plan;
use crate::stats::Stats;
use crate::trace::{Step, Trace};

/// A broken property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The property's name.
    pub property: &'static str,
    /// What was seen.
    pub seen: String,
    /// When, in milliseconds of simulated time.
    pub at_ms: u64,
}

/// See the module's doc.
pub(crate) struct Judge {
    checkers: Vec<Box<dyn Checker>>,
    /// Queues in which the limit was met that docs/PROTOCOL.md names: another's node deleted by its name.
    void: BTreeSet<Lock>,
    is_over: bool,
    trace: Trace,
    pub(crate) stats: Stats,
    pub(crate) violation: Option<Violation>,
}

impl Judge {
    pub(crate) fn new(plan: &Plan, keeps_steps: bool) -> Self {
        let checkers = checkers::all(plan);
        Self {
            checkers,
            void: BTreeSet::new(),
            is_over: false,
            trace: Trace::new(keeps_steps),
            stats: Stats::default(),
            violation: None,
        }
    }

    /// Takes a fact in; true if it is the first to break a property.
    pub(crate) fn observe(&mut self, at: u64, fact: Fact) -> bool {
        // The order in which what is left is thrown away says nothing, and is not the same every time.
        if self.is_over && !matches!(fact, Fact::Panicked { .. }) {
            return false;
        }
        self.count(&fact);
        let first = self.violation.is_none();
        if let Fact::Removed { lock, meddled_with: true, by_another: true, .. } = &fact {
            // The limit that docs/PROTOCOL.md names: what follows in this queue proves nothing.
            self.stats.limit_met += 1;
            self.void.insert(*lock);
        }
        let is_void = fact.lock().is_some_and(|lock| self.void.contains(&lock));
        for checker in &mut self.checkers {
            if let Err(seen) = checker.check(at, &fact)
                && !is_void
                && self.violation.is_none()
            {
                self.violation = Some(Violation { property: checker.property(), seen, at_ms: at });
            }
        }
        // Regular looks that show nothing new are not worth a line.
        if !matches!(fact, Fact::Seen { valid: true, .. } | Fact::Nodes { .. } | Fact::Known { .. }) {
            self.trace.step(at, Step::Fact(fact));
        }
        first && self.violation.is_some()
    }

    /// Takes a step in.
    pub(crate) fn note(&mut self, at: u64, step: Step) {
        if !self.is_over {
            self.trace.step(at, step);
        }
    }

    /// The history is over: what comes now is no part of it.
    pub(crate) fn close(&mut self) {
        self.is_over = true;
    }

    pub(crate) fn trace(&self) -> &Trace {
        &self.trace
    }

    fn count(&mut self, fact: &Fact) {
        let stats = &mut self.stats;
        match fact {
            Fact::Created { .. } => stats.entered += 1,
            Fact::Granted { shares, valid, .. } => {
                stats.shared += u64::from(*shares);
                stats.grants += 1;
                stats.stillborn += u64::from(!valid);
            }
            Fact::Converted { .. } => stats.converted += 1,
            Fact::Removed { by: Remover::Expiry, .. } => stats.expired_nodes += 1,
            Fact::Committed { .. } => stats.commits += 1,
            Fact::Recorded { .. } => stats.proclaimed += 1,
            Fact::Observed { .. } => stats.observed += 1,
            Fact::Failed { .. } => stats.failures += 1,
            Fact::Fault(kind) => stats.faults[*kind as usize] += 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Standing;

    fn removed(meddled_with: bool, by_another: bool) -> Fact {
        let (by, guard) = (Remover::Session(3), Standing::None);
        Fact::Removed { lock: 0, token: 131, owner: 3, by, guard, meddled_with, by_another }
    }

    fn granted(token: i64, others: Vec<i64>) -> Fact {
        Fact::Granted { shares: false, lock: 0, token, valid: true, others, ahead: None, was_head: true }
    }

    /// Whether two holders at once, after this deletion, count.
    fn counts_after(deletion: Fact) -> bool {
        let mut judge = Judge::new(&Plan::of_seed(0, None), false);
        judge.observe(1, deletion);
        judge.observe(2, granted(131, vec![]));
        judge.observe(3, granted(132, vec![131]));
        judge.violation.is_some()
    }

    #[test]
    fn a_namesake_deleted_in_a_queue_that_was_made_anew_voids_it() {
        assert!(!counts_after(removed(true, true)));
    }

    #[test]
    fn an_own_deletion_in_a_queue_that_was_made_anew_voids_nothing() {
        assert!(counts_after(removed(true, false)));
    }

    #[test]
    fn a_namesake_deleted_where_no_operator_meddled_is_no_excuse() {
        assert!(counts_after(removed(false, true)));
    }
}
