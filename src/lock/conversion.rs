//! From writing to reading and back, without letting go of the lock.

use std::fmt;

use super::guard::Guard;
use super::rw_lock::{ReadGuard, WriteGuard};
use crate::error::Error;

/// A guard that was not converted, and why. Unless it is lost, it holds what it held before.
#[must_use = "dropping it releases the guard"]
#[derive(Debug)]
pub struct NotConverted<G>(Box<(G, Error)>);

impl<G> NotConverted<G> {
    fn new(guard: G, error: Error) -> Self {
        Self(Box::new((guard, error)))
    }

    /// Why.
    pub fn error(&self) -> &Error {
        &self.0.1
    }

    /// The guard, as it was. If the reason is [`Error::LockLost`], it is lost.
    pub fn into_guard(self) -> G {
        self.0.0
    }

    /// The reason. What the guard holds is released.
    pub fn into_error(self) -> Error {
        self.0.1
    }

    /// The guard and the reason.
    pub fn into_parts(self) -> (G, Error) {
        *self.0
    }
}

impl<G> fmt::Display for NotConverted<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not converted: {}", self.error())
    }
}

impl<G: fmt::Debug> std::error::Error for NotConverted<G> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error().source()
    }
}

impl WriteGuard {
    /// Shares the lock from now on, without letting another writer in between.
    ///
    /// The place in the queue is kept: readers that wait next behind it are let in, and writers go on waiting, for this reader
    /// among others. The [fencing token](ReadGuard::fencing_token) stays the same, and so does a limit on how long it is held.
    ///
    /// Costs one transaction, after a reconnect two more requests to make sure of the node. Each reader that waits next
    /// behind lists the queue, and so does the first writer.
    ///
    /// On connection loss this waits for the reconnect and finds out whether it was done.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), fairlock::Error> {
    /// # use fairlock::{Fairlock, NotConverted, store::memory::Memory};
    /// # let locks = Fairlock::builder().open(Memory::new()).await?;
    /// let lock = locks.rw_lock("/catalogue")?;
    /// let writer = lock.write().await?;
    /// // Write the catalogue, then read it with others; nobody has written it in between.
    /// let reader = writer.downgrade().await.map_err(NotConverted::into_error)?;
    /// let other = lock.read().await?;
    /// # drop((reader, other)); Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// The guard comes back with the reason: [`Error::LockLost`] if the lock was lost before it was certain that it is shared, in
    /// which case the guard is lost; [`Error::NoPermission`] and others if the store refused, in which case it is held alone as
    /// before.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future releases the lock, whether or not it is shared by then.
    pub async fn downgrade(self) -> Result<ReadGuard, NotConverted<Self>> {
        let Self { guard, mutex } = self;
        match guard.into_hold().downgrade().await {
            Ok(hold) => Ok(ReadGuard::new(Guard::new(hold), mutex)),
            Err((hold, error)) => Err(NotConverted::new(Self::new(Guard::new(hold), mutex), error)),
        }
    }
}

impl ReadGuard {
    /// Holds the lock alone from now on, if nobody else shares it or waits for it: nobody has written since the share was taken.
    ///
    /// It does not wait, since two readers that wait for each other would wait for ever. If it is refused, the share is held as
    /// before. To wait, release the share and take the [writer's side](super::RwLock::write): others may write in between.
    ///
    /// The writer's [fencing token](Guard::fencing_token) is a new one, higher than the reader's. A limit on how long it is held
    /// goes on from where it was.
    ///
    /// Costs one read if it is refused because of somebody who was there before, as far as the server at hand knows; otherwise an entry
    /// at the end of the queue, four reads and the deletion of the share. Readers that come in that moment wait until it is done or
    /// refused. Whoever waits next for a lock that was upgraded lists the queue once more than otherwise.
    ///
    /// On connection loss this waits for the reconnect, and goes on then.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), fairlock::Error> {
    /// # use fairlock::{Error, Fairlock, NotConverted, store::memory::Memory};
    /// # let locks = Fairlock::builder().open(Memory::new()).await?;
    /// let lock = locks.rw_lock("/catalogue")?;
    /// let (reader, other) = (lock.read().await?, lock.read().await?);
    /// let refused = reader.try_upgrade().await.expect_err("somebody else reads");
    /// assert!(matches!(refused.error(), Error::UpgradeRefused { .. }));
    /// let reader = refused.into_guard();
    /// other.release().await?;
    /// let writer = reader.try_upgrade().await.map_err(NotConverted::into_error)?;
    /// # drop(writer); Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// The guard comes back with the reason: [`Error::UpgradeRefused`] if somebody else shares the lock or waits for it;
    /// [`Error::LockLost`] if the share was lost; otherwise as [`Mutex::acquire`](super::Mutex::acquire).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future releases the share, and the lock if it was just granted. Nothing is left behind.
    pub async fn try_upgrade(self) -> Result<WriteGuard, NotConverted<Self>> {
        match self.upgraded().await {
            Ok(Some(guard)) => {
                let Self { guard: share, mutex } = self;
                // While its node is there, it is in the way of others, and of this one's next attempt. Why it may not be deleted is
                // told to whoever looks into the log: the lock is held all the same.
                let _: Result<(), Error> = share.release().await;
                Ok(WriteGuard::new(guard, mutex))
            }
            Ok(None) => {
                let path = self.path().to_string();
                // What was in the way may have come after the share was lost.
                let error = match self.loss() {
                    Some(reason) => Error::LockLost { path, reason },
                    None => Error::UpgradeRefused { path },
                };
                Err(NotConverted::new(self, error))
            }
            Err(error) => Err(NotConverted::new(self, error)),
        }
    }

    async fn upgraded(&self) -> Result<Option<Guard>, Error> {
        if let Some(reason) = self.loss() {
            return Err(Error::LockLost { path: self.path().to_string(), reason });
        }
        // Until the lock is granted, the share is held: the store compares its node.
        self.mutex.try_acquire_for(self.guard.hold().share()).await
    }
}
