//! No phantom leader: what an observer is told, a leader with its payload or that nobody leads, was the truth at some time since it
//! looked at the record, and is not what it was told before. The truth is the record while the node that it names lives, else
//! nobody: `told(o, l) ⇒ ∃t ∈ [look(o), now]: truth(t) = l`, and `told(o, l) ⇒ l ≠ told before(o)`.
//!
//! The simulated servers agree on their tree, so that this is the truth at every server; the model has one that lags behind.

use super::Checker;
use crate::facts::Fact;

pub(super) struct NoPhantom;

impl Checker for NoPhantom {
    fn property(&self) -> &'static str {
        "no phantom leader"
    }

    fn check(&mut self, _: u64, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Observed { observer, leader, was_true: false, .. } => {
                Err(format!("observer {observer:?} was told {leader:?}, which was not true since it looked"))
            }
            Fact::Observed { observer, leader, is_new: false, .. } => {
                Err(format!("observer {observer:?} was told {leader:?} again"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{flags, passes};
    use super::*;
    use crate::facts::Token;

    fn observed(leader: Option<Token>, is_new: bool, was_true: bool) -> (u64, Fact) {
        (0, Fact::Observed { observer: Some(0), leader, is_new, was_true })
    }

    #[test]
    fn a_leader_who_leads_no_more_and_nobody_while_somebody_leads_are_flagged() {
        flags(NoPhantom, &[observed(Some(5), true, false)]);
        flags(NoPhantom, &[observed(None, true, false)]);
    }

    #[test]
    fn the_same_news_twice_are_flagged() {
        flags(NoPhantom, &[observed(Some(5), true, true), observed(Some(5), false, true)]);
    }

    #[test]
    fn what_was_true_passes() {
        passes(NoPhantom, &[observed(None, true, true), observed(Some(5), true, true), observed(Some(5), true, true)]);
    }
}
