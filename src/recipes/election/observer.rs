//! Watching who leads.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::watch;

use super::record::Leader;
use super::watching::{Action, Event, Watching};
use crate::error::{Error, LossReason};
use crate::lock::Mutex;
use crate::path::LockPath;
use crate::pauses;
use crate::session::{Seat, Session};
use crate::store::{SessionState, StoreError, StoreErrorKind, WatchEvent};

type Fired<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The record, and the node that it names.
const WATCHED_PATHS: usize = 2;

/// A watcher of an [`Election`](super::Election).
///
/// It goes on over reconnects, and over the end of its session with another one.
pub struct Observer {
    mutex: Mutex,
    record: LockPath,
    /// What to do next.
    watching: Watching<Leader>,
    /// What is watched: all of it while `watching` waits.
    watches: Option<Watches>,
}

struct Watches {
    session: Arc<Session>,
    record: Fired<()>,
    node: Option<Fired<WatchEvent>>,
    states: watch::Receiver<SessionState>,
    /// The next look whether an event was missed.
    look: Fired<()>,
    /// What is watched counts against the session's limit.
    _seat: Seat,
}

impl Observer {
    pub(super) fn new(mutex: Mutex, record: LockPath) -> Self {
        Self { mutex, record, watching: Watching::new(), watches: None }
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
        let mut event = Event::Asked;
        loop {
            event = match self.watching.handle(event) {
                Action::WatchRecord => self.watch_record().await?,
                Action::WatchNode(named) => self.watch_node(&named).await?,
                Action::Wait { for_node } => {
                    self.watches.as_mut().expect("whoever waits has looked").changed(for_node).await
                }
                Action::Tell(leader) => return Ok(leader),
            };
        }
    }

    async fn watch_record(&mut self) -> Result<Event<Leader>, Error> {
        self.watches = None;
        let mut seat = self.mutex.pool().seat(WATCHED_PATHS, self.mutex.watched_path_bytes()).await?;
        // It watches, but holds nothing that the keeper would have to renew.
        seat.retire();
        let session = seat.session().clone();
        // Before the looks, so that an end in between is noticed.
        let states = session.states();
        match session.read_surely(|| session.store().watch_value(&self.record)).await {
            Ok(watched) => {
                let named = watched.value.and_then(|value| Leader::parse(&value.data));
                let look = Box::pin(tokio::time::sleep(pauses::until_next_look()));
                self.watches = Some(Watches { session, record: watched.event, node: None, states, look, _seat: seat });
                Ok(Event::RecordRead(named))
            }
            Err(error) => self.unless_ended(error),
        }
    }

    async fn watch_node(&mut self, named: &Leader) -> Result<Event<Leader>, Error> {
        let watches = self.watches.as_mut().expect("the record was read");
        let (queue, name) = (self.mutex.queue(), named.sequence.node_name());
        let session = &watches.session;
        match session.read_surely(|| session.store().watch(queue, &name)).await {
            Ok(None) => Ok(Event::NodeSeen(None)),
            Ok(Some(watched)) => {
                watches.node = Some(watched.event);
                Ok(Event::NodeSeen(Some(watched.node.token)))
            }
            Err(error) => self.unless_ended(error),
        }
    }

    fn unless_ended(&self, error: StoreError) -> Result<Event<Leader>, Error> {
        match error.kind() {
            // The next look is on another session.
            StoreErrorKind::Ended(reason) if reason != LossReason::Closed => Ok(Event::SessionEnded),
            _ => Err(Error::from_store("watch the leader's record", self.record.as_str(), error)),
        }
    }
}

impl Watches {
    /// Waits until something has changed that a look may show.
    async fn changed(&mut self, for_node: bool) -> Event<Leader> {
        let node = match &mut self.node {
            Some(node) if for_node => node.map(|_| ()).left_future(),
            _ => std::future::pending().right_future(),
        };
        tokio::select! {
            biased;
            () = &mut self.record => Event::RecordChanged,
            () = node => Event::NodeChanged,
            // Servers withhold an event if READ on the node was revoked meanwhile, and nothing else would tell.
            () = &mut self.look => Event::LookDue,
            // The watches are gone with it. An error: the session was dropped.
            _ = self.states.wait_for(|state| matches!(state, SessionState::Ended(_))) => Event::SessionEnded,
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer")
            .field("record", &self.record.as_str())
            .field("told", &self.watching.told())
            .finish_non_exhaustive()
    }
}
