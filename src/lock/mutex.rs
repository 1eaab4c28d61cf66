//! The mutex: one holder, first come, first served.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryFutureExt;
use futures_util::future::{BoxFuture, ready};

use super::acquire::AcquireOptions;
use super::client::Shared;
use super::contend::{self, Entry};
use super::contenders::{self, Contender};
use super::distributed::Guarantees;
use super::guard::Guard;
use crate::driver::{Earlier, Share};
use crate::error::Error;
use crate::path::{LockPath, QueuePath};
use crate::queue::{Mode, Patience, Sequence, read_children};
use crate::session::Pool;
use crate::store::StoreErrorKind;
use crate::ticket::Identity;

/// A distributed mutex, made by [`Fairlock::mutex`](crate::Fairlock::mutex).
///
/// * **Fair**: granted in the order in which the store created the contenders' nodes. A contender is woken only when
///   its predecessor goes; nobody else is.
/// * **Fenced**: every grant has a [`FencingToken`](crate::FencingToken) higher than all before.
/// * **Honest**: the guard tells when the lock is lost, before the servers can give it to another.
/// * Not reentrant: a task that acquires a lock twice waits for itself. [`Mutex::reentrant`] is.
///
/// What it does not promise: that a holder which was paused, and does not look at its guard before it acts, acts
/// alone. No lock service can; that is what the token is for.
///
/// Cheap to clone; clones are the same lock.
#[derive(Clone)]
pub struct Mutex {
    shared: Arc<Shared>,
    path: LockPath,
    queue: QueuePath,
    expects_readers: bool,
}

impl Mutex {
    pub(super) fn new(shared: Arc<Shared>, path: LockPath) -> Self {
        let queue = path.queue();
        Self { shared, path, queue, expects_readers: false }
    }

    /// The writer's side of a read-write lock: whoever is ahead may well be a reader.
    pub(super) fn expecting_readers(self) -> Self {
        Self { expects_readers: true, ..self }
    }

    /// The path of the lock.
    pub fn path(&self) -> &LockPath {
        &self.path
    }

    /// Waits in the queue until the lock is held.
    ///
    /// On connection loss the place in the queue is kept, and the wait goes on after the reconnect.
    ///
    /// # Errors
    ///
    /// * [`Error::SessionLost`] if the session ended meanwhile, which takes the place in the queue with it,
    /// * [`Error::Removed`] if somebody deleted the contender's node,
    /// * [`Error::Unreachable`] if there is no session and none can be opened in the time to connect,
    /// * [`Error::NoPermission`], [`Error::UnderEphemeral`], [`Error::QuotaExceeded`], [`Error::ReadOnly`],
    ///   [`Error::QueueExhausted`], [`Error::Closed`] as they say.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue, or the lock if it was just granted. The node is deleted
    /// in the background, after a reconnect if need be; nothing is left behind.
    pub async fn acquire(&self) -> Result<Guard, Error> {
        self.acquire_as(Mode::Exclusive, AcquireOptions::default()).await
    }

    /// Waits for at most this long.
    ///
    /// The limit covers everything, opening a session included. Zero still enters the queue; to only look, use
    /// [`Mutex::try_acquire`].
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] once the time has passed; otherwise as [`Mutex::acquire`].
    ///
    /// # Cancel safety
    ///
    /// As [`Mutex::acquire`].
    pub async fn acquire_timeout(&self, limit: Duration) -> Result<Guard, Error> {
        self.acquire_with(AcquireOptions::default().timeout(limit)).await
    }

    /// Acquires with options: a time limit, news of the place in the queue.
    ///
    /// # Errors
    ///
    /// As [`Mutex::acquire`], [`Error::Timeout`] if a time limit was given, and [`Error::InvalidConfig`] for a hold limit of
    /// zero.
    ///
    /// # Cancel safety
    ///
    /// As [`Mutex::acquire`].
    pub async fn acquire_with(&self, options: AcquireOptions) -> Result<Guard, Error> {
        self.acquire_as(Mode::Exclusive, options).await
    }

    pub(super) fn acquire_as(&self, mode: Mode, mut options: AcquireOptions) -> BoxFuture<'_, Result<Guard, Error>> {
        match contend::take_timeout(&mut options) {
            Ok(limit) => contend::within(limit, &self.path, self.contend(mode, Patience::Wait, None, options)),
            Err(error) => Box::pin(ready(Err(error))),
        }
    }

    /// Takes the lock if nobody has it or waits for it; `None` if somebody does.
    ///
    /// Costs one read and no write if the lock is held, as far as the server at hand knows: one that lags behind may
    /// take a lock for held that was just released. Being granted is never based on such a read.
    ///
    /// # Errors
    ///
    /// As [`Mutex::acquire`].
    ///
    /// # Cancel safety
    ///
    /// As [`Mutex::acquire`].
    pub async fn try_acquire(&self) -> Result<Option<Guard>, Error> {
        self.try_acquire_as(Mode::Exclusive).await
    }

    pub(super) async fn try_acquire_as(&self, mode: Mode) -> Result<Option<Guard>, Error> {
        // What it would wait for, had it entered now.
        let is_in_the_way = |other: &Sequence| mode == Mode::Exclusive || other.is_exclusive();
        if self.has_contender(is_in_the_way).await? {
            return Ok(None);
        }
        self.contend_now(mode, None).await
    }

    /// Takes the lock alone in place of a share of it, if that is all there is in its queue; `None` if it is not.
    pub(super) async fn try_acquire_for(&self, share: Share) -> Result<Option<Guard>, Error> {
        // Whoever shares the lock with it, or waits for it: none of them is to be made to wait for nothing.
        if self.has_contender(|other| *other != share.claim.node.sequence).await? {
            return Ok(None);
        }
        self.contend_now(Mode::Exclusive, Some(share)).await
    }

    /// Whether the server at hand knows such a contender.
    async fn has_contender(&self, is_such: impl Fn(&Sequence) -> bool) -> Result<bool, Error> {
        let session = self.shared.pool.session().await?;
        match session.read_surely(|| session.store().survey(&self.queue)).await {
            Ok(names) => Ok(read_children(&names).contenders.iter().any(is_such)),
            Err(error) if error.kind() == StoreErrorKind::NoNode => Ok(false),
            Err(error) => Err(Error::from_store("list the queue", self.path.as_str(), error)),
        }
    }

    async fn contend_now(&self, mode: Mode, share: Option<Share>) -> Result<Option<Guard>, Error> {
        match self.contend(mode, Patience::Try, share, AcquireOptions::default()).await {
            Ok(guard) => Ok(Some(guard)),
            // Somebody entered between the look and the attempt.
            Err(Error::Timeout { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lists the contenders in their order: the holder first, then who waits, with identity, age and token.
    ///
    /// Reads the queue and then each node, so it costs one request per contender, and shows a state that no longer
    /// holds when it is read. For people and dashboards; nothing safe can be built on it.
    ///
    /// # Errors
    ///
    /// As [`Mutex::acquire`].
    ///
    /// # Cancel safety
    ///
    /// Only reads; may be dropped at any time.
    pub async fn contenders(&self) -> Result<Vec<Contender>, Error> {
        let session = self.shared.pool.session().await?;
        contenders::list(&session, &self.queue)
            .await
            .map_err(|error| Error::from_store("list the contenders", self.path.as_str(), error))
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.shared.pool
    }

    /// The length of the longest path that a watcher of this lock watches.
    pub(crate) fn watched_path_bytes(&self) -> usize {
        contend::watched_path_bytes(&self.queue, Mode::Exclusive)
    }

    pub(crate) fn queue(&self) -> &QueuePath {
        &self.queue
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.shared.identity
    }

    pub(super) fn store_guarantees(&self) -> Guarantees {
        self.shared.pool.store().guarantees()
    }

    /// Removes a contender by force: a holder, who is told that its lock is lost, or a waiter, who fails with
    /// [`Error::Removed`]. For operators; to ask a holder to release, use [`Mutex::request_release`].
    ///
    /// The contender is the one that [`Mutex::contenders`] listed, by its token: whoever has come in its place since is left alone.
    /// Returns whether it was removed by this; false if it was gone already.
    ///
    /// The next contender is granted at once, although the removed holder may be told only when it is connected again. If it is cut
    /// off or paused, it may still be at work: only what checks the [fencing token](crate::FencingToken) is safe from it then.
    ///
    /// # Errors
    ///
    /// [`Error::NoPermission`] if the node may not be deleted; otherwise as [`Mutex::acquire`].
    ///
    /// # Cancel safety
    ///
    /// The contender may be removed even if the future is dropped.
    pub async fn break_contender(&self, contender: &Contender) -> Result<bool, Error> {
        let session = self.shared.pool.session().await?;
        contenders::remove(&session, &self.queue, contender)
            .await
            .map_err(|error| Error::from_store("remove a contender", self.path.as_str(), error))
    }

    /// Waits in the place of an earlier node of the same user; [`Error::Removed`] if that is gone.
    pub(crate) async fn take_over(&self, earlier: Earlier, options: AcquireOptions) -> Result<Guard, Error> {
        let entry = self.entry(Mode::Exclusive, Patience::Wait, options);
        let ticket = entry.ticket.clone().with_token(earlier.token);
        let entry = Entry { earlier: Some(earlier), ticket, ..entry };
        contend::contend(&self.shared, entry).await.map(Guard::new)
    }

    // Not an `async fn`, as in `acquire_as`: its future would keep room for the arguments as long as it waits.
    fn contend(
        &self,
        mode: Mode,
        patience: Patience,
        share: Option<Share>,
        options: AcquireOptions,
    ) -> impl Future<Output = Result<Guard, Error>> + Send + use<'_> {
        let entry = Entry { share, ..self.entry(mode, patience, options) };
        contend::contend(&self.shared, entry).map_ok(Guard::new)
    }

    fn entry(&self, mode: Mode, patience: Patience, mut options: AcquireOptions) -> Entry<'_> {
        Entry {
            lock: &self.path,
            queue: &self.queue,
            ticket: self.shared.new_ticket(),
            mode,
            patience,
            expects_readers: self.expects_readers,
            share: None,
            earlier: None,
            limits: self.shared.limits,
            hold_limit: options.hold_limit(),
            lapses: true,
            progress: options.take_progress(),
        }
    }
}

impl fmt::Debug for Mutex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mutex").field(&self.path.as_str()).finish()
    }
}
