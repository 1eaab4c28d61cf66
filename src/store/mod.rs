//! What the queue protocol needs of a coordination store, and nothing more.
//!
//! A store has sessions; a session makes ephemeral, numbered nodes in a queue and is told when a node changes. The
//! traits are cut at the level of the protocol, not of znodes, so that a store may do each step in its cheapest way.
//! There are no default methods: each implementation says what it does about every step, and
//! [`contract`] checks it.
//!
//! | store | for |
//! |---|---|
//! | [`zookeeper::ZooKeeper`] | production |
//! | [`memory::Memory`] | documentation, demos, tests of applications, simulation |

pub mod contract;
mod error;
pub mod memory;
mod value;
pub mod zookeeper;

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

pub use self::error::{StoreError, StoreErrorKind};
pub use self::value::{Expected, Value, WatchedValue};
use crate::clock::Clock;
use crate::error::LossReason;
use crate::lock::Guarantees;
use crate::name::{Mode, Sequence};
use crate::path::{LockPath, QueuePath};
use crate::token::FencingToken;

/// A coordination store that queues can live in.
#[async_trait]
pub trait Store: Debug + Send + Sync + 'static {
    /// Opens a session.
    ///
    /// # Errors
    ///
    /// Whatever kept the session from being opened in [`OpenOptions::connect_timeout`].
    ///
    /// # Cancel safety
    ///
    /// A session that was being opened when the future is dropped is closed, or left to expire.
    async fn open(&self, options: &OpenOptions) -> Result<Arc<dyn Session>, crate::Error>;

    /// The clock by which the sessions of this store are timed.
    fn clock(&self) -> Arc<dyn Clock>;

    /// What locks on this store can be relied upon for.
    fn guarantees(&self) -> Guarantees;
}

/// How a session is to be opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OpenOptions {
    /// The session timeout to ask for. The server may answer with another one: see [`Session::timeout`].
    pub session_timeout: Duration,
    /// How long to wait for any server.
    pub connect_timeout: Duration,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { session_timeout: Duration::from_secs(10), connect_timeout: Duration::from_secs(10) }
    }
}

/// A session: the owner of nodes that vanish when it ends.
///
/// Every method may fail with [`StoreErrorKind::Ended`] once the session has ended, and with
/// [`StoreErrorKind::Unknown`] if its reply was lost. Requests take effect in the order in which they were made, and
/// a request whose reply was lost takes effect before a later one or never.
#[async_trait]
pub trait Session: Debug + Send + Sync + 'static {
    /// The session's id in the store.
    fn id(&self) -> SessionId;

    /// The session timeout as negotiated.
    fn timeout(&self) -> Duration;

    /// How much may be watched at once.
    fn watch_limits(&self) -> WatchLimits;

    /// The state, as it changes. [`SessionState::Ended`] is final.
    fn states(&self) -> watch::Receiver<SessionState>;

    /// Enters a queue: makes an ephemeral numbered node, in one transaction with finding out whether it is alone.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::NoNode`] if the queue does not exist.
    async fn enter(&self, queue: &QueuePath, mode: Mode, ticket: &[u8]) -> Result<Entered, StoreError>;

    /// Makes the queue and its ancestors, in a form that the store removes by itself some time after the queue has
    /// become empty, if it can do that. An existing queue is no error.
    async fn make_queue(&self, queue: &QueuePath) -> Result<(), StoreError>;

    /// Lists the names of all nodes in the queue, those of others included, in no particular order.
    async fn survey(&self, queue: &QueuePath) -> Result<Vec<String>, StoreError>;

    /// Finds this session's nodes in the queue with exactly this ticket.
    ///
    /// The answer covers all writes of this session that were acknowledged before the call; call
    /// [`Session::write_barrier`] first.
    async fn find_own(&self, queue: &QueuePath, ticket: &[u8]) -> Result<Vec<OwnNode>, StoreError>;

    /// Reads one node, without its data if that may not be read; `None` if it does not exist.
    async fn inspect(&self, queue: &QueuePath, name: &str) -> Result<Option<Node>, StoreError>;

    /// Reads one node and asks to be told once of its next change; `None` if it does not exist, without a watch.
    async fn watch(&self, queue: &QueuePath, name: &str) -> Result<Option<Watched>, StoreError>;

    /// Lists the names of all nodes in the queue, and asks to be told once of the next node that comes or goes.
    ///
    /// It may be told for nothing. What it costs of [`Session::watch_limits`] is that of the queue's path, and the caller's to
    /// keep account of.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::NoNode`] if the queue does not exist; nothing is watched then.
    async fn watch_members(&self, queue: &QueuePath) -> Result<WatchedMembers, StoreError>;

    /// Deletes the session's own node.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::NoNode`] if it is gone already, [`StoreErrorKind::NotEmpty`] if [`Departure::CloseQueue`]
    /// found another node; nothing has changed then.
    async fn leave(&self, queue: &QueuePath, name: &str, departure: Departure) -> Result<(), StoreError>;

    /// Puts an ephemeral node of this session, with the same number, this mode and this ticket, in the place of another node, its own
    /// or anybody's, in one transaction; tells the new node. A watch on the old one fires once, with [`Change::Deleted`].
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::NoNode`] if the old node is gone, [`StoreErrorKind::NodeExists`] if something else has the new one's name;
    /// nothing has changed then.
    async fn replace(&self, queue: &QueuePath, old: Sequence, mode: Mode, ticket: &[u8])
    -> Result<OwnNode, StoreError>;

    /// A write without effect that goes through the quorum. Once it is acknowledged, every earlier request of this
    /// session has been executed or never will be, and the session was alive when it was executed.
    async fn write_barrier(&self) -> Result<(), StoreError>;

    /// A cheap request that tells the server that the session lives.
    async fn touch(&self) -> Result<(), StoreError>;

    /// Executes the operations in one transaction if `own` still exists.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::NoNode`] with index 0 if `own` is gone; otherwise the first refused operation's error, with
    /// its index counted from 1.
    async fn commit(&self, own: &str, operations: &[Operation]) -> Result<(), StoreError>;

    /// Reads a value; `None` if there is none.
    ///
    /// The answer is that of the session's own server, which may lag behind others. It covers all writes of this session
    /// that were acknowledged before the call, and after [`Session::write_barrier`] all that anybody's were before that.
    /// A node without data that nobody has written to, such as the directory of a queue, counts as no value.
    async fn read_value(&self, path: &LockPath) -> Result<Option<Value>, StoreError>;

    /// Reads a value and asks to be told once of its next change, its creation or its deletion.
    ///
    /// What it costs of [`Session::watch_limits`] is the caller's to keep account of.
    async fn watch_value(&self, path: &LockPath) -> Result<WatchedValue, StoreError>;

    /// Writes a value if it is as expected, and tells its new version. Each write makes the version one higher; where it
    /// starts is the store's affair.
    ///
    /// A value that is made is persistent, and so are its ancestors if they are missing.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::NodeExists`] if [`Expected::Absent`] found a value, [`StoreErrorKind::VersionMismatch`] or
    /// [`StoreErrorKind::NoNode`] if another expectation found another version or none; nothing has changed then. With
    /// [`StoreErrorKind::Ended`] it may have been executed.
    async fn write_value(&self, path: &LockPath, data: &[u8], expected: Expected) -> Result<i32, StoreError>;

    /// Lists the names of all nodes directly below a path, or below the root for `None`, in no particular order.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::NoNode`] if there is nothing at the path.
    async fn children(&self, path: Option<&LockPath>) -> Result<Vec<String>, StoreError>;

    /// Takes the session for ended, for this reason, without waiting for anybody's word. If it lives after all, its
    /// nodes vanish as soon as the store has noticed.
    fn give_up(&self, reason: LossReason);

    /// Ends the session; its nodes vanish at once where a server can be reached, else when it expires.
    async fn close(&self);
}

/// How much a session can watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchLimits {
    /// The most bytes of watched paths, all together.
    pub bytes_max: usize,
    /// What each watched path costs besides its own length.
    pub bytes_per_path: usize,
}

/// A session's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub i64);

impl std::fmt::Display for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

/// How a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionState {
    /// A server answers.
    Connected,
    /// No server answers at present; the session may or may not be alive.
    Suspended,
    /// It is over, and will not come back.
    Ended(LossReason),
}

/// What came of [`Session::enter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entered {
    /// The number of the new node.
    pub sequence: Sequence,
    /// The token of the new node.
    pub token: FencingToken,
    /// Who else was there.
    pub neighbours: Neighbours,
}

/// Who else was in the queue at the moment of entering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Neighbours {
    /// Nobody, as seen inside the entering transaction.
    None,
    /// Somebody, as seen inside the entering transaction.
    Some,
    /// The store could not tell.
    Unknown,
}

/// A node of this session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OwnNode {
    /// Its number.
    pub sequence: Sequence,
    /// Its token.
    pub token: FencingToken,
}

/// A node as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its data.
    pub data: Vec<u8>,
    /// The session that owns it; `None` if it is not ephemeral.
    pub owner: Option<SessionId>,
    /// The token of its creation.
    pub token: FencingToken,
}

/// A node as read, with a watch in place.
pub struct Watched {
    /// The node, without its data if that may not be read.
    pub node: Node,
    /// Resolves once, at the next change. Dropping it removes the watch.
    pub event: Pin<Box<dyn Future<Output = WatchEvent> + Send>>,
}

impl Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched").field("node", &self.node).finish_non_exhaustive()
    }
}

/// The nodes of a queue as listed, with a watch in place.
pub struct WatchedMembers {
    /// The names of all nodes, those of others included, in no particular order.
    pub names: Vec<String>,
    /// Resolves once: when a node has come or gone, also if that was while the connection was interrupted, or when the queue
    /// was removed or the session has ended. Dropping it removes the watch.
    pub event: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Debug for WatchedMembers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WatchedMembers").field("names", &self.names).finish_non_exhaustive()
    }
}

/// What happened to a watched node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchEvent {
    /// The change.
    pub change: Change,
    /// Whether the connection has held without interruption since the watch was placed. After a reconnect the store
    /// tells differences, not history.
    pub continuous: bool,
}

/// A change of a watched node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// Its data was written.
    Written,
    /// It was deleted.
    Deleted,
    /// The session ended; nothing more will be told.
    SessionEnded,
}

/// How a contender leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// As the holder: write the node, then delete it, in one transaction, so that the successor's watch fires once,
    /// with [`Change::Written`]. Nobody ever reads what is written, so it is nothing.
    Release,
    /// Delete the node.
    Withdraw,
    /// Delete the node and the queue in one transaction, so that numbers start again.
    CloseQueue,
}

/// A write that takes effect only while the lock is held.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Creates a persistent node.
    Create {
        /// Its path.
        path: String,
        /// Its data.
        data: Vec<u8>,
    },
    /// Writes a node's data.
    SetData {
        /// Its path.
        path: String,
        /// The data.
        data: Vec<u8>,
        /// The version it must have.
        version: Option<i32>,
    },
    /// Deletes a node.
    Delete {
        /// Its path.
        path: String,
        /// The version it must have.
        version: Option<i32>,
    },
    /// Checks that a node exists and has this version.
    Check {
        /// Its path.
        path: String,
        /// The version it must have.
        version: i32,
    },
    /// Checks that a node exists.
    Exists {
        /// Its path.
        path: String,
    },
}

impl Operation {
    /// The path it concerns.
    pub fn path(&self) -> &str {
        match self {
            Operation::Create { path, .. }
            | Operation::SetData { path, .. }
            | Operation::Delete { path, .. }
            | Operation::Check { path, .. }
            | Operation::Exists { path } => path,
        }
    }
}
