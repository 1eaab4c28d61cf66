//! Nobody deletes another's node: a node that an attempt's request deletes is that attempt's own:
//! `removed(n) by attempt a of session s ⇒ owner(n) = s and attempt(n) = a`.
//!
//! Except where an operator deleted the queue, or the attempt's own node, since the connection began on which the request
//! was made, and the queue was made anew: the name may be another's then before the news has come (docs/PROTOCOL.md, "When
//! an outcome is unknown").

use super::Checker;
use crate::facts::{Fact, Remover};

pub(super) struct OwnNodesOnly;

impl Checker for OwnNodesOnly {
    fn property(&self) -> &'static str {
        "own nodes only"
    }

    fn check(&mut self, _: u64, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Removed {
                token,
                owner,
                by: Remover::Session(session),
                meddled_with: false,
                by_another: true,
                ..
            } => Err(format!("session {session} deleted the node {token} of another attempt, of session {owner}")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{flags, passes};
    use super::*;
    use crate::facts::Standing;

    fn removed(owner: i64, by: Remover, meddled_with: bool) -> (u64, Fact) {
        let by_another = matches!(by, Remover::Session(session) if session != owner);
        (0, Fact::Removed { lock: 0, token: 5, owner, by, guard: Standing::None, meddled_with, by_another })
    }

    #[test]
    fn a_foreign_deletion_is_flagged() {
        flags(OwnNodesOnly, &[removed(1, Remover::Session(2), false)]);
    }

    #[test]
    fn a_deletion_of_another_attempts_node_in_the_same_session_is_flagged() {
        let (guard, by) = (Standing::None, Remover::Session(1));
        let fact = Fact::Removed { lock: 0, token: 5, owner: 1, by, guard, meddled_with: false, by_another: true };
        flags(OwnNodesOnly, &[(0, fact)]);
    }

    #[test]
    fn own_deletions_and_what_docs_name_pass() {
        passes(OwnNodesOnly, &[removed(1, Remover::Session(1), false), removed(1, Remover::Session(2), true)]);
        passes(OwnNodesOnly, &[removed(1, Remover::Operator, false), removed(1, Remover::Expiry, false)]);
    }
}
