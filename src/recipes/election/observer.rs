//! Watching who leads.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use futures_util::FutureExt;
use tokio::sync::watch;

use super::record::Leader;
use crate::error::{Error, LossReason};
use crate::lock::Mutex;
use crate::path::LockPath;
use crate::pauses;
use crate::session::{Seat, Session};
use crate::store::{SessionState, StoreError, StoreErrorKind, WatchEvent};

type Event<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The record, and the node that it names.
const WATCHED_PATHS: usize = 2;

/// A watcher of an [`Election`](super::Election).
///
/// It goes on over reconnects, and over the end of its session with another one.
pub struct Observer {
    mutex: Mutex,
    record: LockPath,
    watching: Option<Watching>,
    /// What was told last.
    told: Option<Option<Leader>>,
}

struct Watching {
    record: Event<()>,
    node: Option<Event<WatchEvent>>,
    states: watch::Receiver<SessionState>,
    /// The next look whether an event was missed.
    look: Event<()>,
    /// What is watched counts against the session's limit.
    _seat: Seat,
}

impl Observer {
    pub(super) fn new(mutex: Mutex, record: LockPath) -> Self {
        Self { mutex, record, watching: None, told: None }
    }

    /// Who leads, or `None` if nobody does: at the first call as it is, then whenever that, or the leader's payload, has
    /// changed.
    ///
    /// Changes that follow each other quickly may be told as one; the last of them is always told.
    ///
    /// # Errors
    ///
    /// As [`Mutex::acquire`]. It may be called again after an error that [passes](Error::retry).
    ///
    /// # Cancel safety
    ///
    /// No change is missed by dropping the future.
    pub async fn next(&mut self) -> Result<Option<Leader>, Error> {
        loop {
            if let Some(watching) = &mut self.watching {
                watching.changed().await;
            }
            // First, so that a look that is dropped half-way is made again.
            self.watching = None;
            let (leader, watching) = self.look().await?;
            self.watching = Some(watching);
            if self.told.as_ref() != Some(&leader) {
                self.told = Some(leader.clone());
                return Ok(leader);
            }
        }
    }

    async fn look(&self) -> Result<(Option<Leader>, Watching), Error> {
        loop {
            let mut seat = self.mutex.pool().seat(WATCHED_PATHS, self.mutex.watched_path_bytes()).await?;
            // It watches, but holds nothing that the keeper would have to renew.
            seat.retire();
            let session = seat.session().clone();
            match self.look_with(&session, seat).await {
                Ok(seen) => return Ok(seen),
                // The next seat is on another session.
                Err(error) => match error.kind() {
                    StoreErrorKind::Ended(reason) if reason != LossReason::Closed => {}
                    _ => return Err(Error::from_store("watch the leader's record", self.record.as_str(), error)),
                },
            }
        }
    }

    async fn look_with(&self, session: &Session, seat: Seat) -> Result<(Option<Leader>, Watching), StoreError> {
        // Before the looks, so that an end in between is noticed.
        let states = session.states();
        let watched = session.read_surely(|| session.store().watch_value(&self.record)).await?;
        let mut leader = watched.value.and_then(|value| Leader::parse(&value.data));
        let mut node = None;
        if let Some(named) = &leader {
            let (queue, name) = (self.mutex.queue(), named.sequence.node_name());
            match session.read_surely(|| session.store().watch(queue, &name)).await? {
                Some(watched) if watched.node.token == named.fencing_token() => node = Some(watched.event),
                // It leads no more, whatever is recorded.
                _ => leader = None,
            }
        }
        let look = Box::pin(tokio::time::sleep(pauses::until_next_look()));
        Ok((leader, Watching { record: watched.event, node, states, look, _seat: seat }))
    }
}

impl Watching {
    /// Waits until something has changed that a look may show.
    async fn changed(&mut self) {
        let node = match &mut self.node {
            Some(node) => node.map(|_| ()).left_future(),
            None => std::future::pending().right_future(),
        };
        tokio::select! {
            biased;
            () = &mut self.record => {},
            () = node => {},
            // Servers withhold an event if READ on the node was revoked meanwhile, and nothing else would tell.
            () = &mut self.look => {},
            // The watches are gone with it. An error: the session was dropped.
            _ = self.states.wait_for(|state| matches!(state, SessionState::Ended(_))) => {},
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer")
            .field("record", &self.record.as_str())
            .field("told", &self.told)
            .finish_non_exhaustive()
    }
}
