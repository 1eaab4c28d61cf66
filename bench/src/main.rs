//! `benchmarks`: measures fairlock beside other locks, all on the same servers and in turn, and says whether it
//! reaches what it is meant to. `cargo xtask bench` builds and runs it.
//!
//! Counts are exact: a proxy in front of each contender sees every frame. Times are of the machine it runs on; what can be
//! compared are contenders of one run, and with a delay on the link, since there round trips outweigh everything else.

#![forbid(unsafe_code)]

mod contenders;
mod cost;
mod debian;
mod error;
mod footprint;
mod plan;
mod relay;
mod report;
mod results;
mod servers;
mod stage;
mod statistics;
mod verdict;
mod way;
mod workloads;

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use crate::contenders::Places;
use crate::error::{Error, Result};
use crate::plan::{Arguments, Group};
use crate::results::Results;
use crate::stage::Stage;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(part) = &arguments.part {
        return ended(footprint::own::run(part));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime needs a few file descriptors and threads, no more");
    ended(runtime.block_on(run(&arguments)))
}

fn ended(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A bar that is not met is a result, and no failure.
async fn run(arguments: &Arguments) -> Result<()> {
    let docs = Path::new("docs");
    // Better now than after ten minutes.
    if arguments.write && !docs.is_dir() {
        return Err(Error::Missing("there is no folder docs here; start this as `cargo xtask bench`".to_owned()));
    }
    let (started, load) = (Instant::now(), load());
    let plan = arguments.plan();
    let workshop = workshop()?;
    let places = Places { workshop: &workshop, curator_jars: arguments.curator_jars.as_deref() };
    let mut results = Results::default();
    let mut stage = Stage::set(&plan, &places, &mut results).await?;
    workloads::run(&mut stage, &places, &plan, &mut results).await;
    if plan.measures(Group::OwnTime) {
        footprint::own::measure(&plan, stage.address(), &mut results).await;
    }
    if plan.measures(Group::Memory) {
        results.memory = footprint::memory::measure(&plan, stage.address(), &workshop).await;
    }
    if plan.measures(Group::Instructions) {
        results.instructions = footprint::instructions::measure(&plan, stage.address(), &workshop).await;
    }
    let present: Vec<_> = stage.entrants.iter().map(|entrant| entrant.name).collect();
    workloads::run_large(&mut stage, &plan, &mut results).await;
    let rounds = format!(
        "{} rounds of single operations, independent locks and killed leaders, {} of what else has a crowd",
        plan.rounds, plan.crowd_rounds
    );
    if !arguments.quick
        && !arguments.no_ensemble
        && let Some(plan) = plan.on_three(present.into_iter())
    {
        // The one server would take processors from the three.
        drop(stage);
        let mut stage = Stage::set(&plan, &places, &mut results).await?;
        workloads::run(&mut stage, &places, &plan, &mut results).await;
    }
    print(&report::tables(&results))?;
    if arguments.write {
        let circumstances = format!(
            "Seen in one run of {:.0} minutes, {rounds}, on the machine that everything else runs on. Servers: {}. Processors: {}. \
             Load average of the machine before: {load}.\n",
            started.elapsed().as_secs_f64() / 60.0,
            results.servers.join("; "),
            std::thread::available_parallelism().map_or("unknown".to_owned(), |count| count.to_string()),
        );
        report::write(&results, &circumstances, docs)?;
    }
    Ok(())
}

/// How busy the machine has been, by its own account.
fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("unknown").to_owned()
}

/// A reader that has gone has seen enough.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::io("print")(error)),
        _ => Ok(()),
    }
}

/// A folder for what has to be made once, beside what cargo builds.
fn workshop() -> Result<PathBuf> {
    let program = std::env::current_exe().map_err(Error::io("find the path of this program"))?;
    let target = program.parent().and_then(Path::parent);
    let target = target.ok_or_else(|| Error::Missing("this program lies in no folder of cargo's".to_owned()))?;
    Ok(target.join("benchmarks"))
}
