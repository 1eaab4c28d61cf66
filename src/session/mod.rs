//! A session in use: the store's session, how long it can be relied upon, and the keeper that keeps it so.

mod pool;
mod validity;

use std::collections::HashSet;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tracing::{debug, info, warn};

pub(crate) use self::pool::Pool;
pub(crate) use self::validity::{Era, Validity};
use crate::clock::{Clock, Timestamp};
use crate::error::LossReason;
use crate::path::QueuePath;
use crate::store::{self, SessionState, StoreError, StoreErrorKind};

/// The pause before a read whose reply was lost is made again.
const LOST_READ_PAUSE: Duration = Duration::from_millis(20);

/// How many queues' foreign nodes are reported, each once.
const REPORTED_MAX: usize = 1_000;

/// An open session, kept alive and timed.
#[derive(Debug)]
pub(crate) struct Session {
    shared: Arc<Shared>,
    keeper: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    store: Arc<dyn store::Session>,
    clock: Arc<dyn Clock>,
    validity: Validity,
    /// How many contenders, waiting or holding, there are.
    contenders: AtomicUsize,
    watched_bytes: AtomicUsize,
    /// Tells that the validity has lapsed.
    lapses: Notify,
    /// The queues whose foreign nodes have been reported.
    reported: Mutex<HashSet<QueuePath>>,
}

/// A contender's place in a session: as long as it lives, the keeper renews the session's validity, and the
/// contender's watches are accounted for.
#[derive(Debug)]
pub(crate) struct Seat {
    session: Arc<Session>,
    bytes: usize,
    is_retired: bool,
}

impl Session {
    /// Starts to keep a session whose opening began at `opened`.
    pub(crate) fn keep(
        runtime: &Handle,
        store: Arc<dyn store::Session>,
        clock: Arc<dyn Clock>,
        opened: Timestamp,
    ) -> Self {
        let validity = Validity::new(clock.clone(), store.timeout(), opened);
        info!(session = %store.id(), timeout_ms = store.timeout().as_millis(), "session opened");
        let shared = Arc::new(Shared {
            store,
            clock,
            validity,
            contenders: AtomicUsize::new(0),
            watched_bytes: AtomicUsize::new(0),
            lapses: Notify::new(),
            reported: Mutex::default(),
        });
        let keeper = runtime.spawn(keep(shared.clone())).abort_handle();
        Self { shared, keeper }
    }

    pub(crate) fn store(&self) -> &dyn store::Session {
        &*self.shared.store
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    pub(crate) fn validity(&self) -> &Validity {
        &self.shared.validity
    }

    pub(crate) fn states(&self) -> watch::Receiver<SessionState> {
        self.shared.store.states()
    }

    /// Whether nobody waits or holds here.
    pub(crate) fn is_unused(&self) -> bool {
        self.shared.contenders.load(Ordering::Relaxed) == 0
    }

    pub(crate) fn has_ended(&self) -> bool {
        matches!(*self.shared.store.states().borrow(), SessionState::Ended(_))
    }

    /// Returns when the validity has lapsed since that era.
    pub(crate) async fn lapsed(&self, era: Era) {
        loop {
            // Before the look, so that nothing is told between the look and the wait.
            let mut lapsed = pin!(self.shared.lapses.notified());
            lapsed.as_mut().enable();
            if !self.validity().holds_since(era) {
                return;
            }
            tokio::select! {
                biased;
                // It moves on while the session is kept, so look again then.
                () = self.clock().sleep_until(self.validity().valid_until()) => {},
                () = lapsed => {},
            }
        }
    }

    /// Waits until this point has passed; for ever, if there is none.
    pub(crate) async fn passed(&self, point: Option<Timestamp>) {
        match point {
            Some(point) => self.clock().sleep_until(point).await,
            None => std::future::pending().await,
        }
    }

    /// Returns when the session can be relied upon; never, if it ends before.
    pub(crate) async fn renewed(&self) -> Era {
        loop {
            if let Some(era) = self.validity().era() {
                return era;
            }
            let written = self.write(self.store().write_barrier()).await;
            if self.validity().era().is_none() || written.is_err() {
                tokio::time::sleep(self.validity().beat() / 8).await;
            }
        }
    }

    /// Whether nothing foreign was reported of this queue before.
    pub(crate) fn is_first_report(&self, queue: &QueuePath) -> bool {
        let mut reported = self.shared.reported.lock().unwrap_or_else(PoisonError::into_inner);
        reported.len() < REPORTED_MAX && reported.insert(queue.clone())
    }

    /// A seat for a contender that watches this many paths of at most this many bytes; `None` if the session is full.
    pub(crate) fn seat(self: &Arc<Self>, paths: usize, path_bytes: usize) -> Option<Seat> {
        let limits = self.store().watch_limits();
        let bytes = paths * (path_bytes + limits.bytes_per_path);
        let reserved = self.shared.watched_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            let total = used + bytes;
            // One contender must fit into an empty session, whatever its path.
            (used == 0 || total <= limits.bytes_max).then_some(total)
        });
        reserved.ok()?;
        self.shared.contenders.fetch_add(1, Ordering::Relaxed);
        Some(Seat { session: self.clone(), bytes, is_retired: false })
    }

    /// Makes a request that reads, with a deadline. See [`Session::write`].
    pub(crate) async fn read<T>(&self, request: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        self.shared.read(request).await
    }

    /// Makes a request that reads, again whenever its reply is lost: it ends with a reply, or with the session.
    pub(crate) async fn read_surely<T, F>(&self, request: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        loop {
            match self.read(request()).await {
                Err(error) if error.kind() == StoreErrorKind::Unknown => tokio::time::sleep(LOST_READ_PAUSE).await,
                reply => return reply,
            }
        }
    }

    /// Makes a request that writes, with a deadline: a reply that does not come within the session timeout counts as
    /// lost, since the client itself waits for ever on a connection that lives but swallowed one reply.
    pub(crate) async fn write<T>(&self, request: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        self.shared.write(request).await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Seat {
    /// Contends no more, but still watches: the keeper need not renew the validity for it.
    pub(crate) fn retire(&mut self) {
        if !std::mem::replace(&mut self.is_retired, true) {
            self.session.shared.contenders.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.session.shared.watched_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.retire();
    }
}

impl Shared {
    fn give_up_if_dead(&self) {
        let silent = self.clock.now() - self.validity.last_acknowledged();
        if silent > 2 * self.store.timeout() {
            warn!(session = %self.store.id(), silent_ms = silent.as_millis(), "no reply for too long, giving the session up");
            self.store.give_up(LossReason::SessionExpired);
        }
    }

    async fn read<T>(&self, request: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let sent = self.clock.now();
        let reply = within(self.store.timeout(), request).await;
        match &reply {
            Ok(_) => self.validity.touched(sent, self.clock.now()),
            Err(error) => self.note_answer(error),
        }
        reply
    }

    async fn write<T>(&self, request: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let sent = self.clock.now();
        let reply = within(self.store.timeout(), request).await;
        match &reply {
            Ok(_) => self.validity.written(sent, self.clock.now()),
            Err(error) => self.note_answer(error),
        }
        reply
    }

    /// A refusal proves nothing about the session's validity, but it is a server's word.
    fn note_answer(&self, error: &StoreError) {
        if !matches!(error.kind(), StoreErrorKind::Unknown | StoreErrorKind::Ended(_)) {
            self.validity.answered(self.clock.now());
        }
    }
}

async fn within<T>(limit: Duration, request: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, request).await {
        Ok(reply) => reply,
        Err(elapsed) => Err(StoreError::with_source(StoreErrorKind::Unknown, elapsed)),
    }
}

/// Sends something on every beat: what makes the servers count anew, and what proves that they do. With nobody on
/// the session that is a read, which costs a server no more than the ping that it replaces; with contenders every
/// second one is a write, which renews the validity (see [`validity`]).
///
/// It also declares a session dead that the client does not: one whose requests have not been answered for twice the
/// session timeout. The servers have ended it by then, unless only their replies are lost, and the client's own word may
/// never come, if its task was aborted for example.
async fn keep(shared: Arc<Shared>) {
    let mut states = shared.store.states();
    let mut write_next = true;
    let mut is_suspended = false;
    loop {
        tokio::select! {
            biased;
            // After a reconnect the next beat comes at once.
            changed = states.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(shared.validity.beat()) => {},
        }
        if shared.validity.era().is_none() {
            // Timers stand still while a host is suspended; whoever sleeps until a deadline looks at the clock now.
            shared.lapses.notify_waiters();
        }
        // Copied out: giving the session up writes what would be borrowed.
        let state = *states.borrow_and_update();
        match state {
            SessionState::Ended(reason) => {
                info!(session = %shared.store.id(), %reason, "session ended");
                return;
            }
            SessionState::Suspended => {
                if !std::mem::replace(&mut is_suspended, true) {
                    warn!(session = %shared.store.id(), "no server answers");
                }
                write_next = true;
                shared.give_up_if_dead();
                continue;
            }
            SessionState::Connected => {
                if std::mem::replace(&mut is_suspended, false) {
                    info!(session = %shared.store.id(), "a server answers again");
                }
            }
        }
        // Every second beat, and every one while the validity is short, after a reconnect for example.
        let is_short = shared.validity.valid_until() - shared.clock.now() < shared.store.timeout() / 2;
        let write = (write_next || is_short) && shared.contenders.load(Ordering::Relaxed) > 0;
        let reply = if write {
            shared.write(shared.store.write_barrier()).await
        } else {
            shared.read(shared.store.touch()).await
        };
        if let Err(error) = &reply {
            debug!(session = %shared.store.id(), %error, "keeping the session alive failed");
            shared.give_up_if_dead();
        }
        write_next = !write || reply.is_err();
    }
}
