//! `cargo xtask model`, `sim`, `instructions`, `growth` and `chaos`: builds the programs of `evidence` optimised, and runs them.

use std::process::Command;

use crate::command::cargo;
use crate::error::Result;
use crate::flags::{Chaos, Sim};

/// How many histories the gate runs.
const SEEDS: u64 = 10_000;

/// Packages whose tests are only run optimized.
pub(crate) const OPTIMIZED: [&str; 3] = ["fairlock-instructions", "fairlock-model", "fairlock-simulation"];

/// How many checks the gate asks for here.
pub(crate) const CHECKS: u64 = 2;

/// What the gate asks of the model and of the simulation: name, command.
pub(crate) fn checks() -> Result<[(&'static str, Command); CHECKS as usize]> {
    let sim = Sim { seeds: Some(SEEDS), first: None, seed: None, trace: false };
    Ok([("model", model("ci")?), ("simulation", simulation(&sim)?)])
}

/// The model in one of its sizes.
pub(crate) fn model(size: &str) -> Result<Command> {
    let mut command = program("fairlock-model")?;
    command.arg(size);
    Ok(command)
}

pub(crate) fn simulation(sim: &Sim) -> Result<Command> {
    let mut command = program("fairlock-simulation")?;
    pass(&mut command, "--seeds", sim.seeds);
    pass(&mut command, "--first", sim.first);
    pass(&mut command, "--seed", sim.seed);
    pass(&mut command, "--trace", sim.trace.then_some(""));
    Ok(command)
}

/// What is counted, with limits and growth.
pub(crate) fn instructions() -> Result<Command> {
    let mut command = program("fairlock-instructions")?;
    command.arg("all");
    Ok(command)
}

pub(crate) fn chaos(chaos: &Chaos) -> Result<Command> {
    let mut command = program("fairlock-chaos")?;
    pass(&mut command, "--minutes", chaos.minutes);
    pass(&mut command, "--seed", chaos.seed);
    pass(&mut command, "--control", chaos.control.then_some(""));
    Ok(command)
}

pub(crate) fn growth(what: Option<&str>) -> Result<Command> {
    let mut command = program("fairlock-growth")?;
    command.args(what);
    Ok(command)
}

fn program(package: &str) -> Result<Command> {
    cargo(&["run", "--quiet", "--profile", "evidence", "--package", package, "--"])
}

/// Passes a flag on if it was given; an empty value is a flag without one.
fn pass(command: &mut Command, flag: &str, value: Option<impl ToString>) {
    let Some(value) = value else { return };
    command.arg(flag);
    let value = value.to_string();
    if !value.is_empty() {
        command.arg(value);
    }
}
