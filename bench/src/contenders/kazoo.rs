//! kazoo's lock: a Python environment with kazoo in it, made once, and a small program.

use std::path::Path;

use tokio::process::Command;

use super::Places;
use super::peer::{self, Peer};
use crate::error::{Error, Result};

/// What docs/BENCHMARKS.md has figures of.
const KAZOO: &str = "kazoo==2.11.0";

const PROGRAM: &str = include_str!("../../peers/kazoo_peer.py");

pub(super) async fn open(address: &str, places: &Places<'_>) -> Result<Peer> {
    let folder = places.workshop.join("kazoo");
    let python = folder.join("bin").join("python");
    if !has_kazoo(&python).await {
        install(&folder, &python).await.map_err(|error| {
            Error::Missing(format!("{KAZOO} cannot be installed; it needs python3 with venv, and PyPI ({error})"))
        })?;
    }
    let program = folder.join("kazoo_peer.py");
    std::fs::write(&program, PROGRAM).map_err(Error::io(format!("write {}", program.display())))?;
    let mut command = Command::new(python);
    command.arg(program);
    Peer::start(command, address).await
}

async fn install(folder: &Path, python: &Path) -> Result<()> {
    let mut make = Command::new("python3");
    make.args(["-m", "venv"]).arg(folder);
    peer::prepare(make).await?;
    let mut install = Command::new(python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", KAZOO]);
    peer::prepare(install).await
}

async fn has_kazoo(python: &Path) -> bool {
    let mut look = Command::new(python);
    let version = KAZOO.rsplit('=').next().unwrap_or_default();
    look.args(["-c", "import kazoo.version, sys; sys.exit(kazoo.version.__version__ != sys.argv[1])", version]);
    peer::prepare(look).await.is_ok()
}
