//! A store inside the process, with ZooKeeper's semantics: sessions, ephemeral nodes, counters, one-shot watches.
//!
//! It is meant for documentation, demonstrations, tests of applications and simulation. Faults happen on demand:
//! sessions expire or are cut off, replies get lost, nodes are deleted behind a holder's back. Nothing is shared
//! between processes and nothing survives the process.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), fairlock::Error> {
//! use fairlock::{Fairlock, LossReason, store::memory::Memory};
//!
//! let memory = Memory::new();
//! let locks = Fairlock::builder().open(memory.clone()).await?;
//! let guard = locks.mutex("/a")?.acquire().await?;
//! memory.expire(memory.sessions()[0]);
//! assert_eq!(guard.lost().await, LossReason::SessionExpired);
//! assert!(!guard.is_valid());
//! # Ok(()) }
//! ```

mod session;
mod tree;
mod watches;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;

use self::session::MemorySession;
use self::tree::Tree;
use super::{OpenOptions, SessionId, Store};
use crate::clock::{Clock, TokioClock};
use crate::error::{Error, LossReason};
use crate::lock::{Failover, Fencing, Guarantees, LossNotice, Order};
use crate::path::QueuePath;

/// The in-process store. Clones are the same store.
#[derive(Clone, Debug)]
pub struct Memory {
    world: Arc<World>,
}

#[derive(Debug)]
struct World {
    tree: Mutex<Tree>,
    clock: Arc<dyn Clock>,
}

/// A request of a session, as far as faults are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Request {
    /// [`Session::enter`](super::Session::enter).
    Enter,
    /// [`Session::make_queue`](super::Session::make_queue).
    MakeQueue,
    /// [`Session::survey`](super::Session::survey).
    Survey,
    /// [`Session::find_own`](super::Session::find_own).
    FindOwn,
    /// [`Session::inspect`](super::Session::inspect).
    Inspect,
    /// [`Session::watch`](super::Session::watch).
    Watch,
    /// [`Session::watch_members`](crate::store::Session::watch_members)
    WatchMembers,
    /// [`Session::leave`](super::Session::leave).
    Leave,
    /// [`Session::replace`](super::Session::replace).
    Replace,
    /// [`Session::write_barrier`](super::Session::write_barrier).
    WriteBarrier,
    /// [`Session::touch`](super::Session::touch).
    Touch,
    /// [`Session::commit`](super::Session::commit).
    Commit,
    /// [`Session::read_value`](super::Session::read_value).
    ReadValue,
    /// [`Session::watch_value`](super::Session::watch_value).
    WatchValue,
    /// [`Session::write_value`](super::Session::write_value).
    WriteValue,
    /// [`Session::children`](super::Session::children).
    Children,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Loss {
    /// It is lost before it is executed.
    Request,
    /// It is executed, and its reply is lost.
    Reply,
}

impl Memory {
    /// An empty store on tokio's clock, which tests may pause.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(TokioClock::new()))
    }

    /// An empty store on another clock.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { world: Arc::new(World { tree: Mutex::default(), clock }) }
    }

    /// The sessions that are open, in the order in which they were opened.
    pub fn sessions(&self) -> Vec<SessionId> {
        self.tree().sessions()
    }

    /// Ends a session as the servers do when they have not heard of it in time, but all of a sudden: its holders are told
    /// at the same moment as its successors, not before. To see a holder that knows first, [disconnect](Self::disconnect)
    /// it.
    pub fn expire(&self, session: SessionId) {
        self.tree().end_session(session, LossReason::SessionExpired);
    }

    /// Cuts a session's connection. It expires after its timeout unless it is reconnected.
    pub fn disconnect(&self, session: SessionId) {
        let cut = self.tree().disconnect(session, self.world.clock.now());
        if let Some(cut) = cut {
            let (memory, clock) = (self.clone(), self.world.clock.clone());
            cut.runtime.spawn(async move {
                clock.sleep_until(cut.expires).await;
                if memory.tree().is_still_cut(session, cut.connection) {
                    memory.expire(session);
                }
            });
        }
    }

    /// Restores a session's connection. Watches tell what has changed since.
    pub fn reconnect(&self, session: SessionId) {
        self.tree().reconnect(session);
    }

    /// Loses the session's next request of this kind, or its reply.
    pub fn lose_next(&self, session: SessionId, request: Request, loss: Loss) {
        self.tree().lose_next(session, request, loss);
    }

    /// The names of a node's children; empty if there is no such node.
    pub fn children(&self, path: &str) -> Vec<String> {
        self.tree().children(path).unwrap_or_default()
    }

    /// A node's data.
    pub fn data(&self, path: &str) -> Option<Vec<u8>> {
        self.tree().node(path).map(|node| node.data.clone())
    }

    /// Creates a persistent node and its ancestors, as an operator would.
    ///
    /// Does nothing if it exists.
    pub fn create(&self, path: &str, data: impl Into<Vec<u8>>) {
        self.tree().create_with_ancestors(path, data.into());
    }

    /// Writes a node's data, as an operator would. Does nothing if it does not exist.
    pub fn write(&self, path: &str, data: impl Into<Vec<u8>>) {
        self.tree().write_by_hand(path, data.into());
    }

    /// Deletes a node and all below it, as an operator would.
    pub fn delete_all(&self, path: &str) {
        self.tree().delete_all(path);
    }

    /// Removes queues that are empty, as servers do some time after the last contender has left. Numbers start again
    /// in a queue that is made anew.
    pub fn reap_empty_queues(&self) {
        self.tree().reap_containers();
    }

    /// Sets the number that the next contender of a queue gets, to test the end of the range.
    pub fn set_next_sequence(&self, queue: &QueuePath, next: i32) {
        self.tree().set_next_sequence(queue.as_str(), next);
    }

    /// How many watches are in place.
    pub fn watches(&self) -> usize {
        self.tree().watch_count()
    }

    /// How many watch events have been delivered since the store was made.
    pub fn events_delivered(&self) -> u64 {
        self.tree().events_delivered()
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        // The tree is consistent between any two statements; a panic of a test's own code must not spread.
        self.world.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Store for Memory {
    async fn open(&self, options: &OpenOptions) -> Result<Arc<dyn super::Session>, Error> {
        // Real servers move a timeout into their bounds; here every timeout is granted.
        let timeout = options.session_timeout.max(Duration::from_millis(1));
        let (id, states) = self.tree().open_session(timeout, Handle::current());
        Ok(Arc::new(MemorySession::new(self.clone(), id, timeout, states)))
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.world.clock.clone()
    }

    fn guarantees(&self) -> Guarantees {
        Guarantees::new(Order::FirstComeFirstServed, Fencing::NeverGoesBack, LossNotice::InTime, Failover::Forgets)
    }
}
