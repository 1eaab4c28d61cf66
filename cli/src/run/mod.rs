//! `fairlock run` and `fairlock elect`: a command that runs under a lock and ends with it.

mod acquire;
mod command;
mod elect;
mod held;
mod job;
pub(crate) mod launch;
mod plan;
mod process;
mod signals;
mod supervise;
mod terminal;
mod timeline;
mod voice;
pub(crate) mod watchdog;
mod words;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fairlock::Fairlock;
use fairlock::clock::{Clock as _, HostClock};
use rustix::process::{Signal, getpid, kill_current_process_group};

use self::acquire::acquire;
pub(crate) use self::elect::run as elect;
use self::held::{Held, Kind, Lock};
use self::job::{How, Job, Key};
use self::plan::{Plan, Room};
use self::signals::Signals;
use self::voice::Voice;
use self::watchdog::Watchdog;
use crate::args::RunArgs;
use crate::exit::{Exit, Failure};
use crate::settings::{self, Settings};

/// How long the lock's return is waited for. If it is not certain by then, the lock goes back with the session.
const END_PATIENCE: Duration = Duration::from_secs(1);

/// Runs `fairlock run`.
pub(crate) async fn run(args: RunArgs, settings: Settings) -> Result<Exit, Failure> {
    let plan = Plan::new(args.command.clone())?;
    // What is wrong with the path is known without a server.
    fairlock::LockPath::new(&args.lock)?;
    terminal::never_stop_for_output()?;
    // Before anything is begun that a signal would have to end.
    let mut signals = Signals::catch()?;
    // Now, so that starting it costs no time later.
    let watchdog = Watchdog::start()?;
    let (locks, room) = match or_signal(&mut signals, plan.open(settings)).await {
        Ok(opened) => opened?,
        Err(exit) => return Ok(exit),
    };
    let outcome = under_the_lock(&args, &plan, &locks, room, &mut signals, watchdog).await;
    close(&locks, plan.voice).await;
    if let Ok((_, Some(interrupt))) = outcome {
        pass_interrupt_on(interrupt, plan.voice);
    }
    plan.voice.finish();
    outcome.map(|(exit, _)| exit)
}

/// Acquires, runs and releases; how to exit, and which of the terminal's keys has ended the command, if one has.
async fn under_the_lock(
    args: &RunArgs,
    plan: &Plan,
    locks: &Fairlock,
    room: Room,
    signals: &mut Signals,
    mut watchdog: Watchdog,
) -> Result<(Exit, Option<Interrupt>), Failure> {
    // Told before anybody waits.
    room.within(args.max_hold)?;
    let kind = match args.permits {
        Some(permits) => Kind::Permits(permits),
        None if args.shared => Kind::Shared,
        None => Kind::Exclusive,
    };
    let lock = Lock::new(locks, &args.lock, kind)?;
    let wait = if args.nonblock { Some(Duration::ZERO) } else { args.wait };
    let held = match acquire(&lock, wait, signals, plan.voice).await? {
        Ok(held) => held,
        Err(Exit::NotGranted) => return Ok((Exit::Code(args.conflict_exit_code), None)),
        Err(exit) => return Ok((exit, None)),
    };
    let room = plan.room(locks.session_timeout().await?)?.within(args.max_hold)?;
    let timeline = room.timeline(args.max_hold);
    let deadline_unix_millis = args.max_hold.map(|hold| HostClock.unix_millis().saturating_add(millis(hold)));
    let job = Job {
        words: &plan.words,
        environment: &environment(&args.lock, &held, locks, deadline_unix_millis),
        timeline,
        yields: args.yield_on_request,
        gives_up_on: |_| true,
        leaves_background: plan.leaves_background,
        voice: plan.voice,
    };
    let ended = supervise::run(&job, &held, signals, &mut watchdog).await;
    // If it has failed to say how the command has ended, it kills what is left, before the lock goes back.
    drop(watchdog);
    let how = ended?.how;
    let exit = exit_of(&how, plan.voice);
    give_back(held, plan.voice).await;
    Ok((exit, interrupt(&how)))
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

fn exit_of(how: &How, voice: Voice) -> Exit {
    match how {
        How::Exited(code) => {
            voice.say(format_args!("the command exited with {code}"));
            // The system passes on eight bits.
            Exit::Code(u8::try_from(*code & 0xff).unwrap_or(u8::MAX))
        }
        How::Killed { signal, .. } => {
            voice.say(format_args!("the command was killed by signal {signal}"));
            signals::exit_for(*signal)
        }
        How::LockLost(why) => {
            voice.say(format_args!("the command did not run to its end under the lock: {why}"));
            Exit::LockLost
        }
        How::Yielded => Exit::LockLost,
        How::NotBegun(signal) => {
            voice.say(format_args!("{} before the command was begun", signals::name(*signal)));
            signals::exit_for(signal.as_raw())
        }
    }
}

async fn give_back(held: Held, voice: Voice) {
    if held.loss().is_some() {
        // There is nothing to give back, and that was told.
        return;
    }
    let started = Instant::now();
    match held.release(END_PATIENCE).await {
        Ok(true) => voice.say(format_args!("released in {:.1?}", started.elapsed())),
        Ok(false) => voice.warn(format_args!("no server answers; the lock goes back when the session ends")),
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

/// The signal of the terminal's key that has ended the command, and whom else the key has interrupted.
type Interrupt = (Signal, Key);

fn interrupt(how: &How) -> Option<Interrupt> {
    match how {
        How::Killed { signal, key: Some(key) } => {
            let signal = [Signal::INT, Signal::QUIT].into_iter().find(|known| known.as_raw() == *signal)?;
            Some((signal, *key))
        }
        _ => None,
    }
}

/// Dies of the signal that the terminal's key has ended the command with: a shell looks for that before it goes on with its script.
/// If the key has interrupted the command alone, what started this is told as if it had been interrupted as well.
fn pass_interrupt_on((signal, key): Interrupt, voice: Voice) {
    // The first process of a container dies of no signal, and has nobody above it.
    if getpid().is_init() {
        return;
    }
    voice.finish();
    // If either fails, the exit code still says it.
    if key == Key::OfCommand {
        let _ = kill_current_process_group(signal);
    }
    let _ = signal_hook::low_level::emulate_default_handler(signal.as_raw());
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
