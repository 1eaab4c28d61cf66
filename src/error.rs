//! What can go wrong, by meaning: each error says what happened, whether to try again, and what to do.

use std::time::Duration;

use crate::store::StoreError;

/// Why a guard no longer protects anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum LossReason {
    /// The servers ended the session, and the lock's node with it.
    #[error("the session expired")]
    SessionExpired,
    /// The servers refused the session's credentials on a reconnect.
    #[error("authentication failed")]
    AuthenticationFailed,
    /// Somebody deleted the lock's node.
    #[error("the lock's node was deleted")]
    NodeDeleted,
    /// No write was acknowledged in time, so the servers may end the session at any moment.
    #[error("the session was not confirmed in time")]
    DeadlinePassed,
    /// The longest time that the holder wanted to hold it has passed
    /// ([`AcquireOptions::hold_at_most`](crate::AcquireOptions::hold_at_most)).
    #[error("it was held for as long as it may be")]
    HoldLimitReached,
    /// [`Fairlock::close`](crate::Fairlock::close) was called, or the runtime that served the lock has ended.
    #[error("the lock client was closed")]
    Closed,
}

/// Whether repeating the same call can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// The call may succeed if it is repeated, as a new attempt at the end of the queue.
    Yes,
    /// It will fail again until something else is changed first; the message says what.
    No,
}

/// The error of every operation of this library.
///
/// Match on the variants for the meaning, ask [`Error::retry`] whether to try again. The store's own error, where
/// there is one, is the [`source`](std::error::Error::source).
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The lock path is malformed. Nothing was sent.
    #[error("invalid lock path {path:?}: {reason}")]
    InvalidPath {
        /// The path as given, shortened.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An option or a combination of options is not possible.
    #[error("invalid configuration: {reason}")]
    InvalidConfig {
        /// What is wrong and what to give instead.
        reason: String,
    },
    /// Something to be stored is larger than the limit. Nothing was sent.
    #[error("{what} has {bytes} bytes, the limit is {bytes_max}; make it smaller")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// No server answered.
    #[error("no session with {servers} within {waited:?}: {diagnosis}")]
    Unreachable {
        /// The servers, as given.
        servers: String,
        /// How long was waited.
        waited: Duration,
        /// What was found when each server was looked at, and what to do.
        diagnosis: String,
        /// The store's last error.
        #[source]
        source: Option<StoreError>,
    },
    /// Something answered that is not the expected kind of server.
    #[error("{server} answered, but it is no ZooKeeper server; check host and port ({detail})")]
    NotZooKeeper {
        /// The server's address.
        server: String,
        /// What it answered, shortened.
        detail: String,
    },
    /// The servers refused the credentials.
    #[error("{servers} refused the credentials; check the scheme and the secret")]
    AuthenticationFailed {
        /// The servers, as given.
        servers: String,
        /// The store's error.
        #[source]
        source: StoreError,
    },
    /// The root directory of the connect string does not exist.
    #[error("the root {chroot} of the connect string does not exist; create it or connect without it")]
    MissingChroot {
        /// The root.
        chroot: String,
        /// The store's error.
        #[source]
        source: StoreError,
    },
    /// The session may not do this.
    #[error("no permission to {operation} at {path}; grant it in the ACL of {path}, or connect with other credentials")]
    NoPermission {
        /// What was tried.
        operation: &'static str,
        /// Where.
        path: String,
        /// The store's error.
        #[source]
        source: StoreError,
    },
    /// The lock path lies below an ephemeral node, which cannot have children.
    #[error("{path} lies below an ephemeral node, which cannot have children; choose another lock path")]
    UnderEphemeral {
        /// The lock path.
        path: String,
        /// The store's error.
        #[source]
        source: StoreError,
    },
    /// A quota of the store is exhausted.
    #[error("a quota at {path} is exhausted; raise it (setquota) or remove unused nodes")]
    QuotaExceeded {
        /// The lock path.
        path: String,
        /// The store's error.
        #[source]
        source: StoreError,
    },
    /// The server is read-only: cut off from its quorum.
    #[error("the server is read-only, being cut off from its quorum; try again when it is back")]
    ReadOnly {
        /// The store's error.
        #[source]
        source: StoreError,
    },
    /// The lock was not granted in the given time. The place in the queue has been given up.
    #[error("{path} was not granted within {waited:?}")]
    Timeout {
        /// The lock path.
        path: String,
        /// How long was waited.
        waited: Duration,
    },
    /// An owner has taken a reentrant lock as often at once as it may.
    #[error(
        "{path} is held {limit} times by its owner, which is the limit; release guards, or look for a call that recurs"
    )]
    HeldTooOften {
        /// The lock path.
        path: String,
        /// How many guards the owner may have at once.
        limit: usize,
    },
    /// A semaphore has another number of permits than this process declares for it. Nothing was taken.
    #[error(
        "the semaphore {path} has {found} permits, and this process declares {declared}; declare the same everywhere, \
         or change it with Semaphore::resize"
    )]
    PermitsMismatch {
        /// The path of the semaphore.
        path: String,
        /// How many this process declares.
        declared: u32,
        /// How many it has.
        found: u32,
    },
    /// More permits were asked for than the semaphore has.
    #[error("{asked} permits of {path} were asked for, which has {permits}; ask for fewer, or resize it")]
    TooManyPermits {
        /// The path of the semaphore.
        path: String,
        /// How many were asked for.
        asked: u32,
        /// How many it has.
        permits: u32,
    },
    /// What says how many permits a semaphore has was removed or overwritten by hand.
    #[error("the number of permits is not to be read at {path}; delete it while nobody uses the semaphore")]
    NoAgreement {
        /// Where it should be.
        path: String,
    },
    /// A share of a lock was not exchanged for the lock, since others share it too or wait for it. Nothing was changed.
    ///
    /// Two readers that go on trying may keep each other from it for ever. Release the share and wait for the lock.
    #[error("others share {path} or wait for it; release the share and wait for the lock instead of trying again")]
    UpgradeRefused {
        /// The lock path.
        path: String,
    },
    /// The session ended while the call was waiting. The place in the queue is gone.
    #[error("the session ended while waiting for {path}: {reason}; a new one is made for the next attempt")]
    SessionLost {
        /// The lock path.
        path: String,
        /// How it ended.
        reason: LossReason,
    },
    /// Somebody deleted this contender's node, or the whole queue, while it was waiting.
    #[error("the place in the queue of {path} was removed by somebody else")]
    Removed {
        /// The lock path.
        path: String,
    },
    /// The guard has lost its lock.
    #[error("the lock {path} was lost: {reason}")]
    LockLost {
        /// The lock path.
        path: String,
        /// How it was lost.
        reason: LossReason,
    },
    /// The queue's number range is used up; numbers start again once the queue has been empty.
    #[error(
        "the queue of {path} has used up its numbers; let it run empty, or delete {path}/_fairlock while nobody uses it"
    )]
    QueueExhausted {
        /// The lock path.
        path: String,
    },
    /// A condition of a guarded transaction did not hold. Nothing was written.
    #[error("operation {index} of the transaction was refused; nothing was written")]
    TransactionRefused {
        /// Which operation, counted from 0 in the order they were added.
        index: usize,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// A value was changed by somebody else since it was read. Nothing was written. Read it again and decide anew.
    #[error("{path} was changed by somebody else meanwhile; read it again")]
    Conflict {
        /// The path of the value.
        path: String,
    },
    /// The reply to a transaction or to a write of a value was lost: it may or may not have been executed.
    #[error("the outcome of the write is unknown: its reply was lost; read back before repeating it")]
    UnknownOutcome {
        /// The store's error.
        #[source]
        source: StoreError,
    },
    /// The handle was closed.
    #[error("the lock client was closed")]
    Closed,
    /// The store failed in a way that has no better name here.
    #[error("the store failed to {operation} at {path}")]
    Store {
        /// What was tried.
        operation: &'static str,
        /// Where.
        path: String,
        /// The store's error.
        #[source]
        source: StoreError,
    },
}

impl Error {
    /// Whether repeating the same call can help; in the case of [`Error::Conflict`], after reading again.
    pub fn retry(&self) -> Retry {
        match self {
            Error::Unreachable { .. }
            | Error::ReadOnly { .. }
            | Error::Timeout { .. }
            | Error::SessionLost { .. }
            | Error::Removed { .. }
            | Error::Conflict { .. } => Retry::Yes,
            Error::Store { source, .. } if source.is_transient() => Retry::Yes,
            _ => Retry::No,
        }
    }

    /// What a waiter is told whose place in the queue, or turn, is lost.
    pub(crate) fn lost_while_waiting(path: &str, reason: LossReason) -> Self {
        let path = path.to_owned();
        match reason {
            LossReason::Closed => Error::Closed,
            LossReason::NodeDeleted => Error::Removed { path },
            reason => Error::SessionLost { path, reason },
        }
    }

    /// Sorts the store's error into the meanings that users act on.
    pub(crate) fn from_store(operation: &'static str, path: &str, source: StoreError) -> Self {
        use crate::store::StoreErrorKind as Kind;
        let path = path.to_owned();
        match source.kind() {
            Kind::NoPermission => Error::NoPermission { operation, path, source },
            Kind::EphemeralParent => Error::UnderEphemeral { path, source },
            Kind::QuotaExceeded => Error::QuotaExceeded { path, source },
            Kind::ReadOnly => Error::ReadOnly { source },
            Kind::Ended(LossReason::Closed) => Error::Closed,
            Kind::Ended(reason) => Error::SessionLost { path, reason },
            _ => Error::Store { operation, path, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{StoreError, StoreErrorKind};

    #[test]
    fn store_errors_get_the_meaning_that_users_act_on() {
        let from = |kind| Error::from_store("create a node", "/a", StoreError::new(kind));
        assert!(matches!(from(StoreErrorKind::NoPermission), Error::NoPermission { .. }));
        assert!(matches!(from(StoreErrorKind::EphemeralParent), Error::UnderEphemeral { .. }));
        assert!(matches!(from(StoreErrorKind::QuotaExceeded), Error::QuotaExceeded { .. }));
        let expired = from(StoreErrorKind::Ended(LossReason::SessionExpired));
        assert!(matches!(expired, Error::SessionLost { reason: LossReason::SessionExpired, .. }));
        assert_eq!(expired.retry(), Retry::Yes);
        assert_eq!(from(StoreErrorKind::Unknown).retry(), Retry::Yes);
        assert_eq!(from(StoreErrorKind::NoPermission).retry(), Retry::No);
    }

    #[test]
    fn errors_keep_their_source() {
        let error = Error::from_store("create a node", "/a", StoreError::new(StoreErrorKind::NoPermission));
        assert!(std::error::Error::source(&error).is_some());
    }
}
