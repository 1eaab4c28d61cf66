//! What applications do with a semaphore.

use fairlock::{AcquireOptions, Error, Fairlock, Permit, Semaphore};
use fastrand::Rng;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::{Attempt, Workload, ms, until_healed};
use crate::book::lock_path;
use crate::guard::AnyGuard;
use crate::network::Stage;

/// The most permits that the semaphore is given.
const PERMITS_MAX: u32 = 5;

impl Workload {
    /// Takes permits in some way, and gives them back in some way.
    pub(super) async fn take_permits(
        &self,
        locks: Fairlock,
        client: usize,
        rng: &mut Rng,
        stage: &mut watch::Receiver<Stage>,
    ) {
        let path = lock_path(u8::try_from(self.plan.locks).expect("few locks"));
        let semaphore = locks.semaphore(&path, self.plan.permits).expect("a good path");
        // It keeps the handle as well as the semaphore alive, or only the semaphore.
        let kept = rng.bool().then_some(locks);
        let attempt = Attempt::begin_for_permits(&self.network, client);
        if let Some(permit) = self.acquire_permits(&semaphore, rng, stage).await {
            drop((semaphore, kept));
            self.hold(attempt, AnyGuard::Permits(permit), rng, stage).await;
        } else {
            drop(attempt);
            until_healed(stage, sleep(ms(rng.u64(..=self.plan.timeout_ms / 8)))).await;
        }
    }

    async fn acquire_permits(
        &self,
        semaphore: &Semaphore,
        rng: &mut Rng,
        stage: &mut watch::Receiver<Stage>,
    ) -> Option<Permit> {
        let limit = ms(rng.u64(..2 * self.plan.timeout_ms));
        let count = rng.u32(1..=self.plan.permits);
        let way = rng.u8(..12);
        let acquired = match way {
            0 => semaphore.acquire_timeout(count, limit).await,
            1 | 2 => match semaphore.try_acquire_many(count).await {
                Ok(None) => return None,
                Ok(Some(permit)) => Ok(permit),
                Err(error) => Err(error),
            },
            3 | 4 => match timeout(limit, semaphore.acquire_many(count)).await {
                Ok(acquired) => acquired,
                Err(_) => return self.cancelled(),
            },
            // Dropped at an early await: how early, its polls decide.
            5 => match timeout(ms(rng.u64(..=4 * self.plan.latency_ms)), semaphore.acquire_many(count)).await {
                Ok(acquired) => acquired,
                Err(_) => return self.cancelled(),
            },
            // Taken up late: they may be lost by then.
            6 => {
                let (semaphore, late) = (semaphore.clone(), ms(rng.u64(..=2 * self.plan.timeout_ms)));
                let acquired = tokio::spawn(async move { semaphore.acquire_many(count).await });
                until_healed(stage, sleep(late)).await;
                acquired.await.ok()?
            }
            7 => {
                let (options, mut progress) = AcquireOptions::default().progress();
                let (acquired, ()) = tokio::join!(biased; semaphore.acquire_with(count, options), async {
                    while progress.changed().await.is_some() {}
                });
                acquired
            }
            8 => {
                let changed = if self.plan.resizes {
                    semaphore.resize(rng.u32(1..=PERMITS_MAX)).await.map(drop)
                } else {
                    semaphore.contenders().await.map(drop)
                };
                match changed {
                    Ok(()) | Err(Error::UnknownOutcome { .. }) => {}
                    Err(error) => self.failed(&error, false),
                }
                return None;
            }
            _ => semaphore.acquire_many(count).await,
        };
        acquired.map_err(|error| self.failed(&error, way == 0)).ok()
    }
}
