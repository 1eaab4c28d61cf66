//! First come, first served: when a guard is returned valid, every node of its queue that was created earlier is gone:
//! `granted(g) ⇒ ¬∃n ∈ queue(g): live(n) ∧ created(n) < created(g)`.

use super::Checker;
use crate::facts::Fact;

pub(super) struct Fifo;

impl Checker for Fifo {
    fn property(&self) -> &'static str {
        "first come, first served"
    }

    fn check(&mut self, _: u64, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Granted { token, valid: true, ahead: Some(ahead), .. } => {
                Err(format!("{token} was granted while {ahead}, created earlier, is in the queue"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{flags, passes};
    use super::*;

    fn granted(valid: bool, ahead: Option<i64>) -> (u64, Fact) {
        (0, Fact::Granted { shares: false, lock: 0, token: 9, valid, others: vec![], ahead, was_head: true })
    }

    #[test]
    fn a_grant_past_an_earlier_node_is_flagged() {
        flags(Fifo, &[granted(true, Some(8))]);
    }

    #[test]
    fn the_first_and_a_guard_that_is_lost_pass() {
        passes(Fifo, &[granted(true, None), granted(false, Some(8))]);
    }
}
