//! `cargo xtask bench`: builds the benchmarks as users build the library, but for the names in it, and runs them.

use std::ffi::OsString;
use std::process::Command;

use crate::command::{cargo, run};
use crate::error::{Error, Result};
use crate::flags::Bench;

pub(crate) fn command(flags: Bench) -> Result<Command> {
    let package = ["--quiet", "--profile", "profiling", "--package", "fairlock-benchmarks"];
    // All programs of the package: the one that runs starts the others.
    let mut build = cargo(&["build", "--bins"])?;
    build.args(package);
    if !run("build of the benchmarks", build)? {
        return Err(Error::new("the benchmarks do not build"));
    }
    let mut command = cargo(&["run", "--bin", "benchmarks"])?;
    command.args(package).arg("--");
    let given = [
        ("--quick", flags.quick),
        ("--large", flags.large),
        ("--large-peers", flags.large_peers),
        ("--no-ensemble", flags.no_ensemble),
        ("--write", flags.write),
    ];
    for (flag, is_given) in given {
        if is_given {
            command.arg(flag);
        }
    }
    let rounds = flags.rounds.map(|rounds| rounds.to_string().into());
    // The program runs in the root, and whoever typed the folder was elsewhere.
    let jars = flags.curator_jars.map(|folder| std::path::absolute(folder).map(Into::into)).transpose();
    let jars = jars.map_err(Error::io("find the folder of --curator-jars"))?;
    let values: [(&str, Option<OsString>); 4] = [
        ("--rounds", rounds),
        ("--contenders", flags.contenders.map(Into::into)),
        ("--only", flags.only.map(Into::into)),
        ("--curator-jars", jars),
    ];
    for (flag, value) in values {
        if let Some(value) = value {
            command.arg(flag).arg(value);
        }
    }
    Ok(command)
}
