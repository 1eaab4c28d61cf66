//! Whether each lock was granted to one at a time and in the order of entering.
//!
//! A fencing token is the store's number of the write that made the contender's node, so tokens are in the order of entering:
//! a grant whose token is not higher than the one before has overtaken somebody. What is checked in this way does not rest
//! on when this program was told something.

use std::sync::{Mutex, PoisonError};

use tokio::time::{Duration, Instant};

/// Watches one lock.
#[derive(Debug, Default)]
pub(super) struct Referee(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    token: Option<i64>,
    holders: u32,
    released: Option<Instant>,
    verdict: Violations,
}

/// What must not be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Violations {
    /// Grants that overtook another.
    pub(super) order: u64,
    /// Grants while another still held the lock.
    pub(super) overlaps: u64,
}

impl Violations {
    pub(super) fn is_none(self) -> bool {
        self == Self::default()
    }

    pub(super) fn add(&mut self, other: Self) {
        self.order += other.order;
        self.overlaps += other.overlaps;
    }
}

impl Referee {
    /// The lock is granted to somebody who was in the queue at `entered`. If that was before the last holder began to release
    /// it, how long the hand-over took.
    pub(super) fn granted(&self, token: i64, entered: Option<Instant>, now: Instant) -> Option<Duration> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.token.is_some_and(|last| last >= token) {
            state.verdict.order += 1;
        }
        if state.holders > 0 {
            state.verdict.overlaps += 1;
        }
        state.token = Some(token.max(state.token.unwrap_or(token)));
        state.holders += 1;
        let released = state.released.take()?;
        entered.filter(|entered| *entered < released).map(|_| now - released)
    }

    /// The holder begins to release it.
    pub(super) fn released(&self, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.holders = state.holders.saturating_sub(1);
        state.released = Some(now);
    }

    /// The holder has lost it, and nobody can say since when.
    pub(super) fn lost(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.holders = state.holders.saturating_sub(1);
        state.released = None;
    }

    pub(super) fn violations(&self) -> Violations {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hand_over_lasts_from_the_release_to_the_next_grant() {
        let (start, millis) = (Instant::now(), Duration::from_millis);
        let referee = Referee::default();
        assert_eq!(referee.granted(1, Some(start), start), None, "nobody had it before");
        referee.released(start + millis(5));
        assert_eq!(referee.granted(2, Some(start + millis(1)), start + millis(7)), Some(millis(2)));
        referee.released(start + millis(9));
        assert_eq!(referee.granted(3, Some(start + millis(10)), start + millis(12)), None, "nobody waited");
        referee.lost();
        assert_eq!(referee.granted(4, Some(start), start + millis(20)), None, "nobody knows when it was free");
        assert!(referee.violations().is_none());
    }

    #[test]
    fn who_overtakes_or_does_not_wait_is_seen() {
        let now = Instant::now();
        let referee = Referee::default();
        referee.granted(2, None, now);
        referee.granted(3, None, now);
        assert_eq!(referee.violations(), Violations { order: 0, overlaps: 1 });
        referee.released(now);
        referee.released(now);
        referee.granted(1, None, now);
        assert_eq!(referee.violations(), Violations { order: 1, overlaps: 1 });
        referee.released(now);
        referee.granted(3, None, now);
        assert_eq!(referee.violations(), Violations { order: 2, overlaps: 1 });
    }
}
