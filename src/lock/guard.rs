//! The guard of a held lock.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use super::transaction::Transaction;
use crate::clock::Timestamp;
use crate::driver::{Claim, Hold};
use crate::error::{Error, LossReason};
use crate::path::LockPath;
use crate::session::Session;
use crate::store::SessionState;
use crate::token::FencingToken;

/// A held lock. Dropping it releases the lock.
///
/// It owns what it needs: it may be moved to another task or thread, kept in a struct, and dropped anywhere, also
/// outside a runtime or while panicking. The release is carried out by a task on the runtime that opened the session: a
/// program that drops a guard and exits at once should [release](Guard::release) it instead, or
/// [close](crate::Fairlock::close) the handle; else the lock is free when the session times out.
///
/// # When the lock is lost
///
/// A lock is lost when its session expires, when somebody deletes its node, or when no write was acknowledged for so
/// long that the servers may be about to end the session. The guard then says so ([`Guard::is_valid`],
/// [`Guard::lost`], [`Guard::protect`]) *before* the servers can grant the lock to another. A lost guard never
/// becomes valid again.
///
/// The clock is this host's and cannot stop the program between looking at it and acting. To be safe against pauses
/// of any length, send the [fencing token](Guard::fencing_token) with every write to the protected resource, or
/// write to ZooKeeper with [`Guard::transaction`].
#[must_use = "if unused, the lock is released immediately"]
#[clippy::has_significant_drop]
pub struct Guard {
    hold: Hold,
}

/// How a guard stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Validity {
    /// The lock is held, and a server answers.
    Held,
    /// The lock is held, but no server answers at present. If that stays so, it will be lost at
    /// [`Guard::valid_until`].
    Suspended,
    /// The lock is lost, for good.
    Lost(LossReason),
}

impl Guard {
    pub(super) fn new(hold: Hold) -> Self {
        Self { hold }
    }

    pub(super) fn hold(&self) -> &Hold {
        &self.hold
    }

    /// The holder's node, and the session that owns it.
    pub(crate) fn claim(&self) -> Claim {
        self.hold.claim()
    }

    pub(super) fn into_hold(self) -> Hold {
        self.hold
    }

    pub(crate) fn session(&self) -> &Session {
        self.hold.session()
    }

    /// The path of the lock.
    pub fn path(&self) -> &LockPath {
        self.hold.lock()
    }

    /// The token of this grant, higher than that of every earlier grant of this lock. A leadership that was
    /// [resumed](crate::recipes::Election::resume) has that of its earlier run.
    pub fn fencing_token(&self) -> FencingToken {
        self.hold.token()
    }

    /// The path of the holder's node, below the root of the connect string.
    pub fn node_path(&self) -> &str {
        self.hold.node_path()
    }

    /// Whether the lock may be relied upon now. Looks at a clock; no I/O. Once false, always false.
    pub fn is_valid(&self) -> bool {
        self.hold.loss().is_none()
    }

    /// Why the lock is lost; `None` while it may be relied upon. Looks at a clock; no I/O.
    pub fn loss(&self) -> Option<LossReason> {
        self.hold.loss()
    }

    /// Whether the lock is held, in doubt, or lost.
    pub fn validity(&self) -> Validity {
        match self.hold.loss() {
            Some(reason) => Validity::Lost(reason),
            None if *self.hold.session().states().borrow() == SessionState::Suspended => Validity::Suspended,
            None => Validity::Held,
        }
    }

    /// The point, on the clock of the store, up to which the lock may be relied upon if nothing more is heard from
    /// the servers. It moves on while they answer, and means nothing once the lock is lost. [`Guard::valid_for`] says
    /// the same as a duration, and zero then.
    pub fn valid_until(&self) -> Timestamp {
        self.hold.valid_until()
    }

    /// How much longer the lock may be relied upon if nothing more is heard from the servers; zero once it is lost.
    pub fn valid_for(&self) -> Duration {
        if !self.is_valid() {
            return Duration::ZERO;
        }
        self.valid_until().saturating_since(self.hold.session().clock().now())
    }

    /// Waits until the lock is lost, and says why.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again; a loss is never missed.
    pub async fn lost(&self) -> LossReason {
        self.hold.lost().await
    }

    /// Runs the work as long as the lock is held: on loss, the work's future is dropped at its present await point.
    ///
    /// Work that blocks its thread cannot be stopped that way.
    ///
    /// # Errors
    ///
    /// [`Error::LockLost`] if the lock was lost before the work was done. What the work has done until then is not
    /// undone.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the work's future; the lock stays held.
    pub async fn protect<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        // Loss is polled first: work that is ready together with the loss came too late.
        tokio::select! {
            biased;
            reason = self.lost() => Err(self.lost_error(reason)),
            output = work => match self.hold.loss() {
                None => Ok(output),
                Some(reason) => Err(self.lost_error(reason)),
            },
        }
    }

    /// Writes to the store that take effect only if the lock is still held, decided by the store itself.
    pub fn transaction(&self) -> Transaction<'_> {
        Transaction::new(&self.hold)
    }

    /// Releases the lock and waits until it is certain that it is released.
    ///
    /// On connection loss this waits for the reconnect and finishes then, or for the end of the session, which
    /// releases the lock as well.
    ///
    /// # Errors
    ///
    /// [`Error::LockLost`] if the lock was lost before it was certain that it was released: the work may have overlapped
    /// with another's. [`Error::NoPermission`] if the node may not be deleted; that is tried again in the background,
    /// and the node goes with the session, which is closed when nothing else uses it any more.
    ///
    /// # Cancel safety
    ///
    /// The release is under way once this function was called. Dropping the future only stops waiting for it.
    pub fn release(self) -> impl Future<Output = Result<(), Error>> + Send {
        self.hold.release()
    }

    fn lost_error(&self, reason: LossReason) -> Error {
        Error::LockLost { path: self.hold.lock().to_string(), reason }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("lock", &self.path().as_str())
            .field("fencing_token", &self.fencing_token().as_i64())
            .field("validity", &self.validity())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_may_go_anywhere() {
        fn anywhere<T: Send + Sync + Unpin + 'static>() {}
        anywhere::<Guard>();
        fn sendable<T: Send>(_: T) {}
        #[allow(dead_code)]
        fn futures_are_send(guard: Guard) {
            sendable(guard.lost());
            sendable(guard.protect(async {}));
            sendable(guard.release());
        }
    }
}
