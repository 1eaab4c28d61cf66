//! What is to be measured, checked: a benchmark that makes no sense is refused before anybody feels it.

use std::path::PathBuf;
use std::time::Duration;

use fairlock::LockPath;

use crate::args::BenchArgs;
use crate::exit::{Exit, Failure};

/// More than this at once would measure this program.
const CONTENDERS_MAX: u32 = 10_000;
/// Unless there are fewer contenders.
const CLIENTS: u16 = 4;
const DURATION_MIN: Duration = Duration::from_millis(100);
const DURATION_MAX: Duration = Duration::from_secs(60 * 60);

/// Measurements without contention take this part of the time at most, each.
const ALONE_PART: u32 = 5;
const ALONE_MAX: Duration = Duration::from_secs(5);

/// The default of `--root`, which is removed if it is empty at the end.
const ROOT: &str = "/fairlock-bench";

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) clients: u16,
    pub(super) contenders: u16,
    pub(super) locks: u16,
    pub(super) duration: Duration,
    pub(super) hold: Duration,
    /// A directory of this run's own.
    pub(super) directory: LockPath,
    /// To be removed as well, unless others use it.
    pub(super) parent: Option<String>,
    pub(super) chart: Option<(PathBuf, Picture)>,
}

/// What kind of file a chart is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Picture {
    Svg,
    Html,
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct WrongUsage(String);

impl Plan {
    pub(super) fn new(args: &BenchArgs) -> Result<Self, Failure> {
        Self::check(args).map_err(|error| Failure::new(Exit::Usage, WrongUsage(error)))
    }

    fn check(args: &BenchArgs) -> Result<Self, String> {
        let all = u32::from(args.contenders) * u32::from(args.locks);
        if all > CONTENDERS_MAX {
            return Err(format!(
                "{} contenders for each of {} locks are {all}; give {CONTENDERS_MAX} altogether at most",
                args.contenders, args.locks
            ));
        }
        let clients = match args.clients {
            Some(clients) if u32::from(clients) > all => {
                return Err(format!(
                    "{clients} clients for {all} contenders: some would do nothing; give fewer --clients"
                ));
            }
            Some(clients) => clients,
            None => u16::try_from(all).unwrap_or(u16::MAX).min(CLIENTS),
        };
        if !(DURATION_MIN..=DURATION_MAX).contains(&args.duration) {
            return Err(format!("a duration of {:?} is none to measure in; give 100ms to 1h", args.duration));
        }
        if args.hold > args.duration / 2 {
            return Err(format!(
                "a lock that is held for {:?} changes hands too seldom in {:?}; give a shorter --hold or a longer --duration",
                args.hold, args.duration
            ));
        }
        let chart = args.chart.clone().map(|path| {
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            match extension.to_ascii_lowercase().as_str() {
                "svg" => Ok((path, Picture::Svg)),
                "html" | "htm" => Ok((path, Picture::Html)),
                _ => Err(format!("{} is neither .svg nor .html; name the chart so", path.display())),
            }
        });
        let parent = match args.root.as_str() {
            "/" => String::new(),
            root => LockPath::new(root).map_err(|error| error.to_string())?.to_string(),
        };
        let directory = format!("{parent}/run-{:016x}", fastrand::u64(..));
        Ok(Self {
            clients,
            contenders: args.contenders,
            locks: args.locks,
            duration: args.duration,
            hold: args.hold,
            directory: LockPath::new(&directory).map_err(|error| error.to_string())?,
            parent: (args.root == ROOT).then_some(parent),
            chart: chart.transpose()?,
        })
    }

    /// The path of a lock.
    pub(super) fn lock(&self, index: u16) -> String {
        format!("{}/lock-{index}", self.directory)
    }

    /// The path of the lock that nobody contends for.
    pub(super) fn lock_alone(&self) -> String {
        format!("{}/alone", self.directory)
    }

    /// The locks' paths, all of them.
    pub(super) fn locks(&self) -> impl Iterator<Item = String> {
        (0..self.locks).map(|index| self.lock(index)).chain([self.lock_alone()])
    }

    /// How long each measurement without contention may take.
    pub(super) fn alone_limit(&self) -> Duration {
        (self.duration / ALONE_PART).min(ALONE_MAX)
    }

    /// In words.
    pub(super) fn describe(&self) -> String {
        let count = |number: u16, one: &str| format!("{number} {one}{}", if number == 1 { "" } else { "s" });
        let time = |time| humantime::format_duration(time);
        format!(
            "{}, {} each, {}, held for {}, during {}",
            count(self.locks, "lock"),
            count(self.contenders, "contender"),
            count(self.clients, "session"),
            time(self.hold),
            time(self.duration)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Connection;

    fn args() -> BenchArgs {
        BenchArgs {
            clients: None,
            contenders: 4,
            locks: 1,
            duration: Duration::from_secs(10),
            hold: Duration::ZERO,
            root: ROOT.to_owned(),
            embedded: true,
            json: false,
            chart: None,
            connection: Connection::default(),
        }
    }

    #[test]
    fn the_defaults_make_sense() {
        let plan = Plan::check(&args()).expect("good arguments");
        assert_eq!(plan.describe(), "1 lock, 4 contenders each, 4 sessions, held for 0s, during 10s");
        assert_eq!(plan.parent.as_deref(), Some(ROOT));
        assert!(plan.lock(3).starts_with("/fairlock-bench/run-") && plan.lock(3).ends_with("/lock-3"));
        assert_eq!(plan.locks().count(), 2);
    }

    #[test]
    fn who_is_alone_needs_one_session() {
        let plan = Plan::check(&BenchArgs { contenders: 1, ..args() }).expect("good arguments");
        assert_eq!(plan.clients, 1);
    }

    #[test]
    fn a_root_that_was_named_is_left_alone() {
        for root in ["/", "/jobs"] {
            let plan = Plan::check(&BenchArgs { root: root.into(), ..args() }).expect("good arguments");
            assert!(plan.parent.is_none());
            assert!(plan.directory.as_str().starts_with(root));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let second = Duration::from_secs(1);
        for (args, told) in [
            (BenchArgs { contenders: 1000, locks: 11, ..args() }, "11000"),
            (BenchArgs { clients: Some(5), ..args() }, "fewer --clients"),
            (BenchArgs { duration: Duration::from_millis(1), ..args() }, "100ms to 1h"),
            (BenchArgs { duration: 3601 * second, ..args() }, "100ms to 1h"),
            (BenchArgs { hold: 6 * second, ..args() }, "shorter --hold"),
            (BenchArgs { root: "jobs".into(), ..args() }, "start it with /"),
            (BenchArgs { chart: Some("a.png".into()), ..args() }, "neither .svg nor .html"),
            (BenchArgs { chart: Some("svg".into()), ..args() }, "neither .svg nor .html"),
        ] {
            let error = Plan::check(&args).map(|_| ()).expect_err(told);
            assert!(error.contains(told), "{error}");
        }
    }
}
