//! How long to pause: drawn anew each time, so that processes that begin together do not go on together.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// How often a watcher looks whether it missed an event. A server that revokes READ on a watched node drops the event
/// (since 3.8.4 and 3.9.2), and nothing else would ever wake it.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// Pauses between attempts, which grow from the one to about the other and go on for ever.
pub(crate) fn growing(min: Duration, max: Duration) -> impl Iterator<Item = Duration> {
    ExponentialBuilder::new().with_min_delay(min).with_max_delay(max).with_jitter().without_max_times().build()
}

/// The pause before a watcher's next look.
pub(crate) fn until_next_look() -> Duration {
    LOOK_INTERVAL.mul_f64(0.75 + fastrand::f64() / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_millis(50);
    const MAX: Duration = Duration::from_secs(5);

    #[test]
    fn two_clients_that_were_cut_off_together_pause_differently() {
        let drawn = || growing(MIN, MAX).take(20).collect::<Vec<_>>();
        assert_ne!(drawn(), drawn(), "the jitter has one seed");
        assert!(drawn().iter().all(|pause| (MIN..=2 * MAX).contains(pause)));
    }
}
