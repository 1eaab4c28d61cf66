//! The properties, one per file, each with its formula and with tests of what it must flag and what it must not.
//!
//! | property | file |
//! |---|---|
//! | at most one valid guard of a lock | `mutual_exclusion.rs` |
//! | tokens rise along grants, and along guarded writes | `fencing.rs` |
//! | grants follow the order of creation | `fifo.rs` |
//! | only a node that was the first is granted | `head_once.rs` |
//! | nobody writes while a guard is converted | `unbroken.rs` |
//! | a waiter watches one node and its own, and a departure wakes one | `one_watch.rs` |
//! | a guard knows of its loss before the servers act on it | `loss_told.rs` |
//! | a guard is valid while all is well | `kept.rs` |
//! | a lost guard stays lost | `lost_for_good.rs` |
//! | nobody deletes another's node | `own_nodes_only.rs` |
//! | nothing outlives its attempt | `no_orphan.rs` |
//! | once the faults end, everything comes to its end | `liveness.rs` |
//! | an acquisition fails only with a reason | `explained_failures.rs` |
//! | who is told as a leader leads, or did when it was looked at | `no_phantom.rs` |
//! | the last change is told to every observer | `last_state_told.rs` |
//! | only who leads writes the record | `leader_writes.rs` |
//! | what was proclaimed was written | `proclaimed.rs` |
//! | no task panics | `no_panic.rs` |

mod explained_failures;
mod fencing;
mod fifo;
mod head_once;
mod kept;
mod last_state_told;
mod leader_writes;
mod liveness;
mod loss_told;
mod lost_for_good;
mod mutual_exclusion;
mod no_orphan;
mod no_panic;
mod no_phantom;
mod one_watch;
mod own_nodes_only;
mod proclaimed;
mod unbroken;

use crate::facts::Fact;
use crate::plan::Plan;

/// A property, and what it has to remember of the history.
pub(crate) trait Checker: Send {
    /// Its name.
    fn property(&self) -> &'static str;

    /// Takes a fact in.
    ///
    /// # Errors
    ///
    /// What was seen, if it breaks the property.
    fn check(&mut self, at: u64, fact: &Fact) -> Result<(), String>;
}

/// All of them, for a history of this plan.
pub(crate) fn all(plan: &Plan) -> Vec<Box<dyn Checker>> {
    vec![
        Box::new(mutual_exclusion::MutualExclusion::default()),
        Box::new(fencing::Fencing::default()),
        Box::new(fifo::Fifo),
        Box::new(head_once::HeadOnce),
        Box::new(unbroken::Unbroken::default()),
        Box::new(one_watch::OneWatch),
        Box::new(loss_told::LossTold::new(plan)),
        Box::new(lost_for_good::LostForGood::default()),
        Box::new(kept::Kept::new(plan)),
        Box::new(own_nodes_only::OwnNodesOnly),
        Box::new(no_orphan::NoOrphan::new(plan)),
        Box::new(liveness::Liveness),
        Box::new(explained_failures::ExplainedFailures),
        Box::new(no_phantom::NoPhantom),
        Box::new(last_state_told::LastStateTold::new(plan)),
        Box::new(leader_writes::LeaderWrites::default()),
        Box::new(proclaimed::Proclaimed),
        Box::new(no_panic::NoPanic),
    ]
}

#[cfg(test)]
mod testing {
    use super::Checker;
    use crate::facts::Fact;

    /// Only the last fact breaks the property.
    #[track_caller]
    pub(crate) fn flags(mut checker: impl Checker, facts: &[(u64, Fact)]) {
        let (last, before) = facts.split_last().expect("facts");
        for (at, fact) in before {
            assert_eq!(checker.check(*at, fact), Ok(()), "{fact:?}");
        }
        assert!(checker.check(last.0, &last.1).is_err(), "{last:?} should be flagged");
    }

    /// No fact breaks it.
    #[track_caller]
    pub(crate) fn passes(mut checker: impl Checker, facts: &[(u64, Fact)]) {
        for (at, fact) in facts {
            assert_eq!(checker.check(*at, fact), Ok(()), "{fact:?}");
        }
    }
}
