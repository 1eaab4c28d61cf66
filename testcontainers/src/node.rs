//! One server process, whether in a container or not.

use std::time::Duration;

use crate::container::ContainerNode;
use crate::error::Error;
use crate::process::ProcessNode;
use crate::settings::Settings;

/// What to start a server with.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    pub(crate) settings: &'a Settings,
    /// The number in the file myid, from 1.
    pub(crate) id: usize,
    /// The lines `server.N=…` of zoo.cfg.
    pub(crate) peers: &'a [String],
}

#[derive(Debug)]
pub(crate) enum Node {
    Container(Box<ContainerNode>),
    Process(Box<ProcessNode>),
}

/// Calls the method of the same name, awaiting it where the other kind has to.
macro_rules! on_both {
    ($($name:ident),*) => {
        $(pub(crate) async fn $name(&self) -> Result<(), Error> {
            match self {
                Self::Container(node) => node.$name().await,
                Self::Process(node) => node.$name().await,
            }
        })*
    };
}

impl Node {
    on_both!(start, stop, kill, pause, unpause);

    pub(crate) async fn is_running(&self) -> Result<bool, Error> {
        match self {
            Self::Container(node) => node.is_running().await,
            Self::Process(node) => node.is_running(),
        }
    }

    pub(crate) async fn cpu_time(&self) -> Result<Duration, Error> {
        match self {
            Self::Container(node) => node.cpu_time().await,
            Self::Process(node) => node.cpu_time(),
        }
    }

    pub(crate) async fn log(&self) -> String {
        match self {
            Self::Container(node) => node.log().await,
            Self::Process(node) => node.log(),
        }
    }
}
