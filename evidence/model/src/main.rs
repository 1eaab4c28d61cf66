//! `fairlock-model [small|ci|large]`: checks worlds, and shows the history of each violation.

use std::process::ExitCode;

use fairlock_model::check::check;
use fairlock_model::worlds;

fn main() -> ExitCode {
    let which = std::env::args().nth(1).unwrap_or_else(|| "small".into());
    let worlds = match which.as_str() {
        "small" => vec![worlds::small()],
        "three" => vec![worlds::three()],
        other => {
            eprintln!("no such set of worlds: {other}");
            return ExitCode::from(2);
        }
    };
    let mut verdict = ExitCode::SUCCESS;
    for world in worlds {
        let report = check(world, 2, false);
        println!(
            "{}: {} states, {} steps, depth {}, {:.1?}",
            report.world, report.states, report.steps, report.depth, report.took
        );
        println!("  reached: {}", report.reached.join(", "));
        for (property, history) in report.violations {
            println!("  violated: {property}\n{history}");
            verdict = ExitCode::FAILURE;
        }
    }
    verdict
}
