//! Being told that somebody has come to a lock, or gone.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use futures_util::future;

use super::super::client::Fairlock;
use super::{LockInfo, LockKind};
use crate::error::Error;
use crate::path::QueuePath;
use crate::session::{Seat, Session};
use crate::store::{StoreError, StoreErrorKind};

type Event = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The next change of a lock; from [`Fairlock::watch_lock`]. Dropping it ends the watch.
#[must_use = "a change is told to who waits for it"]
pub struct LockChange {
    events: Vec<Event>,
    /// What is watched counts against the session's limit.
    _seat: Seat,
}

impl LockChange {
    /// Waits until somebody has come or gone. It may be told for nothing, and is when the session ends.
    ///
    /// # Cancel safety
    ///
    /// The change is missed if the future is dropped: it is told once.
    pub async fn happened(self) {
        future::select_all(self.events).await;
    }
}

impl fmt::Debug for LockChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockChange").field("watched", &self.events.len()).finish_non_exhaustive()
    }
}

impl Fairlock {
    /// Asks to be told of the next contender that comes to a lock that was found, or goes. To miss nothing, ask first and
    /// [list](Fairlock::contenders_of) then.
    ///
    /// Costs one request, of a semaphore two, and one notification; three for each directory of it that the store has removed, since
    /// nobody was there. Contenders themselves watch one node each; this watches the whole
    /// queue, so it is for the few who look at it, not for the many who use it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), fairlock::Error> {
    /// # use fairlock::{Fairlock, store::memory::Memory};
    /// # let locks = Fairlock::builder().open(Memory::new()).await?;
    /// let guard = locks.mutex("/a")?.acquire().await?;
    /// for lock in locks.locks_at("/a").await? {
    ///     let change = locks.watch_lock(&lock).await?;
    ///     println!("{:?}", locks.contenders_of(&lock).await?);
    /// #   drop(guard); return Ok(change.happened().await);
    ///     change.happened().await;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Mutex::acquire`](crate::Mutex::acquire).
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub async fn watch_lock(&self, lock: &LockInfo) -> Result<LockChange, Error> {
        let queues = match lock.kind {
            LockKind::Semaphore { .. } => vec![lock.path.permits(), lock.path.turns()],
            LockKind::Exclusive | LockKind::Shared | LockKind::Election { .. } => vec![lock.path.queue()],
        };
        let path_bytes = queues.iter().map(|queue| queue.as_str().len()).max().unwrap_or(0);
        let mut seat = self.shared.pool.seat(queues.len(), path_bytes).await?;
        // It watches, but holds nothing that the keeper would have to renew.
        seat.retire();
        let (session, mut events) = (seat.session().clone(), Vec::new());
        for queue in &queues {
            let watched = watch(&session, queue).await;
            events.push(watched.map_err(|error| Error::from_store("watch the queue", queue.as_str(), error))?);
        }
        Ok(LockChange { events, _seat: seat })
    }
}

async fn watch(session: &Session, queue: &QueuePath) -> Result<Event, StoreError> {
    if let Some(event) = watch_members(session, queue).await? {
        return Ok(event);
    }
    // Whoever comes makes it.
    let place = queue.as_value();
    let made = session.read_surely(|| session.store().watch_value(&place)).await?.event;
    // Unless it was made just before: then nothing is told of its making.
    Ok(watch_members(session, queue).await?.unwrap_or(made))
}

async fn watch_members(session: &Session, queue: &QueuePath) -> Result<Option<Event>, StoreError> {
    match session.read_surely(|| session.store().watch_members(queue)).await {
        Ok(watched) => Ok(Some(watched.event)),
        Err(error) if error.kind() == StoreErrorKind::NoNode => Ok(None),
        Err(error) => Err(error),
    }
}
