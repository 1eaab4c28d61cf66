//! When a command has to be ended, decided without a clock of its own.
//!
//! # The argument
//!
//! The lock is good until V, which moves on while servers answer. At V the command must be dead: the servers may give the lock to
//! another from then on. KILL needs a moment to take effect, so it is sent a *reserve* before V. TERM is sent the *grace* earlier,
//! so that a command which obeys has all of it. Both come only if V has not moved on until then, so a short interruption is not
//! noticed at all; once TERM was sent there is no way back, as nobody can know what the command has given up already.
//!
//! A loss that comes without warning, such as a node that was deleted by hand, leaves nothing to be in time for: TERM at once,
//! KILL a grace later, or at V if that is sooner.

use std::time::Duration;

use fairlock::clock::Timestamp;

/// How long before the end the group is killed, and of a short session which part of it.
const RESERVE_MAX: Duration = Duration::from_millis(100);
const RESERVE_PART: u32 = 20;

/// The reserve for a session of this length.
pub(super) fn reserve(session_timeout: Duration) -> Duration {
    RESERVE_MAX.min(session_timeout / RESERVE_PART)
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing until then.
    Nothing(Timestamp),
    Terminate,
    Kill,
}

/// The times of one command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeline {
    grace: Duration,
    reserve: Duration,
    /// The end of the longest time that it may hold the lock.
    hold_end: Option<Timestamp>,
    terminated: Option<Timestamp>,
}

impl Timeline {
    pub(super) fn new(grace: Duration, reserve: Duration, hold_end: Option<Timestamp>) -> Self {
        Self { grace, reserve, hold_end, terminated: None }
    }

    /// Whether there is time for a command: a grant may come at the end of what is known of the session's life, and is good for much
    /// longer a moment later.
    pub(super) fn leaves_time(&self, now: Timestamp, valid_until: Timestamp) -> bool {
        matches!(self.due(now, valid_until, false), Due::Nothing(until) if until > now + self.reserve)
    }

    /// Whether the longest time to hold the lock is so far gone that no command has time any more, whatever the servers say.
    pub(super) fn is_too_late(&self, now: Timestamp) -> bool {
        self.hold_end.is_some_and(|end| !self.leaves_time(now, end))
    }

    /// Until when the group may live if nobody ends it before: for the watchdog, who ends it only if nobody else does.
    pub(super) fn last_end(&self, valid_until: Timestamp) -> Timestamp {
        self.end(valid_until).saturating_sub(self.reserve / 2)
    }

    /// The point at which nobody of the group may be alive.
    pub(super) fn end(&self, valid_until: Timestamp) -> Timestamp {
        self.hold_end.map_or(valid_until, |end| end.min(valid_until))
    }

    /// Whether it is the longest time to hold that ends first.
    pub(super) fn ends_by_hold(&self, valid_until: Timestamp) -> bool {
        self.hold_end.is_some_and(|end| end <= valid_until)
    }

    /// Notes that TERM was sent.
    pub(super) fn terminated(&mut self, at: Timestamp) {
        self.terminated.get_or_insert(at);
    }

    pub(super) fn is_terminated(&self) -> bool {
        self.terminated.is_some()
    }

    /// What is due now, for a lock that is good until `valid_until` as far as was known before it was lost, if it is.
    pub(super) fn due(&self, now: Timestamp, valid_until: Timestamp, is_lost: bool) -> Due {
        let kill_at = self.end(valid_until).saturating_sub(self.reserve);
        match self.terminated {
            None if is_lost => Due::Terminate,
            None => {
                let terminate_at = kill_at.saturating_sub(self.grace);
                if now >= terminate_at { Due::Terminate } else { Due::Nothing(terminate_at) }
            }
            Some(at) => {
                let kill_at = kill_at.min(at + self.grace);
                if now >= kill_at { Due::Kill } else { Due::Nothing(kill_at) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_origin(Duration::from_millis(millis))
    }

    fn timeline() -> Timeline {
        Timeline::new(Duration::from_secs(2), reserve(Duration::from_secs(10)), None)
    }

    #[test]
    fn nothing_is_due_while_the_lock_is_renewed() {
        let timeline = timeline();
        assert_eq!(timeline.due(at(1_000), at(10_000), false), Due::Nothing(at(7_900)));
        assert_eq!(timeline.due(at(7_899), at(10_000), false), Due::Nothing(at(7_900)));
        assert_eq!(timeline.due(at(7_900), at(12_000), false), Due::Nothing(at(9_900)));
    }

    #[test]
    fn a_lock_that_is_not_renewed_ends_the_command_before_it_can_be_anothers() {
        let mut timeline = timeline();
        assert_eq!(timeline.due(at(7_900), at(10_000), false), Due::Terminate);
        timeline.terminated(at(7_900));
        assert_eq!(timeline.due(at(7_901), at(10_000), false), Due::Nothing(at(9_900)));
        assert_eq!(timeline.due(at(9_900), at(10_000), false), Due::Kill);
    }

    #[test]
    fn who_wakes_up_late_has_less_grace() {
        let mut timeline = timeline();
        timeline.terminated(at(9_000));
        assert_eq!(timeline.due(at(9_001), at(10_000), false), Due::Nothing(at(9_900)));
        timeline.terminated(at(9_500));
        assert_eq!(timeline.due(at(9_901), at(10_000), false), Due::Kill, "the first TERM counts");
    }

    #[test]
    fn there_is_no_way_back_from_term() {
        let mut timeline = timeline();
        timeline.terminated(at(7_900));
        assert_eq!(timeline.due(at(9_900), at(20_000), false), Due::Kill);
    }

    #[test]
    fn a_loss_without_warning_gives_the_grace() {
        let mut timeline = timeline();
        assert_eq!(timeline.due(at(5_000), at(10_000), true), Due::Terminate);
        timeline.terminated(at(5_000));
        assert_eq!(timeline.due(at(5_001), at(10_000), true), Due::Nothing(at(7_000)));
        assert_eq!(timeline.due(at(7_000), at(10_000), true), Due::Kill);
    }

    #[test]
    fn a_loss_that_is_learned_of_too_late_gives_none() {
        let mut timeline = timeline();
        assert_eq!(timeline.due(at(15_000), at(10_000), true), Due::Terminate);
        timeline.terminated(at(15_000));
        assert_eq!(timeline.due(at(15_000), at(10_000), true), Due::Kill);
    }

    #[test]
    fn the_longest_hold_ends_it_as_well() {
        let mut timeline = Timeline::new(Duration::from_secs(2), Duration::from_millis(100), Some(at(6_000)));
        assert!(timeline.ends_by_hold(at(10_000)) && !timeline.ends_by_hold(at(5_999)));
        assert_eq!(timeline.due(at(1_000), at(10_000), false), Due::Nothing(at(3_900)));
        timeline.terminated(at(3_900));
        assert_eq!(timeline.due(at(5_900), at(10_000), false), Due::Kill);
    }

    #[test]
    fn a_short_session_has_a_short_reserve() {
        assert_eq!(reserve(Duration::from_secs(10)), Duration::from_millis(100));
        assert_eq!(reserve(Duration::from_millis(500)), Duration::from_millis(25));
    }

    #[test]
    fn a_command_begins_only_where_there_is_time_for_it() {
        let timeline = timeline();
        assert!(timeline.leaves_time(at(1_000), at(3_201)));
        assert!(!timeline.leaves_time(at(1_000), at(3_200)));
        assert!(!timeline.leaves_time(at(1_000), at(900)));
    }

    #[test]
    fn a_command_does_not_begin_at_the_end_of_the_longest_hold() {
        let timeline = Timeline::new(Duration::from_secs(2), Duration::from_millis(100), Some(at(6_000)));
        assert!(!timeline.is_too_late(at(3_799)) && timeline.is_too_late(at(3_800)) && timeline.is_too_late(at(7_000)));
        assert!(!self::timeline().is_too_late(at(1_000_000)));
    }

    #[test]
    fn the_last_end_is_between_the_kill_and_the_end() {
        assert_eq!(timeline().last_end(at(10_000)), at(9_950));
    }

    #[test]
    fn without_a_grace_both_come_at_once() {
        let mut timeline = Timeline::new(Duration::ZERO, Duration::from_millis(100), None);
        assert_eq!(timeline.due(at(9_900), at(10_000), false), Due::Terminate);
        timeline.terminated(at(9_900));
        assert_eq!(timeline.due(at(9_900), at(10_000), false), Due::Kill);
    }
}
