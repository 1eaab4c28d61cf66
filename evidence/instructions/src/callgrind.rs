//! Runs one operation under valgrind, and reads how many instructions it took.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::operations::Operation;

/// With this word and a name, the program runs that operation.
pub(crate) const RUN: &str = "run";

/// With wildcards: compilers differ in what they make of a path.
const REGION: &str = "*counted_region*";

/// For the files of callgrind: beside what cargo builds.
pub(crate) fn folder() -> Result<PathBuf, String> {
    let program = this_program()?;
    let target = program.parent().and_then(Path::parent);
    let folder = target.ok_or("this program lies in no folder of cargo's")?.join("instructions");
    fs::create_dir_all(&folder).map_err(|error| format!("failed to make {}: {error}", folder.display()))?;
    Ok(folder)
}

/// The instructions of one call, rounded to the nearest.
pub(crate) fn count(operation: &Operation, folder: &Path) -> Result<u64, String> {
    let name = operation.name;
    let out = folder.join(format!("{name}.out"));
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--tool=callgrind", "--read-inline-info=no"]).arg(format!("--toggle-collect={REGION}"));
    valgrind.arg(format!("--callgrind-out-file={}", out.display()));
    valgrind.arg(this_program()?).args([RUN, name]);
    // Somebody's own options would be added to these.
    valgrind.env_remove("VALGRIND_OPTS").env("RUST_BACKTRACE", "0");
    let output = valgrind.output().map_err(|error| format!("failed to run valgrind: {error}; install it"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{name} ended with {} under valgrind: {}", output.status, said.trim()));
    }
    let profile = fs::read_to_string(&out).map_err(|error| format!("failed to read {}: {error}", out.display()))?;
    match total(&profile) {
        Some(total) if total > 0 => Ok((total + operation.calls / 2) / operation.calls),
        _ => Err(format!("callgrind counted nothing of {name}: it has not found {REGION}")),
    }
}

fn this_program() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|error| format!("failed to find the path of this program: {error}"))
}

/// The line with the sum over all functions: `totals: 1234`.
fn total(profile: &str) -> Option<u64> {
    profile.lines().find_map(|line| line.strip_prefix("totals: "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_a_profile_is_read() {
        let profile = "# callgrind format\nevents: Ir\nsummary: 9\n\nfn=(1) a\n12 5\n\ntotals: 23946\n";
        assert_eq!(total(profile), Some(23_946));
        assert_eq!(total("events: Ir\n"), None);
        assert_eq!(total("totals: many\n"), None);
    }
}
