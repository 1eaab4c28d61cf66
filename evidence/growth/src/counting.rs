//! The embedded store, with each request booked as a real server would see it.
//!
//! The library asks this store what it asks any; what each step takes on ZooKeeper's wire is said here, step by step, and
//! `tests/server.rs` compares it with what a proxy before a real server counts.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fairlock::clock::Clock;
use fairlock::queue::{Mode, Sequence};
use fairlock::store::memory::Memory;
use fairlock::store::{
    Departure, Entered, Expected, Node, OpenOptions, Operation, OwnNode, Session, SessionId, SessionState, Store,
    StoreError, Value, WatchLimits, Watched, WatchedMembers, WatchedValue,
};
use fairlock::{Error, Guarantees, LockPath, LossReason, QueuePath};
use tokio::sync::watch;

use crate::meter::{Cost, Meter, Watchable};

/// See the module's doc. Clones are the same store.
#[derive(Clone, Debug)]
pub struct Counting {
    memory: Memory,
    meter: Arc<Mutex<Meter>>,
    /// How long each request takes.
    latency: Duration,
}

impl Counting {
    /// An empty store whose requests take so long.
    pub fn new(latency: Duration) -> Self {
        Self { memory: Memory::new(), meter: Arc::default(), latency }
    }

    /// What was asked and told so far.
    pub fn cost(&self) -> Cost {
        self.meter().cost()
    }

    /// How many watches a server would have.
    pub fn watches(&self) -> u64 {
        self.meter().watches()
    }

    /// How many znodes contenders have.
    pub fn ephemerals(&self) -> u64 {
        self.meter().ephemerals()
    }

    /// How many znodes stay when all contenders are gone.
    pub fn directories(&self) -> u64 {
        self.meter().directories()
    }

    /// Cuts all sessions off, and connects them again at once.
    pub fn reconnect_all(&self) {
        for session in self.memory.sessions() {
            self.memory.disconnect(session);
            self.memory.reconnect(session);
        }
    }

    /// Ends a session as its expiry would.
    pub fn expire(&self, session: SessionId) {
        self.meter().ended(session);
        self.memory.expire(session);
    }

    /// The open sessions, the oldest first.
    pub fn sessions(&self) -> Vec<SessionId> {
        self.memory.sessions()
    }

    fn meter(&self) -> MutexGuard<'_, Meter> {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for Counting {
    async fn open(&self, options: &OpenOptions) -> Result<Arc<dyn Session>, Error> {
        let inner = self.memory.open(options).await?;
        Ok(Arc::new(CountingSession { store: self.clone(), inner }))
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.memory.clock()
    }

    fn guarantees(&self) -> Guarantees {
        self.memory.guarantees()
    }
}

#[derive(Debug)]
struct CountingSession {
    store: Counting,
    inner: Arc<dyn Session>,
}

/// Takes the watch back when it is dropped, as the real client does.
struct Watcher {
    store: Counting,
    session: SessionId,
    path: String,
    what: Watchable,
    number: u64,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.store.meter().unwatch(self.session, &self.path, self.what, self.number);
    }
}

impl CountingSession {
    fn meter(&self) -> MutexGuard<'_, Meter> {
        self.store.meter()
    }

    async fn wait(&self) {
        if !self.store.latency.is_zero() {
            tokio::time::sleep(self.store.latency).await;
        }
    }

    fn watcher(&self, path: &str, what: Watchable) -> Watcher {
        let number = self.meter().watch(self.id(), path, what);
        Watcher { store: self.store.clone(), session: self.id(), path: path.to_owned(), what, number }
    }
}

/// The event, with the watcher that it belongs to.
fn with<T: 'static>(
    event: Pin<Box<dyn Future<Output = T> + Send>>,
    watcher: Watcher,
) -> Pin<Box<dyn Future<Output = T> + Send>> {
    Box::pin(async move {
        let told = event.await;
        drop(watcher);
        told
    })
}

/// Requests for making a queue's directories: the innermost two together, then three, until none is missing above. A queue
/// beside a semaphore's permits, and one whose lock's directory is refused because it exists, are made alone.
fn making_queue(queue: &QueuePath, missing: u64) -> u64 {
    match missing {
        0 | 1 if queue.as_str().ends_with("/_fairlock_turns") => 1,
        0 | 1 => 2,
        _ => missing - 1,
    }
}

#[async_trait]
impl Session for CountingSession {
    fn id(&self) -> SessionId {
        self.inner.id()
    }

    fn timeout(&self) -> Duration {
        self.inner.timeout()
    }

    fn watch_limits(&self) -> WatchLimits {
        self.inner.watch_limits()
    }

    fn states(&self) -> watch::Receiver<SessionState> {
        self.inner.states()
    }

    async fn enter(&self, queue: &QueuePath, mode: Mode, ticket: &[u8]) -> Result<Entered, StoreError> {
        self.wait().await;
        let entered = self.inner.enter(queue, mode, ticket).await;
        let mut meter = self.meter();
        meter.write(1);
        if let Ok(entered) = &entered {
            meter.created(&queue.join(&entered.sequence.node_name()), Some(self.id()));
            if mode.permits().is_none() {
                // The mark.
                meter.written(queue.as_str());
            }
        }
        entered
    }

    async fn make_queue(&self, queue: &QueuePath) -> Result<(), StoreError> {
        self.wait().await;
        let missing: Vec<_> = queue.ancestors().filter(|path| !self.meter().exists(path)).map(str::to_owned).collect();
        self.inner.make_queue(queue).await?;
        let mut meter = self.meter();
        meter.write(making_queue(queue, missing.len() as u64));
        missing.iter().for_each(|path| meter.created(path, None));
        Ok(())
    }

    async fn survey(&self, queue: &QueuePath) -> Result<Vec<String>, StoreError> {
        self.wait().await;
        let names = self.inner.survey(queue).await;
        self.meter().list(names.as_ref().map_or(0, Vec::len));
        names
    }

    async fn find_own(&self, queue: &QueuePath, ticket: &[u8]) -> Result<Vec<OwnNode>, StoreError> {
        self.wait().await;
        let found = self.inner.find_own(queue, ticket).await?;
        self.meter().read(1 + found.len() as u64);
        Ok(found)
    }

    async fn inspect(&self, queue: &QueuePath, name: &str) -> Result<Option<Node>, StoreError> {
        self.wait().await;
        self.meter().read(1);
        self.inner.inspect(queue, name).await
    }

    async fn watch(&self, queue: &QueuePath, name: &str) -> Result<Option<Watched>, StoreError> {
        self.wait().await;
        self.meter().read(1);
        let Some(Watched { node, event }) = self.inner.watch(queue, name).await? else { return Ok(None) };
        let watcher = self.watcher(&queue.join(name), Watchable::Data);
        Ok(Some(Watched { node, event: with(event, watcher) }))
    }

    async fn watch_members(&self, queue: &QueuePath) -> Result<WatchedMembers, StoreError> {
        self.wait().await;
        let watched = self.inner.watch_members(queue).await;
        self.meter().list(watched.as_ref().map_or(0, |watched| watched.names.len()));
        let WatchedMembers { names, event } = watched?;
        Ok(WatchedMembers { names, event: with(event, self.watcher(queue.as_str(), Watchable::Children)) })
    }

    async fn leave(&self, queue: &QueuePath, name: &str, departure: Departure) -> Result<(), StoreError> {
        self.wait().await;
        let left = self.inner.leave(queue, name, departure).await;
        let mut meter = self.meter();
        meter.write(1);
        if left.is_ok() {
            meter.deleted(&queue.join(name));
            if departure == Departure::CloseQueue {
                meter.deleted(queue.as_str());
            }
        }
        left
    }

    async fn replace(
        &self,
        queue: &QueuePath,
        old: Sequence,
        mode: Mode,
        ticket: &[u8],
    ) -> Result<OwnNode, StoreError> {
        self.wait().await;
        let replaced = self.inner.replace(queue, old, mode, ticket).await;
        let mut meter = self.meter();
        meter.write(1);
        if let Ok(node) = &replaced {
            meter.deleted(&queue.join(&old.node_name()));
            meter.created(&queue.join(&node.sequence.node_name()), Some(self.id()));
        }
        replaced
    }

    async fn write_barrier(&self) -> Result<(), StoreError> {
        self.wait().await;
        self.meter().write(1);
        self.inner.write_barrier().await
    }

    async fn touch(&self) -> Result<(), StoreError> {
        self.wait().await;
        self.meter().read(1);
        self.inner.touch().await
    }

    async fn commit(&self, own: &str, operations: &[Operation]) -> Result<(), StoreError> {
        self.wait().await;
        let committed = self.inner.commit(own, operations).await;
        let mut meter = self.meter();
        meter.write(1);
        committed?;
        for operation in operations {
            match operation {
                Operation::Create { path, .. } => meter.created(path, None),
                Operation::SetData { path, .. } => meter.written(path),
                Operation::Delete { path, .. } => meter.deleted(path),
                _ => {}
            }
        }
        Ok(())
    }

    async fn read_value(&self, path: &LockPath) -> Result<Option<Value>, StoreError> {
        self.wait().await;
        self.meter().read(1);
        self.inner.read_value(path).await
    }

    async fn watch_value(&self, path: &LockPath) -> Result<WatchedValue, StoreError> {
        self.wait().await;
        let requests = if self.meter().exists(path.as_str()) { 1 } else { 2 };
        self.meter().read(requests);
        let WatchedValue { value, event } = self.inner.watch_value(path).await?;
        Ok(WatchedValue { value, event: with(event, self.watcher(path.as_str(), Watchable::Data)) })
    }

    async fn write_value(&self, path: &LockPath, data: &[u8], expected: Expected) -> Result<i32, StoreError> {
        self.wait().await;
        let written = self.inner.write_value(path, data, expected).await;
        let mut meter = self.meter();
        if meter.exists(path.as_str()) {
            // Somebody else's that is to be absent is looked at.
            meter.read(u64::from(expected == Expected::Absent));
            meter.write(1);
            if written.is_ok() {
                meter.written(path.as_str());
            }
            return written;
        }
        if written.is_err() {
            meter.write(1);
            return written;
        }
        let directories = path.as_str().match_indices('/').skip(1).map(|(at, _)| path.as_str()[..at].to_owned());
        let missing: Vec<_> = directories.filter(|directory| !meter.exists(directory)).collect();
        // It is tried alone, and then with one directory more each time.
        meter.write(1 + missing.len() as u64);
        missing.iter().for_each(|directory| meter.created(directory, None));
        meter.created(path.as_str(), None);
        written
    }

    async fn children(&self, path: Option<&LockPath>) -> Result<Vec<String>, StoreError> {
        self.wait().await;
        let names = self.inner.children(path).await;
        self.meter().list(names.as_ref().map_or(0, Vec::len));
        names
    }

    fn give_up(&self, reason: LossReason) {
        self.inner.give_up(reason);
    }

    async fn close(&self) {
        self.meter().ended(self.id());
        self.inner.close().await;
    }
}
