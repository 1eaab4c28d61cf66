//! A deterministic simulation of the shipped library: its driver, sessions and public face run through seeded histories
//! of faults, on the embedded store behind a simulated network.
//!
//! One number decides the schedule, the latencies and the faults of a history, so that every failure can be repeated by
//! one command. Time is tokio's, paused: it passes when everybody waits. A history has two phases. First, faults happen
//! and the properties that must always hold are checked; then everything heals, and all that was begun must come to its
//! end within a bound.
//!
//! | file | what it has |
//! |---|---|
//! | `plan.rs` | what a seed decides beforehand |
//! | `network/` | the servers, the wires, the faults |
//! | `clock.rs` | the clients' clocks |
//! | `workload.rs` | what applications do |
//! | `book.rs`, `leading.rs`, `facts.rs` | what is seen of it |
//! | `checkers/` | the properties |
//! | `judge.rs`, `trace.rs`, `stats.rs`, `panics.rs` | the verdict, and what it rests on |
//! | `sweep.rs`, `report.rs` | many histories, and what is shown of one that failed |
//!
//! What is not simulated: threads that run at the same time, a process that is paused as a whole, and servers that
//! disagree on more than when they learn of a session.

mod book;
mod checkers;
mod clock;
mod facts;
mod fan;
mod guard;
mod judge;
mod leading;
mod network;
mod panics;
mod plan;
mod report;
mod stats;
mod sweep;
mod trace;
mod workload;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinSet;

pub use self::judge::Violation;
pub use self::plan::{FaultKind, Plan, Sabotage};
pub use self::report::report;
pub use self::stats::Stats;
pub use self::sweep::{Failure, Sweep, Swept};

use self::facts::Fact;
use self::judge::Judge;
use self::network::{Network, Stage};
use self::workload::Workload;

/// How long after the faults everything may take, besides ten session timeouts: a waiter looks every 30 s whether it
/// missed an event, and so does a clean-up that was refused.
const LIVENESS_BOUND: Duration = Duration::from_secs(100);

/// What became of a history.
#[derive(Debug)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// What it had.
    pub plan: Plan,
    /// The hash of its trace.
    pub hash: u64,
    /// What happened.
    pub stats: Stats,
    /// The first property that was broken.
    pub violation: Option<Violation>,
    /// Its trace, if it was to be kept.
    pub trace: Vec<String>,
}

/// Runs the history of one seed.
///
/// # Panics
///
/// If no runtime can be made.
pub fn run(seed: u64, sabotage: Option<Sabotage>, keeps_trace: bool) -> Outcome {
    // The library's own lots: ids of attempts, and jitter.
    fastrand::seed(seed);
    let mut rng = Rng::with_seed(seed);
    let plan = Plan::draw(&mut rng, sabotage);
    panics::collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing that may be missing");
    // Tasks' panics are caught by the runtime; closing and dropping handles panics here.
    let history = AssertUnwindSafe(|| runtime.block_on(simulate(plan.clone(), rng, keeps_trace)));
    let Ok(network) = std::panic::catch_unwind(history) else {
        let violation = Violation { property: "no panic", seen: panics::stop().join("; "), at_ms: 0 };
        let stats = Stats { seeds: 1, ..Stats::default() };
        return Outcome { seed, plan, hash: 0, stats, violation: Some(violation), trace: vec![] };
    };
    drop(runtime);
    let mut world = network.lock();
    for message in panics::stop() {
        world.observe(Fact::Panicked { message });
    }
    let judge = &mut world.judge;
    judge.stats.seeds = 1;
    judge.stats.steps = judge.trace().count();
    Outcome {
        seed,
        plan,
        hash: judge.trace().hash(),
        stats: judge.stats.clone(),
        violation: judge.violation.clone(),
        trace: judge.trace().lines(),
    }
}

async fn simulate(plan: Plan, mut rng: Rng, keeps_trace: bool) -> Arc<Network> {
    let judge = Judge::new(&plan, keeps_trace);
    let network = Network::new(plan.clone(), rng.fork(), judge);
    network.lock().furnish();
    // All that is due is worked off in one go, whatever the runtime thinks of fairness.
    let agenda = tokio::spawn(tokio::task::unconstrained(network.clone().run()));
    let workload = Workload::new(network.clone());
    let mut contenders = JoinSet::new();
    for _ in 0..plan.contenders {
        contenders.spawn(workload.clone().contend(rng.fork()));
    }
    let mut observers = JoinSet::new();
    for _ in 0..plan.observers {
        observers.spawn(workload.clone().observe(rng.fork()));
    }
    let mut stage = network.lock().stage.subscribe();
    let failed = async {
        let _ = stage.wait_for(|stage| *stage == Stage::Failed).await;
    };
    tokio::select! {
        biased;
        () = failed => {},
        // It goes on for ever, unless it panics.
        _ = agenda => {},
        () = come_to_an_end(&network, &workload, contenders, observers, &mut rng) => {},
    }
    let mut world = network.lock();
    world.judge.stats.simulated_ms = world.now();
    world.judge.close();
    drop(world);
    network
}

/// Waits for the end of the faults, then for the end of all that was begun.
async fn come_to_an_end(
    network: &Network,
    workload: &Workload,
    mut contenders: JoinSet<()>,
    mut observers: JoinSet<()>,
    rng: &mut Rng,
) {
    let bound = LIVENESS_BOUND + 10 * Duration::from_millis(network.lock().plan.timeout_ms);
    let mut stage = network.lock().stage.subscribe();
    let _ = stage.wait_for(|stage| *stage != Stage::Faulty).await;
    let joined = tokio::time::timeout(bound, async { while contenders.join_next().await.is_some() {} }).await;
    let mut unfinished = if joined.is_err() { contenders.len() } else { 0 };
    if unfinished == 0 && !observers.is_empty() {
        workload.conclude_the_election(bound, rng).await;
        network.lock().stage.set(Stage::Over);
        let joined = tokio::time::timeout(bound, async { while observers.join_next().await.is_some() {} }).await;
        unfinished = if joined.is_err() { observers.len() } else { 0 };
    }
    if unfinished == 0 {
        workload.end(rng).await;
        let is_over = || {
            let world = network.lock();
            world.book.node_count() + world.sessions() == 0
        };
        let _ = tokio::time::timeout(bound, async {
            while !is_over() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    }
    let mut world = network.lock();
    let (nodes_left, sessions_left) =
        if unfinished == 0 { (world.book.node_count(), world.sessions()) } else { (0, 0) };
    world.observe(Fact::Finished { unfinished, nodes_left, sessions_left });
    for message in panics::take() {
        world.observe(Fact::Panicked { message });
    }
}
