//! `cargo xtask`: runs the chores of this workspace, as `cargo xtask --help` lists them.

#![forbid(unsafe_code)]

mod bench;
mod command;
mod core_mutants;
mod deny;
mod error;
mod evidence;
mod fix;
mod flags;
mod instructions;
mod mutants;
mod packages;
mod servers;
mod suites;
mod table;
mod tally;
mod test;
mod tool;
mod verify;

use std::process::ExitCode;

use error::Result;
use flags::XtaskCmd;
use tally::Tally;

fn main() -> ExitCode {
    match run(flags::Xtask::from_env_or_exit().subcommand) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: XtaskCmd) -> Result<bool> {
    match command {
        XtaskCmd::Test(test) => test::run(test.quick),
        XtaskCmd::Verify(_) => verify::run(),
        XtaskCmd::Model(model) => command::run("model", evidence::model(model.size.as_deref().unwrap_or("ci"))?),
        XtaskCmd::Sim(sim) => command::run("simulation", evidence::simulation(&sim)?),
        XtaskCmd::Instructions(_) => instructions::run(),
        XtaskCmd::Chaos(chaos) => command::run("chaos", evidence::chaos(&chaos)?),
        XtaskCmd::Bench(flags) => command::run("bench", bench::command(flags)?),
        XtaskCmd::Growth(growth) => command::run("growth", evidence::growth(growth.what.as_deref())?),
        XtaskCmd::Mutants(which) => mutants::run(which.name.as_deref(), which.all_checkers, &mut Tally::default()),
        XtaskCmd::CoreMutants(_) => core_mutants::run(),
        XtaskCmd::Fix(_) => fix::run(),
    }
}
