//! Decides whether servers run in containers or as processes.

use std::fmt;

use crate::container::{self, Engine};
use crate::error::Error;
use crate::process::Installation;
use crate::settings::RuntimeChoice;

/// What a server runs in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Runtime {
    /// A container.
    Container {
        /// The image's name and tag.
        image: String,
    },
    /// A process of a ZooKeeper that is installed on this machine.
    Process {
        /// The installation's directory or jar.
        installation: String,
    },
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Container { image } => write!(f, "container of {image}"),
            Self::Process { installation } => write!(f, "process of {installation}"),
        }
    }
}

/// What is needed to start servers.
#[derive(Debug, Clone)]
pub(crate) enum Means {
    Container(Engine),
    Process(Installation),
}

impl Means {
    pub(crate) async fn find(choice: Option<RuntimeChoice>) -> Result<Self, Error> {
        match RuntimeChoice::resolve(choice)? {
            RuntimeChoice::Container => Ok(Self::Container(Engine::new(container::engine().await?).await?)),
            RuntimeChoice::Process => Ok(Self::Process(Installation::find()?)),
            // Only a missing engine leads to processes: with an engine, a broken image is an error to be told.
            RuntimeChoice::Auto => match container::engine().await {
                Ok(docker) => Ok(Self::Container(Engine::new(docker).await?)),
                Err(container) => Installation::find().map(Self::Process).map_err(|process| Error::NoRuntime {
                    container: container.to_string(),
                    process: process.to_string(),
                }),
            },
        }
    }

    pub(crate) fn runtime(&self) -> Runtime {
        match self {
            Self::Container(engine) => Runtime::Container { image: engine.image.clone() },
            Self::Process(installation) => Runtime::Process { installation: installation.place.clone() },
        }
    }
}
