//! Entering a queue, for all kinds of locks.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::acquire::AcquireOptions;
use super::client::Shared;
use crate::driver::{self, Attempt, Earlier, Hold, ProgressOptions, Share};
use crate::error::Error;
use crate::path::{LockPath, QueuePath};
use crate::queue::{Limits, Mode, Patience};
use crate::ticket::Ticket;

/// How many paths a contender watches at once: its own node and its predecessor's, or, where it waits for permits, its own node,
/// the directory's members and the directory's data.
const fn watched_paths(mode: Mode) -> usize {
    match mode {
        Mode::Exclusive | Mode::Shared => 2,
        Mode::Permits(_) => 3,
    }
}

/// The length of the longest path that is watched by whoever contends in a queue.
pub(super) fn watched_path_bytes(queue: &QueuePath, mode: Mode) -> usize {
    queue.as_str().len() + "/0123456789".len() + mode.prefix().len()
}

/// A contender to be.
pub(super) struct Entry<'a> {
    pub(super) lock: &'a LockPath,
    pub(super) queue: &'a QueuePath,
    pub(super) ticket: Ticket,
    pub(super) mode: Mode,
    pub(super) patience: Patience,
    pub(super) expects_readers: bool,
    pub(super) share: Option<Share>,
    pub(super) earlier: Option<Earlier>,
    pub(super) limits: Limits,
    pub(super) hold_limit: Option<Duration>,
    pub(super) lapses: bool,
    pub(super) progress: Option<ProgressOptions>,
}

/// Enters and waits. Dropping the future gives the place up, or the hold if it was just granted.
///
/// The future is small, since ten thousand may wait: what it takes to enter is apart from it, and gone once the wait has begun.
pub(super) fn contend<'a>(
    shared: &'a Arc<Shared>,
    entry: Entry<'a>,
) -> impl Future<Output = Result<Hold, Error>> + Send + use<'a> {
    let entering = Box::pin(enter(shared, entry));
    async move {
        // The task vanishes without an answer if the runtime is being shut down.
        entering.await?.await.unwrap_or(Err(Error::Closed))
    }
}

/// Starts the task that owns the attempt.
async fn enter(shared: &Arc<Shared>, entry: Entry<'_>) -> Result<oneshot::Receiver<Result<Hold, Error>>, Error> {
    let attempt = Attempt {
        lock: entry.lock.clone(),
        queue: entry.queue.clone(),
        ticket: entry.ticket,
        mode: entry.mode,
        patience: entry.patience,
        expects_readers: entry.expects_readers,
        share: entry.share,
        earlier: entry.earlier,
        limits: entry.limits,
        seat: shared.pool.seat(watched_paths(entry.mode), watched_path_bytes(entry.queue, entry.mode)).await?,
        pool: Arc::downgrade(&shared.pool),
        hold_limit: entry.hold_limit,
        lapses: entry.lapses,
        progress: entry.progress,
    };
    Ok(driver::start(shared.pool.runtime(), attempt))
}

/// Refuses options that make no sense; takes the time limit out of the others.
pub(super) fn take_timeout(options: &mut AcquireOptions) -> Result<Option<Duration>, Error> {
    if options.hold_limit().is_some_and(|limit| limit.is_zero()) {
        let reason = "a lock cannot be held for no time at all; give a longer limit".into();
        return Err(Error::InvalidConfig { reason });
    }
    Ok(options.take_timeout())
}

/// Waits for at most this long, if there is a limit.
///
/// Boxed, so that whoever waits keeps little room for it, and none for a timer without a limit.
pub(super) fn within<'a, T: 'a>(
    limit: Option<Duration>,
    path: &'a LockPath,
    granted: impl Future<Output = Result<T, Error>> + Send + 'a,
) -> BoxFuture<'a, Result<T, Error>> {
    let Some(limit) = limit else { return Box::pin(granted) };
    Box::pin(async move {
        match tokio::time::timeout(limit, granted).await {
            Ok(granted) => granted,
            Err(_) => Err(Error::Timeout { path: path.to_string(), waited: limit }),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::Fairlock;
    use crate::store::memory::Memory;

    /// In bytes. What somebody who waits keeps for it, beside the task of the contender; docs/BENCHMARKS.md has all of it.
    const SMALL: usize = 256;

    #[tokio::test]
    async fn whoever_waits_keeps_little_room_for_it() {
        let locks = Fairlock::builder().open(Memory::new()).await.expect("opens");
        let mutex = locks.mutex("/mutex").expect("a good path");
        let shared = locks.rw_lock("/shared").expect("a good path");
        let permits = locks.semaphore("/permits", 2).expect("a good path");
        let limit = Duration::from_secs(1);
        let sizes = [
            size_of_val(&mutex.acquire()),
            size_of_val(&mutex.acquire_timeout(limit)),
            size_of_val(&shared.read()),
            size_of_val(&shared.write_timeout(limit)),
            size_of_val(&permits.acquire()),
            size_of_val(&permits.acquire_timeout(2, limit)),
        ];
        assert!(sizes.iter().all(|size| *size <= SMALL), "{sizes:?}");
    }
}
