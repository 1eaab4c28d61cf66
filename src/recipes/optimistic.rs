//! The optimistic lock: read a value, write it only if it is unchanged, begin again otherwise.

mod update;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use crate::error::Error;
use crate::lock::Mutex;
use crate::path::LockPath;
use crate::session::{Pool, Session};
use crate::store::{Expected, StoreError, StoreErrorKind, Value};
use crate::token::FencingToken;

/// What fits one request with the client's and servers' default `jute.maxbuffer` of 1 MiB, with room for headers.
const BYTES_MAX: usize = 1_000_000;

/// A value that many may read and write, made by [`Fairlock::value`](crate::Fairlock::value).
///
/// It is the data of one persistent node. Nobody waits for anybody: who writes says which version was read, and the
/// store refuses the write if it is another one by now. [`Versioned::update`] does the reading, deciding and trying
/// again, and takes the [`Mutex`] of the same path where that goes on for too long.
///
/// # Limits
///
/// * Versions are compared by the store, lives of the value are not: a value that is deleted and made anew starts its
///   versions again, so that a write may meet a version that is equal and a value that is not. Do not delete values;
///   write one that means *deleted*. [`Snapshot::created`] tells two lives apart after the fact.
/// * A node without data that nobody has written to counts as no value: locks make such nodes.
/// * What is read may lag behind. That costs a conflict, and never an update.
/// * The first update leaves a node beside the value, its child `_fairlock_note`.
///
/// Cheap to clone; clones are the same value.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), fairlock::Error> {
/// use fairlock::{Error, Fairlock, recipes::UpdateOptions, store::memory::Memory};
///
/// let locks = Fairlock::builder().open(Memory::new()).await?;
/// let limit = locks.value("/config/limit")?;
/// let first = limit.create("10").await?;
/// let second = limit.write(&first, "20").await?;
/// // Whoever has read the first may not write any more.
/// assert!(matches!(limit.write(&first, "30").await, Err(Error::Conflict { .. })));
/// assert_eq!(limit.read().await?.map(|found| found.version()), Some(second.version()));
///
/// let doubled = limit.update(UpdateOptions::default(), |data| {
///     let limit = data.and_then(|data| str::from_utf8(data).ok()?.parse().ok()).unwrap_or(1_u64);
///     (2 * limit).to_string().into_bytes()
/// });
/// assert_eq!(doubled.await?.data(), b"40");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Versioned {
    pool: Arc<Pool>,
    /// Of the same path, for when optimism does not pay.
    lock: Mutex,
}

impl Versioned {
    pub(crate) fn new(pool: Arc<Pool>, lock: Mutex) -> Self {
        Self { pool, lock }
    }

    /// The path of the value.
    pub fn path(&self) -> &LockPath {
        self.lock.path()
    }

    /// Reads the value; `None` if there is none.
    ///
    /// The answer is that of the server at hand, which may lag behind others. It covers what this handle has written in
    /// the same session. One request.
    ///
    /// On connection loss it is asked again until there is an answer or the session ends.
    ///
    /// # Errors
    ///
    /// * [`Error::SessionLost`] if the session ended meanwhile,
    /// * [`Error::Unreachable`] if there is no session and none can be opened in the time to connect,
    /// * [`Error::NoPermission`], [`Error::Closed`] as they say.
    ///
    /// # Cancel safety
    ///
    /// Only reads; may be dropped at any time.
    pub async fn read(&self) -> Result<Option<Snapshot>, Error> {
        let session = self.pool.session().await?;
        self.read_with(&session).await.map_err(|source| self.failed("read the value", source))
    }

    /// Makes the value, and the persistent nodes above it, if there is none.
    ///
    /// # Errors
    ///
    /// * [`Error::Conflict`] if there is one; nothing was written,
    /// * [`Error::UnknownOutcome`] on connection loss, or if the session ends: it may have been written, now or later; read
    ///   back before repeating it, and do not take another's equal data for your own,
    /// * [`Error::TooLarge`] if the data exceeds 1,000,000 bytes; nothing was sent,
    /// * [`Error::Unreachable`], [`Error::NoPermission`], [`Error::UnderEphemeral`], [`Error::QuotaExceeded`],
    ///   [`Error::ReadOnly`], [`Error::Closed`] as they say.
    ///
    /// # Cancel safety
    ///
    /// A write that was sent is executed even if the future is dropped.
    pub async fn create(&self, data: impl Into<Vec<u8>>) -> Result<Snapshot, Error> {
        self.write_expecting(Expected::Absent, data.into(), None).await
    }

    /// Writes the value if it still has the version of the snapshot; one request.
    ///
    /// The snapshot that is returned can be written over in turn, without reading again.
    ///
    /// # Errors
    ///
    /// As [`Versioned::create`]; [`Error::Conflict`] if the value was written or deleted since the snapshot was taken, or
    /// before that on a server that was ahead of the one that was read.
    ///
    /// # Cancel safety
    ///
    /// A write that was sent is executed even if the future is dropped.
    ///
    /// # Panics
    ///
    /// If the snapshot is of another path.
    pub async fn write(&self, snapshot: &Snapshot, data: impl Into<Vec<u8>>) -> Result<Snapshot, Error> {
        assert_eq!(&snapshot.path, self.path(), "the snapshot is of this value");
        self.write_expecting(Expected::Version(snapshot.version), data.into(), snapshot.created).await
    }

    /// Reads the value, lets `f` make the next one of it, and writes that if the value is unchanged; begins again
    /// otherwise. `f` gets `None` if there is no value, and may be called several times.
    ///
    /// Every update that is told as done was applied exactly once, to what the one before it has left. After a conflict
    /// comes a pause with jitter that doubles from 5 ms to half a second. After
    /// [a number of conflicts](UpdateOptions::lock_after) the lock of the same path is acquired, and the update finished
    /// while it is held. That keeps out those who hold it back most, other updates that have had as many conflicts; they
    /// queue in the order of arrival. Newcomers and plain [writes](Versioned::write) may still come first. With any
    /// number of updates under way, each conflict of one means that another was done, and those that have queued are each
    /// done once no newcomer wins against them; no number of tries is promised.
    ///
    /// Two requests if nobody interferes: a read, and a transaction that writes the value and, beside it, an id of this
    /// attempt.
    ///
    /// # A lost reply
    ///
    /// After the reconnect a barrier is written, after which the lost write has been executed or never will be, and the
    /// value is read back:
    ///
    /// * The id beside it is that of the attempt: it is done.
    /// * The value has the version as before: nothing was written, and the update begins again.
    /// * It is one version on, with another id: another has written it, and the update begins again. That the data is
    ///   the same says nothing: two updates that add 1 write the same.
    /// * Otherwise it cannot be told: others have written meanwhile, the session ended before the barrier, the value was
    ///   deleted, or it is just the one that was to be made. That is [`Error::UnknownOutcome`], since to begin again might
    ///   apply the update twice.
    ///
    /// # Errors
    ///
    /// * [`Error::UnknownOutcome`] as above,
    /// * [`Error::TooLarge`] if the next value exceeds 1,000,000 bytes; nothing was sent,
    /// * [`Error::SessionLost`] if the session ended while reading or waiting for the lock; nothing was written,
    /// * otherwise as [`Versioned::create`] without `Conflict`, and as [`Mutex::acquire`].
    ///
    /// # Cancel safety
    ///
    /// A write that was sent is executed even if the future is dropped; the lock, if it was taken, is released.
    pub async fn update(
        &self,
        options: UpdateOptions,
        mut f: impl FnMut(Option<&[u8]>) -> Vec<u8>,
    ) -> Result<Snapshot, Error> {
        match self.try_update(options, |data| Ok::<_, Infallible>(f(data))).await? {
            Ok(snapshot) => Ok(snapshot),
            Err(never) => match never {},
        }
    }

    /// As [`Versioned::update`], with an `f` that may refuse: its error is the inner one, and nothing was written then.
    ///
    /// # Errors
    ///
    /// As [`Versioned::update`].
    ///
    /// # Cancel safety
    ///
    /// As [`Versioned::update`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), fairlock::Error> {
    /// # use fairlock::{Fairlock, recipes::UpdateOptions, store::memory::Memory};
    /// # let stock = Fairlock::builder().open(Memory::new()).await?.value("/stock")?;
    /// stock.create([1]).await?;
    /// let take = |data: Option<&[u8]>| match data {
    ///     Some([left]) if *left > 0 => Ok(vec![left - 1]),
    ///     _ => Err("sold out"),
    /// };
    /// assert!(stock.try_update(UpdateOptions::default(), take).await?.is_ok());
    /// assert_eq!(stock.try_update(UpdateOptions::default(), take).await?, Err("sold out"));
    /// # Ok(()) }
    /// ```
    pub async fn try_update<E>(
        &self,
        options: UpdateOptions,
        f: impl FnMut(Option<&[u8]>) -> Result<Vec<u8>, E>,
    ) -> Result<Result<Snapshot, E>, Error> {
        update::run(self, options, f).await
    }

    async fn read_with(&self, session: &Session) -> Result<Option<Snapshot>, StoreError> {
        let value = session.read_surely(|| session.store().read_value(self.path())).await?;
        Ok(value.map(|Value { data, version, token, .. }| self.snapshot(data, version, Some(token))))
    }

    async fn write_expecting(
        &self,
        expected: Expected,
        data: Vec<u8>,
        created: Option<FencingToken>,
    ) -> Result<Snapshot, Error> {
        check_size(&data)?;
        let session = self.pool.session().await?;
        match session.write(session.store().write_value(self.path(), &data, expected)).await {
            Ok(version) => Ok(self.snapshot(data, version, created)),
            Err(source) if is_conflict(&source) => Err(Error::Conflict { path: self.path().to_string() }),
            Err(source) if is_lost(&source) => Err(Error::UnknownOutcome { source }),
            Err(source) => Err(self.failed("write the value", source)),
        }
    }

    fn snapshot(&self, data: Vec<u8>, version: i32, created: Option<FencingToken>) -> Snapshot {
        Snapshot { path: self.path().clone(), data, version, created }
    }

    fn failed(&self, operation: &'static str, source: StoreError) -> Error {
        Error::from_store(operation, self.path().as_str(), source)
    }
}

impl fmt::Debug for Versioned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Versioned").field(&self.path().as_str()).finish()
    }
}

/// A value as it was read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    path: LockPath,
    data: Vec<u8>,
    version: i32,
    created: Option<FencingToken>,
}

impl Snapshot {
    /// The data.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The data, without a copy.
    pub fn into_data(self) -> Vec<u8> {
        self.data
    }

    /// How often the value was written in this life of it, where making it may count as a write.
    pub fn version(&self) -> i32 {
        self.version
    }

    /// When this life of the value began, as the transaction id (zxid) of its creation; `None` if this snapshot descends
    /// from the creation itself, which is not told of it.
    pub fn created(&self) -> Option<FencingToken> {
        self.created
    }
}

/// How to update; for [`Versioned::update`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct UpdateOptions {
    conflicts_max: u32,
}

impl UpdateOptions {
    /// After how many conflicts the lock is taken; 5 by default. Zero takes it at once.
    pub fn lock_after(mut self, conflicts: u32) -> Self {
        self.conflicts_max = conflicts;
        self
    }
}

impl Default for UpdateOptions {
    fn default() -> Self {
        Self { conflicts_max: 5 }
    }
}

fn check_size(data: &[u8]) -> Result<(), Error> {
    if data.len() > BYTES_MAX {
        return Err(Error::TooLarge { what: "the value", bytes: data.len(), bytes_max: BYTES_MAX });
    }
    Ok(())
}

/// Whether the value was found otherwise than expected, and nothing was written.
fn is_conflict(error: &StoreError) -> bool {
    matches!(error.kind(), StoreErrorKind::NodeExists | StoreErrorKind::VersionMismatch | StoreErrorKind::NoNode)
}

/// Whether a write may have been executed: a value does not go with the session that ended.
fn is_lost(error: &StoreError) -> bool {
    matches!(error.kind(), StoreErrorKind::Unknown | StoreErrorKind::Ended(_))
}
