//! Nothing outlives its attempt: a release that was confirmed has deleted its node; a session whose connection is
//! undisturbed has, after a bound, no more nodes in a queue than its client has attempts there; and in the end there is
//! neither a node nor a session: `released(g) ⇒ ¬live(node(g))`, `calm(s) ⇒ |nodes(s)| ≤ |attempts|`, `end ⇒ nothing`.
//!
//! The bound is longer where messages take up to half a session timeout, and is not looked at where permissions are withdrawn or servers overloaded: then a deletion is tried again from
//! time to time.

use std::collections::BTreeMap;

use super::Checker;
use crate::facts::{Fact, Lock};
use crate::plan::{FaultKind, Plan};

pub(super) struct NoOrphan {
    bound_ms: Option<u64>,
    /// Since when there are too many nodes.
    surplus: BTreeMap<(i64, Lock), u64>,
}

impl NoOrphan {
    pub(super) fn new(plan: &Plan) -> Self {
        let refuses = plan.has(FaultKind::Denied) || plan.has(FaultKind::Overloaded);
        let spikes_ms = if plan.spikes > 0 { 2 * plan.timeout_ms } else { 0 };
        Self { bound_ms: (!refuses).then_some(plan.timeout_ms + 500 + spikes_ms), surplus: BTreeMap::new() }
    }
}

impl Checker for NoOrphan {
    fn property(&self) -> &'static str {
        "no orphan"
    }

    fn check(&mut self, at: u64, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Released { token, lives: true, .. } => Err(format!("{token} was released, and its node lives")),
            Fact::Nodes { session, lock, nodes, attempts, calm_ms } => {
                if nodes <= attempts {
                    self.surplus.remove(&(*session, *lock));
                    return Ok(());
                }
                let since = at - *self.surplus.entry((*session, *lock)).or_insert(at);
                match self.bound_ms {
                    Some(bound) if since.min(*calm_ms) > bound => {
                        Err(format!("session {session} has {nodes} nodes and {attempts} attempts since {since} ms"))
                    }
                    _ => Ok(()),
                }
            }
            Fact::Finished { nodes_left: 1.., .. } | Fact::Finished { sessions_left: 1.., .. } => {
                Err(format!("something is left: {fact:?}"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{flags, passes};
    use super::*;
    use fastrand::Rng;

    /// T is 1 s, so the bound is 1.5 s.
    fn checker(faults: &[FaultKind]) -> NoOrphan {
        let mut plan = Plan::draw(&mut Rng::with_seed(0), None);
        (plan.timeout_ms, plan.spikes, plan.faults) = (1_000, 0, faults.to_vec());
        NoOrphan::new(&plan)
    }

    fn nodes(at: u64, nodes: usize, calm_ms: u64) -> (u64, Fact) {
        (at, Fact::Nodes { session: 1, lock: 0, nodes, attempts: 1, calm_ms })
    }

    fn finished(nodes_left: usize, sessions_left: usize) -> (u64, Fact) {
        (0, Fact::Finished { unfinished: 0, nodes_left, sessions_left })
    }

    #[test]
    fn nodes_that_stay_are_flagged() {
        flags(checker(&[]), &[nodes(0, 2, 9_000), nodes(1_500, 2, 9_000), nodes(1_501, 2, 9_000)]);
        flags(checker(&[]), &[(0, Fact::Released { lock: 0, token: 5, lives: true })]);
        flags(checker(&[]), &[finished(1, 0)]);
        flags(checker(&[]), &[finished(0, 1)]);
    }

    #[test]
    fn nodes_that_go_and_disturbed_sessions_pass() {
        passes(checker(&[]), &[nodes(0, 2, 9_000), nodes(1_400, 1, 9_000), nodes(2_000, 2, 9_000)]);
        passes(checker(&[]), &[nodes(0, 2, 9_000), nodes(9_000, 2, 1_500)]);
        passes(checker(&[FaultKind::Overloaded]), &[nodes(0, 2, 9_000), nodes(9_000, 2, 9_000)]);
        passes(checker(&[]), &[(0, Fact::Released { lock: 0, token: 5, lives: false }), finished(0, 0)]);
    }
}
