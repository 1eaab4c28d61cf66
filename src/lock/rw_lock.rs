//! The read-write lock: many who share it, or one who holds it alone, first come, first served.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::time::Duration;

use super::acquire::AcquireOptions;
use super::client::Fairlock;
use super::contenders::Contender;
use super::guard::Guard;
use super::mutex::Mutex;
use super::share::tells_like_a_guard;
use crate::error::Error;
use crate::path::LockPath;
use crate::queue::Mode;
use crate::token::FencingToken;

/// A distributed read-write lock, made by [`Fairlock::rw_lock`].
///
/// * **Fair to both**: readers and writers stand in one queue. A reader is granted when no writer is ahead of it, a writer
///   when nobody is. So a writer that waits is not overtaken by readers that come later.
/// * **No herd**: a reader waits for the nearest writer ahead only, a writer for its predecessor. A writer that releases tells
///   the readers behind it, who all go on without a request, or the next writer, who does as well; a reader that releases tells
///   nobody but the writer that waits for it, who lists the queue then. Where a writer with readers behind it gives up or dies, each
///   of them lists the queue.
/// * **Fenced**: tokens rise in the order of the queue, so a resource that checks the tokens of *writes* refuses a late writer
///   once a later writer has written. A **reader** is safe from a late writer only if the resource also takes notice of the
///   readers' tokens, and refuses writes with lower ones from then on; or if the writes go through
///   [`Guard::transaction`](crate::Guard::transaction). A reader's token is no token for writing.
/// * **Convertible**: a writer may [become a reader](WriteGuard::downgrade) without letting another writer in, and a reader may
///   [try to become a writer](ReadGuard::try_upgrade).
/// * The writer's side is the [`Mutex`] of the same path: whoever takes that waits for readers, and readers for it.
///
/// Not reentrant, and a reader that waits for the writer's side of the same lock waits for itself;
/// [`ReadGuard::try_upgrade`] does not wait.
///
/// Clones are the same lock.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), fairlock::Error> {
/// # use fairlock::{Fairlock, store::memory::Memory};
/// # let locks = Fairlock::builder().open(Memory::new()).await?;
/// let lock = locks.rw_lock("/catalogue")?;
/// let (one, other) = (lock.read().await?, lock.read().await?);
/// assert!(lock.try_write().await?.is_none());
/// one.release().await?;
/// other.release().await?;
/// let writer = lock.write().await?;
/// assert!(lock.try_read().await?.is_none());
/// writer.release().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RwLock {
    mutex: Mutex,
}

impl Fairlock {
    /// A read-write lock. Cheap: nothing is sent until it is acquired.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidPath`] if the path is malformed.
    pub fn rw_lock(&self, path: &str) -> Result<RwLock, Error> {
        Ok(RwLock { mutex: self.mutex(path)?.expecting_readers() })
    }
}

impl RwLock {
    /// The path of the lock.
    pub fn path(&self) -> &LockPath {
        self.mutex.path()
    }

    /// Waits until no writer is ahead, and shares the lock with other readers.
    ///
    /// # Errors
    ///
    /// As [`Mutex::acquire`].
    ///
    /// # Cancel safety
    ///
    /// As [`Mutex::acquire`].
    pub async fn read(&self) -> Result<ReadGuard, Error> {
        self.read_with(AcquireOptions::default()).await
    }

    /// Waits until nobody is ahead, and holds the lock alone.
    ///
    /// # Errors
    ///
    /// As [`Mutex::acquire`].
    ///
    /// # Cancel safety
    ///
    /// As [`Mutex::acquire`].
    pub async fn write(&self) -> Result<WriteGuard, Error> {
        self.write_with(AcquireOptions::default()).await
    }

    /// As [`RwLock::read`], for at most this long.
    ///
    /// # Errors
    ///
    /// As [`Mutex::acquire_timeout`].
    ///
    /// # Cancel safety
    ///
    /// As [`Mutex::acquire`].
    pub async fn read_timeout(&self, limit: Duration) -> Result<ReadGuard, Error> {
        self.read_with(AcquireOptions::default().timeout(limit)).await
    }

    /// As [`RwLock::write`], for at most this long.
    ///
    /// # Errors
    ///
    /// As [`Mutex::acquire_timeout`].
    ///
    /// # Cancel safety
    ///
    /// As [`Mutex::acquire`].
    pub async fn write_timeout(&self, limit: Duration) -> Result<WriteGuard, Error> {
        self.write_with(AcquireOptions::default().timeout(limit)).await
    }

    /// As [`RwLock::read`], with options.
    ///
    /// # Errors
    ///
    /// As [`Mutex::acquire_with`].
    ///
    /// # Cancel safety
    ///
    /// As [`Mutex::acquire`].
    pub async fn read_with(&self, options: AcquireOptions) -> Result<ReadGuard, Error> {
        Ok(ReadGuard::new(self.mutex.acquire_as(Mode::Shared, options).await?, self.mutex.clone()))
    }

    /// As [`RwLock::write`], with options.
    ///
    /// # Errors
    ///
    /// As [`Mutex::acquire_with`].
    ///
    /// # Cancel safety
    ///
    /// As [`Mutex::acquire`].
    pub async fn write_with(&self, options: AcquireOptions) -> Result<WriteGuard, Error> {
        Ok(WriteGuard::new(self.mutex.acquire_as(Mode::Exclusive, options).await?, self.mutex.clone()))
    }

    /// Shares the lock if no writer has it or waits for it; `None` if one does.
    ///
    /// Costs as [`Mutex::try_acquire`].
    ///
    /// # Errors
    ///
    /// As [`Mutex::acquire`].
    ///
    /// # Cancel safety
    ///
    /// As [`Mutex::acquire`].
    pub async fn try_read(&self) -> Result<Option<ReadGuard>, Error> {
        Ok(self.mutex.try_acquire_as(Mode::Shared).await?.map(|guard| ReadGuard::new(guard, self.mutex.clone())))
    }

    /// Takes the lock alone if nobody has it or waits for it; `None` if somebody does.
    ///
    /// Costs as [`Mutex::try_acquire`].
    ///
    /// # Errors
    ///
    /// As [`Mutex::acquire`].
    ///
    /// # Cancel safety
    ///
    /// As [`Mutex::acquire`].
    pub async fn try_write(&self) -> Result<Option<WriteGuard>, Error> {
        Ok(self.mutex.try_acquire_as(Mode::Exclusive).await?.map(|guard| WriteGuard::new(guard, self.mutex.clone())))
    }

    /// Lists readers and writers in their order, those who hold the lock first; see [`Mutex::contenders`].
    ///
    /// # Errors
    ///
    /// As [`Mutex::acquire`].
    ///
    /// # Cancel safety
    ///
    /// Only reads; may be dropped at any time.
    pub async fn contenders(&self) -> Result<Vec<Contender>, Error> {
        self.mutex.contenders().await
    }

    /// The writer's side: the lock of this path that is held alone.
    ///
    /// Other than one of [`Fairlock::mutex`], it expects a reader just ahead, which takes two round trips and a request less where there
    /// is one, and a request more where there is none.
    pub fn as_mutex(&self) -> &Mutex {
        &self.mutex
    }
}

impl fmt::Debug for RwLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RwLock").field(&self.path().as_str()).finish()
    }
}

/// A read-write lock held by a writer, alone. Dropping it releases the lock.
///
/// It gives access to the [`Guard`], with everything that one has.
#[must_use = "if unused, the lock is released immediately"]
#[clippy::has_significant_drop]
#[derive(Debug)]
pub struct WriteGuard {
    pub(super) guard: Guard,
    pub(super) mutex: Mutex,
}

impl WriteGuard {
    pub(super) fn new(guard: Guard, mutex: Mutex) -> Self {
        Self { guard, mutex }
    }

    /// Releases the lock and waits until it is certain that it is released; see [`Guard::release`].
    ///
    /// # Errors
    ///
    /// As [`Guard::release`].
    ///
    /// # Cancel safety
    ///
    /// As [`Guard::release`].
    pub fn release(self) -> impl Future<Output = Result<(), Error>> + Send {
        self.guard.release()
    }
}

impl Deref for WriteGuard {
    type Target = Guard;

    fn deref(&self) -> &Guard {
        &self.guard
    }
}

/// A read-write lock shared by a reader. Dropping it releases the reader's share.
///
/// It tells of its loss like a [`Guard`], and has no transactions: it is no licence to write.
#[must_use = "if unused, the share is released immediately"]
#[clippy::has_significant_drop]
#[derive(Debug)]
pub struct ReadGuard {
    pub(super) guard: Guard,
    pub(super) mutex: Mutex,
}

impl ReadGuard {
    pub(super) fn new(guard: Guard, mutex: Mutex) -> Self {
        Self { guard, mutex }
    }

    /// The token of this share: higher than that of every writer before it, lower than that of every writer after it. One that was
    /// downgraded has the token that it had as a writer.
    pub fn fencing_token(&self) -> FencingToken {
        self.guard.fencing_token()
    }
}

tells_like_a_guard!(ReadGuard);
