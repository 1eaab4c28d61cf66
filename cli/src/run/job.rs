//! What is to be run under a lock, and what has become of it.

use std::ffi::OsString;
use std::time::Duration;

use fairlock::clock::{Clock as _, HostClock, Timestamp};
use rustix::process::Signal;

use super::timeline::Timeline;
use super::voice::Voice;

/// How long a killed group is waited for in silence. Its processes may hang in the system, where nobody can end them.
const KILL_PATIENCE: Duration = Duration::from_secs(1);

/// What to run, and how to end it.
pub(super) struct Job<'a> {
    pub(super) words: &'a [OsString],
    pub(super) environment: &'a [(&'static str, Option<String>)],
    pub(super) timeline: Timeline,
    /// Whether to end it when somebody asks for the lock.
    pub(super) yields: bool,
    /// Which signals give up on a command that was not begun yet.
    pub(super) gives_up_on: fn(Signal) -> bool,
    /// Whether processes that it leaves behind are left alone.
    pub(super) leaves_background: bool,
    pub(super) voice: Voice,
}

/// How the command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) how: How,
    /// The last signal by which somebody wanted everything to end.
    pub(super) told_to_end: Option<Signal>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum How {
    Exited(i32),
    Killed {
        signal: i32,
        key: Option<Key>,
    },
    /// It was ended, or has ended, when the lock was not good any more.
    LockLost(String),
    /// It was ended because somebody asked for the lock.
    Yielded,
    /// It was not begun: a signal came before.
    NotBegun(Signal),
}

/// Whom a key of the terminal has interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// The command alone, which had the foreground.
    OfCommand,
    /// This program and all of its group, and through it the command.
    OfAll,
}

/// Processes that were killed, and are waited for.
pub(super) struct Killed {
    at: Timestamp,
    is_told: bool,
}

impl Killed {
    pub(super) fn now() -> Self {
        Self { at: HostClock.now(), is_told: false }
    }

    /// Whether they should be dead by now, so that nothing is left to do but to hold the lock for as long as they live.
    pub(super) fn is_hopeless(&mut self, voice: Voice) -> bool {
        let is_late = HostClock.now().saturating_since(self.at) >= KILL_PATIENCE;
        if is_late && !self.is_told {
            self.is_told = true;
            voice.warn(format_args!(
                "processes of the command were killed and do not die: they hang in the system, or are another user's. The lock is \
                 kept for as long as possible"
            ));
        }
        is_late
    }
}
