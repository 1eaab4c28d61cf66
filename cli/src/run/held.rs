//! The lock that is asked for, and the lock that is held, of whichever kind.

use std::time::Duration;

use fairlock::clock::{Clock as _, HostClock, Timestamp};
use fairlock::recipes::Leadership;
use fairlock::{
    AcquireOptions, Error, Fairlock, FencingToken, Guard, LossReason, Mutex, Permit, ReadGuard, RwLock, Semaphore,
};

/// What to acquire.
#[derive(Clone, Debug)]
pub(super) enum Lock {
    Exclusive(Mutex),
    Shared(RwLock),
    Permits(Semaphore),
}

/// What was acquired.
#[derive(Debug)]
pub(super) enum Held {
    Exclusive(Guard),
    Shared(ReadGuard),
    Permit(Permit),
    Leadership(Leadership),
}

/// Which kind was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Exclusive,
    Shared,
    Permits(u32),
}

impl Lock {
    pub(super) fn new(locks: &Fairlock, path: &str, kind: Kind) -> Result<Self, Error> {
        Ok(match kind {
            Kind::Exclusive => Lock::Exclusive(locks.mutex(path)?),
            Kind::Shared => Lock::Shared(locks.rw_lock(path)?),
            Kind::Permits(permits) => Lock::Permits(locks.semaphore(path, permits)?),
        })
    }

    /// Waits for it.
    pub(super) async fn acquire(&self, options: AcquireOptions) -> Result<Held, Error> {
        Ok(match self {
            Lock::Exclusive(lock) => Held::Exclusive(lock.acquire_with(options).await?),
            Lock::Shared(lock) => Held::Shared(lock.read_with(options).await?),
            Lock::Permits(lock) => Held::Permit(lock.acquire_with(1, options).await?),
        })
    }

    /// Takes it if that is possible at once.
    pub(super) async fn try_acquire(&self) -> Result<Option<Held>, Error> {
        Ok(match self {
            Lock::Exclusive(lock) => lock.try_acquire().await?.map(Held::Exclusive),
            Lock::Shared(lock) => lock.try_read().await?.map(Held::Shared),
            Lock::Permits(lock) => lock.try_acquire().await?.map(Held::Permit),
        })
    }
}

impl Held {
    pub(super) fn token(&self) -> FencingToken {
        match self {
            Held::Exclusive(guard) => guard.fencing_token(),
            Held::Shared(guard) => guard.fencing_token(),
            Held::Leadership(guard) => guard.fencing_token(),
            Held::Permit(permit) => permit.fencing_token(),
        }
    }

    pub(super) fn loss(&self) -> Option<LossReason> {
        match self {
            Held::Exclusive(guard) => guard.loss(),
            Held::Shared(guard) => guard.loss(),
            Held::Leadership(guard) => guard.loss(),
            Held::Permit(permit) => permit.loss(),
        }
    }

    /// Until when it can be relied upon if nothing more is heard from the servers, on the host's clock.
    pub(super) fn valid_until(&self) -> Timestamp {
        // Read before: so it errs to the safe side.
        let now = HostClock.now();
        let rest = match self {
            Held::Exclusive(guard) => guard.valid_for(),
            Held::Shared(guard) => guard.valid_for(),
            Held::Leadership(guard) => guard.valid_for(),
            Held::Permit(permit) => permit.valid_for(),
        };
        now + rest
    }

    /// Waits until it is lost.
    pub(super) async fn lost(&self) -> LossReason {
        match self {
            Held::Exclusive(guard) => guard.lost().await,
            Held::Shared(guard) => guard.lost().await,
            Held::Leadership(guard) => guard.lost().await,
            Held::Permit(permit) => permit.lost().await,
        }
    }

    /// Gives it back, and waits for that for at most this long; whether it is certain. If it is not, the lock ends with the session.
    pub(super) async fn release(self, patience: Duration) -> Result<bool, Error> {
        let released = async {
            match self {
                Held::Exclusive(guard) => guard.release().await,
                Held::Shared(guard) => guard.release().await,
                Held::Permit(permit) => permit.release().await,
                Held::Leadership(leadership) => leadership.resign().await,
            }
        };
        match tokio::time::timeout(patience, released).await {
            Ok(outcome) => outcome.map(|()| true),
            Err(_) => Ok(false),
        }
    }

    /// Waits until somebody asks for it, and answers; for ever, if nobody can.
    pub(super) async fn asked_to_release(&self, answer: &str) -> Result<Request, Error> {
        let guard: &Guard = match self {
            Held::Exclusive(guard) => guard,
            Held::Leadership(leadership) => leadership,
            Held::Shared(_) | Held::Permit(_) => return std::future::pending().await,
        };
        let asked = guard.release_requested().await?;
        // It was seen, whether or not that can be said.
        let is_acknowledged = guard.acknowledge(&asked, answer).await.is_ok();
        Ok(Request { by: asked.by().to_string(), reason: asked.reason().to_owned(), is_acknowledged })
    }
}

/// A request to give the lock back.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) by: String,
    pub(super) reason: String,
    pub(super) is_acknowledged: bool,
}
