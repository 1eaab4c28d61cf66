//! A client's clock: it runs at a rate of its own, and jumps ahead as after a suspension of its host.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use fairlock::clock::{Clock, Timestamp};
use tokio::time::Instant;

/// See the module's doc.
#[derive(Debug)]
pub(crate) struct DriftingClock {
    start: Instant,
    rate: f64,
    jumped_ms: AtomicU64,
}

impl DriftingClock {
    /// A clock that gains `rate` seconds in each second of the servers'.
    pub(crate) fn new(start: Instant, rate: f64) -> Self {
        Self { start, rate, jumped_ms: AtomicU64::new(0) }
    }

    /// Timers do not notice: they run on another clock.
    pub(crate) fn jump(&self, by_ms: u64) {
        self.jumped_ms.fetch_add(by_ms, Ordering::Relaxed);
    }
}

#[async_trait]
impl Clock for DriftingClock {
    fn now(&self) -> Timestamp {
        let jumped = Duration::from_millis(self.jumped_ms.load(Ordering::Relaxed));
        Timestamp::from_origin(self.start.elapsed().mul_f64(self.rate) + jumped)
    }

    async fn sleep_until(&self, point: Timestamp) {
        loop {
            let remaining = point.saturating_since(self.now());
            if remaining.is_zero() {
                return;
            }
            tokio::time::sleep(remaining.div_f64(self.rate).max(Duration::from_millis(1))).await;
        }
    }

    fn unix_millis(&self) -> u64 {
        u64::try_from(self.now().since_origin().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn sleeps_are_never_early_whatever_the_rate() {
        for rate in [0.9, 0.99, 1.0, 1.01] {
            let clock = DriftingClock::new(Instant::now(), rate);
            let point = clock.now() + Duration::from_millis(1_234);
            clock.sleep_until(point).await;
            assert!(clock.now() >= point, "{rate}");
            assert!(clock.now() - point < Duration::from_millis(3), "{rate}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_jump_is_seen_at_once() {
        let clock = DriftingClock::new(Instant::now(), 1.0);
        let before = clock.now();
        clock.jump(5_000);
        assert_eq!(clock.now() - before, Duration::from_secs(5));
    }
}
