//! How the command is to be run, as far as that is known before the lock is held; and a session that leaves room for it.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use fairlock::Fairlock;
use fairlock::clock::{Clock as _, HostClock};

use super::timeline::{self, Timeline};
use super::voice::Voice;
use super::words;
use crate::args::CommandArgs;
use crate::exit::Failure;
use crate::settings::{self, Origin, Settings};

/// The grace is this part of the session timeout, and may be that part of it. With the reserve it has to fit into what is left of
/// a session between two signs of life: two fifths of it in the worst case (docs/PROTOCOL.md).
const GRACE_PART: u32 = 5;
const GRACE_PART_MIN: u32 = 4;

/// What to run, and what is told of it.
pub(super) struct Plan {
    pub(super) words: Vec<OsString>,
    pub(super) leaves_background: bool,
    pub(super) voice: Voice,
    owner: String,
    grace: Option<Duration>,
}

/// How long the command may take to end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    grace: Duration,
    is_chosen: bool,
    reserve: Duration,
}

impl Plan {
    pub(super) fn new(args: CommandArgs) -> Result<Self, Failure> {
        let words = words::of(args.shell, args.words)?;
        Ok(Self {
            owner: words::owner(&words),
            words,
            grace: args.grace,
            leaves_background: args.leave_background,
            voice: Voice { is_verbose: args.verbose },
        })
    }

    /// Connects, with a session that leaves room for the grace.
    pub(super) async fn open(&self, mut settings: Settings) -> Result<(Fairlock, Room), Failure> {
        if let Some(grace) = self.grace
            && settings.session_timeout.origin == Origin::Default
        {
            settings.session_timeout.value = settings.session_timeout.value.max(grace * GRACE_PART);
        }
        let started = Instant::now();
        let locks = settings.open(&self.owner).await?;
        let session_timeout = locks.session_timeout().await?;
        self.voice.say(format_args!(
            "connected in {:.1?}, session timeout {session_timeout:?}, as {}",
            started.elapsed(),
            locks.identity()
        ));
        match self.room(session_timeout) {
            Ok(room) => Ok((locks, room)),
            Err(failure) => {
                settings::close(&locks).await;
                Err(failure)
            }
        }
    }

    /// How long the command may take to end in a session of this length. A session that replaces an expired one may have another.
    pub(super) fn room(&self, session_timeout: Duration) -> Result<Room, Failure> {
        let grace_max = session_timeout / GRACE_PART_MIN;
        if let Some(grace) = self.grace.filter(|grace| *grace > grace_max) {
            return Err(Failure::usage(format!(
                "a grace of {grace:?} does not fit into a session of {session_timeout:?}: give {grace_max:?} at most, or ask \
                 for a longer session (--session-timeout; the servers may limit it)"
            )));
        }
        Ok(Room {
            grace: self.grace.unwrap_or(session_timeout / GRACE_PART),
            is_chosen: self.grace.is_some(),
            reserve: timeline::reserve(session_timeout),
        })
    }
}

impl Room {
    /// The same for a lock that is held for so long at most; of a grace that nobody has chosen, half of that time.
    pub(super) fn within(self, hold: Option<Duration>) -> Result<Self, Failure> {
        let Some(hold) = hold else { return Ok(self) };
        let grace = if self.is_chosen { self.grace } else { self.grace.min(hold / 2) };
        if hold <= grace + self.reserve * 2 {
            return Err(Failure::usage(format!(
                "--max-hold {hold:?} leaves the command no time before its grace of {grace:?}; give more, or a shorter --grace"
            )));
        }
        Ok(Self { grace, ..self })
    }

    /// The times of a command whose lock was granted now.
    pub(super) fn timeline(self, hold: Option<Duration>) -> Timeline {
        Timeline::new(self.grace, self.reserve, hold.map(|hold| HostClock.now() + hold))
    }
}
