//! Only who leads writes the record: each write of it is executed in a transaction that checks the node of the leader whom the
//! record names from then on; that node lives, and has been the head; tokens in the record rise, and so do, as they are numbered,
//! the payloads of one leader: `recorded(l, p) ⇒ live(node(l)) ∧ head(node(l)) ∧ l ≥ l′ ∧ (l = l′ ⇒ p ≥ p′)` for each
//! `recorded(l′, p′)` before.
//!
//! Except where an operator deleted the leader's node and another's has its name by now: then the transaction checks that one, as
//! every guarded write does. A record that is written so names nobody.

use std::collections::BTreeSet;

use super::Checker;
use crate::facts::{Fact, Remover, Token};

#[derive(Default)]
pub(super) struct LeaderWrites {
    last: Option<(Token, u64)>,
    removed: BTreeSet<Token>,
}

impl Checker for LeaderWrites {
    fn property(&self) -> &'static str {
        "only who leads writes the record"
    }

    fn check(&mut self, _: u64, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Removed { token, by: Remover::Operator, .. } => {
                self.removed.insert(*token);
            }
            Fact::Recorded { token, payload, node, was_head } => {
                if *node != Some(*token) {
                    let is_namesake = node.is_some() && self.removed.contains(token);
                    let wrong = format!("the record of {token} was written on the strength of {node:?}");
                    return if is_namesake { Ok(()) } else { Err(wrong) };
                }
                if !was_head {
                    return Err(format!("the record of {token} was written, and its node has never been the first"));
                }
                if let Some(last) = self.last.replace((*token, *payload))
                    && last > (*token, *payload)
                {
                    return Err(format!("the record {:?} was written after {last:?}", (token, payload)));
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

    fn checked(token: Token, payload: u64, node: Option<Token>) -> (u64, Fact) {
        (0, Fact::Recorded { token, payload, node, was_head: true })
    }

    fn recorded(token: Token, payload: u64) -> (u64, Fact) {
        checked(token, payload, Some(token))
    }

    fn operator_removed(token: Token) -> (u64, Fact) {
        let (by, guard) = (Remover::Operator, Standing::None);
        (0, Fact::Removed { lock: 0, token, owner: 1, by, guard, meddled_with: false, by_another: false })
    }

    #[test]
    fn a_write_by_somebody_who_does_not_lead_is_flagged() {
        flags(LeaderWrites::default(), &[checked(5, 1, None)]);
        flags(LeaderWrites::default(), &[checked(5, 1, Some(6))]);
        flags(LeaderWrites::default(), &[operator_removed(5), checked(5, 1, None)]);
        flags(LeaderWrites::default(), &[(0, Fact::Recorded { token: 5, payload: 1, node: Some(5), was_head: false })]);
    }

    #[test]
    fn an_older_token_and_an_older_payload_are_flagged() {
        flags(LeaderWrites::default(), &[recorded(5, 1), recorded(6, 2), recorded(5, 3)]);
        flags(LeaderWrites::default(), &[recorded(5, 1), recorded(5, 2), recorded(5, 1)]);
    }

    #[test]
    fn leaders_one_after_the_other_and_a_namesake_pass() {
        passes(LeaderWrites::default(), &[recorded(5, 2), recorded(5, 2), recorded(5, 3), recorded(6, 1)]);
        passes(LeaderWrites::default(), &[recorded(6, 1), operator_removed(5), checked(5, 2, Some(6)), recorded(6, 3)]);
    }
}
