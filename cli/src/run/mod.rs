//! `fairlock run` and `fairlock elect`: a command that runs under a lock and ends with it.

mod command;
mod elect;
mod held;
pub(crate) mod launch;
mod signals;
mod supervise;
mod terminal;
mod timeline;
pub(crate) mod watchdog;
mod words;

use std::ffi::OsString;
use std::fmt;
use std::future::Future;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fairlock::clock::{Clock as _, HostClock};
use fairlock::{AcquireOptions, Error, Fairlock};

pub(crate) use self::elect::run as elect;
use self::held::{Held, Kind, Lock};
use self::signals::Signals;
use self::supervise::{Ended, Job};
use self::watchdog::Watchdog;
use crate::args::{CommandArgs, RunArgs};
use crate::exit::{Exit, Failure};
use crate::settings::{self, Origin, Settings};

/// How long the lock's return is waited for. If it is not certain by then, the lock goes back with the session.
const END_PATIENCE: Duration = Duration::from_secs(1);
/// The grace is this part of the session timeout, and may be that part of it.
const GRACE_PART: u32 = 5;
const GRACE_PART_MIN: u32 = 4;

/// What is told on standard error.
#[derive(Clone, Copy, Debug)]
struct Voice {
    is_verbose: bool,
}

impl Voice {
    /// For who wants to know everything.
    fn say(self, what: fmt::Arguments<'_>) {
        if self.is_verbose {
            self.warn(what);
        }
    }

    /// For everybody.
    fn warn(self, what: fmt::Arguments<'_>) {
        // In one piece, since the command may write as well. If nobody can read it, there is nobody to be told of that.
        let _ = io::stderr().lock().write_all(format!("fairlock: {what}\n").as_bytes());
    }
}

/// A usage error that the table of arguments cannot express.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct WrongUsage(String);

fn wrong_usage(text: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, WrongUsage(text.into()))
}

/// How the command is to be run, as far as that is known before the lock is held.
struct Plan {
    words: Vec<OsString>,
    owner: String,
    grace: Option<Duration>,
    leaves_background: bool,
    voice: Voice,
}

impl Plan {
    fn new(args: CommandArgs) -> Result<Self, Failure> {
        let words = words::of(args.shell, args.words)?;
        Ok(Self {
            owner: words::owner(&words),
            words,
            grace: args.grace,
            leaves_background: args.leave_background,
            voice: Voice { is_verbose: args.verbose },
        })
    }

    /// Connects, with a session that leaves room for the grace; tells the grace as well.
    async fn open(&self, mut settings: Settings) -> Result<(Fairlock, Duration), Failure> {
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
        let grace_max = session_timeout / GRACE_PART_MIN;
        match self.grace {
            None => Ok((locks, session_timeout / GRACE_PART)),
            Some(grace) if grace <= grace_max => Ok((locks, grace)),
            Some(grace) => {
                locks.close().await;
                Err(wrong_usage(format!(
                    "a grace of {grace:?} does not fit into a session of {session_timeout:?}: give {grace_max:?} at most, or ask for \
                     a longer session (--session-timeout; the servers may limit it)"
                )))
            }
        }
    }
}

/// Runs `fairlock run`.
pub(crate) async fn run(args: RunArgs, settings: Settings) -> Result<Exit, Failure> {
    let plan = Plan::new(args.command)?;
    let kind = match args.permits {
        Some(permits) => Kind::Permits(permits),
        None if args.shared => Kind::Shared,
        None => Kind::Exclusive,
    };
    // What is wrong with the path is known without a server.
    fairlock::LockPath::new(&args.lock)?;
    if let (Some(hold), Some(grace)) = (args.max_hold, plan.grace)
        && hold <= grace
    {
        return Err(wrong_usage(format!("--max-hold {hold:?} leaves no time before the grace of {grace:?}")));
    }
    // Before anything is begun that a signal would have to end.
    let mut signals = Signals::catch()?;
    // Now, so that starting it costs no time later.
    let mut watchdog = Watchdog::start()?;
    let opened = tokio::select! {
        biased;
        signal = signals.next() => return Ok(signals::exit_for(signal.as_raw())),
        opened = plan.open(settings) => opened,
    };
    let (locks, grace) = opened?;
    let outcome = async {
        let lock = Lock::new(&locks, &args.lock, kind)?;
        let wait = if args.nonblock { Some(Duration::ZERO) } else { args.wait };
        let held = match acquire(&lock, wait, &mut signals, plan.voice).await? {
            Ok(held) => held,
            Err(Exit::NotGranted) => return Ok(Exit::Code(args.conflict_exit_code)),
            Err(exit) => return Ok(exit),
        };
        let granted = HostClock.now();
        let deadline_unix = args.max_hold.map(|hold| HostClock.unix_millis().saturating_add(millis(hold)));
        let environment = environment(&args.lock, &held, &locks, deadline_unix);
        let job = Job {
            words: &plan.words,
            environment: &environment,
            grace: args.max_hold.map_or(grace, |hold| grace.min(hold / 2)),
            hold_end: args.max_hold.map(|hold| granted + hold),
            yields: args.yield_on_request,
            leaves_background: plan.leaves_background,
            voice: plan.voice,
        };
        let ended = supervise::run(&job, &held, &mut signals, &mut watchdog).await?;
        let exit = exit_of(&ended, plan.voice);
        give_back(held, plan.voice).await;
        if let Ended::Killed { signal, by_terminal: true } = ended {
            pass_interrupt_on(signal);
        }
        Ok(exit)
    };
    let outcome = outcome.await;
    close(&locks, plan.voice).await;
    outcome
}

/// Waits in the queue; a signal ends the wait at once, and so does the end of the longest time to wait, zero of which does not
/// queue. Then the exit tells which.
async fn acquire(
    lock: &Lock,
    wait: Option<Duration>,
    signals: &mut Signals,
    voice: Voice,
) -> Result<Result<Held, Exit>, Failure> {
    let started = Instant::now();
    loop {
        let rest = wait.map(|wait| wait.saturating_sub(started.elapsed()));
        let attempt = async {
            match rest {
                Some(Duration::ZERO) => lock.try_acquire().await,
                _ => wait_in_queue(lock, rest, voice).await,
            }
        };
        let outcome = tokio::select! {
            biased;
            signal = signals.next() => {
                voice.say(format_args!("{} while waiting: leaving the queue", signals::name(signal)));
                return Ok(Err(signals::exit_for(signal.as_raw())));
            }
            outcome = attempt => outcome,
        };
        match outcome {
            Ok(Some(held)) => {
                voice.say(format_args!("granted after {:.1?}, fencing token {}", started.elapsed(), held.token()));
                return Ok(Ok(held));
            }
            Ok(None) | Err(Error::Timeout { .. }) => {
                voice.say(format_args!("not granted after {:.1?}", started.elapsed()));
                return Ok(Err(Exit::NotGranted));
            }
            // The place in the queue is gone, but whoever waits wants the lock, not the place.
            Err(error @ Error::SessionLost { .. }) => voice.warn(format_args!("{error}; queueing again")),
            Err(error) => return Err(error.into()),
        }
    }
}

async fn wait_in_queue(lock: &Lock, limit: Option<Duration>, voice: Voice) -> Result<Option<Held>, Error> {
    let mut options = AcquireOptions::default();
    if let Some(limit) = limit {
        options = options.timeout(limit);
    }
    if !voice.is_verbose {
        return lock.acquire(options).await.map(Some);
    }
    let (options, mut progress) = options.progress();
    let mut acquiring = std::pin::pin!(lock.acquire(options));
    loop {
        tokio::select! {
            biased;
            outcome = &mut acquiring => return outcome.map(Some),
            Some(place) = progress.changed() => {
                let holder = place.holder.map_or_else(|| "somebody".to_owned(), |holder| holder.to_string());
                if let Some(ahead) = place.ahead {
                    voice.say(format_args!("waiting: {ahead} ahead, held by {holder}"));
                }
            }
        }
    }
}

/// What the command learns about its lock. Values of an outer lock are replaced, or removed.
fn environment(
    lock: &str,
    held: &Held,
    locks: &Fairlock,
    deadline_unix_millis: Option<u64>,
) -> Vec<(&'static str, Option<String>)> {
    vec![
        ("FAIRLOCK_LOCK", Some(lock.to_owned())),
        ("FAIRLOCK_TOKEN", Some(held.token().to_string())),
        ("FAIRLOCK_OWNER", Some(locks.identity().to_string())),
        ("FAIRLOCK_DEADLINE", deadline_unix_millis.map(|millis| format!("{}.{:03}", millis / 1_000, millis % 1_000))),
    ]
}

fn exit_of(ended: &Ended, voice: Voice) -> Exit {
    match ended {
        Ended::Exited(code) => {
            voice.say(format_args!("the command exited with {code}"));
            // The system passes on eight bits.
            Exit::Code(u8::try_from(*code & 0xff).unwrap_or(u8::MAX))
        }
        Ended::Killed { signal, .. } => {
            voice.say(format_args!("the command was killed by signal {signal}"));
            signals::exit_for(*signal)
        }
        Ended::LockLost(why) => {
            voice.say(format_args!("the command did not run to its end under the lock: {why}"));
            Exit::LockLost
        }
        Ended::Yielded => Exit::LockLost,
    }
}

async fn give_back(held: Held, voice: Voice) {
    if held.loss().is_some() {
        // There is nothing to give back, and that was told.
        return;
    }
    let started = Instant::now();
    match held.release(END_PATIENCE).await {
        Ok(()) => voice.say(format_args!("released in {:.1?}", started.elapsed())),
        Err(error) => voice.warn(format_args!("the lock goes back when the session ends, since: {error}")),
    }
}

/// Ends the session, and with it whatever is left in a queue.
async fn close(locks: &Fairlock, voice: Voice) {
    let started = Instant::now();
    if settings::close(locks).await {
        voice.say(format_args!("session closed in {:.1?}", started.elapsed()));
    }
}

/// The terminal's keys have ended the command alone, since it had the foreground. What started this, a script perhaps, is told
/// as if it had been interrupted as well; a shell then looks whether this has died of the same.
fn pass_interrupt_on(signal: i32) {
    use rustix::process::{Signal, getpgrp, kill_process_group};
    if let Some(signal) = [Signal::INT, Signal::QUIT].into_iter().find(|known| known.as_raw() == signal) {
        // If either fails, the exit code still says it.
        let _ = kill_process_group(getpgrp(), signal);
        let _ = signal_hook::low_level::emulate_default_handler(signal.as_raw());
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The path of this program, to start it once more.
fn this_program() -> io::Result<PathBuf> {
    // On Linux this names the very file that runs, even if it was replaced meanwhile.
    let own = PathBuf::from("/proc/self/exe");
    if own.exists() { Ok(own) } else { std::env::current_exe() }
}

/// Whatever comes first: the work, or a signal that ends it.
async fn or_signal<T>(signals: &mut Signals, work: impl Future<Output = T>) -> Result<T, Exit> {
    tokio::select! {
        biased;
        signal = signals.next() => Err(signals::exit_for(signal.as_raw())),
        outcome = work => Ok(outcome),
    }
}
