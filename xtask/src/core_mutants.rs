//! `cargo xtask core-mutants`: makes small changes all over the core with cargo-mutants, and counts how many are noticed.
//!
//! The mutants of `evidence/mutants` are mistakes that people make; these are all the small ones. What survives shows
//! where the tests of the core look away. It takes about half an hour, so it is no part of the gate.

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
    let mut mutants = TOOL.command()?;
    mutants.args(["mutants", "--package", "fairlock", "--output", "target", "--jobs", "2", "--no-shuffle"]);
    mutants.args(CORE.iter().flat_map(|files| ["--file", files]));
    // The unit tests, and the model's small worlds.
    mutants.args(["--test-package", "fairlock", "--test-package", "fairlock-model", "--", "--lib", "--test", "worlds"]);
    let mut last_line = String::new();
    // It fails if there is a single survivor; what counts here is how many.
    command::run_and_read("core mutants", mutants, |line| {
        if line.contains(" mutants tested") {
            line.clone_into(&mut last_line);
        }
    })?;
    let (noticed, missed) =
        counts(&last_line).ok_or_else(|| Error::new("cargo-mutants ended without counting its mutants"))?;
    let percent = noticed * 100 / (noticed + missed).max(1);
    println!("\n{noticed} of {} changes were noticed: {percent} %", noticed + missed);
    Ok(percent >= NOTICED_MIN)
}

/// Noticed (by a failed test or by running for ever) and missed, from the tool's last line. Changes that do not compile
/// count for neither.
fn counts(line: &str) -> Option<(u64, u64)> {
    let count = |what: &str| {
        line.split([',', ':'])
            .find_map(|part| part.trim().strip_suffix(what))
            .and_then(|number| number.trim().parse().ok())
    };
    let noticed: u64 = count(" caught")?;
    Some((noticed + count(" timeouts").unwrap_or(0), count(" missed").unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tool_counts_is_read() {
        let line = "184 mutants tested in 12m: 9 missed, 150 caught, 21 unviable, 4 timeouts";
        assert_eq!(counts(line), Some((154, 9)));
        assert_eq!(counts("2 mutants tested in 1m: 2 caught"), Some((2, 0)));
        assert_eq!(counts(""), None);
    }
}
