//! An acquisition fails only for a reason that this history's faults explain: `failed(e) ⇒ e ∈ explained(faults)`.

use super::Checker;
use crate::facts::Fact;

pub(super) struct ExplainedFailures;

impl Checker for ExplainedFailures {
    fn property(&self) -> &'static str {
        "explained failures"
    }

    fn check(&mut self, _: u64, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Failed { error, expected: false } => Err(format!("nothing explains the error {error}")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{flags, passes};
    use super::*;

    #[test]
    fn an_error_without_a_cause_is_flagged() {
        flags(ExplainedFailures, &[(0, Fact::Failed { error: "NoPermission", expected: false })]);
    }

    #[test]
    fn an_explained_error_passes() {
        passes(ExplainedFailures, &[(0, Fact::Failed { error: "SessionLost", expected: true })]);
    }
}
