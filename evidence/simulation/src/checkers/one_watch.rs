//! No herd: of one session, at most one contender watches another's node, and at most two watches are on one of its own
//! (its contender's and its successor's); a change of a node wakes at most one contender besides its owner:
//! `|watches(session, node)| ≤ 1 + [node is the session's own]` and `|woken(change) ∖ own| ≤ 1`.
//!
//! Where an operator has deleted nodes of the queue, whoever has not heard of it may watch a namesake for a moment.

use super::Checker;
use crate::facts::Fact;

pub(super) struct OneWatch;

impl Checker for OneWatch {
    fn property(&self) -> &'static str {
        "one watch"
    }

    fn check(&mut self, _: u64, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Watching { session, watches, is_own, tampered: false, .. } if *watches > 1 + usize::from(*is_own) => {
                Err(format!("session {session} has {watches} watches on one node"))
            }
            Fact::Told { others, tampered: false, .. } if *others > 1 => {
                Err(format!("one change of a node woke {others} others"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{flags, passes};
    use super::*;

    fn watching(watches: usize, is_own: bool, tampered: bool) -> (u64, Fact) {
        (0, Fact::Watching { session: 1, lock: 0, watches, is_own, tampered })
    }

    fn told(others: usize, tampered: bool) -> (u64, Fact) {
        (0, Fact::Told { lock: 0, others, tampered })
    }

    #[test]
    fn a_herd_is_flagged() {
        flags(OneWatch, &[watching(2, false, false)]);
        flags(OneWatch, &[watching(3, true, false)]);
        flags(OneWatch, &[told(2, false)]);
    }

    #[test]
    fn one_watch_the_own_one_and_a_tampered_queue_pass() {
        passes(OneWatch, &[watching(1, false, false), watching(2, true, false), watching(2, false, true)]);
        passes(OneWatch, &[told(0, false), told(1, false), told(2, true)]);
    }
}
