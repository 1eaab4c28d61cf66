//! `cargo xtask test`: runs every test of the workspace and counts them.

use std::time::Instant;

use crate::command::{self, cargo, root};
use crate::error::Result;
use crate::servers;
use crate::suites::{self, Suite};
use crate::table::{self, seconds};
use crate::tally::Tally;
use crate::{evidence, instructions, mutants};

/// How many tests run at once, for the harness of Rust.
const THREADS: &str = "RUST_TEST_THREADS";
/// Nearly all tests that take long wait for a server's clock, and keep no processor busy meanwhile.
const THREADS_PER_PROCESSOR: usize = 3;

/// How the tests went. Its line is for the very end of the output, behind whatever else there is to say.
pub(crate) struct Outcome {
    pub(crate) ok: bool,
    pub(crate) last_line: String,
}

impl Outcome {
    fn of(ok: bool, tally: &Tally, not_run: u64) -> Self {
        let (passed, failed, skipped) = (tally.passed(), tally.failed(), tally.skipped() + not_run);
        Self { ok, last_line: format!("{passed} passed, {failed} failed, {skipped} skipped") }
    }
}

pub(crate) fn run(quick: bool) -> Result<bool> {
    let outcome = tests(quick)?;
    println!("\n{}", outcome.last_line);
    Ok(outcome.ok)
}

/// Runs the tests and prints all but the last line.
pub(crate) fn tests(quick: bool) -> Result<Outcome> {
    let all = if quick { suites::find(&root()?)? } else { vec![] };
    let (not_run, quick_ones): (Vec<_>, Vec<_>) = all.into_iter().partition(|suite| suite.is_slow);
    if quick {
        tell_not_run(&not_run);
    }
    let mut times = Vec::new();

    // By itself, so that the times of tests are those of tests, and a mistake in the code is not taken for a failed test.
    let started = Instant::now();
    let mut selection = vec!["test", "--workspace"];
    selection.extend(evidence::OPTIMIZED.iter().flat_map(|package| ["--exclude", package]));
    if quick {
        selection.extend(["--lib", "--bins"]);
        selection.extend(quick_ones.iter().flat_map(|suite| ["--test", &suite.name]));
    }
    let compiled = command::run("compile", cargo(&[&selection[..], &["--no-run"]].concat())?)?;
    times.push(format!("compile {}", seconds(started.elapsed())));
    if !compiled {
        println!("\nThe tests do not compile, so none was run.");
        return Ok(Outcome::of(false, &Tally::default(), 0));
    }

    let mut found = None;
    if !quick {
        let started = Instant::now();
        match servers::prepare() {
            Ok(servers) => found = Some(servers),
            Err(error) => {
                println!("\nNo test was run: {error}. `cargo xtask test --quick` runs those that need no server.");
                return Ok(Outcome::of(false, &Tally::default(), 0));
            }
        }
        times.push(format!("servers {}", seconds(started.elapsed())));
    }

    let started = Instant::now();
    let mut tally = Tally::default();
    let impossible = found.iter().flat_map(|servers| &servers.impossible).copied().collect::<Vec<_>>();
    let mut succeeded = run_cargo_test("test", &selection, &impossible, &mut tally)?;
    if quick {
        // Named suites exclude doc tests.
        succeeded &= run_cargo_test("doc tests", &["test", "--workspace", "--doc"], &[], &mut tally)?;
    }
    tally.finish();
    times.push(format!("tests {}", seconds(started.elapsed())));
    if !quick {
        succeeded &= evidence(&mut tally, &mut times)?;
    }

    summarize(&tally);
    println!("\nZooKeeper: {}", found.as_ref().map_or("none was used", |servers| &servers.used));
    if !impossible.is_empty() {
        println!("SKIPPED, because the other kind of server cannot run here: {}", impossible.join(", "));
    }
    for check in &tally.not_possible {
        println!("SKIPPED: {check}");
    }
    println!("Time: {}", times.join(", "));
    if quick {
        tell_not_run(&not_run);
    }
    let tests_not_run: u64 = not_run.iter().map(|suite| suite.tests).sum();
    let checks_not_run = if quick { evidence::CHECKS + instructions::CHECKS + mutants::count()? } else { 0 };
    Ok(Outcome::of(is_good(succeeded, &tally), &tally, tests_not_run + checks_not_run))
}

/// What means nothing or takes too long without optimization: the model, many simulated histories, what the core costs, and that
/// they see what is wrong.
fn evidence(tally: &mut Tally, times: &mut Vec<String>) -> Result<bool> {
    let started = Instant::now();
    let mut selection = vec!["test", "--profile", "evidence"];
    selection.extend(evidence::OPTIMIZED.iter().flat_map(|package| ["--package", package]));
    let compiled = command::run("compile", cargo(&[&selection[..], &["--no-run"]].concat())?)?;
    times.push(format!("compile optimized {}", seconds(started.elapsed())));
    let mut succeeded = compiled && run_cargo_test("test", &selection, &[], tally)?;
    tally.finish();
    for (name, check) in evidence::checks()? {
        let started = Instant::now();
        let ok = command::run(name, check)?;
        succeeded &= ok;
        let failures = if ok { vec![] } else { vec!["found a violation, or could not run: see above".to_owned()] };
        tally.add(name, u64::from(ok), &failures, started.elapsed().as_secs_f64());
        times.push(format!("{name} {}", seconds(started.elapsed())));
    }
    let started = Instant::now();
    succeeded &= instructions::check(tally)?;
    times.push(format!("instructions {}", seconds(started.elapsed())));
    let started = Instant::now();
    succeeded &= mutants::run_quick_ones(tally)?;
    times.push(format!("mutants {}", seconds(started.elapsed())));
    Ok(succeeded)
}

fn run_cargo_test(name: &str, selection: &[&str], without: &[&str], tally: &mut Tally) -> Result<bool> {
    let mut command = cargo(&[selection, &["--no-fail-fast"]].concat())?;
    if !without.is_empty() {
        command.args(["--", "--exact"]).args(without.iter().flat_map(|test| ["--skip", test]));
    }
    // Colours would stand between us and the words.
    command.env("CARGO_TERM_COLOR", "never");
    if std::env::var_os(THREADS).is_none() {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        command.env(THREADS, (processors * THREADS_PER_PROCESSOR).to_string());
    }
    command::run_and_read(name, command, |line| tally.read(line))
}

/// Prints why the tests are not good, if they are not.
fn is_good(succeeded: bool, tally: &Tally) -> bool {
    let mut complaints = Vec::new();
    if tally.passed() + tally.failed() == 0 {
        complaints.push("No test was run.".to_owned());
    } else if !succeeded && tally.failed() == 0 {
        complaints.push("cargo failed, although no test did: see its errors above.".to_owned());
    }
    complaints.extend(tally.failures.iter().map(|test| format!("FAILED   {test}")));
    complaints.extend(tally.unexplained.iter().map(|test| format!("IGNORED without a reason   {test}")));
    if !complaints.is_empty() {
        println!("\n{}", complaints.join("\n"));
    }
    complaints.is_empty() && tally.failed() == 0
}

fn summarize(tally: &Tally) {
    let row = |name: &str, passed: u64, failed: u64, skipped: u64, time: f64| {
        vec![name.to_owned(), passed.to_string(), failed.to_string(), skipped.to_string(), format!("{time:.1} s")]
    };
    let mut rows = vec![["suite", "passed", "failed", "skipped", "time"].map(str::to_owned).to_vec()];
    rows.extend(tally.suites.iter().map(|s| row(&s.name, s.passed, s.failed, s.skipped, s.seconds)));
    let time = tally.suites.iter().map(|suite| suite.seconds).sum();
    rows.push(row("in all", tally.passed(), tally.failed(), tally.skipped(), time));
    println!("\n==> summary");
    table::print(&rows);
}

fn tell_not_run(suites: &[Suite]) {
    println!("\nNOT RUN, because of --quick: everything that needs a real ZooKeeper, and what takes minutes.");
    println!("These count as skipped:");
    let row = |suite: &Suite| vec![suite.place.clone(), suite.tests.to_string(), "tests".to_owned()];
    let mut rows: Vec<_> = suites.iter().map(row).collect();
    rows.push(vec!["model, simulation, instructions, mutants".to_owned(), String::new(), "checks".to_owned()]);
    table::print(&rows);
}
