//! What can go wrong with a measurement, and what to do about it.

use std::io;

pub(crate) type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("no server to measure on: {0}")]
    Server(#[from] fairlock_testcontainers::Error),
    #[error("fairlock: {0}")]
    Fairlock(#[from] fairlock::Error),
    #[error("ZooKeeper client: {0}")]
    Client(#[from] zookeeper_client::Error),
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    /// A contender in another process says so.
    #[error("{0}")]
    Peer(String),
    /// A peer that cannot be had here.
    #[error("{0}")]
    Missing(String),
    #[error("{0} was not done in time; is the machine overloaded?")]
    Late(&'static str),
    /// A contender was asked for something out of order, which is a defect of this program.
    #[error("nothing is there to {0}")]
    OutOfOrder(&'static str),
    #[error("the picture cannot be drawn: {0}")]
    Picture(String),
}

impl Error {
    /// For `map_err`: an I/O error with what was tried.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what: what.into(), source }
    }
}
