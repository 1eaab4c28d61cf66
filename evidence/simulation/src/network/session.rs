//! The simulated store as the library sees it: the client's end of each wire.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use fairlock::clock::Clock;
use fairlock::queue::{Mode, Sequence};
use fairlock::store::memory::Memory;
use fairlock::store::{
    Change, Departure, Entered, Expected, Node, OpenOptions, Operation, OwnNode, Session, SessionId, SessionState,
    Store, StoreError, StoreErrorKind, Value, WatchEvent, WatchLimits, Watched, WatchedMembers, WatchedValue,
};
use fairlock::{Error, Guarantees, LockPath, LossReason, QueuePath};
use tokio::sync::{oneshot, watch};

use super::call::{Answer, Call, Reply, Watching};
use super::{Network, States, lock};
use crate::clock::DriftingClock;

/// How long a close waits for the servers' confirmation at most.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(5);

/// The store of one client.
#[derive(Clone)]
pub(crate) struct SimStore {
    pub(crate) network: Arc<Network>,
    pub(crate) client: usize,
    pub(crate) clock: Arc<DriftingClock>,
}

impl fmt::Debug for SimStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimStore").field("client", &self.client).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for SimStore {
    async fn open(&self, options: &OpenOptions) -> Result<Arc<dyn Session>, Error> {
        let started = tokio::time::Instant::now();
        let opened = self.network.open(self.client, options.session_timeout);
        let Ok(Ok((id, states, epoch))) = tokio::time::timeout(options.connect_timeout, opened).await else {
            let (servers, diagnosis) = ("the simulation".to_owned(), "no server accepts connections".to_owned());
            return Err(Error::Unreachable { servers, waited: started.elapsed(), diagnosis, source: None });
        };
        let (network, timeout) = (self.network.clone(), options.session_timeout);
        Ok(Arc::new(SimSession { network, id, timeout, states, epoch }))
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    fn guarantees(&self) -> Guarantees {
        Memory::new().guarantees()
    }
}

struct SimSession {
    network: Arc<Network>,
    id: SessionId,
    timeout: Duration,
    states: States,
    /// Counts the connection's changes of state.
    epoch: Arc<AtomicU64>,
}

impl fmt::Debug for SimSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimSession").field("id", &self.id).finish_non_exhaustive()
    }
}

impl SimSession {
    async fn call(&self, call: Call) -> Reply {
        let (reply, broken) = self.network.send(self.id, call)?;
        let lost = || match lock(&self.states).get() {
            SessionState::Ended(reason) => StoreErrorKind::Ended(reason),
            _ => StoreErrorKind::Unknown,
        };
        tokio::select! {
            biased;
            reply = reply => reply.unwrap_or_else(|_| Err(lost().into())),
            _ = broken => Err(lost().into()),
        }
    }

    async fn done(&self, call: Call) -> Result<(), StoreError> {
        self.call(call).await.map(|_| ())
    }
}

/// Is ready at the second look, which it asks for.
async fn look_again() {
    let mut looked = false;
    poll_fn(|context| {
        if std::mem::replace(&mut looked, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The network answers each call in its own kind.
fn mismatch(answer: &Answer) -> ! {
    unreachable!("an answer to another question: {answer:?}")
}

#[async_trait]
impl Session for SimSession {
    fn id(&self) -> SessionId {
        self.id
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn watch_limits(&self) -> WatchLimits {
        WatchLimits { bytes_max: usize::MAX, bytes_per_path: 0 }
    }

    fn states(&self) -> watch::Receiver<SessionState> {
        lock(&self.states).subscribe()
    }

    async fn enter(&self, queue: &QueuePath, mode: Mode, ticket: &[u8]) -> Result<Entered, StoreError> {
        match self.call(Call::Enter { queue: queue.clone(), mode, ticket: ticket.to_vec() }).await? {
            Answer::Entered(entered) => Ok(entered),
            other => mismatch(&other),
        }
    }

    async fn make_queue(&self, queue: &QueuePath) -> Result<(), StoreError> {
        self.done(Call::MakeQueue { queue: queue.clone() }).await
    }

    async fn survey(&self, queue: &QueuePath) -> Result<Vec<String>, StoreError> {
        match self.call(Call::Survey { queue: queue.clone() }).await? {
            Answer::Names(names) => Ok(names),
            other => mismatch(&other),
        }
    }

    async fn find_own(&self, queue: &QueuePath, ticket: &[u8]) -> Result<Vec<OwnNode>, StoreError> {
        match self.call(Call::FindOwn { queue: queue.clone(), ticket: ticket.to_vec() }).await? {
            Answer::Own(own) => Ok(own),
            other => mismatch(&other),
        }
    }

    async fn inspect(&self, queue: &QueuePath, name: &str) -> Result<Option<Node>, StoreError> {
        match self.call(Call::Inspect { queue: queue.clone(), name: name.to_owned() }).await? {
            Answer::Node(node) => Ok(node),
            other => mismatch(&other),
        }
    }

    async fn watch(&self, queue: &QueuePath, name: &str) -> Result<Option<Watched>, StoreError> {
        // Taken before the request is sent, so that an interruption in between counts.
        let (epoch, placed_in) = (self.epoch.clone(), self.epoch.load(Ordering::Relaxed));
        // Lives as long as somebody wants to know.
        let asker = Arc::new(());
        let call = Call::Watch { queue: queue.clone(), name: name.to_owned(), asker: Arc::downgrade(&asker) };
        match self.call(call).await? {
            Answer::Watched(None) => Ok(None),
            Answer::Watched(Some(Watching { node, event, escapes_first_look })) => {
                let event = Box::pin(async move {
                    let _asker = asker;
                    let change = event.await.unwrap_or(Change::SessionEnded);
                    if escapes_first_look {
                        look_again().await;
                    }
                    let continuous = epoch.load(Ordering::Relaxed) == placed_in;
                    WatchEvent { change, continuous: continuous && change != Change::SessionEnded }
                });
                Ok(Some(Watched { node, event }))
            }
            other => mismatch(&other),
        }
    }

    async fn watch_members(&self, queue: &QueuePath) -> Result<WatchedMembers, StoreError> {
        // Lives as long as somebody wants to know.
        let asker = Arc::new(());
        match self.call(Call::WatchMembers { queue: queue.clone(), asker: Arc::downgrade(&asker) }).await? {
            Answer::WatchedMembers(names, event) => Ok(WatchedMembers { names, event: until_told(asker, event) }),
            other => mismatch(&other),
        }
    }

    async fn leave(&self, queue: &QueuePath, name: &str, departure: Departure) -> Result<(), StoreError> {
        self.done(Call::Leave { queue: queue.clone(), name: name.to_owned(), departure }).await
    }

    async fn replace(
        &self,
        queue: &QueuePath,
        old: Sequence,
        mode: Mode,
        ticket: &[u8],
    ) -> Result<OwnNode, StoreError> {
        match self.call(Call::Replace { queue: queue.clone(), old, mode, ticket: ticket.to_vec() }).await? {
            Answer::Replaced(node) => Ok(node),
            other => mismatch(&other),
        }
    }

    async fn write_barrier(&self) -> Result<(), StoreError> {
        self.done(Call::WriteBarrier).await
    }

    async fn touch(&self) -> Result<(), StoreError> {
        self.done(Call::Touch).await
    }

    async fn commit(&self, own: &str, operations: &[Operation]) -> Result<(), StoreError> {
        self.done(Call::Commit { own: own.to_owned(), operations: operations.to_vec() }).await
    }

    async fn read_value(&self, path: &LockPath) -> Result<Option<Value>, StoreError> {
        match self.call(Call::ReadValue { path: path.clone() }).await? {
            Answer::Value(value) => Ok(value),
            other => mismatch(&other),
        }
    }

    async fn watch_value(&self, path: &LockPath) -> Result<WatchedValue, StoreError> {
        // Lives as long as somebody wants to know.
        let asker = Arc::new(());
        match self.call(Call::WatchValue { path: path.clone(), asker: Arc::downgrade(&asker) }).await? {
            Answer::WatchedValue(value, event) => Ok(WatchedValue { value, event: until_told(asker, event) }),
            other => mismatch(&other),
        }
    }

    async fn write_value(&self, path: &LockPath, data: &[u8], expected: Expected) -> Result<i32, StoreError> {
        match self.call(Call::WriteValue { path: path.clone(), data: data.to_vec(), expected }).await? {
            Answer::Version(version) => Ok(version),
            other => mismatch(&other),
        }
    }

    async fn children(&self, path: Option<&LockPath>) -> Result<Vec<String>, StoreError> {
        match self.call(Call::Children { path: path.cloned() }).await? {
            Answer::Names(names) => Ok(names),
            other => mismatch(&other),
        }
    }

    fn give_up(&self, reason: LossReason) {
        drop(self.network.end(self.id, reason));
    }

    async fn close(&self) {
        let Some(confirmed) = self.network.end(self.id, LossReason::Closed) else { return };
        // Unconfirmed, the session expires.
        let _ = tokio::time::timeout(self.timeout.min(CLOSE_WAIT_MAX), confirmed).await;
    }
}

/// Resolves when a watch has told something, or nobody is left to tell because the session has ended.
fn until_told(asker: Arc<()>, event: oneshot::Receiver<Change>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let _asker = asker;
        let _: Result<Change, _> = event.await;
    })
}

impl Drop for SimSession {
    fn drop(&mut self) {
        drop(self.network.end(self.id, LossReason::Closed));
    }
}
