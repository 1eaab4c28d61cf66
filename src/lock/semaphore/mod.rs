//! The semaphore: so many permits, first come, first served.
//!
//! # The argument
//!
//! A contender that has permits, or is next to get some, has a node in the directory of permits, named after how many it
//! wants. The queue protocol grants it once it and all nodes ahead of it want no more than there are, together
//! (`queue::machine::room`). Whoever waits there is told of every change in that directory, so not all may wait there: a
//! contender first waits for its *turn*, in a queue of its own like that of a lock, and gives it up once it has its permits.
//!
//! * *Order*: nodes in the directory of permits are made in the order of turns, and granted in the order in which they were
//!   made.
//! * *No herd*: a release tells the one whose turn it is, which then hands the turn on, and that tells one more: two events, with
//!   however many waiters.
//! * *Safety* does not rest on turns. So a turn does not lapse when the session is not confirmed in time, and a place among the
//!   waiters survives an interruption, like a lock's.
//!
//! How many permits there are is the directory's data. It is read after the own node was made, and the session's server has
//! applied everything before that: who asks for permits after a change was acknowledged is granted by the new number.

mod agreement;
mod permit;
mod waiting;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

pub use self::permit::Permit;
use super::acquire::AcquireOptions;
use super::client::{Fairlock, Shared};
use super::contend;
use super::contenders::{self, Contender};
use super::guard::Guard;
use crate::error::Error;
use crate::path::{LockPath, QueuePath};
use crate::queue::{Mode, Patience};

/// A distributed semaphore, made by [`Fairlock::semaphore`]: so many permits, of which each contender takes one or several.
///
/// * **Fair**: granted in the order in which they came. One that wants many permits is not overtaken by others that want few,
///   also while there are enough for those.
/// * **No herd**: a release tells one waiter, and that one the next; each permit that changes hands costs two notifications and a
///   list of those who have permits, with however many waiters.
/// * **Honest**: a [`Permit`] tells when it is lost, before the servers can give it to another. Its
///   [`FencingToken`](crate::FencingToken) is higher than those of all contenders ahead of it. Permits are held at the same time,
///   by holders in any order of tokens, so a resource that refuses lower tokens would refuse rightful holders: the token is good for
///   naming a grant, not for ordering writes.
/// * **Agreed**: the number of permits is stored with the semaphore when it is first used. A process that declares another one
///   gets [`Error::PermitsMismatch`]; [`Semaphore::resize`] changes it for all.
///
/// What stays behind: the directory with the number of permits, `<path>/_fairlock_permits`.
///
/// Not reentrant: a task that holds permits and waits for more may wait for itself. Take what is needed at once, with
/// [`Semaphore::acquire_many`].
///
/// Clones are the same semaphore.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), fairlock::Error> {
/// # use fairlock::{Fairlock, store::memory::Memory};
/// # let locks = Fairlock::builder().open(Memory::new()).await?;
/// let semaphore = locks.semaphore("/imports", 3)?;
/// let two = semaphore.acquire_many(2).await?;
/// let one = semaphore.acquire().await?;
/// assert!(semaphore.try_acquire().await?.is_none());
/// two.release().await?;
/// assert!(semaphore.try_acquire().await?.is_some());
/// # one.release().await }
/// ```
#[derive(Clone)]
pub struct Semaphore {
    shared: Arc<Shared>,
    path: LockPath,
    turns: QueuePath,
    room: QueuePath,
    /// As this process declares.
    permits: u32,
}

impl Fairlock {
    /// A semaphore with so many permits. Cheap: nothing is sent until it is used.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidPath`] if the path is malformed, [`Error::InvalidConfig`] for no permits.
    pub fn semaphore(&self, path: &str, permits: u32) -> Result<Semaphore, Error> {
        let path = LockPath::new(path)?;
        some(permits, "a semaphore has at least one permit")?;
        let (turns, room) = (path.turns(), path.permits());
        Ok(Semaphore { shared: self.shared.clone(), path, turns, room, permits })
    }
}

impl Semaphore {
    /// The path of the semaphore.
    pub fn path(&self) -> &LockPath {
        &self.path
    }

    /// Waits in the queue for one permit.
    ///
    /// On connection loss the place in the queue is kept, and the wait goes on after the reconnect.
    ///
    /// # Errors
    ///
    /// * [`Error::PermitsMismatch`] if the semaphore has another number of permits than this process declares,
    /// * [`Error::TooManyPermits`] if it has fewer than are asked for, from the beginning or after a [resize](Self::resize),
    /// * [`Error::NoAgreement`] if somebody has overwritten the number of permits by hand,
    /// * otherwise as [`Mutex::acquire`](crate::Mutex::acquire).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue, or the permits if they were just granted. Nothing is left behind.
    pub async fn acquire(&self) -> Result<Permit, Error> {
        self.acquire_many(1).await
    }

    /// Waits in the queue for several permits, which are granted all at once.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::acquire`], and [`Error::InvalidConfig`] for no permits.
    ///
    /// # Cancel safety
    ///
    /// As [`Semaphore::acquire`].
    pub async fn acquire_many(&self, count: u32) -> Result<Permit, Error> {
        self.acquire_with(count, AcquireOptions::default()).await
    }

    /// As [`Semaphore::acquire_many`], for at most this long, opening a session included.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] once the time has passed; otherwise as [`Semaphore::acquire_many`].
    ///
    /// # Cancel safety
    ///
    /// As [`Semaphore::acquire`].
    pub async fn acquire_timeout(&self, count: u32, limit: Duration) -> Result<Permit, Error> {
        self.acquire_with(count, AcquireOptions::default().timeout(limit)).await
    }

    /// As [`Semaphore::acquire_many`], with options: a time limit, a longest time to hold the permits, news of the place among the
    /// waiters. Those count as ahead who wait, not those who have permits; next comes the one with nobody ahead.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::acquire_many`], [`Error::Timeout`] if a time limit was given, and [`Error::InvalidConfig`] for a hold limit
    /// of zero.
    ///
    /// # Cancel safety
    ///
    /// As [`Semaphore::acquire`].
    pub async fn acquire_with(&self, count: u32, mut options: AcquireOptions) -> Result<Permit, Error> {
        let count = some(count, "no permits cannot be acquired; ask for one or more")?;
        let limit = contend::take_timeout(&mut options)?;
        let hold = contend::within(limit, &self.path, self.wait(count, options)).await?;
        Ok(Permit::new(Guard::new(hold), count.get()))
    }

    /// Takes one permit if there is one and nobody waits; `None` if not.
    ///
    /// Costs two reads and no write if there is none, as far as the server at hand knows.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::acquire`].
    ///
    /// # Cancel safety
    ///
    /// As [`Semaphore::acquire`].
    pub async fn try_acquire(&self) -> Result<Option<Permit>, Error> {
        self.try_acquire_many(1).await
    }

    /// Takes several permits if there are as many and nobody waits; `None` if not.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::acquire_many`].
    ///
    /// # Cancel safety
    ///
    /// As [`Semaphore::acquire`].
    pub async fn try_acquire_many(&self, count: u32) -> Result<Option<Permit>, Error> {
        let count = some(count, "no permits cannot be acquired; ask for one or more")?;
        let mut removals = 0;
        loop {
            let agreement = self.agree(count.get()).await?;
            // Whoever waits for permits wants more than there are, so it shows here without a look at the turns.
            let wanted = self.taken().await? + u64::from(count.get());
            if wanted > u64::from(agreement.permits()) {
                return Ok(None);
            }
            let entry = self.entry(Mode::Permits(count), Patience::Try);
            match contend::contend(&self.shared, entry).await {
                Ok(hold) => return Ok(Some(Permit::new(Guard::new(hold), count.get()))),
                // Somebody entered between the look and the attempt.
                Err(Error::Timeout { .. }) => return Ok(None),
                Err(error) if waiting::is_removed(&error) && removals < waiting::REMOVALS_MAX => removals += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Lists who has permits and who waits, in their order, with identity, age and token. How many permits each has or wants is
    /// [`Contender::permits`].
    ///
    /// Reads two directories and then each node in them, so it costs one request per contender, and shows a state that no longer
    /// holds when it is read. For people and dashboards; nothing safe can be built on it.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::acquire`].
    ///
    /// # Cancel safety
    ///
    /// Only reads; may be dropped at any time.
    pub async fn contenders(&self) -> Result<Vec<Contender>, Error> {
        let permits = self.agree(0).await?.permits();
        let session = self.shared.pool.session().await?;
        contenders::list_room(&session, &self.room, &self.turns, permits)
            .await
            .map_err(|error| Error::from_store("list the contenders", self.path.as_str(), error))
    }

    /// Removes a contender by force, as [`Mutex::break_contender`](crate::Mutex::break_contender) does.
    ///
    /// # Errors
    ///
    /// As [`Mutex::break_contender`](crate::Mutex::break_contender).
    ///
    /// # Cancel safety
    ///
    /// The contender may be removed even if the future is dropped.
    pub async fn break_contender(&self, contender: &Contender) -> Result<bool, Error> {
        let session = self.shared.pool.session().await?;
        let queue = if contender.sequence.permits().is_some() { &self.room } else { &self.turns };
        contenders::remove(&session, queue, contender)
            .await
            .map_err(|error| Error::from_store("remove a contender", self.path.as_str(), error))
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("path", &self.path.as_str()).field("permits", &self.permits).finish()
    }
}

fn some(count: u32, reason: &str) -> Result<NonZeroU32, Error> {
    NonZeroU32::new(count).ok_or_else(|| Error::InvalidConfig { reason: reason.into() })
}
