//! No task panics: a broken invariant of the library is an assertion in a contender's task.

use super::Checker;
use crate::facts::Fact;

pub(super) struct NoPanic;

impl Checker for NoPanic {
    fn property(&self) -> &'static str {
        "no panic"
    }

    fn check(&mut self, _: u64, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Panicked { message } => Err(message.clone()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{flags, passes};
    use super::*;

    #[test]
    fn a_panic_is_flagged() {
        flags(NoPanic, &[(0, Fact::Panicked { message: "Q3".into() })]);
    }

    #[test]
    fn anything_else_passes() {
        passes(NoPanic, &[(0, Fact::Healed)]);
    }
}
