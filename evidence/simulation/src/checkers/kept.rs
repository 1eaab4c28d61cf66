//! Kept while all is well: a guard of a session whose connection has been undisturbed from one session timeout before the
//! grant until now, and whose node lives, is valid: `granted(g) ∧ calm(session(g)) ∧ live(node(g)) ⇒ valid(g)`.
//!
//! Not looked at where messages take up to half a session timeout, or where servers refuse what would renew a validity.

use std::collections::BTreeMap;

use super::Checker;
use crate::facts::{Fact, Token};
use crate::plan::{FaultKind, Plan};

pub(super) struct Kept {
    /// What a session's validity may need to recover from what was before; none if nothing is looked at.
    lead_ms: Option<u64>,
    granted: BTreeMap<Token, u64>,
}

impl Kept {
    pub(super) fn new(plan: &Plan) -> Self {
        let is_smooth = plan.spikes == 0 && !plan.has(FaultKind::Overloaded);
        Self { lead_ms: is_smooth.then_some(plan.timeout_ms), granted: BTreeMap::new() }
    }
}

impl Checker for Kept {
    fn property(&self) -> &'static str {
        "kept while all is well"
    }

    fn check(&mut self, at: u64, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Granted { token, valid: true, .. } => {
                self.granted.insert(*token, at);
            }
            Fact::Ended { token, .. } => {
                self.granted.remove(token);
            }
            Fact::Seen { token, valid: false, lives: true, calm_ms, .. } => {
                let (Some(lead), Some(granted)) = (self.lead_ms, self.granted.get(token)) else { return Ok(()) };
                if *calm_ms > at - granted + lead {
                    return Err(format!("the guard {token} is lost, though nothing has disturbed it for {calm_ms} ms"));
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

    /// T is 1 s.
    fn checker(spikes: u32) -> Kept {
        let mut plan = Plan::of_seed(0, None);
        (plan.timeout_ms, plan.spikes, plan.faults) = (1_000, spikes, vec![]);
        Kept::new(&plan)
    }

    fn granted(at: u64) -> (u64, Fact) {
        (
            at,
            Fact::Granted {
                shares: false,
                lock: 0,
                token: 5,
                valid: true,
                others: vec![],
                ahead: None,
                was_head: true,
            },
        )
    }

    fn seen(at: u64, valid: bool, lives: bool, calm_ms: u64) -> (u64, Fact) {
        (at, Fact::Seen { lock: 0, token: 5, valid, lives, calm_ms })
    }

    #[test]
    fn a_loss_without_a_reason_is_flagged() {
        flags(checker(0), &[granted(3_000), seen(3_500, true, true, 1_600), seen(4_000, false, true, 2_100)]);
    }

    #[test]
    fn losses_with_a_reason_pass() {
        passes(checker(0), &[granted(3_000), seen(4_000, false, true, 1_900)]);
        passes(checker(0), &[granted(3_000), seen(4_000, false, false, 2_100)]);
        passes(checker(0), &[seen(4_000, false, true, 2_100)]);
        passes(checker(5), &[granted(3_000), seen(4_000, false, true, 2_100)]);
        passes(checker(0), &[granted(3_000), seen(9_000, true, true, 9_000)]);
    }
}
