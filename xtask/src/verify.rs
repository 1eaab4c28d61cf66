//! `cargo xtask verify`: the gate. It changes no file of the tree.

use std::time::Instant;

use crate::command::{self, cargo};
use crate::deny;
use crate::error::Result;
use crate::table::{self, seconds};
use crate::test;

pub(crate) fn run() -> Result<bool> {
    let started = Instant::now();
    let mut gate = Gate::default();
    gate.step("format", || command::run("format", cargo(&["fmt", "--all", "--check"])?))?;
    gate.step("clippy", clippy)?;
    gate.step("documentation", documentation)?;
    if gate.step("cargo-deny", deny::install)? {
        gate.step("dependencies", deny::check)?;
        gate.step_or_none("advisories", deny::check_advisories, "NOT CHECKED, no database")?;
    }
    let mut last_line = String::new();
    gate.step("test", || {
        let outcome = test::tests(false)?;
        last_line = outcome.last_line;
        Ok(outcome.ok)
    })?;

    println!("\n==> gate");
    let mut rows = gate.rows;
    rows.push(vec!["in all".to_owned(), seconds(started.elapsed()), verdict(gate.failed == 0)]);
    table::print(&rows);
    println!("\n{last_line}");
    Ok(gate.failed == 0)
}

fn clippy() -> Result<bool> {
    command::run("clippy", cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?)
}

/// Programs and libraries apart: the library and the command line have the same name, and would overwrite each other's
/// pages while they are written. Libraries come last, so that their pages stay.
fn documentation() -> Result<bool> {
    let mut ok = true;
    for kind in ["--bins", "--lib"] {
        let mut doc = cargo(&["doc", "--workspace", kind, "--no-deps", "--document-private-items"])?;
        doc.env("RUSTDOCFLAGS", "-D warnings");
        ok &= command::run("documentation", doc)?;
    }
    Ok(ok)
}

#[derive(Default)]
struct Gate {
    rows: Vec<Vec<String>>,
    failed: usize,
}

impl Gate {
    /// Runs a step and goes on, whatever its outcome: one run should tell everything.
    fn step(&mut self, name: &str, step: impl FnOnce() -> Result<bool>) -> Result<bool> {
        self.step_or_none(name, || step().map(Some), "")
    }

    /// A step that may be impossible, which does not close the gate but is told.
    fn step_or_none(
        &mut self,
        name: &str,
        step: impl FnOnce() -> Result<Option<bool>>,
        otherwise: &str,
    ) -> Result<bool> {
        let started = Instant::now();
        let outcome = step()?;
        let verdict = outcome.map_or_else(|| otherwise.to_owned(), verdict);
        self.rows.push(vec![name.to_owned(), seconds(started.elapsed()), verdict]);
        self.failed += usize::from(outcome == Some(false));
        Ok(outcome == Some(true))
    }
}

fn verdict(ok: bool) -> String {
    if ok { "ok" } else { "FAILED" }.to_owned()
}
