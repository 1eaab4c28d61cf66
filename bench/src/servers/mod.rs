//! Servers that are not ZooKeeper's, started for one contender each, as processes with a folder that goes with them.

mod etcd;
mod process;
mod redis;

use std::path::Path;

use crate::contenders::System;
use crate::error::{Error, Result};
use crate::results::Servers;

use process::Process;

/// Servers that run until this is dropped.
pub(crate) struct Running {
    /// Of the one that a contender connects to.
    pub(crate) address: String,
    /// What runs, for people.
    pub(crate) told: String,
    _processes: Vec<Process>,
}

/// Starts what a contender of this system needs; nothing for one on ZooKeeper, which all share.
pub(crate) async fn start(system: System, servers: Servers, workshop: &Path) -> Result<Option<Running>> {
    match (system, servers) {
        (System::ZooKeeper, _) => Ok(None),
        (System::Etcd, servers) => etcd::start(servers, workshop).await.map(Some),
        (System::Redis, Servers::One) => redis::start(workshop).await.map(Some),
        (System::Redis, Servers::Three) => Err(Error::OutOfOrder("start three Redis servers as")),
    }
}
