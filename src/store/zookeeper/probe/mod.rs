//! Looking at an ensemble the way an operator would: each server by itself, and what a lock needs of all of them together.
//!
//! Nothing is judged here. What is found are plain data, and what could not be told is `None`: which words servers answer
//! to, and what they let whom read, is a matter of their configuration.
//!
//! ```no_run
//! use fairlock::store::OpenOptions;
//! use fairlock::store::zookeeper::{Access, ZooKeeper, probe};
//! # async fn example() -> Result<(), fairlock::Error> {
//! let store = ZooKeeper::new("zk1:2181,zk2:2181", vec![], Access::Everyone)?;
//! let options = OpenOptions::default();
//! for server in probe::servers(&store, &options).await? {
//!     println!("{}: {:?}, {:?}", server.server, server.contact, server.session);
//! }
//! println!("{:?}", probe::ensemble(&store, None, &options).await?);
//! # Ok(())
//! # }
//! ```

mod ensemble;
mod quota;
mod secured;
mod server;
mod wire;
mod words;

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::ZooKeeper;
use super::diagnosis;
use crate::error::Error;
use crate::path::LockPath;
use crate::store::{OpenOptions, StoreError};

/// What was found at one server of a connect string.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerReport {
    /// The server, as named in the connect string.
    pub server: String,
    /// The addresses that this name has, sorted; none if it could not be looked up.
    pub addresses: Vec<SocketAddr>,
    /// What is there.
    pub contact: Contact,
    /// Whether it answers to the word `srvr`. If it does not, neither version nor mode can be told.
    pub tells_status: bool,
    /// Its version, such as `3.8.0`.
    pub version: Option<String>,
    /// Its part in the ensemble.
    pub mode: Option<ServerMode>,
    /// How many requests it has not answered yet.
    pub outstanding: Option<u64>,
    /// Whether it is cut off from its quorum and serves reads only.
    pub is_read_only: Option<bool>,
    /// What it says about its configuration, if it answers to the word `conf`.
    pub configuration: Option<Configuration>,
    /// The session timeouts that it grants, or why it opens no session. A server opens one only with a leader.
    pub session: Result<SessionBounds, String>,
    /// The session timeout that it grants to who asks for that of the options. Asked only with TLS, where the shortest cannot be told.
    pub granted: Option<Duration>,
    /// How long it takes to answer a read, the shortest first.
    pub round_trips: Vec<Duration>,
}

impl ServerReport {
    /// A report that tells nothing yet.
    pub fn new(server: &str) -> Self {
        Self {
            server: server.to_owned(),
            addresses: vec![],
            contact: Contact::NoAnswer,
            tells_status: false,
            version: None,
            mode: None,
            outstanding: None,
            is_read_only: None,
            configuration: None,
            session: Err("it was not asked for a session".to_owned()),
            granted: None,
            round_trips: vec![],
        }
    }

    /// The round trip in the middle of those that were timed.
    pub fn round_trip_median(&self) -> Option<Duration> {
        self.round_trips.get(self.round_trips.len() / 2).copied()
    }
}

/// What is at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Contact {
    /// A ZooKeeper server.
    ZooKeeper,
    /// The host's name is not known.
    UnknownHost,
    /// Nobody listens there; the reason is the system's.
    Refused(String),
    /// Nothing answers to a connection attempt.
    NoAnswer,
    /// It accepts connections and then says nothing.
    Silent,
    /// It accepts connections and ends them at once, as a proxy does behind which there is no server, or a server that expects TLS.
    Closed,
    /// It was to be spoken to with TLS, and gave no session that way: it speaks otherwise, one of the two does not believe the other's
    /// certificate, or it has no leader. These look alike.
    NotSecured,
    /// Something else; with what it said.
    NotZooKeeper(String),
}

/// A server's part in its ensemble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerMode {
    /// It is the whole ensemble.
    Standalone,
    /// It orders the writes.
    Leader,
    /// It votes.
    Follower,
    /// It does not vote.
    Observer,
    /// It is cut off from its quorum and serves reads.
    ReadOnly,
    /// Something that this library does not know.
    Other,
}

/// What a server says about its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// The unit of the servers' time: sessions are ended at its multiples.
    pub tick_time: Duration,
}

/// Which session timeouts a server grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionBounds {
    /// What it grants to who asks for a millisecond; `None` if that could not be told.
    pub shortest: Option<Duration>,
    /// What it grants to who asks for weeks.
    pub longest: Duration,
}

/// What was found through a session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EnsembleReport {
    /// How long it took to open the session.
    pub connected_in: Duration,
    /// The session timeout that was granted.
    pub session_timeout: Duration,
    /// The root of the connect string, `/` if it has none. It exists.
    pub chroot: String,
    /// As whom the servers know the session, such as `digest:alice`. Servers tell since 3.7.
    pub users: Option<Vec<String>>,
    /// The servers that the ensemble consists of, as they are configured. Servers tell since 3.5; alone, they have no list.
    pub members: Option<Vec<String>>,
    /// Where the following was tried: the path that was asked for, or the innermost of its parents that exists.
    pub place: String,
    /// Whether the path that was asked for exists.
    pub exists: bool,
    /// Who may do what at that place, such as `world:anyone:crdwa`, if it may be looked at.
    pub acl: Option<Vec<String>>,
    /// What came of each step, in their order. Without [`Step::Create`] there is nothing that the later ones could be tried on.
    pub steps: Vec<(Step, Result<(), StoreError>)>,
    /// Whether the servers know container nodes, which they remove once they are empty.
    pub containers: Option<bool>,
    /// How long writes took, the shortest first.
    pub writes: Vec<Duration>,
    /// How the ensemble's clock differs from this host's.
    pub clock: Option<ClockDifference>,
    /// Whether each server of the connect string knows a node that was just written. One that does not, belongs to
    /// another ensemble. `None` where it could not be asked.
    pub seen: Vec<(String, Option<bool>)>,
    /// The quotas on the place and on what is above it, or why they could not be read.
    pub quotas: Result<Vec<Quota>, StoreError>,
    /// A directory that could not be removed again, or of which it is not known whether it was made.
    pub left_behind: Option<String>,
}

impl EnsembleReport {
    /// A report that tells nothing yet but what session was granted, and that the place exists.
    pub fn new(session_timeout: Duration, place: &str) -> Self {
        Self {
            connected_in: Duration::ZERO,
            session_timeout,
            chroot: "/".to_owned(),
            users: None,
            members: None,
            place: place.to_owned(),
            exists: true,
            acl: None,
            steps: vec![],
            containers: None,
            writes: vec![],
            clock: None,
            seen: vec![],
            quotas: Ok(vec![]),
            left_behind: None,
        }
    }

    /// The write in the middle of those that were timed.
    pub fn write_median(&self) -> Option<Duration> {
        self.writes.get(self.writes.len() / 2).copied()
    }
}

/// What a lock does with the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// Reading the place's data.
    ReadPlace,
    /// Making a directory, and in it an ephemeral, sequential node, in one transaction.
    Create,
    /// Reading that node.
    Read,
    /// Listing the directory.
    List,
    /// Writing to the directory.
    Write,
    /// Deleting both.
    Delete,
}

/// The difference between two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockDifference {
    /// How many milliseconds the ensemble's clock is ahead of this host's.
    pub ahead_millis: i64,
    /// By how much that may be wrong: half the time of the request that told it.
    pub uncertainty: Duration,
}

/// A quota and how far it is used. A limit that is `None` is not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The path, without a chroot.
    pub path: String,
    /// How many nodes there are, the path's own included.
    pub nodes_used: Option<u64>,
    /// Above so many nodes the servers log a warning.
    pub nodes_max: Option<u64>,
    /// Above so many nodes the servers refuse more, if they enforce quotas.
    pub nodes_max_enforced: Option<u64>,
    /// How many bytes of data there are.
    pub bytes_used: Option<u64>,
    /// Above so many bytes the servers log a warning.
    pub bytes_max: Option<u64>,
    /// Above so many bytes the servers refuse more, if they enforce quotas.
    pub bytes_max_enforced: Option<u64>,
}

/// Looks at every server of the connect string by itself, at all of them at once, for no longer than the connect timeout and a few
/// seconds.
///
/// To each are sent the words `srvr` and `conf`, and two requests for a session, with the shortest and the longest timeout;
/// in the latter, a few reads. Both sessions are closed. No credentials are sent, and nothing is written. To one that is spoken to
/// with TLS, only a session with the longest timeout, the reads, and one with the timeout of the options are sent, with the
/// credentials; its version and mode cannot be told that way.
///
/// # Errors
///
/// [`Error::InvalidConfig`] if the connect string asks for TLS, and it was not said which certificates to believe.
///
/// # Cancel safety
///
/// Dropping the future closes the connections. Sessions that are open then expire; they have no nodes.
pub async fn servers(store: &ZooKeeper, options: &OpenOptions) -> Result<Vec<ServerReport>, Error> {
    store.check_tls()?;
    let limit = options.connect_timeout;
    let servers = store.servers.split(',').zip(diagnosis::addresses(&store.servers));
    let reports = join_all(servers.map(async |(text, server)| {
        let looking = async {
            match store.is_secured(text) {
                true => secured::look_at(store, server, options).await,
                false => server::look_at(server, limit).await,
            }
        };
        let (mut report, addresses) = tokio::join!(looking, timeout(limit, diagnosis::look_up(server)));
        report.addresses = addresses.unwrap_or_default();
        report
    }));
    Ok(reports.await)
}

/// Opens a session as a lock does, and tries at `root`, `/` if it is `None`, what a lock needs: in a directory of its own, which
/// is removed again. Takes no longer than twice the connect timeout and a few seconds.
///
/// Sent are: a look at the root, its ACL and its quotas, who one is, and how the ensemble is configured; a transaction that
/// makes the directory and a node in it; a read, a list, a few writes, and the transaction that removes both. Each server of the connect
/// string is then asked, in a session of its own, whether it knows the directory.
///
/// # Errors
///
/// As when a session is opened: [`Error::Unreachable`], [`Error::NotZooKeeper`], [`Error::AuthenticationFailed`],
/// [`Error::MissingChroot`], and others that say what the root's ACL or the servers refuse. What fails later is a part of the
/// report.
///
/// # Cancel safety
///
/// If the future is dropped, the node vanishes with the session, and the directory is a container, which the servers remove
/// within minutes.
pub async fn ensemble(
    store: &ZooKeeper,
    root: Option<&LockPath>,
    options: &OpenOptions,
) -> Result<EnsembleReport, Error> {
    ensemble::look(store, root, options).await
}
