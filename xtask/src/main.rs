//! `cargo xtask`: runs the chores of this workspace, as `cargo xtask --help` lists them.

#![forbid(unsafe_code)]

mod command;
mod deny;
mod error;
mod fix;
mod flags;
mod servers;
mod suites;
mod table;
mod tally;
mod test;
mod verify;

use std::process::ExitCode;

use flags::XtaskCmd;

fn main() -> ExitCode {
    let outcome = match flags::Xtask::from_env_or_exit().subcommand {
        XtaskCmd::Test(test) => test::run(test.quick),
        XtaskCmd::Verify(_) => verify::run(),
        XtaskCmd::Fix(_) => fix::run(),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
