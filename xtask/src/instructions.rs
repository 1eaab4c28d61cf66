//! `cargo xtask instructions`: has the core's instructions counted and judged, for which valgrind is needed.

use std::time::Instant;

use crate::command::{self, program};
use crate::error::{Error, Result};
use crate::evidence;
use crate::packages;
use crate::tally::Tally;

/// How many checks the gate asks for here.
pub(crate) const CHECKS: u64 = 1;

const NAME: &str = "instructions";

/// Asked for by itself, it fails where nothing can be counted.
pub(crate) fn run() -> Result<bool> {
    match prepare()? {
        Ok(()) => command::run(NAME, evidence::instructions()?),
        Err(why) => Err(Error::new(format!("no instructions can be counted: {why}"))),
    }
}

/// One of the checks of the gate: where nothing can be counted it is skipped, which is told.
pub(crate) fn check(tally: &mut Tally) -> Result<bool> {
    let started = Instant::now();
    if let Err(why) = prepare()? {
        tally.skip(NAME, CHECKS, &format!("no instructions can be counted: {why}"));
        return Ok(true);
    }
    let ok = command::run(NAME, evidence::instructions()?)?;
    let failures =
        if ok { vec![] } else { vec!["something costs too much, or could not be counted: see above".to_owned()] };
    tally.add(NAME, u64::from(ok), &failures, started.elapsed().as_secs_f64());
    Ok(ok)
}

/// Installs valgrind if it is missing; the inner error says why it cannot be had.
pub(crate) fn prepare() -> Result<std::result::Result<(), String>> {
    if works()? {
        return Ok(Ok(()));
    }
    if let Err(error) = packages::install(&["valgrind"], "install valgrind with the system's own means") {
        return Ok(Err(error.to_string()));
    }
    Ok(if works()? { Ok(()) } else { Err("valgrind is installed, and does not run here".to_owned()) })
}

/// Whether it can run a program here: being installed is not enough on every system.
fn works() -> Result<bool> {
    let output = program("valgrind")?.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "true"]).output();
    Ok(output.is_ok_and(|output| output.status.success()))
}
