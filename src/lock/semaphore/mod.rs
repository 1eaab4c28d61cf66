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

mod permit;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

pub use self::permit::Permit;
use super::acquire::AcquireOptions;
use super::client::{Fairlock, Shared};
use super::contend::{self, Entry, LOCK_WATCHES};
use super::contenders::{self, Contender};
use super::guard::Guard;
use crate::driver::{Hold, Progress};
use crate::error::{Error, LossReason};
use crate::path::{LockPath, QueuePath};
use crate::permits::Agreement;
use crate::queue::{Limits, Mode, Patience, sort_children};
use crate::session::Session;
use crate::store::{Expected, StoreErrorKind};

/// Who waits for permits watches its own node, the directory's members and the directory's data.
const ROOM_WATCHES: usize = 3;

/// How often it is begun again because the directory of permits was removed meanwhile.
const REMOVALS_MAX: u32 = 8;

/// A distributed semaphore, made by [`Fairlock::semaphore`]: so many permits, of which each contender takes one or several.
///
/// * **Fair**: granted in the order in which they came. One that wants many permits is not overtaken by others that want few,
///   also while there are enough for those.
/// * **No herd**: a release tells one waiter, and that one the next; each permit that changes hands costs two notifications and a
///   list of those who have permits, with however many waiters.
/// * **Honest**: a [`Permit`] tells when it is lost, before the servers can give it to another, and has a
///   [`FencingToken`](crate::FencingToken) higher than all permits that were granted before it. Holders have their permits at the
///   same time, so a resource cannot fence them against each other, only against the next one of the same share.
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
        let agreement = self.agree(count.get()).await?;
        // Whoever waits for permits wants more than there are, so it shows here without a look at the turns.
        let wanted = self.taken().await? + u64::from(count.get());
        if wanted > u64::from(agreement.permits()) {
            return Ok(None);
        }
        let entry = self.entry(Mode::Permits(count), Patience::Try, AcquireOptions::default());
        match contend::contend(&self.shared, entry).await {
            Ok(hold) => Ok(Some(Permit::new(Guard::new(hold), count.get()))),
            // Somebody entered between the look and the attempt.
            Err(Error::Timeout { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How many permits the semaphore has, as the server at hand knows. Stores the declared number if nobody has yet.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::acquire`].
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub async fn permits(&self) -> Result<u32, Error> {
        Ok(self.agree(0).await?.permits())
    }

    /// How many permits are free, as the server at hand knows; none while somebody waits. For people and dashboards: when it is read
    /// it may be otherwise.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::acquire`].
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub async fn available_permits(&self) -> Result<u32, Error> {
        let permits = self.agree(0).await?.permits();
        Ok(u32::try_from(u64::from(permits).saturating_sub(self.taken().await?)).unwrap_or(0))
    }

    /// Changes the number of permits for all, and returns what it was.
    ///
    /// More permits: whoever is next is told at once. Fewer: nothing is taken from anybody, permits just are not given out again
    /// until no more than the new number are held; and whoever waits for more than that fails with
    /// [`Error::TooManyPermits`]. Who asks for permits after this has returned is granted by the new number; a grant that is under
    /// way may still go by the old one.
    ///
    /// Processes may go on declaring the number that the semaphore had at first, or the new one, but no other.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] for no permits, [`Error::UnknownOutcome`] if the reply was lost: call it again; otherwise as
    /// [`Semaphore::acquire`].
    ///
    /// # Cancel safety
    ///
    /// The number may be changed even if the future is dropped.
    pub async fn resize(&self, permits: u32) -> Result<u32, Error> {
        some(permits, "a semaphore has at least one permit")?;
        loop {
            let session = self.shared.pool.session().await?;
            let (agreement, version) = self.agreement(&session).await?;
            if agreement.permits() == permits {
                return Ok(permits);
            }
            let (place, data) = (self.room.as_value(), agreement.resized(permits).to_bytes());
            match session.write(session.store().write_value(&place, &data, Expected::Version(version))).await {
                Ok(_) => return Ok(agreement.permits()),
                Err(error) => match error.kind() {
                    // Changed or removed meanwhile.
                    StoreErrorKind::VersionMismatch | StoreErrorKind::NoNode => {}
                    StoreErrorKind::Unknown => return Err(Error::UnknownOutcome { source: error }),
                    _ => return Err(Error::from_store("change the number of permits", place.as_str(), error)),
                },
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

    async fn wait(&self, count: NonZeroU32, mut options: AcquireOptions) -> Result<Hold, Error> {
        let mut removals = 0;
        let mut progress = options.take_progress();
        loop {
            self.agree(count.get()).await?;
            let mut entry = self.entry(Mode::Exclusive, Patience::Wait, AcquireOptions::default());
            entry.progress = progress.clone();
            let ticket = entry.ticket.clone();
            let turn = contend::contend(&self.shared, entry).await?;
            if let Some(progress) = &mut progress {
                // Nobody is ahead of those who wait.
                progress.sender.send_replace(Progress { ahead: Some(0), holder: None });
            }
            let mut entry = self.entry(Mode::Permits(count), Patience::Wait, AcquireOptions::default());
            // The same, so that one who lists both places sees that it is one contender.
            entry.ticket = ticket;
            entry.hold_limit = options.hold_limit();
            let granted = tokio::select! {
                biased;
                granted = contend::contend(&self.shared, entry) => granted,
                reason = turn.gone() => Err(self.turn_lost(reason)),
            };
            match granted {
                Err(Error::Store { source, .. })
                    if source.kind() == StoreErrorKind::NoNode && removals < REMOVALS_MAX =>
                {
                    removals += 1;
                }
                // The turn is given up here, when the permits are there: so whoever comes next enters behind.
                granted => return granted,
            }
        }
    }

    fn turn_lost(&self, reason: LossReason) -> Error {
        let path = self.path.to_string();
        match reason {
            LossReason::Closed => Error::Closed,
            LossReason::NodeDeleted => Error::Removed { path },
            reason => Error::SessionLost { path, reason },
        }
    }

    fn entry(&self, mode: Mode, patience: Patience, options: AcquireOptions) -> Entry<'_> {
        let is_for_permits = matches!(mode, Mode::Permits(_));
        let limits = match is_for_permits {
            // Only an agreement makes the directory of permits.
            true => Limits { make_queue_max: 0, ..self.shared.limits },
            false => self.shared.limits,
        };
        Entry {
            lock: &self.path,
            queue: if is_for_permits { &self.room } else { &self.turns },
            ticket: self.shared.new_ticket(),
            mode,
            patience,
            limits,
            watches: if is_for_permits { ROOM_WATCHES } else { LOCK_WATCHES },
            hold_limit: options.hold_limit(),
            lapses: is_for_permits,
            progress: None,
        }
    }

    /// How many permits are held or waited for by whoever has its turn.
    async fn taken(&self) -> Result<u64, Error> {
        let session = self.shared.pool.session().await?;
        match session.read_surely(|| session.store().survey(&self.room)).await {
            Ok(names) => {
                let contenders = sort_children(&names).contenders;
                Ok(contenders.iter().filter_map(|contender| contender.permits()).map(u64::from).sum())
            }
            Err(error) if error.kind() == StoreErrorKind::NoNode => Ok(0),
            Err(error) => Err(Error::from_store("list who has permits", self.path.as_str(), error)),
        }
    }

    /// Makes sure that all mean the same semaphore, and that it has as many permits as are asked for.
    async fn agree(&self, asked: u32) -> Result<Agreement, Error> {
        let session = self.shared.pool.session().await?;
        let (agreement, _) = self.agreement(&session).await?;
        let (path, permits) = (self.path.to_string(), agreement.permits());
        if !agreement.is_met_by(self.permits) {
            return Err(Error::PermitsMismatch { path, declared: self.permits, found: permits });
        }
        if asked > permits {
            return Err(Error::TooManyPermits { path, asked, permits });
        }
        Ok(agreement)
    }

    /// What was agreed, and the version of that; if nothing was yet, what this process declares.
    async fn agreement(&self, session: &Session) -> Result<(Agreement, i32), Error> {
        let place = self.room.as_value();
        loop {
            match session.read_surely(|| session.store().read_value(&place)).await {
                Ok(Some(value)) => {
                    let agreement = Agreement::parse(&value.data);
                    let missing = || Error::NoAgreement { path: place.to_string() };
                    return Ok((agreement.ok_or_else(missing)?, value.version));
                }
                Ok(None) => {}
                Err(error) => return Err(Error::from_store("read the number of permits", place.as_str(), error)),
            }
            let data = Agreement::new(self.permits).to_bytes();
            match session.write(session.store().write_value(&place, &data, Expected::Absent)).await {
                // It is read again in any case: what counts is what is there.
                Ok(_) => {}
                Err(error) if matches!(error.kind(), StoreErrorKind::NodeExists | StoreErrorKind::Unknown) => {}
                Err(error) => return Err(Error::from_store("store the number of permits", place.as_str(), error)),
            }
        }
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
