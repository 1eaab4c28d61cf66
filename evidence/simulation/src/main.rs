//! Runs the simulation over many seeds, or one seed with its trace.

use fairlock_simulation::run;

fn main() {
    let seeds: u64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100);
    let first: u64 = std::env::args().nth(2).and_then(|text| text.parse().ok()).unwrap_or(0);
    let trace = std::env::args().nth(3).is_some();
    let mut stats = fairlock_simulation::Stats::default();
    let started = std::time::Instant::now();
    for seed in first..first + seeds {
        let outcome = run(seed, None, trace);
        stats.add(&outcome.stats);
        if let Some(violation) = &outcome.violation {
            for line in &outcome.trace {
                println!("{line}");
            }
            println!("seed {seed}: {violation:?} {:?}", outcome.plan);
        }
    }
    println!("{:?}  {:#?} missing {:?}", started.elapsed(), stats, stats.missing());
}
