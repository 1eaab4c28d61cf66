//! `fairlock-model [small|ci|large|<world>]`: checks worlds up to the first that is violated, and shows the history.

use std::process::ExitCode;

use fairlock_model::check::check;
use fairlock_model::worlds;

const THREADS: usize = 2;

fn main() -> ExitCode {
    let which = std::env::args().nth(1).unwrap_or_else(|| "small".into());
    // A defect changes the number of states in nearly any case, so it proves nothing that `small` could tell.
    let (worlds, are_counted, depth_first) = match which.as_str() {
        "small" => (worlds::smalls(), false, false),
        "ci" => (worlds::ci(), true, false),
        // Depth first keeps few states at a time; its histories are longer.
        "large" => (worlds::larges(), true, true),
        name => {
            let mut worlds = worlds::ci();
            worlds.extend(worlds::larges());
            worlds.retain(|(world, _)| world.name == name);
            if worlds.is_empty() {
                eprintln!("no world and no set of worlds is called {name:?}; the sets are small, ci and large");
                return ExitCode::from(2);
            }
            (worlds, true, false)
        }
    };
    let mut verdict = ExitCode::SUCCESS;
    for (world, expected) in worlds {
        let report = check(world, THREADS, depth_first);
        println!("{report}");
        for (property, history) in &report.violations {
            println!("violated: {property}\n{history}");
        }
        if !report.violations.is_empty() || !report.missing.is_empty() {
            return ExitCode::FAILURE;
        }
        if are_counted && report.violations.is_empty() && expected != report.states {
            println!("it had {expected} states when they were counted: the model or the machine is another now");
            verdict = ExitCode::FAILURE;
        }
    }
    verdict
}
