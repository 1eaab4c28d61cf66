//! Time as the protocol sees it: a clock that runs on while the host sleeps, and may be replaced in tests.

use std::fmt::Debug;
use std::ops::{Add, Sub};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;

/// A point on a [`Clock`], as the time since that clock's own origin.
///
/// Points of different clocks must not be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(Duration);

impl Timestamp {
    /// The point that lies this long after the clock's origin.
    pub const fn from_origin(since: Duration) -> Self {
        Self(since)
    }

    /// The time since the clock's origin.
    pub const fn since_origin(self) -> Duration {
        self.0
    }

    /// The time from `earlier` to this point, zero if `earlier` is later.
    pub const fn saturating_since(self, earlier: Timestamp) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// This point moved back, but not before the origin.
    #[must_use]
    pub const fn saturating_sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(by))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;

    fn add(self, by: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(by))
    }
}

impl Sub for Timestamp {
    type Output = Duration;

    fn sub(self, earlier: Timestamp) -> Duration {
        self.saturating_since(earlier)
    }
}

/// Where the time comes from.
///
/// The lock's validity is counted on this clock, so it must never jump back and must not stand still while the host
/// is suspended: the server's clock does not stand still either.
#[async_trait]
pub trait Clock: Debug + Send + Sync + 'static {
    /// The present point.
    fn now(&self) -> Timestamp;

    /// Returns once `now()` has reached the point. It may be late, never early.
    async fn sleep_until(&self, point: Timestamp);

    /// Wall-clock milliseconds since 1970, for people to read; nothing is decided by it.
    fn unix_millis(&self) -> u64;
}

/// The host's clock: `CLOCK_BOOTTIME` where the system has it, so that a suspended host finds its locks expired.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostClock;

#[async_trait]
impl Clock for HostClock {
    fn now(&self) -> Timestamp {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        // Elsewhere the monotonic clock is the best there is: Darwin's already counts suspension.
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Timestamp(Duration::new(
            u64::try_from(time.tv_sec).unwrap_or_default(),
            u32::try_from(time.tv_nsec).unwrap_or_default(),
        ))
    }

    async fn sleep_until(&self, point: Timestamp) {
        // The timer runs on the monotonic clock, which may lag behind this one: hence the loop.
        loop {
            let remaining = point.saturating_since(self.now());
            if remaining.is_zero() {
                return;
            }
            tokio::time::sleep(remaining).await;
        }
    }

    fn unix_millis(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Tokio's clock, which tests can pause and advance (`tokio::time::pause`, `tokio::time::advance`).
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    origin: tokio::time::Instant,
}

impl TokioClock {
    /// A clock whose origin is now.
    pub fn new() -> Self {
        Self { origin: tokio::time::Instant::now() }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.origin.elapsed())
    }

    async fn sleep_until(&self, point: Timestamp) {
        match self.origin.checked_add(point.since_origin()) {
            Some(at) => tokio::time::sleep_until(at).await,
            // It never comes.
            None => std::future::pending().await,
        }
    }

    fn unix_millis(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A clock that stands still until it is set, for tests.
#[derive(Debug, Default)]
pub struct ManualClock {
    now: tokio::sync::watch::Sender<Timestamp>,
}

impl ManualClock {
    /// Moves the clock to this point. It never goes back: an earlier point changes nothing.
    pub fn set(&self, point: Timestamp) {
        self.now.send_if_modified(|now| {
            let later = point > *now;
            *now = point.max(*now);
            later
        });
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        self.now.send_modify(|now| *now = *now + by);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    async fn sleep_until(&self, point: Timestamp) {
        // The sender lives as long as self, so this ends only when the point is reached.
        let _ = self.now.subscribe().wait_for(|now| *now >= point).await;
    }

    fn unix_millis(&self) -> u64 {
        u64::try_from(self.now().since_origin().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_clock_never_goes_back() {
        let clock = HostClock;
        let mut last = clock.now();
        for _ in 0..1_000 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
        assert!(last > Timestamp::default());
    }

    #[tokio::test(start_paused = true)]
    async fn tokio_clock_follows_paused_time() {
        let clock = TokioClock::new();
        let before = clock.now();
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(clock.now() - before, Duration::from_secs(7));
    }
}
