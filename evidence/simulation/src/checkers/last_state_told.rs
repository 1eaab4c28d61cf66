//! The last state is told: an observer that asks for news, on a connection that is undisturbed, knows the truth a few messages after
//! its last change; and in the end every observer knows it, whatever has happened to its sessions:
//! `same(truth) ∧ calm(o) for longer than the bound ⇒ told(o) = truth`, `end ⇒ told(o) = truth`.
//!
//! So nobody is told for ever of a leader whose session has expired. Where servers withhold events, the bound is that of the
//! next look.

use super::Checker;
use crate::facts::Fact;
use crate::plan::{FaultKind, Plan};

/// A watcher looks so often whether it missed an event.
const LOOK_INTERVAL_MS: u64 = 30_000;

/// The rest of a look, an event, and another look, each of four messages at most; and some more for one that is overtaken.
const MESSAGES: u64 = 12;

pub(super) struct LastStateTold {
    bound_ms: u64,
}

impl LastStateTold {
    pub(super) fn new(plan: &Plan) -> Self {
        let spike_ms = if plan.spikes > 0 { plan.timeout_ms / 2 } else { 0 };
        let look_ms = if plan.has(FaultKind::Withheld) { LOOK_INTERVAL_MS } else { 0 };
        Self { bound_ms: MESSAGES * (plan.latency_ms + spike_ms) + look_ms + 100 }
    }
}

impl Checker for LastStateTold {
    fn property(&self) -> &'static str {
        "the last state is told"
    }

    fn check(&mut self, _: u64, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Known { observer, is_true: false, for_ms } if *for_ms > self.bound_ms => {
                Err(format!("observer {observer} was not told what is true for {for_ms} ms"))
            }
            Fact::KnownLast { observer, is_true: false } => {
                Err(format!("observer {observer} does not know the truth in the end"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{flags, passes};
    use super::*;

    /// The latency is 10 ms, so 220 ms are enough.
    fn checker(faults: &[FaultKind]) -> LastStateTold {
        let mut plan = Plan::of_seed(0, None);
        (plan.latency_ms, plan.spikes, plan.faults) = (10, 0, faults.to_vec());
        LastStateTold::new(&plan)
    }

    fn known(is_true: bool, for_ms: u64) -> (u64, Fact) {
        (0, Fact::Known { observer: 0, is_true, for_ms })
    }

    #[test]
    fn a_change_that_is_not_told_is_flagged() {
        flags(checker(&[]), &[known(false, 220), known(false, 221)]);
        flags(checker(&[FaultKind::Withheld]), &[known(false, 30_220), known(false, 30_221)]);
        flags(checker(&[]), &[(0, Fact::KnownLast { observer: 1, is_true: false })]);
    }

    #[test]
    fn a_change_that_is_on_its_way_and_what_is_known_pass() {
        passes(checker(&[]), &[known(false, 100), known(true, 9_000), known(false, 0)]);
        passes(checker(&[FaultKind::Withheld]), &[known(false, 9_000)]);
        passes(checker(&[]), &[(0, Fact::KnownLast { observer: 1, is_true: true })]);
    }
}
