//! A guard, of one who holds a lock alone, perhaps as a writer, of one who shares it, of permits, or a leadership.

use std::future::Future;
use std::pin::Pin;

use fairlock::recipes::Leadership;
use fairlock::{Error, FencingToken, Guard, LossReason, Permit, ReadGuard, WriteGuard};

/// See the module's doc.
#[derive(Debug)]
pub(crate) enum AnyGuard {
    Alone(Guard),
    Writing(WriteGuard),
    Shared(ReadGuard),
    Permits(Permit),
    Leading(Leadership),
}

impl AnyGuard {
    pub(crate) fn fencing_token(&self) -> FencingToken {
        match self {
            AnyGuard::Alone(guard) => guard.fencing_token(),
            AnyGuard::Writing(guard) => guard.fencing_token(),
            AnyGuard::Shared(guard) => guard.fencing_token(),
            AnyGuard::Permits(guard) => guard.fencing_token(),
            AnyGuard::Leading(guard) => guard.fencing_token(),
        }
    }

    pub(crate) fn is_valid(&self) -> bool {
        match self {
            AnyGuard::Alone(guard) => guard.is_valid(),
            AnyGuard::Writing(guard) => guard.is_valid(),
            AnyGuard::Shared(guard) => guard.is_valid(),
            AnyGuard::Permits(guard) => guard.is_valid(),
            AnyGuard::Leading(guard) => guard.is_valid(),
        }
    }

    pub(crate) fn shares(&self) -> bool {
        matches!(self, AnyGuard::Shared(_) | AnyGuard::Permits(_))
    }

    /// How many permits it is.
    pub(crate) fn permits(&self) -> u32 {
        match self {
            AnyGuard::Permits(permit) => permit.count(),
            AnyGuard::Alone(_) | AnyGuard::Writing(_) | AnyGuard::Shared(_) | AnyGuard::Leading(_) => 0,
        }
    }

    pub(crate) async fn lost(&self) -> LossReason {
        match self {
            AnyGuard::Alone(guard) => guard.lost().await,
            AnyGuard::Writing(guard) => guard.lost().await,
            AnyGuard::Shared(guard) => guard.lost().await,
            AnyGuard::Permits(guard) => guard.lost().await,
            AnyGuard::Leading(guard) => guard.lost().await,
        }
    }

    pub(crate) async fn protect(&self, work: impl Future<Output = ()>) -> Result<(), Error> {
        match self {
            AnyGuard::Alone(guard) => guard.protect(work).await,
            AnyGuard::Writing(guard) => guard.protect(work).await,
            AnyGuard::Shared(guard) => guard.protect(work).await,
            AnyGuard::Permits(guard) => guard.protect(work).await,
            AnyGuard::Leading(guard) => guard.protect(work).await,
        }
    }

    /// Asks for the release at once, not when it is awaited.
    pub(crate) fn release(self) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> {
        match self {
            AnyGuard::Alone(guard) => Box::pin(guard.release()),
            AnyGuard::Writing(guard) => Box::pin(guard.release()),
            AnyGuard::Shared(guard) => Box::pin(guard.release()),
            AnyGuard::Permits(guard) => Box::pin(guard.release()),
            AnyGuard::Leading(leadership) => Box::pin(leadership.resign()),
        }
    }
}
