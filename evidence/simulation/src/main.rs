//! `simulate`: runs many seeds, or repeats one.

use std::io::{IsTerminal, Write, stderr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use fairlock_simulation::{Failure, Outcome, Sabotage, Stats, Sweep, report, run};

/// Whoever runs the mutants takes this for "found", so that nothing else may end with it.
const VIOLATION: u8 = 1;

/// Too little happened for the histories to prove anything.
const VACUOUS: u8 = 3;

/// So many histories have had everything at least once.
const NOT_VACUOUS: u64 = 1_000;

/// Runs the shipped library through seeded histories of faults, and checks what must hold.
///
/// Ends with 0 if all held, 1 if a property was broken, 2 if the arguments are wrong, 3 if what must happen in a thousand
/// histories never did.
#[derive(Debug, Parser)]
#[command(name = "simulate")]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Repeat this one seed.
    #[arg(long, conflicts_with_all = ["seeds", "first", "minutes", "threads"])]
    seed: Option<u64>,
    /// Show every step of it.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Run seeds for so long, instead of so many.
    #[arg(long, conflicts_with = "seeds", value_parser = minutes)]
    minutes: Option<Duration>,
    /// How many run at the same time; as many as there are processors if left out.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Make a deliberate error of the simulated world, which must be found.
    #[arg(long, value_parser = control)]
    control: Option<Sabotage>,
}

fn minutes(text: &str) -> Result<Duration, String> {
    let minutes: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if minutes > 0.0 && minutes <= 100_000.0 {
        Ok(Duration::from_secs_f64(minutes * 60.0))
    } else {
        Err("must be more than 0, and at most 100000".to_owned())
    }
}

fn control(name: &str) -> Result<Sabotage, String> {
    Sabotage::ALL.into_iter().find(|control| control.name() == name).ok_or_else(|| {
        let names = Sabotage::ALL.map(|control| control.name());
        format!("there are: {}", names.join(", "))
    })
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) if arguments.trace => trace(seed, arguments.control),
        Some(seed) => sweep(&Sweep { sabotage: arguments.control, ..Sweep::new(seed..seed.saturating_add(1)) }),
        None => {
            let threads = arguments.threads.map_or_else(processors, usize::from);
            let started = Instant::now();
            let (end, until) = match arguments.minutes {
                Some(minutes) => (u64::MAX, Some(started + minutes)),
                None => (arguments.first.saturating_add(arguments.seeds), None),
            };
            sweep(&Sweep { threads, until, sabotage: arguments.control, ..Sweep::new(arguments.first..end) })
        }
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn trace(seed: u64, control: Option<Sabotage>) -> ExitCode {
    let outcome = run(seed, control, true);
    println!("seed {seed}: {:?}", outcome.plan);
    outcome.trace.iter().for_each(|step| println!("{step}"));
    let Outcome { hash, violation, stats, .. } = outcome;
    println!("{} steps, hash {hash:016x}", stats.steps);
    match violation {
        None => {
            println!("all properties held");
            ExitCode::SUCCESS
        }
        Some(violation) => {
            println!("VIOLATION of `{}` at {} ms: {}", violation.property, violation.at_ms, violation.seen);
            ExitCode::from(VIOLATION)
        }
    }
}

fn sweep(sweep: &Sweep) -> ExitCode {
    let started = Instant::now();
    let is_watched = stderr().is_terminal();
    let mut told = started;
    let swept = sweep.run(|ended| {
        if is_watched && told.elapsed() > Duration::from_millis(200) {
            told = Instant::now();
            eprint!("\r{ended} seeds, {:.0} a second ", rate(ended, started));
            drop(stderr().flush());
        }
    });
    if is_watched {
        eprint!("\r\u{1b}[K");
    }
    show(&swept.stats, started);
    match &swept.failure {
        Some(failure) => failed(failure),
        None => judge(&swept.stats),
    }
}

fn failed(failure: &Failure) -> ExitCode {
    print!("{}", report(failure));
    ExitCode::from(VIOLATION)
}

fn judge(stats: &Stats) -> ExitCode {
    let missing = stats.missing();
    if stats.seeds >= NOT_VACUOUS && !missing.is_empty() {
        println!("this proves little, for it never happened: {}", missing.join(", "));
        return ExitCode::from(VACUOUS);
    }
    println!("all properties held");
    ExitCode::SUCCESS
}

fn show(stats: &Stats, started: Instant) {
    let hours = stats.simulated_ms as f64 / 3_600_000.0;
    println!(
        "{} seeds in {:.1} s, {:.0} a second: {hours:.1} simulated hours, {} steps",
        stats.seeds,
        started.elapsed().as_secs_f64(),
        rate(stats.seeds, started),
        stats.steps,
    );
    let counts = stats.counts().map(|(name, count)| format!("{name} {count}"));
    println!("  {}", counts.join("; "));
    let faults = stats.faults_by_kind().map(|(kind, count)| format!("{kind:?} {count}"));
    println!("  {}", faults.join("; "));
}

fn rate(seeds: u64, since: Instant) -> f64 {
    seeds as f64 / since.elapsed().as_secs_f64().max(0.001)
}
