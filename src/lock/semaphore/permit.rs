//! Permits that were granted.

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::{Error, LossReason};
use crate::lock::distributed::HeldLock;
use crate::lock::guard::{Guard, Validity};
use crate::path::LockPath;
use crate::token::FencingToken;

/// One or several permits of a [`Semaphore`](crate::Semaphore). Dropping it gives them all back.
///
/// It tells of its loss like a [`Guard`].
#[must_use = "if unused, the permits are given back immediately"]
#[clippy::has_significant_drop]
#[derive(Debug)]
pub struct Permit {
    guard: Guard,
    count: u32,
}

impl Permit {
    pub(super) fn new(guard: Guard, count: u32) -> Self {
        Self { guard, count }
    }

    /// How many permits it is.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The path of the semaphore.
    pub fn path(&self) -> &LockPath {
        self.guard.path()
    }

    /// The token of this grant, higher than those of all contenders ahead of it. Others that have permits at the same time may have
    /// higher ones.
    pub fn fencing_token(&self) -> FencingToken {
        self.guard.fencing_token()
    }

    /// Whether the permits may be relied upon now; see [`Guard::is_valid`].
    pub fn is_valid(&self) -> bool {
        self.guard.is_valid()
    }

    /// Why the permits are lost; `None` while they may be relied upon.
    pub fn loss(&self) -> Option<LossReason> {
        self.guard.loss()
    }

    /// Whether the permits are held, in doubt, or lost.
    pub fn validity(&self) -> Validity {
        self.guard.validity()
    }

    /// How much longer the permits may be relied upon if nothing more is heard from the servers; zero once they are lost.
    pub fn valid_for(&self) -> Duration {
        self.guard.valid_for()
    }

    /// Waits until the permits are lost, and says why.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again; a loss is never missed.
    pub async fn lost(&self) -> LossReason {
        self.guard.lost().await
    }

    /// Runs the work as long as the permits are held; see [`Guard::protect`].
    ///
    /// # Errors
    ///
    /// [`Error::LockLost`] if the permits were lost before the work was done.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the work's future; the permits stay held.
    pub async fn protect<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        self.guard.protect(work).await
    }

    /// Releases the permits and waits until it is certain that they are released; see [`Guard::release`].
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

#[async_trait]
impl HeldLock for Permit {
    fn fencing_token(&self) -> Option<FencingToken> {
        Some(Permit::fencing_token(self))
    }

    fn is_valid(&self) -> bool {
        Permit::is_valid(self)
    }

    fn valid_for(&self) -> Duration {
        Permit::valid_for(self)
    }

    async fn lost(&self) -> LossReason {
        Permit::lost(self).await
    }

    async fn release(self: Box<Self>) -> Result<(), Error> {
        Permit::release(*self).await
    }
}
