//! `fairlock-model [small|ci|large|<world>]`: checks worlds up to the first that is violated, and shows the history.

use std::process::ExitCode;

use fairlock_model::check::{Report, check};
use fairlock_model::{election, worlds};

const THREADS: usize = 2;

fn main() -> ExitCode {
    let which = std::env::args().nth(1).unwrap_or_else(|| "small".into());
    // A defect changes the number of states in nearly any case, so it proves nothing that `small` could tell.
    let (worlds, elections, are_counted, depth_first) = match which.as_str() {
        "small" => (worlds::smalls(), election::worlds::smalls(), false, false),
        "ci" => (worlds::ci(), election::worlds::ci(), true, false),
        // Depth first keeps few states at a time; its histories are longer.
        "large" => (worlds::larges(), vec![], true, true),
        name => {
            let mut worlds = worlds::ci();
            worlds.extend(worlds::larges());
            worlds.retain(|(world, _)| world.name == name);
            let mut elections = election::worlds::ci();
            elections.retain(|(world, _)| world.name == name);
            if worlds.is_empty() && elections.is_empty() {
                eprintln!("no world and no set of worlds is called {name:?}; the sets are small, ci and large");
                return ExitCode::from(2);
            }
            (worlds, elections, true, false)
        }
    };
    let elections = elections.into_iter().map(|(world, expected)| (check(world, THREADS, depth_first), expected));
    let reports = worlds.into_iter().map(|(world, expected)| (check(world, THREADS, depth_first), expected));
    let mut verdict = ExitCode::SUCCESS;
    for (report, expected) in elections.chain(reports) {
        println!("{report}");
        if shows_violations(&report) || !report.missing.is_empty() {
            return ExitCode::FAILURE;
        }
        if are_counted && expected != report.states {
            println!("it had {expected} states when they were counted: the model or what it runs is another now");
            verdict = ExitCode::FAILURE;
        }
    }
    verdict
}

fn shows_violations(report: &Report) -> bool {
    for (property, history) in &report.violations {
        println!("violated: {property}\n{history}");
    }
    !report.violations.is_empty()
}
