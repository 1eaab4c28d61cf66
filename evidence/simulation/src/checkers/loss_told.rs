//! A loss is told in time: when the servers delete the node of an unreleased guard, because its session expired, was
//! closed or by mistake, the guard says at that moment already that it is lost:
//! `removed(n) ∧ unreleased(guard(n)) ⇒ ¬valid(guard(n))`.
//!
//! When an operator deletes it, or ends its session, the guard says so within a bound: a few latencies if its connection
//! is undisturbed, four session timeouts in any case. Without the permission to watch its own node it is not told at all.

use std::collections::BTreeMap;

use super::Checker;
use crate::facts::{Fact, Remover, Standing, Token};
use crate::plan::{FaultKind, Plan};

/// A holder watches its own node only after a while.
const OWN_WATCH_DELAY_MS: u64 = 50;

pub(super) struct LossTold {
    removed: BTreeMap<Token, u64>,
    calm_bound_ms: Option<u64>,
    bound_ms: Option<u64>,
}

impl LossTold {
    pub(super) fn new(plan: &Plan) -> Self {
        let spike_ms = if plan.spikes > 0 { plan.timeout_ms / 2 } else { 0 };
        let (denied, overloaded) = (plan.has(FaultKind::Denied), plan.has(FaultKind::Overloaded));
        let calm_ms = OWN_WATCH_DELAY_MS + 4 * (plan.latency_ms + spike_ms) + 20;
        Self {
            removed: BTreeMap::new(),
            calm_bound_ms: (!denied && !overloaded).then_some(calm_ms),
            bound_ms: (!denied).then_some(4 * plan.timeout_ms + if overloaded { 2_000 } else { 0 }),
        }
    }
}

impl Checker for LossTold {
    fn property(&self) -> &'static str {
        "loss told in time"
    }

    fn check(&mut self, at: u64, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Removed { token, by: Remover::Operator, .. } => {
                self.removed.insert(*token, at);
            }
            Fact::Removed { token, by, guard: Standing::Valid, .. } => {
                return Err(format!("the node {token} was deleted ({by:?}) while its guard is valid"));
            }
            Fact::Seen { token, valid: true, calm_ms, .. } => {
                let Some(since) = self.removed.get(token).map(|removed| at - removed) else { return Ok(()) };
                let is_calm = *calm_ms >= since;
                let late = self.bound_ms.is_some_and(|bound| since > bound)
                    || self.calm_bound_ms.is_some_and(|bound| is_calm && since > bound);
                if late {
                    return Err(format!("the guard {token} is valid {since} ms after its node was deleted"));
                }
            }
            Fact::Ended { token, .. } => {
                self.removed.remove(token);
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
    use fastrand::Rng;

    /// T is 1 s, the latency 10 ms; so 110 ms are enough if all is calm.
    fn checker(faults: &[FaultKind]) -> LossTold {
        let mut plan = Plan::draw(&mut Rng::with_seed(0), None);
        (plan.timeout_ms, plan.latency_ms, plan.spikes, plan.faults) = (1_000, 10, 0, faults.to_vec());
        LossTold::new(&plan)
    }

    fn removed(at: u64, by: Remover, guard: Standing) -> (u64, Fact) {
        (at, Fact::Removed { lock: 0, token: 5, owner: 1, by, guard, meddled_with: false, by_another: false })
    }

    fn seen(at: u64, valid: bool, calm_ms: u64) -> (u64, Fact) {
        (at, Fact::Seen { lock: 0, token: 5, valid, lives: true, calm_ms })
    }

    #[test]
    fn a_valid_guard_without_a_node_is_flagged() {
        flags(checker(&[]), &[removed(0, Remover::Expiry, Standing::Valid)]);
        flags(checker(&[]), &[removed(0, Remover::Close, Standing::Valid)]);
        flags(checker(&[]), &[removed(0, Remover::Session(2), Standing::Valid)]);
    }

    #[test]
    fn a_loss_that_is_told_late_is_flagged() {
        let deleted = removed(100, Remover::Operator, Standing::Valid);
        flags(checker(&[]), &[deleted.clone(), seen(200, true, 5_000), seen(211, true, 5_000)]);
        flags(checker(&[]), &[deleted.clone(), seen(4_100, true, 0), seen(4_101, true, 0)]);
        flags(checker(&[FaultKind::Overloaded]), &[deleted, seen(6_100, true, 9_000), seen(6_101, true, 9_000)]);
    }

    #[test]
    fn a_loss_that_is_told_before_or_soon_passes() {
        passes(checker(&[]), &[removed(0, Remover::Expiry, Standing::Lost)]);
        passes(checker(&[]), &[removed(0, Remover::Session(1), Standing::None)]);
        let deleted = removed(100, Remover::Operator, Standing::Valid);
        passes(checker(&[]), &[deleted.clone(), seen(205, true, 5_000), seen(9_000, false, 9_000)]);
        passes(checker(&[]), &[deleted.clone(), seen(1_000, true, 500)]);
        passes(checker(&[FaultKind::Denied]), &[deleted.clone(), seen(90_000, true, 90_000)]);
        let ended = (150, Fact::Ended { lock: 0, token: 5 });
        passes(checker(&[]), &[deleted, ended, seen(9_000, true, 9_000)]);
    }
}
