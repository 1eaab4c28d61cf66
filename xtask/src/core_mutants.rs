//! `cargo xtask core-mutants`: makes small changes all over the core with cargo-mutants, and counts how many are noticed.
//!
//! The mutants of `evidence/mutants` are mistakes that people make; these are all the small ones. What survives shows
//! where the tests of the core look away. It takes about a quarter of an hour, so it is no part of the gate.

use crate::command;
use crate::error::{Error, Result};
use crate::tool::Tool;

const TOOL: Tool = Tool { name: "cargo-mutants", version: "27.1.0" };

/// The protocol's core, and the names that it reads.
const CORE: [&str; 2] = ["src/queue/**", "src/name.rs"];

/// Of a hundred changes that compile, so many must be noticed.
const NOTICED_MIN: u64 = 90;

pub(crate) fn run() -> Result<bool> {
    if !TOOL.install()? {
        return Ok(false);
    }
    // The unit tests first, since they are quick; then, for what they do not notice, the model's worlds.
    let by_tests = test(&["--cargo-arg=--lib"])?;
    let by_model = if by_tests.missed == 0 {
        Counts::default()
    } else {
        let model = ["--cargo-arg=--package=fairlock-model", "--cargo-arg=--test=worlds", "--profile=evidence"];
        // Of the mutants of the first run, those that were not noticed.
        test(&[&["--iterate"], &model[..]].concat())?
    };
    let all = by_tests.noticed + by_tests.missed;
    let noticed = all.saturating_sub(if by_tests.missed == 0 { 0 } else { by_model.missed });
    let percent = noticed * 100 / all.max(1);
    println!(
        "\n{noticed} of {all} changes were noticed: {percent} % ({} by the unit tests, {} only by the model)",
        by_tests.noticed,
        noticed.saturating_sub(by_tests.noticed)
    );
    Ok(percent >= NOTICED_MIN)
}

fn test(arguments: &[&str]) -> Result<Counts> {
    let mut mutants = TOOL.command()?;
    mutants.args(["mutants", "--package", "fairlock", "--output", "target", "--jobs", "2", "--no-shuffle"]);
    mutants.args(CORE.iter().flat_map(|files| ["--file", files]));
    mutants.args(arguments);
    let mut last_line = String::new();
    // It fails if there is a single survivor; what counts here is how many.
    command::run_and_read("core mutants", mutants, |line| {
        if line.contains(" mutants tested") {
            line.clone_into(&mut last_line);
        }
    })?;
    counts(&last_line).ok_or_else(|| Error::new("cargo-mutants ended without counting its mutants"))
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    noticed: u64,
    missed: u64,
}

/// Noticed (by a failed test or by running for ever) and missed, from the tool's last line. Changes that do not compile
/// count for neither.
fn counts(line: &str) -> Option<Counts> {
    line.contains(" mutants tested").then_some(())?;
    let count = |what: &str| {
        line.split([',', ':'])
            .find_map(|part| part.trim().strip_suffix(what))
            .and_then(|number| number.trim().parse::<u64>().ok())
            .unwrap_or(0)
    };
    Some(Counts { noticed: count(" caught") + count(" timeouts"), missed: count(" missed") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tool_counts_is_read() {
        let line = "184 mutants tested in 12m: 9 missed, 150 caught, 21 unviable, 4 timeouts";
        assert_eq!(counts(line), Some(Counts { noticed: 154, missed: 9 }));
        assert_eq!(counts("2 mutants tested in 1m: 2 caught"), Some(Counts { noticed: 2, missed: 0 }));
        assert_eq!(counts("2 mutants tested in 1m: 2 missed"), Some(Counts { noticed: 0, missed: 2 }));
        assert_eq!(counts(""), None);
    }
}
