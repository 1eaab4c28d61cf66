//! Installs packages on Debian and its kin, as root or with sudo.

use std::path::Path;
use std::process::Command;

use crate::command::program;
use crate::error::{Error, Result};

/// The advice is for other systems: what to do there instead.
pub(crate) fn install(packages: &[&str], advice: &str) -> Result<()> {
    let names = packages.join(" ");
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err(Error::new(format!("this is no Debian-like system, so nothing was installed: {advice}")));
    }
    let mut update = as_root(&["apt-get", "update", "-q"])
        .map_err(|error| Error::new(format!("{error}; install these packages: {names}")))?;
    let mut install = as_root(&["apt-get", "install", "-q", "-y", "--no-install-recommends"])?;
    install.args(packages);
    println!("Installing {names}");
    for command in [&mut update, &mut install] {
        let status = command.status().map_err(Error::io("run apt-get"))?;
        if !status.success() {
            return Err(Error::new(format!("apt-get ended with {status}; install these packages: {names}")));
        }
    }
    Ok(())
}

fn as_root(words: &[&str]) -> Result<Command> {
    let succeeds = |command: &[&str]| {
        let output = program(command[0]).and_then(|mut program| {
            program.args(&command[1..]).output().map_err(Error::io(format_args!("run {}", command[0])))
        });
        output.ok().filter(|output| output.status.success())
    };
    let is_root = succeeds(&["id", "-u"]).is_some_and(|output| output.stdout.trim_ascii() == b"0");
    let sudo: &[&str] = if is_root {
        &[]
    } else if succeeds(&["sudo", "-n", "true"]).is_some() {
        &["sudo", "-n"]
    } else {
        return Err(Error::new("neither root nor sudo without a password"));
    };
    let mut command = program("env")?;
    // env comes last before the words, since sudo drops variables.
    if let [first, rest @ ..] = sudo {
        command = program(first)?;
        command.args(rest).arg("env");
    }
    command.arg("DEBIAN_FRONTEND=noninteractive").args(words);
    Ok(command)
}
