//! Several locks, all or none.
//!
//! # Why two callers cannot deadlock
//!
//! A deadlock needs a circle of callers, each of which waits for a lock that the next one holds. Every caller takes its
//! locks in the order of their paths' bytes, so whoever waits for a path holds only smaller ones: along such a circle
//! the paths would have to grow for ever. The order is the same for callers whose connect strings have different roots,
//! since it does not depend on what is put before all of the paths.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, select_all};

use crate::error::{Error, LossReason};
use crate::lock::{AcquireOptions, Fairlock, Guard, Mutex, Transaction};
use crate::path::LockPath;

/// Several locks that are held together or not at all, made by [`Fairlock::multi_lock`].
///
/// They are acquired one after the other, in the order of their paths, whatever the order in which they were given: so
/// two callers with overlapping sets never wait for each other in a circle. Each of them is an ordinary [`Mutex`]: fair,
/// fenced, and shared with callers who take it alone.
///
/// What is not promised: fairness of the set as a whole. A caller that waits for its second lock holds its first.
#[derive(Clone)]
pub struct MultiLock {
    mutexes: Vec<Mutex>,
}

impl Fairlock {
    /// Several locks, held together or not at all.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), fairlock::Error> {
    /// # use fairlock::{Fairlock, store::memory::Memory};
    /// # let locks = Fairlock::builder().open(Memory::new()).await?;
    /// let transfer = locks.multi_lock(["/accounts/7", "/accounts/3"])?;
    /// let guard = transfer.acquire().await?;
    /// assert_eq!(guard.guards()[0].path().as_str(), "/accounts/3");
    /// guard.release().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidPath`] if a path is malformed, [`Error::InvalidConfig`] if there is none or one comes twice.
    pub fn multi_lock<P: AsRef<str>>(&self, paths: impl IntoIterator<Item = P>) -> Result<MultiLock, Error> {
        MultiLock::new(paths, |path| self.mutex(path))
    }
}

impl MultiLock {
    pub(crate) fn new<P: AsRef<str>>(
        paths: impl IntoIterator<Item = P>,
        mutex: impl Fn(&str) -> Result<Mutex, Error>,
    ) -> Result<Self, Error> {
        let mut paths = paths.into_iter().map(|path| LockPath::new(path.as_ref())).collect::<Result<Vec<_>, _>>()?;
        paths.sort_unstable();
        if paths.is_empty() {
            return Err(Error::InvalidConfig { reason: "a multi-lock of no paths; give at least one".into() });
        }
        if let Some(twice) = paths.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::InvalidConfig {
                reason: format!("{} comes twice in a multi-lock; give it once", twice[0]),
            });
        }
        let mutexes = paths.iter().map(|path| mutex(path.as_str())).collect::<Result<_, _>>()?;
        Ok(Self { mutexes })
    }

    /// The paths, in the order in which they are acquired.
    pub fn paths(&self) -> impl Iterator<Item = &LockPath> {
        self.mutexes.iter().map(Mutex::path)
    }

    /// Waits until all locks are held.
    ///
    /// # Errors
    ///
    /// As [`Mutex::acquire`] for the lock that failed, and [`Error::LockLost`] if one that was held already was lost while
    /// another was waited for. Whatever was held is released.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future releases what is held and gives up the place in the queue.
    pub async fn acquire(&self) -> Result<MultiGuard, Error> {
        self.acquire_one_by_one(None).await
    }

    /// Waits for at most this long, for all of them together.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] once the time has passed, with the path that was waited for then; otherwise as
    /// [`MultiLock::acquire`].
    ///
    /// # Cancel safety
    ///
    /// As [`MultiLock::acquire`].
    pub async fn acquire_timeout(&self, limit: Duration) -> Result<MultiGuard, Error> {
        self.acquire_one_by_one(Some(limit)).await
    }

    /// Takes all locks if nobody has or waits for any of them; `None`, with nothing held, if somebody does.
    ///
    /// # Errors
    ///
    /// As [`Mutex::try_acquire`].
    ///
    /// # Cancel safety
    ///
    /// As [`MultiLock::acquire`].
    pub async fn try_acquire(&self) -> Result<Option<MultiGuard>, Error> {
        let mut held = self.nothing_held();
        for mutex in &self.mutexes {
            let Some(guard) = mutex.try_acquire().await? else { return Ok(None) };
            held.guards.push(guard);
        }
        Ok(Some(held))
    }
}

impl MultiLock {
    fn nothing_held(&self) -> MultiGuard {
        let is_spread = self.mutexes.windows(2).any(|pair| !Arc::ptr_eq(pair[0].pool(), pair[1].pool()));
        MultiGuard { guards: Vec::with_capacity(self.mutexes.len()), is_spread }
    }

    async fn acquire_one_by_one(&self, limit: Option<Duration>) -> Result<MultiGuard, Error> {
        let started = tokio::time::Instant::now();
        let mut held = self.nothing_held();
        for mutex in &self.mutexes {
            let mut options = AcquireOptions::default();
            if let Some(limit) = limit {
                options = options.timeout(limit.saturating_sub(started.elapsed()));
            }
            let guard = tokio::select! {
                biased;
                (path, reason) = held.lost() => return Err(Error::LockLost { path: path.to_string(), reason }),
                guard = mutex.acquire_with(options) => guard,
            };
            held.guards.push(guard.map_err(|error| match (error, limit) {
                (Error::Timeout { path, .. }, Some(limit)) => Error::Timeout { path, waited: limit },
                (other, _) => other,
            })?);
        }
        Ok(held)
    }
}

impl fmt::Debug for MultiLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.paths().map(LockPath::as_str)).finish()
    }
}

/// Several locks, held. Dropping it releases them.
///
/// It is lost as soon as one of them is. It keeps the others until it is dropped or released.
#[must_use = "if unused, the locks are released immediately"]
#[clippy::has_significant_drop]
#[derive(Debug)]
pub struct MultiGuard {
    guards: Vec<Guard>,
    /// Whether they are of several ensembles.
    is_spread: bool,
}

impl MultiGuard {
    /// The guards of the locks, in the order of their paths, each with its fencing token.
    pub fn guards(&self) -> &[Guard] {
        &self.guards
    }

    /// Whether all locks may be relied upon now. Once false, always false.
    pub fn is_valid(&self) -> bool {
        self.guards.iter().all(Guard::is_valid)
    }

    /// How much longer all locks may be relied upon if nothing more is heard from the servers.
    pub fn valid_for(&self) -> Duration {
        self.guards.iter().map(Guard::valid_for).min().unwrap_or_default()
    }

    /// Waits until one of the locks is lost, and says which and why.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again; a loss is never missed.
    pub async fn lost(&self) -> (&LockPath, LossReason) {
        if self.guards.is_empty() {
            return std::future::pending().await;
        }
        let losses = self.guards.iter().map(|guard| Box::pin(async move { (guard.path(), guard.lost().await) }));
        select_all(losses).await.0
    }

    /// Runs the work as long as all locks are held; see [`Guard::protect`].
    ///
    /// # Errors
    ///
    /// [`Error::LockLost`] if one of the locks was lost before the work was done.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the work's future; the locks stay held.
    pub async fn protect<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        let output = tokio::select! {
            biased;
            (path, reason) = self.lost() => return Err(Error::LockLost { path: path.to_string(), reason }),
            output = work => output,
        };
        // Work that is ready together with the loss came too late.
        match self.guards.iter().find_map(|guard| Some((guard.path(), guard.loss()?))) {
            Some((path, reason)) => Err(Error::LockLost { path: path.to_string(), reason }),
            None => Ok(output),
        }
    }

    /// Writes to the store that take effect only if all locks are still held, decided by the store itself.
    ///
    /// The checks of the second and later locks are its first operations: an
    /// [`Error::TransactionRefused`] with an index below `guards().len() - 1` says that such a lock was lost.
    ///
    /// Locks of several ensembles (see [`Spread::multi_lock`](crate::Spread::multi_lock)) have no store that could decide it: then
    /// committing is refused with [`Error::InvalidConfig`].
    pub fn transaction(&self) -> Transaction<'_> {
        let (first, others) = self.guards.split_first().expect("a multi-lock has at least one path");
        if self.is_spread {
            // A node of the same path may be there, of somebody else.
            return first.transaction().refused(
                "a transaction of locks on several ensembles cannot be decided by one of them; write with one lock's guard",
            );
        }
        others.iter().fold(first.transaction(), |transaction, guard| transaction.check_exists(guard.node_path()))
    }

    /// Releases all locks and waits until it is certain that they are released.
    ///
    /// # Errors
    ///
    /// The first error of [`Guard::release`]; the others are released all the same.
    ///
    /// # Cancel safety
    ///
    /// The releases are under way once this function was called. Dropping the future only stops waiting for them.
    pub fn release(self) -> impl Future<Output = Result<(), Error>> + Send {
        // The last first, so that nobody who gets the first waits for the others.
        let releases: Vec<_> = self.guards.into_iter().rev().map(Guard::release).collect();
        async move { join_all(releases).await.into_iter().collect() }
    }
}
