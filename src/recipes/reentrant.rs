//! A lock that its owner may take again while it holds it.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use crate::error::Error;
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
    /// Kept while the lock is being acquired, so that one place in the queue is enough.
    acquiring: tokio::sync::Mutex<()>,
    held: StdMutex<Option<Held>>,
}

/// The hold under way, and how many guards the owner has of it.
struct Held {
    guard: Arc<Guard>,
    guards: usize,
}

impl Mutex {
    /// This lock for an owner who takes it again while holding it, at most `limit` times at once (at least once): code
    /// that takes it without end is told so rather than counted for ever.
    pub fn reentrant(&self, limit: usize) -> ReentrantMutex {
        let (acquiring, held) = (tokio::sync::Mutex::default(), StdMutex::default());
        let owner = Owner { mutex: self.clone(), limit: limit.max(1), acquiring, held };
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
        if let Some(guard) = self.again()? {
            return Ok(guard);
        }
        let _one_at_a_time = self.owner.acquiring.lock().await;
        // Another clone may have been quicker.
        if let Some(guard) = self.again()? {
            return Ok(guard);
        }
        Ok(self.first(self.owner.mutex.acquire().await?))
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
        if let Some(guard) = self.again()? {
            return Ok(Some(guard));
        }
        // Another clone is waiting in the queue.
        let Ok(_one_at_a_time) = self.owner.acquiring.try_lock() else { return Ok(None) };
        if let Some(guard) = self.again()? {
            return Ok(Some(guard));
        }
        Ok(self.owner.mutex.try_acquire().await?.map(|guard| self.first(guard)))
    }

    /// One more guard of the hold under way, if there is one.
    fn again(&self) -> Result<Option<ReentrantGuard>, Error> {
        let mut held = self.owner.lock_held();
        let Some(held) = held.as_mut() else { return Ok(None) };
        let path = self.path().to_string();
        if let Some(reason) = held.guard.loss() {
            return Err(Error::LockLost { path, reason });
        }
        if held.guards >= self.owner.limit {
            return Err(Error::HeldTooOften { path, limit: self.owner.limit });
        }
        held.guards += 1;
        Ok(Some(ReentrantGuard { owner: self.owner.clone(), guard: Some(held.guard.clone()) }))
    }

    /// The first guard of a new hold.
    fn first(&self, guard: Guard) -> ReentrantGuard {
        let guard = Arc::new(guard);
        let before = self.owner.lock_held().replace(Held { guard: guard.clone(), guards: 1 });
        assert!(before.is_none(), "the lock was acquired while it was held by this owner");
        ReentrantGuard { owner: self.owner.clone(), guard: Some(guard) }
    }
}

impl Owner {
    fn lock_held(&self) -> std::sync::MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a guard back; the lock itself if it was the last.
    fn give_back(&self, guard: Arc<Guard>) -> Option<Guard> {
        let mut held = self.lock_held();
        let guards = held.as_mut().map(|held| &mut held.guards).expect("a guard is counted while it exists");
        *guards -= 1;
        if *guards > 0 {
            return None;
        }
        let last = held.take();
        drop((last, held));
        // Nobody else has one: they are counted.
        Arc::into_inner(guard)
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
pub struct ReentrantGuard {
    owner: Arc<Owner>,
    /// Gone once it was given back.
    guard: Option<Arc<Guard>>,
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
    pub fn release(mut self) -> impl Future<Output = Result<(), Error>> + Send {
        let (path, loss) = (self.path().to_string(), self.loss());
        let release = self.guard.take().and_then(|guard| self.owner.give_back(guard)).map(Guard::release);
        async move {
            match (release, loss) {
                (Some(release), _) => release.await,
                (None, Some(reason)) => Err(Error::LockLost { path, reason }),
                (None, None) => Ok(()),
            }
        }
    }
}

impl Drop for ReentrantGuard {
    fn drop(&mut self) {
        if let Some(guard) = self.guard.take() {
            drop(self.owner.give_back(guard));
        }
    }
}

impl Deref for ReentrantGuard {
    type Target = Guard;

    fn deref(&self) -> &Guard {
        self.guard.as_ref().expect("a guard that is in use was not given back")
    }
}

impl fmt::Debug for ReentrantGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReentrantGuard").field("guard", &**self).finish_non_exhaustive()
    }
}
