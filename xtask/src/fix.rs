//! `cargo xtask fix`: lets the tools repair what they can.

use crate::command::{self, cargo};
use crate::error::Result;

pub(crate) fn run() -> Result<bool> {
    // A tree that is being worked on is the very one to repair. Formatting comes last, since repairs are not formatted.
    let clippy =
        ["clippy", "--workspace", "--all-targets", "--fix", "--allow-dirty", "--allow-staged", "--allow-no-vcs"];
    let repaired = command::run("clippy", cargo(&clippy)?)?;
    let formatted = command::run("format", cargo(&["fmt", "--all"])?)?;
    Ok(repaired && formatted)
}
