//! Runs the checker over a world, and tells what came of it.

use std::fmt::{Debug, Write as _};
use std::hash::Hash;
use std::time::{Duration, Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model, Path};

use crate::election;
use crate::properties::reach;
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

/// A world that can be checked.
pub trait Checked: Model<State: Clone + Debug + Hash + PartialEq, Action: Clone + Debug + PartialEq> {
    /// What it is called.
    fn name(&self) -> &'static str;

    /// Whether this, which must be reached, need not be in this world.
    fn is_excused(&self, property: &str) -> bool;
}

impl Checked for World {
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_excused(&self, property: &str) -> bool {
        // Where somebody holds already when it begins, nobody may be alone later.
        self.is_settled && property == reach::GRANTED_ALONE
    }
}

impl Checked for election::World {
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_excused(&self, _: &str) -> bool {
        false
    }
}

/// Visits every state of a world, breadth first, or depth first to save memory.
pub fn check<W>(world: W, threads: usize, depth_first: bool) -> Report
where
    W: Checked + Clone + Send + Sync + 'static,
    W::State: Send + Sync,
    W::Action: Send + Sync,
{
    let begun = Instant::now();
    let builder = world.clone().checker().threads(threads).finish_when(HasDiscoveries::AnyFailures);
    if depth_first {
        report(begun, &world, &builder.spawn_dfs().join())
    } else {
        report(begun, &world, &builder.spawn_bfs().join())
    }
}

fn report<W: Checked>(begun: Instant, world: &W, checker: &impl Checker<W>) -> Report {
    let took = begun.elapsed();
    let properties = world.properties();
    let mut report = Report {
        world: world.name(),
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
            if property.expectation == Expectation::Sometimes && !world.is_excused(property.name) {
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
pub fn history<S: Debug, A: Clone + Debug>(path: &Path<S, A>) -> String
where
    Path<S, A>: Clone,
{
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
