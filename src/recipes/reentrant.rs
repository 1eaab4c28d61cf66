//! A lock that its owner may take again while it holds it.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::{Arc, Weak};

use crate::error::{Error, LossReason};
use crate::lock::{Guard, Mutex};
use crate::path::LockPath;

/// A lock that its owner may take again while it holds it, made by [`Mutex::reentrant`].
///
/// Threads own nothing in async code: a task moves between them, and one job may be many tasks. So the owner is **this
/// handle with all its clones**. Give a clone to each part of the work that is done for one owner; whoever has one shares
/// the lock, at the same time too. For another owner, call [`Mutex::reentrant`] again.
///
/// Taking the lock again sends nothing. The lock is released when the last guard goes.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), fairlock::Error> {
/// # use fairlock::{Fairlock, store::memory::Memory};
/// # let locks = Fairlock::builder().open(Memory::new()).await?;
/// let lock = locks.mutex("/ledger")?.reentrant(8);
/// let outer = lock.acquire().await?;
/// let inner = lock.acquire().await?;
/// assert_eq!(outer.fencing_token(), inner.fencing_token());
/// inner.release().await?;
/// assert!(outer.is_valid());
/// outer.release().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ReentrantMutex {
    owner: Arc<Owner>,
}

struct Owner {
    mutex: Mutex,
    limit: usize,
    /// The hold under way. Its lock is kept while the lock is being acquired, so that one place in the queue is enough.
    held: tokio::sync::Mutex<Weak<Guard>>,
}

impl Mutex {
    /// This lock for an owner who takes it again while holding it, at most `limit` times at once (at least once): code
    /// that takes it without end is told so rather than counted for ever.
    pub fn reentrant(&self, limit: usize) -> ReentrantMutex {
        let owner = Owner { mutex: self.clone(), limit: limit.max(1), held: tokio::sync::Mutex::default() };
        ReentrantMutex { owner: Arc::new(owner) }
    }
}

impl ReentrantMutex {
    /// The path of the lock.
    pub fn path(&self) -> &LockPath {
        self.owner.mutex.path()
    }

    /// Takes the lock: at once if this owner holds it, else in the queue.
    ///
    /// # Errors
    ///
    /// [`Error::HeldTooOften`] if the owner has as many guards as it may; [`Error::LockLost`] if the owner holds guards of a
    /// lock that was lost: drop them first. Otherwise as [`Mutex::acquire`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue; another clone that waits for the lock enters in its stead.
    pub async fn acquire(&self) -> Result<ReentrantGuard, Error> {
        let mut held = self.owner.held.lock().await;
        if let Some(guard) = self.again(&held)? {
            return Ok(guard);
        }
        let guard = Arc::new(self.owner.mutex.acquire().await?);
        *held = Arc::downgrade(&guard);
        Ok(ReentrantGuard { guard })
    }

    /// Takes the lock if this owner holds it or nobody does; `None` if somebody else holds it or waits for it.
    ///
    /// # Errors
    ///
    /// As [`ReentrantMutex::acquire`].
    ///
    /// # Cancel safety
    ///
    /// As [`ReentrantMutex::acquire`].
    pub async fn try_acquire(&self) -> Result<Option<ReentrantGuard>, Error> {
        // Another clone is waiting in the queue: it is not held.
        let Ok(mut held) = self.owner.held.try_lock() else { return Ok(None) };
        if let Some(guard) = self.again(&held)? {
            return Ok(Some(guard));
        }
        let Some(guard) = self.owner.mutex.try_acquire().await? else { return Ok(None) };
        let guard = Arc::new(guard);
        *held = Arc::downgrade(&guard);
        Ok(Some(ReentrantGuard { guard }))
    }

    fn again(&self, held: &Weak<Guard>) -> Result<Option<ReentrantGuard>, Error> {
        let Some(guard) = held.upgrade() else { return Ok(None) };
        let path = self.path().to_string();
        if let Some(reason) = guard.loss() {
            return Err(Error::LockLost { path, reason });
        }
        // One of the references is this one.
        if Arc::strong_count(&guard) > self.owner.limit {
            return Err(Error::HeldTooOften { path, limit: self.owner.limit });
        }
        Ok(Some(ReentrantGuard { guard }))
    }
}

impl fmt::Debug for ReentrantMutex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReentrantMutex")
            .field("path", &self.path().as_str())
            .field("limit", &self.owner.limit)
            .finish_non_exhaustive()
    }
}

/// One of an owner's guards. The lock is released when the last of them is dropped or released.
///
/// It gives access to the [`Guard`] that all of them share.
#[must_use = "if unused, the lock is released immediately"]
#[clippy::has_significant_drop]
#[derive(Debug)]
pub struct ReentrantGuard {
    guard: Arc<Guard>,
}

impl ReentrantGuard {
    /// Gives this guard back; if it is the owner's last, releases the lock and waits until that is certain.
    ///
    /// # Errors
    ///
    /// [`Error::LockLost`] if the lock was lost before; otherwise as [`Guard::release`].
    ///
    /// # Cancel safety
    ///
    /// As [`Guard::release`].
    pub fn release(self) -> impl Future<Output = Result<(), Error>> + Send {
        let path = self.guard.path().to_string();
        let loss: Option<LossReason> = self.guard.loss();
        // Of two that are released at one moment, exactly one is the last.
        let release = Arc::into_inner(self.guard).map(Guard::release);
        async move {
            match (release, loss) {
                (Some(release), _) => release.await,
                (None, Some(reason)) => Err(Error::LockLost { path, reason }),
                (None, None) => Ok(()),
            }
        }
    }
}

impl Deref for ReentrantGuard {
    type Target = Guard;

    fn deref(&self) -> &Guard {
        &self.guard
    }
}
