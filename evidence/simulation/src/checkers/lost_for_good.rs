//! A lost guard stays lost: `¬valid(g) at t ⇒ ¬valid(g) at every t' > t`.

use std::collections::BTreeSet;

use super::Checker;
use crate::facts::{Fact, Token};

#[derive(Default)]
pub(super) struct LostForGood {
    lost: BTreeSet<Token>,
}

impl Checker for LostForGood {
    fn property(&self) -> &'static str {
        "lost for good"
    }

    fn check(&mut self, _: u64, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Granted { token, valid: false, .. } | Fact::Seen { token, valid: false, .. } => {
                self.lost.insert(*token);
            }
            Fact::Seen { token, valid: true, .. } if self.lost.contains(token) => {
                return Err(format!("the guard {token} was lost and is valid again"));
            }
            Fact::Granted { others, .. } => {
                if let Some(token) = others.iter().find(|other| self.lost.contains(other)) {
                    return Err(format!("the guard {token} was lost and is valid again"));
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

    fn seen(token: Token, valid: bool) -> (u64, Fact) {
        (0, Fact::Seen { lock: 0, token, valid, lives: true, calm_ms: 0 })
    }

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

    #[test]
    fn a_guard_that_comes_back_is_flagged() {
        flags(LostForGood::default(), &[seen(5, true), seen(5, false), seen(5, true)]);
        flags(LostForGood::default(), &[granted(5, false, &[]), seen(5, true)]);
        flags(LostForGood::default(), &[seen(5, false), granted(6, true, &[5])]);
    }

    #[test]
    fn guards_that_stay_as_they_are_pass() {
        passes(LostForGood::default(), &[seen(5, true), seen(5, false), seen(6, true), seen(5, false)]);
        passes(LostForGood::default(), &[granted(5, true, &[]), seen(5, true), granted(6, true, &[5])]);
    }
}
