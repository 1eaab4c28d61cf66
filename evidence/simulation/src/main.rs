//! Runs the simulation over many seeds on a few threads and tells what happened, or one seed with its trace.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use fairlock_simulation::{FaultKind, Outcome, Stats, run};

/// From so many histories on, everything that can happen must have happened at least once.
const ENOUGH_SEEDS: u64 = 1_000;

/// How much of a failed history's trace is shown.
const TRACE_LINES: usize = 60;

/// More failures than these say nothing new.
const FAILURES_MAX: usize = 5;

/// Runs the shipped library through seeded histories of faults.
#[derive(Debug, Parser)]
struct Args {
    /// How many seeds to run.
    #[arg(long, default_value_t = 20_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Runs this seed only.
    #[arg(long)]
    seed: Option<u64>,
    /// Prints the whole trace of the seed.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// How many threads to use.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Stops after so many minutes, whatever is left.
    #[arg(long)]
    minutes: Option<u64>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match args.seed {
        Some(seed) => replay(seed, args.trace),
        None => run_many(&args),
    }
}

fn replay(seed: u64, whole: bool) -> ExitCode {
    let outcome = run(seed, None, true);
    let hidden = if whole { 0 } else { outcome.trace.len().saturating_sub(TRACE_LINES) };
    for line in &outcome.trace[hidden..] {
        println!("{line}");
    }
    println!("{:?}", outcome.plan);
    println!("seed {seed}: {} steps, trace {:016x}", outcome.stats.steps, outcome.hash);
    match &outcome.violation {
        None => ExitCode::SUCCESS,
        Some(_) => {
            report(&outcome);
            ExitCode::FAILURE
        }
    }
}

fn run_many(args: &Args) -> ExitCode {
    let started = Instant::now();
    let deadline = args.minutes.map(|minutes| started + Duration::from_secs(60 * minutes));
    let next = AtomicU64::new(0);
    let total = Mutex::new((Stats::default(), Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..args.threads.max(1) {
            scope.spawn(|| work(args, deadline, &next, &total));
        }
        if std::io::stderr().is_terminal() {
            show_progress(args, deadline, started, &next);
        }
    });
    let (stats, failures) = total.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    for seed in &failures {
        // Again, with its trace: it is the same history.
        let outcome = run(*seed, None, true);
        let shown = outcome.trace.len().saturating_sub(TRACE_LINES);
        for line in &outcome.trace[shown..] {
            println!("{line}");
        }
        report(&outcome);
    }
    summarize(&stats, started.elapsed());
    let missing = if stats.seeds >= ENOUGH_SEEDS { stats.missing() } else { vec![] };
    if !missing.is_empty() {
        println!("never happened, so that nothing is proved of it: {}", missing.join(", "));
    }
    if failures.is_empty() && missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs seeds until there are none left.
fn work(args: &Args, deadline: Option<Instant>, next: &AtomicU64, total: &Mutex<(Stats, Vec<u64>)>) {
    let mut stats = Stats::default();
    let mut failures = Vec::new();
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let is_late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if index >= args.seeds || is_late || failures.len() >= FAILURES_MAX {
            break;
        }
        let outcome = run(args.first + index, None, false);
        stats.add(&outcome.stats);
        if outcome.violation.is_some() {
            failures.push(outcome.seed);
        }
    }
    let mut total = total.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    total.0.add(&stats);
    total.1.extend(failures);
}

fn show_progress(args: &Args, deadline: Option<Instant>, started: Instant, next: &AtomicU64) {
    loop {
        let done = next.load(Ordering::Relaxed).min(args.seeds);
        eprint!("\r{done} of {} seeds, {} s", args.seeds, started.elapsed().as_secs());
        let _ = std::io::stderr().flush();
        if done >= args.seeds || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            eprintln!();
            return;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn report(outcome: &Outcome) {
    if let Some(violation) = &outcome.violation {
        println!(
            "seed {}: {} is broken at {} ms: {}",
            outcome.seed, violation.property, violation.at_ms, violation.seen
        );
        println!("replay it with: cargo xtask sim --seed {}", outcome.seed);
    }
}

fn summarize(stats: &Stats, elapsed: Duration) {
    let seconds = elapsed.as_secs_f64();
    #[allow(clippy::cast_precision_loss, reason = "for people to read")]
    let (hours, rate) = (stats.simulated_ms as f64 / 3_600_000.0, stats.seeds as f64 / seconds);
    println!("{:>12}  seeds in {seconds:.1} s, {rate:.0} per second", stats.seeds);
    println!("{hours:>12.1}  hours simulated");
    println!("{:>12}  steps", stats.steps);
    for (name, count) in stats.counts() {
        println!("{count:>12}  {name}");
    }
    for kind in FaultKind::ALL {
        println!("{:>12}  {kind:?}", stats.faults[kind as usize]);
    }
    println!("{:>12}  nodes deleted in another's place (the named limit)", stats.limit_met);
}
