//! Only a head is granted: when a guard is returned, be it lost by then, its node has been, at some time while it lived, the one of its
//! queue that was created first: `granted(g) ⇒ ∃t: live(node(g), t) ∧ ¬∃n: live(n, t) ∧ created(n) < created(g)`.
//!
//! That holds also where an operator deletes nodes: whoever was deleted as a waiter is never granted, however soon its
//! predecessor releases afterwards.

use super::Checker;
use crate::facts::Fact;

pub(super) struct HeadOnce;

impl Checker for HeadOnce {
    fn property(&self) -> &'static str {
        "only a head is granted"
    }

    fn check(&mut self, _: u64, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Granted { token, was_head: false, .. } => {
                Err(format!("{token} was granted, and its node has never been the first"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{flags, passes};
    use super::*;

    fn granted(valid: bool, was_head: bool) -> (u64, Fact) {
        (0, Fact::Granted { shares: false, lock: 0, token: 9, valid, others: vec![], ahead: None, was_head })
    }

    #[test]
    fn a_grant_of_a_node_that_was_never_the_first_is_flagged() {
        flags(HeadOnce, &[granted(true, false)]);
        flags(HeadOnce, &[granted(false, false)]);
    }

    #[test]
    fn a_grant_of_the_first_passes() {
        passes(HeadOnce, &[granted(true, true), granted(false, true)]);
    }
}
