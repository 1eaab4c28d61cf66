//! What was measured: latencies, counts and failures.

use std::time::Duration;

use fairlock::Error;
use hdrhistogram::Histogram;

use super::referee::Violations;

/// Three digits are more than a network is worth.
const DIGITS: u8 = 3;

/// Latencies, in nanoseconds inside.
#[derive(Clone, Debug)]
pub(super) struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        Self(Histogram::new(DIGITS).expect("that many digits are possible"))
    }
}

impl Latencies {
    pub(super) fn record(&mut self, latency: Duration) {
        // It grows up to five hundred years.
        let _ = self.0.record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(super) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The latency that this part of all did not exceed; `None` if there are none.
    pub(super) fn quantile(&self, quantile: f64) -> Option<Duration> {
        (!self.0.is_empty()).then(|| Duration::from_nanos(self.0.value_at_quantile(quantile)))
    }

    /// The same, unless there are too few for one of them to be beyond it: it would be the slowest of all by another name.
    pub(super) fn quantile_reached(&self, quantile: f64) -> Option<Duration> {
        let beyond = self.count() as f64 * (1.0 - quantile);
        // Of a hundred, one is beyond 99 %, though not in binary fractions.
        (beyond > 0.999).then(|| self.quantile(quantile)).flatten()
    }

    pub(super) fn min(&self) -> Option<Duration> {
        (!self.0.is_empty()).then(|| Duration::from_nanos(self.0.min()))
    }

    pub(super) fn max(&self) -> Option<Duration> {
        (!self.0.is_empty()).then(|| Duration::from_nanos(self.0.max()))
    }

    pub(super) fn mean(&self) -> Option<Duration> {
        (!self.0.is_empty()).then(|| Duration::from_secs_f64(self.0.mean() / 1e9))
    }
}

/// What failed, and why the first time.
#[derive(Clone, Debug, Default)]
pub(super) struct Failures {
    pub(super) count: u64,
    pub(super) first: Option<Error>,
}

impl Failures {
    pub(super) fn record(&mut self, error: Error) {
        self.count += 1;
        self.first.get_or_insert(error);
    }
}

/// What was measured without contention.
#[derive(Clone, Debug, Default)]
pub(super) struct Alone {
    pub(super) read: Latencies,
    pub(super) write: Latencies,
    pub(super) acquire: Latencies,
    pub(super) release: Latencies,
    pub(super) calls_per_acquisition: Option<f64>,
}

/// What was measured under contention.
#[derive(Clone, Debug, Default)]
pub(super) struct Contended {
    pub(super) elapsed: Duration,
    pub(super) wait: Latencies,
    pub(super) hand_over: Latencies,
    pub(super) grants: u64,
    /// Of the contender that was granted least and of the one that was most.
    pub(super) grants_of_one: Option<(u64, u64)>,
    /// How many waited in vain when it ended; their waits are in no latency.
    pub(super) still_waiting: u64,
    pub(super) violations: Violations,
    pub(super) failures: Failures,
    pub(super) calls_per_acquisition: Option<f64>,
}

impl Contended {
    pub(super) fn grants_per_second(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.grants as f64 / seconds } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_all_that_was_recorded() {
        let mut one = Latencies::default();
        assert_eq!((one.count(), one.quantile(0.5), one.max()), (0, None, None));
        for millis in 1..=100 {
            one.record(Duration::from_millis(millis));
        }
        let millis = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e3).unwrap_or_default().round();
        assert_eq!((one.count(), millis(one.quantile(0.5)), millis(one.quantile(0.99))), (100, 50.0, 99.0));
        assert_eq!((millis(one.min()), millis(one.max())), (1.0, 100.0));
        assert_eq!((millis(one.quantile_reached(0.99)), one.quantile_reached(0.999)), (99.0, None));
        assert!((50.0..=51.0).contains(&millis(one.mean())));
    }

    #[test]
    fn the_first_failure_is_kept() {
        let mut failures = Failures::default();
        failures.record(Error::Closed);
        failures.record(Error::InvalidConfig { reason: "later".into() });
        assert!(failures.count == 2 && matches!(failures.first, Some(Error::Closed)));
    }
}
