//! The one error type; each message says what to do.

use std::io;
use std::time::Duration;

/// What can go wrong with test servers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither containers nor local processes can be used on this machine.
    #[error(
        "no way to run ZooKeeper here. Containers: {container}. Processes: {process}. \
         Start a container engine, or install ZooKeeper and Java (Debian: apt-get install libzookeeper-java libslf4j-java), \
         or point FAIRLOCK_ZOOKEEPER_HOME at an unpacked ZooKeeper release"
    )]
    NoRuntime {
        /// Why containers cannot be used.
        container: String,
        /// Why local processes cannot be used.
        process: String,
    },
    /// The container engine does not answer, but containers were asked for.
    #[error(
        "the container engine does not answer ({0}): start it, check DOCKER_HOST, or allow processes with FAIRLOCK_ZOOKEEPER_RUNTIME=process"
    )]
    NoEngine(String),
    /// ZooKeeper or Java is not installed, but processes were asked for.
    #[error(
        "ZooKeeper cannot run as a process: {0}. Install it (Debian: apt-get install libzookeeper-java libslf4j-java default-jre-headless) \
         or point FAIRLOCK_ZOOKEEPER_HOME at an unpacked ZooKeeper release"
    )]
    NoInstallation(String),
    /// `FAIRLOCK_ZOOKEEPER_RUNTIME` holds something else than `container`, `process` or `auto`.
    #[error("FAIRLOCK_ZOOKEEPER_RUNTIME is {0:?}: set it to container, process or auto")]
    UnknownRuntime(String),
    /// No image could be had.
    #[error(
        "no ZooKeeper image: pulling {official} failed ({pull}), and so did building one ({build}). Name an image with FAIRLOCK_ZOOKEEPER_IMAGE, or repair one of the two"
    )]
    NoImage {
        /// The official image that was tried.
        official: String,
        /// Why it could not be pulled.
        pull: String,
        /// Why none could be built.
        build: String,
    },
    /// A call to the container engine failed.
    #[error("the container engine failed to {what}: {why}")]
    Engine {
        /// What was to be done.
        what: &'static str,
        /// What the engine said.
        why: String,
    },
    /// A property or JVM flag holds white space, which the image's environment variables cannot carry.
    #[error("{0:?} holds white space: write properties and JVM flags without it")]
    WhiteSpace(String),
    /// No free port was found.
    #[error("no free port between {from} and {to} on 127.0.0.1: stop what listens there")]
    NoPort {
        /// The lowest port tried.
        from: u16,
        /// The highest port tried.
        to: u16,
    },
    /// The server did not serve in time.
    #[error("the server at {address} did not serve within {within:?}: look at the end of its log:\n{log}")]
    NotServing {
        /// Where the server should answer.
        address: String,
        /// How long it was waited for.
        within: Duration,
        /// The last lines of its log.
        log: String,
    },
    /// The ensemble has no leader.
    #[error("the ensemble has no leader: start more than half of its servers and call wait_until_serving first")]
    NoLeader,
    /// Servers that can be cut off from each other were asked for in containers, which cannot share this host's network.
    #[error(
        "containers cannot use this host's network ({0}), which an isolatable ensemble needs: run its servers as processes, with FAIRLOCK_ZOOKEEPER_RUNTIME=process"
    )]
    NoHostNetwork(String),
    /// The ensemble has no relays between its servers.
    #[error(
        "this ensemble's servers cannot be cut off from each other: build it with Ensemble::builder().isolatable()"
    )]
    NotIsolatable,
    /// The operation does not fit the server's state.
    #[error("the server at {address} is {state}: {advice}")]
    State {
        /// Which server.
        address: String,
        /// What it is doing.
        state: &'static str,
        /// What to call first.
        advice: &'static str,
    },
    /// Something of the operating system failed.
    #[error("failed to {what}: {source}")]
    Io {
        /// What was to be done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: an I/O error with what was tried.
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    /// For `map_err`: an error of the container engine with what was tried.
    pub(crate) fn engine<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |why| Self::Engine { what, why: why.to_string() }
    }
}
