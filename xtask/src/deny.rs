//! Checks the dependencies with cargo-deny: licences, sources, bans, and known vulnerabilities where those can be had.

use std::time::Duration;

use crate::command::{self, run_quietly};
use crate::error::Result;
use crate::tool::Tool;

/// All machines check by the same rules.
const TOOL: Tool = Tool { name: "cargo-deny", version: "0.20.2" };

/// Where there is a network, the database comes within seconds.
const FETCH_PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn install() -> Result<bool> {
    TOOL.install()
}

pub(crate) fn check() -> Result<bool> {
    let mut check = TOOL.command()?;
    // Duplicates are warnings and many, so the paths to them would hide everything else.
    check.args([
        "--workspace",
        "--log-level",
        "error",
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]);
    command::run("dependencies", check)
}

/// Looks for known vulnerabilities; `None` if the database of them cannot be had.
pub(crate) fn check_advisories() -> Result<Option<bool>> {
    let mut fetch = TOOL.command()?;
    // Without a network git may want to ask for a password.
    fetch.args(["fetch", "db"]).env("GIT_TERMINAL_PROMPT", "0");
    if let Err(error) = run_quietly(fetch, FETCH_PATIENCE) {
        println!("\n==> advisories: NOT CHECKED, since the database of known vulnerabilities cannot be had: {error}");
        return Ok(None);
    }
    let mut check = TOOL.command()?;
    check.args(["--workspace", "check", "advisories"]);
    command::run("advisories", check).map(Some)
}
