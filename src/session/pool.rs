//! The sessions of one handle: opened when needed, replaced when they end, more than one only when one is full.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::{Seat, Session};
use crate::error::{Error, Retry};
use crate::pauses;
use crate::store::{OpenOptions, SessionState, Store};

/// Between two attempts to open a session, the pause doubles up to this. Jitter keeps a fleet from coming back at
/// one moment.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How much longer than the time to connect one waits for the error of another's attempt.
const SHARED_ERROR_PATIENCE: Duration = Duration::from_secs(4);

/// See the module's doc.
#[derive(Debug)]
pub(crate) struct Pool {
    store: Arc<dyn Store>,
    options: OpenOptions,
    runtime: Handle,
    sessions: Mutex<Vec<Arc<Session>>>,
    /// Held while a session is being opened: one opens, the others wait for it.
    opening: tokio::sync::Mutex<()>,
    /// For those who waited for somebody else's attempt.
    last_failure: Mutex<Option<Error>>,
    is_closed: AtomicBool,
    /// Wakes, in their order, those who wait for a session.
    closing: Notify,
}

/// Ends a task whose outcome nobody waits for any more.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Pool {
    /// A pool with its first session open.
    pub(crate) async fn open(store: Arc<dyn Store>, options: OpenOptions, runtime: Handle) -> Result<Arc<Self>, Error> {
        let pool = Arc::new(Self {
            store,
            options,
            runtime,
            sessions: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            last_failure: Mutex::default(),
            is_closed: AtomicBool::new(false),
            closing: Notify::new(),
        });
        pool.open_session(pool.options.connect_timeout).await?;
        Ok(pool)
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    /// A session to read with.
    pub(crate) async fn session(self: &Arc<Self>) -> Result<Arc<Session>, Error> {
        Ok(self.seat(0, 0).await?.session().clone())
    }

    /// A seat on a live session, opening one if there is none with room. Waits for about the time to connect at most, and
    /// a few seconds more for finding out why nobody answers.
    pub(crate) async fn seat(self: &Arc<Self>, paths: usize, path_bytes: usize) -> Result<Seat, Error> {
        let deadline = Instant::now() + self.options.connect_timeout;
        loop {
            // Before the look, so that nothing is told between the look and the wait.
            let mut closing = pin!(self.closing.notified());
            closing.as_mut().enable();
            if self.is_closed() {
                return Err(Error::Closed);
            }
            if let Some(seat) = self.free_seat(paths, path_bytes) {
                return Ok(seat);
            }
            // Boxed: it is large and rare, and every waiter's future has room for this one.
            let opened = Box::pin(self.open_before(deadline, paths, path_bytes));
            tokio::select! {
                biased;
                opened = opened => opened?,
                () = closing => return Err(Error::Closed),
            }
        }
    }

    /// Ends all sessions; every guard of them is lost, every waiter fails.
    pub(crate) async fn close(self: &Arc<Self>) {
        self.is_closed.store(true, Ordering::SeqCst);
        self.closing.notify_waiters();
        let pool = self.clone();
        // On its own task, so that it is done even if nobody waits for it any more.
        let closing = self.runtime.spawn(async move {
            // Whoever is opening one right now sees the flag before it adds it.
            let _opening = pool.opening.lock().await;
            let sessions = std::mem::take(&mut *pool.lock());
            join_all(sessions.iter().map(|session| session.store().close())).await;
        });
        let _: Result<(), tokio::task::JoinError> = closing.await;
    }

    fn free_seat(&self, paths: usize, path_bytes: usize) -> Option<Seat> {
        let mut sessions = self.lock();
        sessions.retain(|session| !session.has_ended());
        sessions.iter().find_map(|session| session.seat(paths, path_bytes))
    }

    /// Opens a session, or waits until somebody else has.
    async fn open_before(self: &Arc<Self>, deadline: Instant, paths: usize, path_bytes: usize) -> Result<(), Error> {
        // Whoever opens one may still be finding out why it cannot, so that its error can be shared.
        let Ok(_opening) = timeout_at(deadline + SHARED_ERROR_PATIENCE, self.opening.lock()).await else {
            return Err(self.not_opened_in_time());
        };
        if self.free_seat(paths, path_bytes).is_some() {
            return Ok(());
        }
        let mut pauses = pauses::growing(PAUSE_MIN, PAUSE_MAX);
        loop {
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                return Err(self.not_opened_in_time());
            }
            let error = match self.open_session(remaining).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
            let pause = pauses.next().unwrap_or(PAUSE_MAX);
            if error.retry() == Retry::No || Instant::now() + pause >= deadline {
                return Err(error);
            }
            warn!(%error, "could not open a session, trying again");
            tokio::time::sleep(pause).await;
        }
    }

    fn not_opened_in_time(&self) -> Error {
        let last_failure = self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        last_failure.unwrap_or_else(|| Error::Unreachable {
            servers: "the store".into(),
            waited: self.options.connect_timeout,
            diagnosis: "another task is still trying to open the session that this one waits for".into(),
            source: None,
        })
    }

    async fn open_session(self: &Arc<Self>, connect_timeout: Duration) -> Result<(), Error> {
        let clock = self.store.clock();
        let mut options = self.options.clone();
        options.connect_timeout = connect_timeout;
        let asked_timeout = options.session_timeout;
        // Before the request leaves: the servers cannot have begun to count earlier.
        let opened = clock.now();
        let store = self.store.clone();
        // On the pool's own runtime: the caller's may end long before the session should.
        let opening = self.runtime.spawn(async move { store.open(&options).await });
        let _abort = AbortOnDrop(opening.abort_handle());
        let store = opening.await.map_err(|_| Error::Closed)??;
        if store.timeout() != asked_timeout {
            info!(asked = ?asked_timeout, granted = ?store.timeout(), "the server moved the session timeout into its bounds");
        }
        let session = Arc::new(Session::keep(&self.runtime, store, clock, opened));
        if self.is_closed() {
            session.store().close().await;
            return Err(Error::Closed);
        }
        self.runtime.spawn(replace_when_ended(Arc::downgrade(self), session.states()));
        self.lock().push(session);
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Session>>> {
        // No code panics while it holds this lock, and the list is consistent between any two statements.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a new session once one has ended and none is left, so that the next acquisition need not wait for it.
///
/// Boxed by name: opening a session spawns this, and this opens a session.
fn replace_when_ended(
    pool: Weak<Pool>,
    mut states: watch::Receiver<SessionState>,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let ended = states.wait_for(|state| matches!(state, SessionState::Ended(_))).await.is_ok();
        let Some(pool) = pool.upgrade().filter(|_| ended) else { return };
        while !pool.is_closed() && Arc::strong_count(&pool) > 1 {
            match pool.seat(0, 0).await {
                Ok(_) => return,
                Err(error) if error.retry() == Retry::No => return,
                Err(error) => {
                    warn!(%error, "no session for later acquisitions yet");
                    // A pause of its own: the retries within one attempt may have been cut short.
                    tokio::time::sleep(PAUSE_MAX.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                }
            }
        }
    })
}
