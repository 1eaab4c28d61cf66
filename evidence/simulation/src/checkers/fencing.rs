//! Fencing: along the grants of a lock the tokens of valid guards rise; a guarded write is executed only while the
//! guard's own node lives, and never after one with a higher token:
//! `grant(g) before grant(h) ⇒ token(g) < token(h)` unless both share the lock, and the same for executed writes.
//!
//! Except where an operator deleted the node: its guard may be returned valid after a later one's, until it is told. And
//! where an operator deleted the whole queue, another's node may have the name that a guarded write is checked against.

use std::collections::{BTreeMap, BTreeSet};

use super::Checker;
use crate::facts::{Fact, Lock, Remover, Token};

#[derive(Default)]
pub(super) struct Fencing {
    granted: BTreeMap<Lock, Token>,
    granted_alone: BTreeMap<Lock, Token>,
    written: BTreeMap<Lock, Token>,
    removed: BTreeSet<Token>,
}

impl Checker for Fencing {
    fn property(&self) -> &'static str {
        "fencing"
    }

    fn check(&mut self, _: u64, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Removed { token, by: Remover::Operator, .. } => {
                self.removed.insert(*token);
            }
            Fact::Granted { shares, lock, token, valid: true, .. } if !self.removed.contains(token) => {
                let before = if *shares { &self.granted_alone } else { &self.granted };
                let last = before.get(lock).copied();
                let highest = self.granted.entry(*lock).or_default();
                *highest = (*highest).max(*token);
                if !shares {
                    self.granted_alone.insert(*lock, *token);
                }
                if let Some(last) = last.filter(|last| last >= token) {
                    return Err(format!("the token {token} was granted after {last}"));
                }
            }
            Fact::Committed { lock, token, node } if !self.removed.contains(token) => {
                if node != token {
                    return Err(format!("a write guarded by {token} was executed on the strength of the node {node}"));
                }
                if let Some(last) = self.written.insert(*lock, *token)
                    && last > *token
                {
                    return Err(format!("a write guarded by {token} was executed after one by {last}"));
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

    fn granted(lock: Lock, token: Token, valid: bool) -> (u64, Fact) {
        (0, Fact::Granted { shares: false, lock, token, valid, others: vec![], ahead: None, was_head: true })
    }

    fn committed(token: Token, node: Token) -> (u64, Fact) {
        (0, Fact::Committed { lock: 0, token, node })
    }

    fn operator_removed(token: Token) -> (u64, Fact) {
        let (by, guard) = (Remover::Operator, Standing::None);
        (0, Fact::Removed { lock: 0, token, owner: 1, by, guard, meddled_with: false, by_another: false })
    }

    #[test]
    fn falling_and_repeated_tokens_are_flagged() {
        flags(Fencing::default(), &[granted(0, 5, true), granted(0, 4, true)]);
        flags(Fencing::default(), &[granted(0, 5, true), granted(0, 5, true)]);
        flags(Fencing::default(), &[committed(5, 5), committed(6, 6), committed(5, 5)]);
        flags(Fencing::default(), &[committed(5, 6)]);
    }

    fn shared(token: Token) -> (u64, Fact) {
        (0, Fact::Granted { shares: true, lock: 0, token, valid: true, others: vec![], ahead: None, was_head: true })
    }

    #[test]
    fn a_reader_after_a_later_writer_and_a_writer_after_a_later_reader_are_flagged() {
        flags(Fencing::default(), &[granted(0, 5, true), shared(4)]);
        flags(Fencing::default(), &[shared(5), granted(0, 4, true)]);
    }

    #[test]
    fn readers_in_any_order_pass() {
        passes(Fencing::default(), &[granted(0, 3, true), shared(5), shared(4), granted(0, 6, true), shared(7)]);
    }

    #[test]
    fn rising_tokens_other_locks_and_lost_guards_pass() {
        passes(Fencing::default(), &[granted(0, 5, true), granted(1, 4, true), granted(0, 6, true)]);
        passes(Fencing::default(), &[granted(0, 5, true), granted(0, 4, false), granted(0, 6, true)]);
        passes(Fencing::default(), &[operator_removed(4), granted(0, 5, true), granted(0, 4, true)]);
        passes(Fencing::default(), &[committed(5, 5), committed(5, 5), committed(6, 6)]);
        passes(Fencing::default(), &[operator_removed(5), committed(5, 6)]);
    }
}
