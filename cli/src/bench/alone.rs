//! Measuring without contention: what the network and the servers cost, and a lock that nobody else wants.

use std::sync::Arc;

use fairlock::store::Session;
use fairlock::{Error, Mutex};
use tokio::time::Instant;

use super::counter::Count;
use super::plan::Plan;
use super::tally::Alone;

/// More samples than these tell nothing more.
const ROUND_TRIPS_MAX: u32 = 500;
const ACQUISITIONS_MAX: u32 = 1_000;

/// Several times the first lock of a directory, which costs more because it makes it.
const WARM_UP: u32 = 3;

pub(super) async fn measure(
    plan: &Plan,
    session: &Arc<dyn Session>,
    lock: &Mutex,
    count: &Count,
) -> Result<Alone, Error> {
    let mut alone = Alone::default();
    let failed = |source| Error::Store { operation: "answer", path: plan.directory.to_string(), source };
    let until = Instant::now() + plan.alone_limit();
    for _ in 0..ROUND_TRIPS_MAX {
        let sent = Instant::now();
        session.touch().await.map_err(failed)?;
        let read = Instant::now();
        // The leader orders it and most servers log it, as any write; no node is changed.
        session.write_barrier().await.map_err(failed)?;
        let written = Instant::now();
        alone.read.record(read - sent);
        alone.write.record(written - read);
        if Instant::now() >= until {
            break;
        }
    }
    for _ in 0..WARM_UP {
        lock.acquire().await?.release().await?;
    }
    let (until, before) = (Instant::now() + plan.alone_limit(), count.get());
    for _ in 0..ACQUISITIONS_MAX {
        let began = Instant::now();
        let guard = lock.acquire().await?;
        let granted = Instant::now();
        guard.release().await?;
        let released = Instant::now();
        alone.acquire.record(granted - began);
        alone.release.record(released - granted);
        if Instant::now() >= until {
            break;
        }
    }
    alone.calls_per_acquisition = Some((count.get() - before) as f64 / alone.acquire.count() as f64);
    Ok(alone)
}
