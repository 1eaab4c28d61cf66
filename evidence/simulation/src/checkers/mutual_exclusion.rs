//! Mutual exclusion: whenever a guard `g` is returned valid, no other guard `h` of its lock that is unreleased says that
//! it is valid: `granted(g) ∧ valid(g) ⇒ ¬∃h ≠ g: unreleased(h) ∧ valid(h)`.
//!
//! Except where an operator deleted the node of either, or ended its session: then its guard learns of it afterwards,
//! which [`super::loss_told`] bounds.

use std::collections::BTreeSet;

use super::Checker;
use crate::facts::{Fact, Remover, Token};

#[derive(Default)]
pub(super) struct MutualExclusion {
    /// The nodes that an operator deleted.
    removed: BTreeSet<Token>,
}

impl Checker for MutualExclusion {
    fn property(&self) -> &'static str {
        "mutual exclusion"
    }

    fn check(&mut self, _: u64, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Removed { token, by: Remover::Operator, .. } => {
                self.removed.insert(*token);
            }
            Fact::Granted { token, valid: true, others, .. } if !self.removed.contains(token) => {
                if let Some(other) = others.iter().find(|other| !self.removed.contains(other)) {
                    return Err(format!("the guard {token} was granted while {other} is valid"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{flags, passes};
    use super::*;
    use crate::facts::Standing;

    fn granted(token: Token, valid: bool, others: &[Token]) -> (u64, Fact) {
        (
            0,
            Fact::Granted {
                shares: false,
                lock: 0,
                token,
                valid,
                others: others.to_vec(),
                ahead: None,
                was_head: true,
            },
        )
    }

    fn removed(token: Token, by: Remover) -> (u64, Fact) {
        (
            0,
            Fact::Removed {
                lock: 0,
                token,
                owner: 1,
                by,
                guard: Standing::Valid,
                meddled_with: false,
                by_another: false,
            },
        )
    }

    #[test]
    fn two_valid_guards_are_flagged() {
        flags(MutualExclusion::default(), &[granted(5, true, &[]), granted(7, true, &[5])]);
        flags(MutualExclusion::default(), &[removed(5, Remover::Expiry), granted(7, true, &[5])]);
        flags(MutualExclusion::default(), &[removed(4, Remover::Operator), granted(7, true, &[4, 5])]);
    }

    #[test]
    fn lost_guards_and_those_removed_by_an_operator_pass() {
        passes(MutualExclusion::default(), &[granted(5, true, &[]), granted(7, true, &[])]);
        passes(MutualExclusion::default(), &[granted(7, false, &[5])]);
        passes(MutualExclusion::default(), &[removed(5, Remover::Operator), granted(7, true, &[5])]);
        passes(MutualExclusion::default(), &[removed(7, Remover::Operator), granted(7, true, &[8])]);
    }
}
