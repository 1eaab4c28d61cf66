//! A store that counts what a lock asks of it: a cost that does not depend on the machine.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use fairlock::clock::Clock;
use fairlock::queue::{Mode, Sequence};
use fairlock::store::{
    Departure, Entered, Expected, Node, OpenOptions, Operation, OwnNode, Session, SessionId, SessionState, Store,
    StoreError, Value, WatchLimits, Watched, WatchedMembers, WatchedValue,
};
use fairlock::{Error, Guarantees, LockPath, LossReason, QueuePath};
use tokio::sync::watch;
use tokio::time::Instant;

/// How much was asked for. What keeps a session alive is not counted: that goes by time.
#[derive(Clone, Debug, Default)]
pub(super) struct Count {
    calls: Arc<AtomicU64>,
    /// When who entered was told so, by their tokens.
    entered: Arc<Mutex<HashMap<i64, Instant>>>,
}

impl Count {
    pub(super) fn get(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    fn add(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// When the contender with this token was told that it is in the queue; `None` if it had to find that out by itself.
    pub(super) fn take_entered(&self, token: i64) -> Option<Instant> {
        self.entered.lock().unwrap_or_else(PoisonError::into_inner).remove(&token)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Counter<S> {
    store: S,
    count: Count,
}

impl<S> Counter<S> {
    pub(super) fn new(store: S) -> Self {
        Self { store, count: Count::default() }
    }

    pub(super) fn count(&self) -> &Count {
        &self.count
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Store> Store for Counter<S> {
    async fn open(&self, options: &OpenOptions) -> Result<Arc<dyn Session>, Error> {
        let session = self.store.open(options).await?;
        Ok(Arc::new(CountedSession { session, count: self.count.clone() }))
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.store.clock()
    }

    fn guarantees(&self) -> Guarantees {
        self.store.guarantees()
    }
}

#[derive(Debug)]
struct CountedSession {
    session: Arc<dyn Session>,
    count: Count,
}

impl CountedSession {
    fn counted(&self) -> &dyn Session {
        self.count.add();
        &*self.session
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Session for CountedSession {
    fn id(&self) -> SessionId {
        self.session.id()
    }

    fn timeout(&self) -> std::time::Duration {
        self.session.timeout()
    }

    fn watch_limits(&self) -> WatchLimits {
        self.session.watch_limits()
    }

    fn states(&self) -> watch::Receiver<SessionState> {
        self.session.states()
    }

    async fn enter(&self, queue: &QueuePath, mode: Mode, ticket: &[u8]) -> Result<Entered, StoreError> {
        let entered = self.counted().enter(queue, mode, ticket).await?;
        let mut all = self.count.entered.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(entered.token.as_i64(), Instant::now());
        drop(all);
        Ok(entered)
    }

    async fn make_queue(&self, queue: &QueuePath) -> Result<(), StoreError> {
        self.counted().make_queue(queue).await
    }

    async fn survey(&self, queue: &QueuePath) -> Result<Vec<String>, StoreError> {
        self.counted().survey(queue).await
    }

    async fn children(&self, path: Option<&LockPath>) -> Result<Vec<String>, StoreError> {
        self.counted().children(path).await
    }

    async fn find_own(&self, queue: &QueuePath, ticket: &[u8]) -> Result<Vec<OwnNode>, StoreError> {
        self.counted().find_own(queue, ticket).await
    }

    async fn inspect(&self, queue: &QueuePath, name: &str) -> Result<Option<Node>, StoreError> {
        self.counted().inspect(queue, name).await
    }

    async fn watch_members(&self, queue: &QueuePath) -> Result<WatchedMembers, StoreError> {
        self.counted().watch_members(queue).await
    }

    async fn watch(&self, queue: &QueuePath, name: &str) -> Result<Option<Watched>, StoreError> {
        self.counted().watch(queue, name).await
    }

    async fn leave(&self, queue: &QueuePath, name: &str, departure: Departure) -> Result<(), StoreError> {
        self.counted().leave(queue, name, departure).await
    }

    async fn replace(
        &self,
        queue: &QueuePath,
        old: Sequence,
        mode: Mode,
        ticket: &[u8],
    ) -> Result<OwnNode, StoreError> {
        self.counted().replace(queue, old, mode, ticket).await
    }

    async fn write_barrier(&self) -> Result<(), StoreError> {
        self.session.write_barrier().await
    }

    async fn touch(&self) -> Result<(), StoreError> {
        self.session.touch().await
    }

    async fn commit(&self, own: &str, operations: &[Operation]) -> Result<(), StoreError> {
        self.counted().commit(own, operations).await
    }

    async fn read_value(&self, path: &LockPath) -> Result<Option<Value>, StoreError> {
        self.counted().read_value(path).await
    }

    async fn watch_value(&self, path: &LockPath) -> Result<WatchedValue, StoreError> {
        self.counted().watch_value(path).await
    }

    async fn write_value(&self, path: &LockPath, data: &[u8], expected: Expected) -> Result<i32, StoreError> {
        self.counted().write_value(path, data, expected).await
    }

    fn give_up(&self, reason: LossReason) {
        self.session.give_up(reason);
    }

    async fn close(&self) {
        self.session.close().await;
    }
}
