//! A store that tells of the notifications its sessions get: how wake-ups are measured, on any store.
//!
//! It counts where it matters: what arrives at a contender, not what somebody meant to send.

use std::sync::Arc;

use async_trait::async_trait;
use fairlock::clock::Clock;
use fairlock::queue::{Mode, Sequence};
use fairlock::store::{
    Change, Departure, Entered, Expected, Node, OpenOptions, Operation, OwnNode, Session, SessionId, SessionState,
    Store, StoreError, Value, WatchLimits, Watched, WatchedMembers, WatchedValue,
};
use fairlock::{Error, Guarantees, LockPath, LossReason, QueuePath};
use tokio::sync::{mpsc, watch};

use super::actor::{Fact, Report};
use super::news::Who;

/// Another store, as one contender uses it.
#[derive(Debug)]
pub(super) struct Tap<S> {
    store: S,
    line: Line,
}

#[derive(Clone, Debug)]
struct Line {
    who: Who,
    reports: mpsc::UnboundedSender<Report>,
}

impl Line {
    fn send(&self, fact: Fact) {
        // Once nobody listens, the demo is over.
        let _ = self.reports.send(Report::new(self.who, fact));
    }
}

impl<S> Tap<S> {
    pub(super) fn new(store: S, who: Who, reports: mpsc::UnboundedSender<Report>) -> Self {
        Self { store, line: Line { who, reports } }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Store> Store for Tap<S> {
    async fn open(&self, options: &OpenOptions) -> Result<Arc<dyn Session>, Error> {
        let session = self.store.open(options).await?;
        Ok(Arc::new(TappedSession { session, line: self.line.clone() }))
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.store.clock()
    }

    fn guarantees(&self) -> Guarantees {
        self.store.guarantees()
    }
}

#[derive(Debug)]
struct TappedSession {
    session: Arc<dyn Session>,
    line: Line,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Session for TappedSession {
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
        let entered = self.session.enter(queue, mode, ticket).await?;
        self.line.send(Fact::Entered);
        Ok(entered)
    }

    async fn make_queue(&self, queue: &QueuePath) -> Result<(), StoreError> {
        self.session.make_queue(queue).await
    }

    async fn survey(&self, queue: &QueuePath) -> Result<Vec<String>, StoreError> {
        self.session.survey(queue).await
    }

    async fn find_own(&self, queue: &QueuePath, ticket: &[u8]) -> Result<Vec<OwnNode>, StoreError> {
        self.session.find_own(queue, ticket).await
    }

    async fn inspect(&self, queue: &QueuePath, name: &str) -> Result<Option<Node>, StoreError> {
        self.session.inspect(queue, name).await
    }

    async fn watch_members(&self, queue: &QueuePath) -> Result<WatchedMembers, StoreError> {
        self.session.watch_members(queue).await
    }

    async fn watch(&self, queue: &QueuePath, name: &str) -> Result<Option<Watched>, StoreError> {
        let watched = self.session.watch(queue, name).await?;
        let (line, about) = (self.line.clone(), Sequence::of_node(name));
        Ok(watched.map(|Watched { node, event }| {
            let event = Box::pin(async move {
                let event = event.await;
                // The end of the own session is no message of the store.
                if let (Change::Written | Change::Deleted, Some(about)) = (event.change, about) {
                    line.send(Fact::Notified { about });
                }
                event
            });
            Watched { node, event }
        }))
    }

    async fn leave(&self, queue: &QueuePath, name: &str, departure: Departure) -> Result<(), StoreError> {
        self.session.leave(queue, name, departure).await
    }

    async fn replace(
        &self,
        queue: &QueuePath,
        old: Sequence,
        mode: Mode,
        ticket: &[u8],
    ) -> Result<OwnNode, StoreError> {
        self.session.replace(queue, old, mode, ticket).await
    }

    async fn write_barrier(&self) -> Result<(), StoreError> {
        self.session.write_barrier().await
    }

    async fn touch(&self) -> Result<(), StoreError> {
        self.session.touch().await
    }

    async fn commit(&self, own: &str, operations: &[Operation]) -> Result<(), StoreError> {
        self.session.commit(own, operations).await
    }

    async fn read_value(&self, path: &LockPath) -> Result<Option<Value>, StoreError> {
        self.session.read_value(path).await
    }

    async fn watch_value(&self, path: &LockPath) -> Result<WatchedValue, StoreError> {
        self.session.watch_value(path).await
    }

    async fn write_value(&self, path: &LockPath, data: &[u8], expected: Expected) -> Result<i32, StoreError> {
        self.session.write_value(path, data, expected).await
    }

    async fn children(&self, path: Option<&LockPath>) -> Result<Vec<String>, StoreError> {
        self.session.children(path).await
    }

    fn give_up(&self, reason: LossReason) {
        self.session.give_up(reason);
    }

    async fn close(&self) {
        self.session.close().await;
    }
}

#[cfg(test)]
mod tests {
    use fairlock::Fairlock;
    use fairlock::store::memory::Memory;

    use super::*;

    #[tokio::test]
    async fn what_arrives_is_what_the_store_has_sent() -> Result<(), Error> {
        let memory = Memory::new();
        let (reporter, mut reports) = mpsc::unbounded_channel();
        let mut locks = Vec::new();
        for who in 0..3 {
            locks.push(Fairlock::builder().open(Tap::new(memory.clone(), Who(who), reporter.clone())).await?);
        }
        let holder = locks[0].mutex("/a")?.acquire().await?;
        let waiters = [1, 2].map(|who| {
            let locks = locks[who].clone();
            tokio::spawn(async move { locks.mutex("/a")?.acquire().await })
        });
        // Until both wait, each with a watch on the one before it.
        while memory.children("/a/_fairlock").len() < 3 || memory.watches() < 2 {
            tokio::task::yield_now().await;
        }
        while reports.try_recv().is_ok() {}

        let sent_before = memory.events_delivered();
        memory.expire(memory.sessions()[0]);
        let [next, last] = waiters;
        let guard = next.await.expect("a task that does not panic")?;
        assert!(!holder.is_valid());
        assert_eq!(memory.events_delivered() - sent_before, 1);
        let arrived: Vec<_> = std::iter::from_fn(|| reports.try_recv().ok())
            .filter_map(|report| matches!(report.fact, Fact::Notified { .. }).then_some(report.who))
            .collect();
        assert_eq!(arrived.len(), 1, "{arrived:?}");

        guard.release().await?;
        last.await.expect("a task that does not panic")?.release().await
    }
}
