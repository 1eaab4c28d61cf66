//! What is to be done: the arguments, checked, and the script that follows from them.

use std::io::{self, IsTerminal};
use std::time::Duration;

use fairlock::LockPath;

use super::news::{How, Who};
use crate::args::DemoArgs;

/// For the eye: how long the contenders' arrival takes and how long each holds the lock, at most.
const ARRIVAL_MAX: Duration = Duration::from_millis(350);
const HOLD_MAX: Duration = Duration::from_millis(1_400);

/// For the eye: how long all arrivals take and all holds, at most.
const ARRIVALS_MAX: Duration = Duration::from_millis(2_100);
const HOLDS_MAX: Duration = Duration::from_millis(7_500);

pub(super) struct Plan {
    pub(super) place: Place,
    pub(super) lock: LockPath,
    pub(super) script: Script,
    pub(super) pace: Pace,
    pub(super) view: View,
    /// Whether colours are wanted.
    pub(super) color: bool,
}

pub(super) enum Place {
    /// In this process.
    Memory,
    /// On real servers.
    ZooKeeper { servers: String, connect_timeout: Duration },
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Picture,
    Plain,
}

impl Plan {
    pub(super) fn new(args: DemoArgs) -> Result<Self, fairlock::Error> {
        let lock = match (&args.lock, &args.connect) {
            (Some(path), _) => path.parse()?,
            (None, None) => LockPath::new("/demo")?,
            // Runs at the same time must not meet.
            (None, Some(_)) => LockPath::new(&format!("/fairlock-demo/{:08x}", fastrand::u32(..)))?,
        };
        let place = match args.connect {
            Some(servers) => Place::ZooKeeper { servers, connect_timeout: args.connect_timeout },
            None => Place::Memory,
        };
        let script = Script::new(args.contenders);
        let view = if args.plain || !io::stdout().is_terminal() { View::Plain } else { View::Picture };
        // https://no-color.org: set and not empty.
        let color = view == View::Picture && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Ok(Self { place, lock, pace: Pace::new(&script, args.speed), script, view, color })
    }

    /// One line on what is shown.
    pub(super) fn headline(&self) -> String {
        let place = match &self.place {
            Place::Memory => "the embedded store".to_owned(),
            Place::ZooKeeper { servers, .. } => format!("ZooKeeper at {servers}"),
        };
        format!("fairlock demo: {} contenders, one lock, on {place}; {}", self.script.contenders, self.lock)
    }

    /// What was really done to the one that crashes.
    pub(super) fn crash_told(&self) -> &'static str {
        match self.place {
            Place::Memory => "the store ends its session",
            Place::ZooKeeper { .. } => "its session is closed, nothing is released",
        }
    }
}

/// Who does what, as a function of how many there are.
#[derive(Clone, Debug)]
pub(super) struct Script {
    contenders: u8,
    crash: Who,
    gives_up: Option<GivesUp>,
}

#[derive(Clone, Copy, Debug)]
struct GivesUp {
    who: Who,
    /// Whose hold it is meanwhile.
    under: Who,
}

impl Script {
    fn new(contenders: u8) -> Self {
        // The first hand-over is an ordinary one, if there are enough for that.
        let crash = Who(if contenders == 2 { 0 } else { 1 });
        let gives_up = match contenders {
            ..=3 => None,
            4 => Some(GivesUp { who: Who(2), under: Who(0) }),
            // The third holds; of those who wait behind it, one in the middle.
            n => Some(GivesUp { who: Who(3 + (n - 4) / 2), under: Who(2) }),
        };
        Self { contenders, crash, gives_up }
    }

    pub(super) fn contenders(&self) -> impl DoubleEndedIterator<Item = Who> + use<> {
        (0..self.contenders).map(Who)
    }

    /// How the contender leaves, once it holds the lock.
    pub(super) fn departure(&self, who: Who) -> How {
        if who == self.crash { How::Crashed } else { How::Released }
    }

    /// Who gives up while this one holds the lock.
    pub(super) fn gives_up_under(&self, holder: Who) -> Option<Who> {
        self.gives_up.filter(|gives_up| gives_up.under == holder).map(|gives_up| gives_up.who)
    }

    /// How many times somebody holds the lock for the time of a hold. Whoever sees another give up does so twice, and
    /// the other never.
    fn dwells(&self) -> u32 {
        u32::from(self.contenders)
    }
}

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Between two arrivals.
    pub(super) arrival: Duration,
    /// Of a hold.
    pub(super) hold: Duration,
    /// Of everything, about.
    pub(super) total: Duration,
}

impl Pace {
    fn new(script: &Script, speed: f64) -> Self {
        let arrival = ARRIVAL_MAX.min(ARRIVALS_MAX / u32::from(script.contenders)).div_f64(speed);
        let hold = HOLD_MAX.min(HOLDS_MAX / script.dwells()).div_f64(speed);
        // Who gives up does so between two holds' time, and a last look is taken at the end.
        let total = arrival * u32::from(script.contenders) + hold * script.dwells() + hold / 4;
        Self { arrival, hold, total }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_is_possible() {
        for n in 2..=26 {
            let script = Script::new(n);
            assert!(script.crash.0 < n - 1, "somebody waits behind the crash: {script:?}");
            let Some(GivesUp { who, under }) = script.gives_up else { continue };
            assert!(under < who && who.0 < n - 1, "somebody is ahead and somebody behind: {script:?}");
            assert!(under != script.crash && who != script.crash, "{script:?}");
        }
    }

    #[test]
    fn a_demo_lasts_about_as_long_as_attention() {
        for n in 5..=26 {
            let total = Pace::new(&Script::new(n), 1.0).total;
            assert!(total > Duration::from_secs(6) && total < Duration::from_secs(11), "{n}: {total:?}");
        }
    }
}
