//! `fairlock-instructions [all|growth]`: counts what each operation of the core costs in instructions, and says whether it is
//! more than it may be.
//!
//! Instructions, not time: the same program on the same input executes the same number of them, however busy the machine is. Each
//! operation runs in a process of its own under valgrind's callgrind, so that none changes what another finds in the heap; only
//! what happens inside of [`counted_region`] counts.
//!
//! Two things are judged. *Limits* are the counts that were seen, and some room: compilers differ. *Growth* compares two
//! operations of the same run, and holds whatever the compiler: a hand-over costs the same however many wait, and a survey grows
//! with its list and no faster.

#![forbid(unsafe_code)]

mod callgrind;
mod guard;
mod machine;
mod operations;
mod parsing;
mod verdict;

use std::process::ExitCode;

use crate::operations::{ALL, GROWTHS, Operation};

/// Whoever runs the mutants takes this for "found", so that nothing else may end with it.
const VIOLATION: u8 = 1;

/// Wrong arguments, or nothing could be counted.
const IMPOSSIBLE: u8 = 2;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        [] | ["all"] => judge(&ALL.iter().collect::<Vec<_>>(), verdict::ARE_LIMITS_OF_THIS_PROCESSOR),
        // Without optimization too, as the mutants are built.
        ["growth"] => judge(&ALL.iter().filter(|operation| is_compared(operation)).collect::<Vec<_>>(), false),
        [callgrind::RUN, name] => run(name),
        _ => Err(format!("{words:?} is neither `all` nor `growth`")),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(VIOLATION),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(IMPOSSIBLE)
        }
    }
}

fn judge(operations: &[&Operation], with_limits: bool) -> Result<bool, String> {
    let folder = callgrind::folder()?;
    let counts = operations.iter().map(|operation| Ok((operation.name, callgrind::count(operation, &folder)?)));
    let counts = counts.collect::<Result<Vec<_>, String>>()?;
    let report = verdict::judge(operations, &GROWTHS, &counts, with_limits);
    print!("{}", report.table);
    for violation in &report.violations {
        println!("VIOLATED   {violation}");
    }
    if !report.violations.is_empty() {
        println!("Where they go: callgrind_annotate --auto=yes {}/NAME.out", folder.display());
    }
    Ok(report.violations.is_empty())
}

fn is_compared(operation: &Operation) -> bool {
    GROWTHS.iter().any(|growth| [growth.few, growth.many].contains(&operation.name))
}

/// Runs one operation, in the process that is looked at.
fn run(name: &str) -> Result<bool, String> {
    let operation = ALL.iter().find(|operation| operation.name == name);
    let operation = operation.ok_or_else(|| format!("there is no operation {name:?}"))?;
    let mut work = (operation.prepare)();
    // What is done only once in a process is not what an operation costs.
    work();
    counted_region(&mut work);
    Ok(true)
}

/// What is called from here counts. Callgrind looks for this name, so that it must be a function of its own, and no other may
/// have a name that contains it.
#[inline(never)]
fn counted_region(work: &mut dyn FnMut()) {
    work();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_can_be_run_again_and_again() {
        for operation in &ALL {
            let mut work = (operation.prepare)();
            work();
            work();
        }
    }
}
