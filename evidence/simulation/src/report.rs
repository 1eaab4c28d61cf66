//! What is shown of a failing history: the property, the end of the trace, and the command that repeats it.

use std::fmt::Write;

use crate::sweep::Failure;
use crate::{Outcome, run};

/// How many of the last steps are shown.
const TAIL: usize = 60;

/// Runs the history again, with its trace, and tells what happened.
pub fn report(failure: &Failure) -> String {
    // Running one that never ended would never end.
    let replay = failure.hash.map(|_| run(failure.seed, failure.sabotage, true));
    write(failure, replay.as_ref())
}

fn write(failure: &Failure, replay: Option<&Outcome>) -> String {
    let Failure { seed, plan, sabotage, violation, hash } = failure;
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("a string takes everything");
    line(format!("VIOLATION of `{}` by seed {seed}, at {} ms:", violation.property, violation.at_ms));
    line(format!("  {}", violation.seen));
    line(format!("  {plan:?}"));
    if let Some(replay) = replay {
        let skipped = replay.trace.len().saturating_sub(TAIL);
        line(format!(
            "the last {} of {} steps (ms of simulated time; * what is seen):",
            replay.trace.len() - skipped,
            replay.trace.len()
        ));
        replay.trace.iter().skip(skipped).for_each(|step| line(step.clone()));
        if (Some(replay.hash), replay.violation.as_ref()) != (*hash, Some(violation)) {
            line("NOT REPEATED EXACTLY: the second run of this seed went another way".to_owned());
        }
    }
    match sabotage {
        None => line(format!("repeat it:  cargo xtask sim --seed {seed} --trace")),
        Some(control) => line(format!("repeat it:  simulate --seed {seed} --trace --control {}", control.name())),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Sabotage, Sweep};

    fn failure() -> Failure {
        let sweep = Sweep { sabotage: Some(Sabotage::DeletionToldAsWrite), ..Sweep::new(0..1_000) };
        sweep.run(|_| {}).failure.expect("a control that is found")
    }

    #[test]
    fn a_report_names_the_property_shows_the_end_and_can_be_repeated() {
        let failure = failure();
        let text = report(&failure);
        for expected in [
            format!("VIOLATION of `{}` by seed {}", failure.violation.property, failure.seed),
            failure.violation.seen.clone(),
            format!("simulate --seed {} --trace --control deletion-told-as-write", failure.seed),
        ] {
            assert!(text.contains(&expected), "{expected:?} is missing:\n{text}");
        }
        assert!(!text.contains("NOT REPEATED"), "{text}");
        let steps = text.lines().filter(|line| line.contains("    ") || line.contains("  * ")).count();
        assert!((10..=TAIL + 2).contains(&steps), "{text}");
        assert_eq!(text, report(&failure));
    }

    #[test]
    fn a_history_of_the_right_world_is_repeated_by_the_gate_of_the_workspace() {
        let failure = Failure { sabotage: None, hash: None, ..failure() };
        assert!(report(&failure).contains(&format!("cargo xtask sim --seed {} --trace\n", failure.seed)));
    }

    #[test]
    fn a_second_run_that_goes_another_way_is_told() {
        let failure = failure();
        let other = Failure { hash: failure.hash.map(|hash| !hash), ..failure };
        assert!(report(&other).contains("NOT REPEATED EXACTLY"));
    }
}
