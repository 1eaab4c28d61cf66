//! Hears every fact, keeps the trace, counts, and asks each checker.

use std::collections::BTreeSet;

use crate::checkers::{self, Checker};
use crate::facts::{Fact, Lock, Remover, Standing};
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
        if let Fact::Removed { lock, owner, by: Remover::Session(session), queue_removed: true, guard, .. } = &fact
            && (owner != session || *guard == Standing::Valid)
        {
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
        if !matches!(fact, Fact::Seen { valid: true, .. } | Fact::Nodes { .. }) {
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
            Fact::Granted { valid, .. } => {
                stats.grants += 1;
                stats.stillborn += u64::from(!valid);
            }
            Fact::Removed { by: Remover::Expiry, .. } => stats.expired_nodes += 1,
            Fact::Committed { .. } => stats.commits += 1,
            Fact::Failed { .. } => stats.failures += 1,
            Fact::Fault(kind) => stats.faults[*kind as usize] += 1,
            _ => {}
        }
    }
}
