//! Checks the dependencies with cargo-deny: licences, sources, bans, and known vulnerabilities where those can be had.

use std::path::PathBuf;
use std::time::Duration;

use crate::command::{self, cargo, profile_folder, program, run_quietly};
use crate::error::{Error, Result};

/// All machines check by the same rules; a newer one is a deliberate change.
const VERSION: &str = "0.20.2";

/// Where there is a network, the database comes within seconds.
const FETCH_PATIENCE: Duration = Duration::from_secs(60);

/// Installs cargo-deny if it is missing; true if it is there now.
pub(crate) fn install() -> Result<bool> {
    if is_installed()? {
        println!("\n==> cargo-deny: {VERSION} is installed");
        return Ok(true);
    }
    let folder = folder()?;
    let folder = folder.to_str().ok_or_else(|| Error::new("the target folder's path is not UTF-8"))?;
    // It only reads a few files: an optimized build takes far longer than it could ever save.
    let arguments = ["install", "cargo-deny", "--version", VERSION, "--locked", "--debug", "--root", folder];
    let mut install = cargo(&arguments)?;
    install.args(["--no-default-features", "--quiet"]).env("CARGO_PROFILE_DEV_DEBUG", "0");
    println!("\nThis builds cargo-deny once; it takes some minutes.");
    command::run("cargo-deny", install)
}

pub(crate) fn check() -> Result<bool> {
    let mut check = program(path()?)?;
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
    let mut fetch = program(path()?)?;
    // Without a network git may want to ask for a password.
    fetch.args(["fetch", "db"]).env("GIT_TERMINAL_PROMPT", "0");
    if let Err(error) = run_quietly(fetch, FETCH_PATIENCE) {
        println!("\n==> advisories: NOT CHECKED, since the database of known vulnerabilities cannot be had: {error}");
        return Ok(None);
    }
    let mut check = program(path()?)?;
    check.args(["--workspace", "check", "advisories"]);
    command::run("advisories", check).map(Some)
}

/// Beside the build's profiles, so that `cargo clean` removes it and nothing outside of the workspace changes.
fn folder() -> Result<PathBuf> {
    let profile = profile_folder()?;
    Ok(profile.parent().unwrap_or(&profile).join("tools"))
}

fn path() -> Result<PathBuf> {
    Ok(folder()?.join("bin").join("cargo-deny").with_extension(std::env::consts::EXE_EXTENSION))
}

fn is_installed() -> Result<bool> {
    let version = program(path()?)?.arg("--version").output();
    Ok(version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == format!("cargo-deny {VERSION}")))
}
