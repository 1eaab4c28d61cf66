//! Tools from crates.io in fixed versions, built into the target folder.

use std::path::PathBuf;
use std::process::Command;

use crate::command::{self, cargo, profile_folder, program};
use crate::error::{Error, Result};

/// A program of crates.io.
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    /// All machines use the same; a newer one is a deliberate change.
    pub(crate) version: &'static str,
}

impl Tool {
    /// Installs it if it is missing; true if it is there now.
    pub(crate) fn install(&self) -> Result<bool> {
        if self.is_installed()? {
            println!("\n==> {}: {} is installed", self.name, self.version);
            return Ok(true);
        }
        let folder = folder()?;
        let folder = folder.to_str().ok_or_else(|| Error::new("the target folder's path is not UTF-8"))?;
        // It only reads a few files: an optimized build takes far longer than it could ever save.
        let arguments = ["install", self.name, "--version", self.version, "--locked", "--debug", "--root", folder];
        let mut install = cargo(&arguments)?;
        install.args(["--no-default-features", "--quiet"]).env("CARGO_PROFILE_DEV_DEBUG", "0");
        println!("\nThis builds {} once; it takes some minutes.", self.name);
        command::run(self.name, install)
    }

    pub(crate) fn command(&self) -> Result<Command> {
        program(self.path()?)
    }

    fn path(&self) -> Result<PathBuf> {
        Ok(folder()?.join("bin").join(self.name).with_extension(std::env::consts::EXE_EXTENSION))
    }

    fn is_installed(&self) -> Result<bool> {
        let version = self.command()?.arg("--version").output();
        let expected = format!("{} {}", self.name, self.version);
        Ok(version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == expected))
    }
}

/// Beside the build's profiles, so that `cargo clean` removes it and nothing outside of the workspace changes.
fn folder() -> Result<PathBuf> {
    let profile = profile_folder()?;
    Ok(profile.parent().unwrap_or(&profile).join("tools"))
}
