//! Once the faults have ended, everything comes to its end within a bound of simulated time: each waiter is granted or
//! has failed, each holder has released: `healed ⇒ ◇≤bound (unfinished = 0)`.

use super::Checker;
use crate::facts::Fact;

pub(super) struct Liveness;

impl Checker for Liveness {
    fn property(&self) -> &'static str {
        "liveness"
    }

    fn check(&mut self, _: u64, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Finished { unfinished: unfinished @ 1.., .. } => {
                Err(format!("{unfinished} contenders have not come to their end"))
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
    fn whoever_waits_for_ever_is_flagged() {
        flags(Liveness, &[(0, Fact::Healed), (9, Fact::Finished { unfinished: 1, nodes_left: 0, sessions_left: 0 })]);
    }

    #[test]
    fn an_end_passes() {
        passes(Liveness, &[(9, Fact::Finished { unfinished: 0, nodes_left: 1, sessions_left: 1 })]);
    }
}
