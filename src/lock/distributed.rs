//! The lock as an application may hold it without knowing the store: object-safe, with its guarantees as values.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use super::guard::Guard;
use super::mutex::Mutex;
use crate::error::{Error, LossReason};
use crate::token::FencingToken;

/// A distributed lock of any kind, for `Arc<dyn DistributedLock>`.
///
/// The methods promise what *every* lock can: one holder at a time as long as its store works as assumed, and a guard that
/// releases it. What differs is told by [`guarantees`](DistributedLock::guarantees), so that code which needs more can refuse a
/// lock that cannot give it, when it starts rather than when it fails. docs/STORES.md compares what stores can give.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), fairlock::Error> {
/// use std::sync::Arc;
/// use fairlock::{DistributedLock, Fairlock, Fencing, store::memory::Memory};
///
/// let locks = Fairlock::builder().open(Memory::new()).await?;
/// let lock: Arc<dyn DistributedLock> = Arc::new(locks.mutex("/payments")?);
/// assert_eq!(lock.guarantees().fencing, Fencing::NeverGoesBack, "the ledger checks tokens");
/// let held = lock.acquire().await?;
/// println!("held with token {:?}", held.fencing_token());
/// held.release().await?;
/// # Ok(()) }
/// ```
#[async_trait]
pub trait DistributedLock: Debug + Send + Sync {
    /// The lock's name: for ZooKeeper, its path.
    fn name(&self) -> &str;

    /// What this lock can be relied upon for.
    fn guarantees(&self) -> Guarantees;

    /// Waits until the lock is held.
    ///
    /// # Errors
    ///
    /// Those of the store; ask [`Error::retry`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind that blocks others for longer than a crash of this process would.
    async fn acquire(&self) -> Result<Box<dyn HeldLock>, Error>;

    /// Waits for at most this long.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] once the time has passed; otherwise as [`acquire`](DistributedLock::acquire).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](DistributedLock::acquire).
    async fn acquire_timeout(&self, limit: Duration) -> Result<Box<dyn HeldLock>, Error>;

    /// Takes the lock if it is free; `None` if it is not.
    ///
    /// # Errors
    ///
    /// As [`acquire`](DistributedLock::acquire).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](DistributedLock::acquire).
    async fn try_acquire(&self) -> Result<Option<Box<dyn HeldLock>>, Error>;
}

/// A held [`DistributedLock`]. Dropping it releases the lock, in the background.
#[async_trait]
pub trait HeldLock: Debug + Send + Sync {
    /// The token of this grant; `None` if the lock has [none](Fencing::None).
    fn fencing_token(&self) -> Option<FencingToken>;

    /// Whether the lock may be relied upon now, as far as its [`LossNotice`] goes. Once false, always false.
    fn is_valid(&self) -> bool;

    /// How much longer the lock may be relied upon if nothing more is heard from the servers; zero once it is lost.
    fn valid_for(&self) -> Duration;

    /// Waits until the lock is lost, and says why.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    async fn lost(&self) -> LossReason;

    /// Releases the lock and waits until that is certain.
    ///
    /// # Errors
    ///
    /// [`Error::LockLost`] if the lock was lost before.
    ///
    /// # Cancel safety
    ///
    /// The release goes on in the background.
    async fn release(self: Box<Self>) -> Result<(), Error>;
}

/// What a lock can be relied upon for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Guarantees {
    /// In which order waiters are granted.
    pub order: Order,
    /// Whether a resource can tell a late holder.
    pub fencing: Fencing,
    /// When a holder learns that it holds no more.
    pub loss: LossNotice,
    /// What the failure of a server does.
    pub failover: Failover,
}

impl Guarantees {
    /// The guarantees of an implementation.
    pub const fn new(order: Order, fencing: Fencing, loss: LossNotice, failover: Failover) -> Self {
        Self { order, fencing, loss, failover }
    }
}

/// In which order waiters are granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Order {
    /// In the order in which the store put them into its queue.
    FirstComeFirstServed,
    /// In any: a waiter may be overtaken without end.
    Any,
}

/// Whether a resource can tell a late holder by its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Fencing {
    /// There is no token.
    None,
    /// Tokens rise, but a failure of the store (a failover that loses its last writes, an eviction) may set them back.
    MayGoBack,
    /// Tokens rise, through failovers, restarts and deleted queues.
    NeverGoesBack,
}

/// When a holder learns that it holds the lock no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LossNotice {
    /// Never, unless it asks the store.
    Never,
    /// Once the store, or its client, has noticed; another may hold the lock by then.
    Afterwards,
    /// By its own clock, before the store can grant the lock to another, if clocks run at nearly the same speed.
    InTime,
}

/// What the failure of a server does to mutual exclusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Failover {
    /// There is one server, or none, and the locks go with it.
    Forgets,
    /// Another takes over, and may not know of the newest grants: two may hold one lock.
    MayForget,
    /// A majority knows of every grant.
    Remembers,
}

#[async_trait]
impl DistributedLock for Mutex {
    fn name(&self) -> &str {
        self.path().as_str()
    }

    fn guarantees(&self) -> Guarantees {
        self.store_guarantees()
    }

    async fn acquire(&self) -> Result<Box<dyn HeldLock>, Error> {
        Ok(Box::new(Mutex::acquire(self).await?))
    }

    async fn acquire_timeout(&self, limit: Duration) -> Result<Box<dyn HeldLock>, Error> {
        Ok(Box::new(Mutex::acquire_timeout(self, limit).await?))
    }

    async fn try_acquire(&self) -> Result<Option<Box<dyn HeldLock>>, Error> {
        let guard = Mutex::try_acquire(self).await?;
        Ok(guard.map(|guard| Box::new(guard) as Box<dyn HeldLock>))
    }
}

#[async_trait]
impl HeldLock for Guard {
    fn fencing_token(&self) -> Option<FencingToken> {
        Some(Guard::fencing_token(self))
    }

    fn is_valid(&self) -> bool {
        Guard::is_valid(self)
    }

    fn valid_for(&self) -> Duration {
        Guard::valid_for(self)
    }

    async fn lost(&self) -> LossReason {
        Guard::lost(self).await
    }

    async fn release(self: Box<Self>) -> Result<(), Error> {
        Guard::release(*self).await
    }
}
