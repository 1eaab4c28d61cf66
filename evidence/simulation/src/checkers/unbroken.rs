//! Nobody writes while a guard is converted: between the beginning of a conversion and its end in a valid guard, nobody else was
//! granted the lock alone with a valid guard:
//! `converting(g) … converted(g → h) ∧ valid(h) ⇒ ¬∃w ≠ h in between: alone(w) ∧ granted(w) ∧ valid(w)`.
//!
//! Except where an operator deleted the node of either: then its guard learns of it afterwards.

use std::collections::{BTreeMap, BTreeSet};

use super::Checker;
use crate::facts::{Fact, Lock, Remover, Token};

#[derive(Default)]
pub(super) struct Unbroken {
    /// Those under way, each with whom the lock was granted to alone meanwhile.
    converting: BTreeMap<(Lock, Token), Vec<Token>>,
    /// The nodes that an operator deleted.
    removed: BTreeSet<Token>,
}

impl Checker for Unbroken {
    fn property(&self) -> &'static str {
        "unbroken conversion"
    }

    fn check(&mut self, _: u64, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Removed { token, by: Remover::Operator, .. } => {
                self.removed.insert(*token);
            }
            Fact::Converting { lock, token } => {
                self.converting.insert((*lock, *token), vec![]);
            }
            Fact::NotConverted { lock, token } => {
                self.converting.remove(&(*lock, *token));
            }
            Fact::Granted { shares: false, lock, token, valid: true, .. } => {
                let of_lock = self.converting.range_mut((*lock, Token::MIN)..=(*lock, Token::MAX));
                of_lock.for_each(|(_, granted)| granted.push(*token));
            }
            Fact::Converted { lock, from, to, valid } => {
                let granted = self.converting.remove(&(*lock, *from)).unwrap_or_default();
                let counts = |token: &Token| token != to && !self.removed.contains(token);
                let other = granted.iter().find(|token| counts(token));
                if let Some(other) =
                    other.filter(|_| *valid && ![from, to].iter().any(|&own| self.removed.contains(own)))
                {
                    return Err(format!("{other} was granted alone while {from} was converted to {to}"));
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

    fn converting() -> (u64, Fact) {
        (0, Fact::Converting { lock: 0, token: 5 })
    }

    fn converted(to: Token, valid: bool) -> (u64, Fact) {
        (0, Fact::Converted { lock: 0, from: 5, to, valid })
    }

    fn granted(lock: Lock, token: Token, shares: bool, valid: bool) -> (u64, Fact) {
        (0, Fact::Granted { shares, lock, token, valid, others: vec![], ahead: None, was_head: true })
    }

    #[test]
    fn a_writer_in_between_is_flagged() {
        flags(Unbroken::default(), &[converting(), granted(0, 7, false, true), converted(5, true)]);
        let upgraded = granted(0, 9, false, true);
        flags(Unbroken::default(), &[converting(), granted(0, 7, false, true), upgraded, converted(9, true)]);
    }

    #[test]
    fn readers_others_and_what_came_before_or_to_nothing_pass() {
        passes(Unbroken::default(), &[granted(0, 5, false, true), converting(), converted(5, true)]);
        passes(Unbroken::default(), &[converting(), granted(0, 7, true, true), converted(5, true)]);
        passes(Unbroken::default(), &[converting(), granted(1, 7, false, true), converted(5, true)]);
        passes(Unbroken::default(), &[converting(), granted(0, 7, false, false), converted(5, true)]);
        passes(Unbroken::default(), &[converting(), granted(0, 7, false, true), converted(5, false)]);
        passes(Unbroken::default(), &[converting(), granted(0, 9, false, true), converted(9, true)]);
        let given_up = (0, Fact::NotConverted { lock: 0, token: 5 });
        passes(Unbroken::default(), &[converting(), given_up, granted(0, 7, false, true), converted(5, true)]);
        let (by, guard) = (Remover::Operator, Standing::None);
        let removed = Fact::Removed { lock: 0, token: 7, owner: 1, by, guard, meddled_with: false, by_another: false };
        passes(Unbroken::default(), &[converting(), (0, removed), granted(0, 7, false, true), converted(5, true)]);
    }
}
