//! How long a session can be relied upon, counted on the client's own clock.
//!
//! # The argument
//!
//! Servers end a session when they have not heard of it for the session timeout T. The clock that counts is the
//! leader's. A client that talks to a follower is heard by the follower; the leader learns of it only with the
//! follower's next answer to a ping, which the leader sends every half `tickTime` (`Learner.ping` sends the touched
//! sessions, `LearnerHandler` passes them to `touch`). A write is forwarded to the leader, but does *not* touch the
//! session there (`LeaderZooKeeperServer.submitLearnerRequest` goes straight to `PrepRequestProcessor`). So an
//! acknowledged write alone does not prove that the leader counts from that write: a follower that is cut off right
//! after it takes the knowledge along.
//!
//! What is proved: if some request was *acknowledged* by the follower and, at least one *relay gap* G later, a write
//! was sent and acknowledged, then the follower answered a ping in between, on the same ordered link over which it
//! then forwarded the write. So the leader has counted from the earlier request or later, and the session lives
//! until T after that request was *sent*. If the client changed servers in between, that is proved too: the new
//! server has the session revalidated by the leader, which touches it (`checkIfValidGlobalSession`). A new leader
//! gives every session its full T again. Opening a session touches it at the leader directly.
//!
//! ```text
//! valid_until = send time of the newest request that was acknowledged G before the newest acknowledged write was
//!               sent, + T − margin
//! ```
//!
//! G must cover half a `tickTime` and the delay of a ping. It is T/4: with `tickTime` at T/3, a twelfth of T is left
//! for the delay; at T/2, the shortest T that a server grants by default, only the margin. The margin, T/50, is there
//! for clocks that run at different speeds. And T must be the same on all servers: each server a client connects to
//! moves it into its own bounds, and zookeeper-client 0.11.2 tells only the first result. What no clock can give is mutual exclusion of side effects: a thread may be paused between looking at the
//! clock and acting. That is what the fencing token is for.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Timestamp};

/// A session's validity, shared by its keeper, its contenders and their guards.
#[derive(Debug)]
pub(crate) struct Validity {
    timeout: Duration,
    relay_gap: Duration,
    margin: Duration,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Counts the lapses: a guard of an earlier era never becomes valid again.
    era: u64,
    valid_until: Timestamp,
    last_acknowledged: Timestamp,
    /// Acknowledged requests that may become the base of a proof, in the order in which they were sent.
    touches: VecDeque<Touch>,
}

#[derive(Clone, Copy, Debug)]
struct Touch {
    sent: Timestamp,
    acknowledged: Timestamp,
}

/// An era of a [`Validity`] during which it never lapsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Era(u64);

impl Validity {
    /// The validity of a session whose opening began at `opened`.
    pub(crate) fn new(clock: Arc<dyn Clock>, timeout: Duration, opened: Timestamp) -> Self {
        let margin = timeout / 50;
        Self {
            timeout,
            relay_gap: timeout / 4,
            margin,
            clock,
            state: Mutex::new(State {
                era: 0,
                valid_until: opened + (timeout - margin),
                last_acknowledged: opened,
                touches: VecDeque::new(),
            }),
        }
    }

    /// How often to send something, so that validity is renewed well before it lapses. Just below the interval of
    /// the client's own pings (3/20 T), which are then not sent.
    pub(crate) fn beat(&self) -> Duration {
        self.timeout / 7
    }

    /// Notes an acknowledged request of any kind.
    pub(crate) fn touched(&self, sent: Timestamp, acknowledged: Timestamp) {
        let mut state = self.lock();
        // No write is acknowledged later than T after it was sent, so nothing will ask for what had settled before.
        let horizon = sent.saturating_sub(self.relay_gap + self.timeout);
        while state.touches.get(1).is_some_and(|second| second.acknowledged <= horizon) {
            state.touches.pop_front();
        }
        state.last_acknowledged = state.last_acknowledged.max(acknowledged);
        // A few entries within one gap are enough; a busy session must not collect thousands.
        let spacing = self.relay_gap / 16;
        if state.touches.back().is_none_or(|last| sent >= last.sent + spacing) {
            state.touches.push_back(Touch { sent, acknowledged });
        }
    }

    /// Notes an acknowledged write that went through the quorum.
    pub(crate) fn written(&self, sent: Timestamp, acknowledged: Timestamp) {
        {
            let mut state = self.lock();
            let settled = sent.saturating_sub(self.relay_gap);
            let mut base = None;
            while let Some(touch) = state.touches.front().filter(|touch| touch.acknowledged <= settled) {
                base = Some(*touch);
                state.touches.pop_front();
            }
            if let Some(base) = base {
                // It may serve again until a newer one has settled.
                state.touches.push_front(base);
                let proved = base.sent + (self.timeout - self.margin);
                if proved > state.valid_until {
                    // The clock is read under the lock: whoever saw the lapse saw it before this point.
                    if self.clock.now() >= state.valid_until {
                        // It had lapsed in between: whoever held something then must not come back to life.
                        state.era += 1;
                    }
                    state.valid_until = proved;
                }
            }
        }
        self.touched(sent, acknowledged);
    }

    /// The point up to which the session can be relied upon, as known now. It moves on while the session is kept.
    pub(crate) fn valid_until(&self) -> Timestamp {
        self.lock().valid_until
    }

    /// The present era; `None` if the validity has lapsed.
    pub(crate) fn era(&self) -> Option<Era> {
        let state = self.lock();
        (self.clock.now() < state.valid_until).then_some(Era(state.era))
    }

    /// Whether the validity has not lapsed since that era.
    pub(crate) fn holds_since(&self, era: Era) -> bool {
        self.era() == Some(era)
    }

    /// Notes a reply that proves nothing but that somebody answers.
    pub(crate) fn answered(&self, at: Timestamp) {
        let mut state = self.lock();
        state.last_acknowledged = state.last_acknowledged.max(at);
    }

    /// When the last reply came.
    pub(crate) fn last_acknowledged(&self) -> Timestamp {
        self.lock().last_acknowledged
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // No code panics while it holds this lock, and the state is consistent between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    const T: Duration = Duration::from_secs(10);

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_origin(Duration::from_millis(millis))
    }

    /// A session of 10 s (margin 200 ms, relay gap 2.5 s) whose opening began at 0.
    fn session() -> (Arc<ManualClock>, Validity) {
        let clock = Arc::new(ManualClock::default());
        (clock.clone(), Validity::new(clock, T, at(0)))
    }

    #[test]
    fn a_new_session_is_valid_from_when_its_opening_began() {
        let (clock, validity) = session();
        assert_eq!(validity.valid_until(), at(9_800));
        clock.set(at(9_799));
        assert!(validity.era().is_some());
        clock.set(at(9_800));
        assert!(validity.era().is_none());
    }

    #[test]
    fn a_write_alone_proves_nothing_new() {
        let (_, validity) = session();
        validity.written(at(5_000), at(5_010));
        assert_eq!(validity.valid_until(), at(9_800), "its touch may not have been relayed yet");
    }

    #[test]
    fn a_write_proves_what_was_acknowledged_a_relay_gap_before_it() {
        let (_, validity) = session();
        validity.touched(at(2_000), at(2_100));
        validity.touched(at(3_000), at(3_100));
        validity.written(at(4_600), at(4_650));
        assert_eq!(validity.valid_until(), at(11_800), "the touch sent at 2.0 s has been relayed");
        validity.written(at(5_599), at(5_650));
        assert_eq!(validity.valid_until(), at(11_800), "the one acknowledged at 3.1 s not yet for sure");
        validity.written(at(5_600), at(5_650));
        assert_eq!(validity.valid_until(), at(12_800));
    }

    #[test]
    fn reads_alone_never_extend() {
        let (_, validity) = session();
        for beat in 1..100 {
            validity.touched(at(beat * 100), at(beat * 100 + 5));
        }
        assert_eq!(validity.valid_until(), at(9_800));
    }

    #[test]
    fn a_lapse_ends_the_era_for_good() {
        let (clock, validity) = session();
        let era = validity.era().expect("valid");
        validity.touched(at(9_000), at(9_010));
        clock.set(at(9_800));
        assert!(!validity.holds_since(era));
        validity.written(at(12_000), at(9_799));
        assert!(validity.era().is_some(), "valid again for newcomers");
        assert!(!validity.holds_since(era), "but not for who held something before, however early the reply came");
    }

    #[test]
    fn an_extension_in_time_keeps_the_era() {
        let (clock, validity) = session();
        let era = validity.era().expect("valid");
        for beat in 1..200 {
            clock.set(at(beat * 1_428 + 3));
            validity.written(at(beat * 1_428), at(beat * 1_428 + 3));
            clock.set(at(beat * 1_428 + 1_427));
            assert!(validity.holds_since(era), "beat {beat}");
        }
    }

    #[test]
    fn an_idle_session_keeps_few_entries() {
        let (_, validity) = session();
        for beat in 0..100_000 {
            validity.touched(at(beat * 1_428), at(beat * 1_428 + 3));
        }
        assert!(validity.lock().touches.len() < 20);
    }

    #[test]
    fn a_busy_session_keeps_few_entries() {
        let (_, validity) = session();
        for millis in 0..60_000 {
            validity.written(at(millis), at(millis + 1));
        }
        assert!(validity.lock().touches.len() < 40);
        assert!(validity.valid_until() > at(60_000));
    }
}
