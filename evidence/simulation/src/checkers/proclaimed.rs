//! What was proclaimed was written: a campaign or proclamation that is confirmed has been executed:
//! `confirmed(l, p) ⇒ ∃t ≤ now: recorded(l, p) at t`.
//!
//! That a campaign which failed or was dropped leaves no candidacy is [`super::no_orphan`]'s.

use super::Checker;
use crate::facts::Fact;

pub(super) struct Proclaimed;

impl Checker for Proclaimed {
    fn property(&self) -> &'static str {
        "what was proclaimed was written"
    }

    fn check(&mut self, _: u64, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Confirmed { token, payload, took_effect: false } => {
                Err(format!("{token} has proclaimed {payload}, which was never written"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{flags, passes};
    use super::*;

    #[test]
    fn a_proclamation_that_had_no_effect_is_flagged() {
        flags(Proclaimed, &[(0, Fact::Confirmed { token: 5, payload: 1, took_effect: false })]);
    }

    #[test]
    fn a_proclamation_that_was_executed_passes() {
        passes(Proclaimed, &[(0, Fact::Confirmed { token: 5, payload: 1, took_effect: true })]);
    }
}
