//! Runs the checker over a world, and tells what came of it.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model, Path};

use crate::properties::reach;
use crate::state::State;
use crate::step::Step;
use crate::world::World;

/// What came of a check.
#[derive(Debug)]
pub struct Report {
    /// The world's name.
    pub world: &'static str,
    /// How many different states were visited.
    pub states: usize,
    /// How many steps were taken.
    pub steps: usize,
    /// The length of the longest history.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// The properties that are violated, each with a history that shows it.
    pub violations: Vec<(&'static str, String)>,
    /// The properties that must be reached, and were.
    pub reached: Vec<&'static str>,
    /// Those that must be, and were not: then the rest proves nothing of it.
    pub missing: Vec<&'static str>,
}

/// Visits every state of a world, breadth first, or depth first to save memory.
pub fn check(world: World, threads: usize, depth_first: bool) -> Report {
    let name = world.name;
    let begun = Instant::now();
    let builder = world.clone().checker().threads(threads).finish_when(HasDiscoveries::AnyFailures);
    if depth_first {
        report(name, begun, &world, &builder.spawn_dfs().join())
    } else {
        report(name, begun, &world, &builder.spawn_bfs().join())
    }
}

fn report(name: &'static str, begun: Instant, world: &World, checker: &impl Checker<World>) -> Report {
    let took = begun.elapsed();
    let properties = world.properties();
    let mut report = Report {
        world: name,
        states: checker.unique_state_count(),
        steps: checker.state_count(),
        depth: checker.max_depth(),
        took,
        violations: vec![],
        reached: vec![],
        missing: vec![],
    };
    for property in properties {
        let Some(path) = checker.discovery(property.name) else {
            // Where somebody holds already when it begins, nobody may be alone later.
            let is_excused = world.is_settled && property.name == reach::GRANTED_ALONE;
            if property.expectation == Expectation::Sometimes && !is_excused {
                report.missing.push(property.name);
            }
            continue;
        };
        if property.expectation.discovery_is_failure() {
            report.violations.push((property.name, history(&path)));
        } else {
            report.reached.push(property.name);
        }
    }
    report
}

/// A history, step by step, and how it ends.
pub fn history(path: &Path<State, Step>) -> String {
    let mut text = String::new();
    for (number, step) in path.clone().into_actions().iter().enumerate() {
        let _ = writeln!(text, "{:>3}. {step:?}", number + 1);
    }
    let _ = writeln!(text, "{:#?}", path.last_state());
    text
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Report { world, states, steps, depth, took, violations, reached, missing } = self;
        let verdict = if violations.is_empty() { "all properties hold" } else { "VIOLATED" };
        write!(f, "{world}: {states} states, {steps} steps, depth {depth}, {took:.1?}: {verdict}")?;
        write!(f, " (reached: {}", reached.join(", "))?;
        if !missing.is_empty() {
            write!(f, "; never: {}", missing.join(", "))?;
        }
        f.write_str(")")
    }
}
