//! The command while it runs under the lock: signals go through, the lock is watched, and the command ends with it.

use std::ffi::OsString;
use std::io;
use std::time::Duration;

use fairlock::LossReason;
use fairlock::clock::{Clock as _, HostClock, Timestamp};
use rustix::process::Signal;

use super::Voice;
use super::command::{Change, Running};
use super::held::Held;
use super::signals::{self, Signals};
use super::terminal::{self, Terminal};
use super::timeline::{Due, Timeline};
use super::watchdog::Watchdog;

/// How often the watchdog is told how long the lock is good, at least.
const NEWS_INTERVAL: Duration = Duration::from_millis(200);
/// How long a killed group is waited for. Its processes may hang in the kernel, which nobody can end.
const KILL_PATIENCE: Duration = Duration::from_secs(1);
/// How often it is looked whether a group is empty: nothing tells.
const GROUP_LOOK: Duration = Duration::from_millis(5);

/// What whoever asks for the lock is told.
const ENDS: &str = "seen; the command is being ended";
const GOES_ON: &str = "seen; the command goes on until it ends by itself";

/// What to run, and how to end it.
pub(super) struct Job<'a> {
    pub(super) words: &'a [OsString],
    pub(super) environment: &'a [(&'static str, Option<String>)],
    pub(super) grace: Duration,
    /// The end of the longest time that it may hold the lock.
    pub(super) hold_end: Option<Timestamp>,
    /// Whether to end it when somebody asks for the lock.
    pub(super) yields: bool,
    /// Whether processes that it leaves behind are left alone.
    pub(super) leaves_background: bool,
    pub(super) voice: Voice,
}

/// How the command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Exited(i32),
    Killed {
        signal: i32,
        by_terminal: bool,
    },
    /// It was ended, or has ended, when the lock was not good any more.
    LockLost(String),
    /// It was ended because somebody asked for the lock.
    Yielded,
}

/// Why it is being ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ending {
    Loss(String),
    Yield,
}

struct Supervision<'a> {
    job: &'a Job<'a>,
    held: &'a Held,
    running: Running,
    terminal: Option<Terminal>,
    timeline: Timeline,
    /// As last known while it was not lost.
    valid_until: Timestamp,
    ending: Option<Ending>,
    watchdog: &'a mut Watchdog,
}

/// Runs the command to its end; nobody of its group is left then, unless it was wanted otherwise.
pub(super) async fn run(
    job: &Job<'_>,
    held: &Held,
    signals: &mut Signals,
    watchdog: &mut Watchdog,
) -> io::Result<Ended> {
    let terminal = Terminal::of_this_process();
    let running = Running::start(job.words, job.environment, terminal.is_some())?;
    if let Some(terminal) = &terminal {
        // The command does the same: whoever is first.
        let _ = terminal.give_to(running.group());
    }
    let valid_until = held.valid_until();
    let timeline = Timeline::new(job.grace, job.hold_end);
    let mut supervision = Supervision { job, held, running, terminal, timeline, valid_until, ending: None, watchdog };
    let outcome = supervision.run(signals).await;
    if let Some(terminal) = &supervision.terminal {
        let _ = terminal.take_back();
    }
    outcome
}

impl Supervision<'_> {
    async fn run(&mut self, signals: &mut Signals) -> io::Result<Ended> {
        self.tell_watchdog();
        let mut is_lost = false;
        let held = self.held;
        let answer = if self.job.yields { ENDS } else { GOES_ON };
        let mut asked = std::pin::pin!(held.asked_to_release(answer));
        let mut is_asked = false;
        // It may have ended before the signal of its end was waited for.
        let mut change = self.running.change()?;
        loop {
            match change {
                Some(Change::Exited(_) | Change::Killed(_)) => break,
                Some(Change::Stopped(signal)) => self.stopped(signal)?,
                None => {}
            }
            if !is_lost {
                // Once it is lost, the time before counts: it was good until then, and not a moment longer.
                match self.held.loss() {
                    None => self.valid_until = self.held.valid_until(),
                    Some(_) => is_lost = true,
                }
            }
            let wake = match self.timeline.due(HostClock.now(), self.valid_until, is_lost) {
                Due::Nothing(until) => until,
                Due::Terminate => {
                    self.terminate(self.loss_text(is_lost));
                    change = self.running.change()?;
                    continue;
                }
                Due::Kill => {
                    self.job.voice.say(format_args!("the command does not end; killing its process group"));
                    self.signal(Signal::KILL);
                    self.wait_for_end(signals).await?;
                    break;
                }
            };
            self.tell_watchdog();
            let wake = if is_lost { wake } else { wake.min(HostClock.now() + NEWS_INTERVAL) };
            change = tokio::select! {
                biased;
                signal = signals.next_or_child() => {
                    if let Some(signal) = signal {
                        self.job.voice.say(format_args!("passing {} on", signals::name(signal)));
                        self.signal(signal);
                    }
                    self.running.change()?
                }
                _ = held.lost(), if !is_lost => None,
                request = &mut asked, if !is_asked => {
                    is_asked = true;
                    // A failure to look is no reason to end anything: the request can be repeated by other means.
                    if let Ok((who, why)) = request {
                        self.asked(&who, &why);
                    }
                    None
                }
                () = HostClock.sleep_until(wake) => None,
            };
        }
        self.finish().await
    }

    /// The command has ended, or was killed: deals with those it leaves behind, and says how it ended.
    async fn finish(&mut self) -> io::Result<Ended> {
        // Looked at before anything else is waited for: was all of the work done under the lock?
        let loss = self.held.loss();
        let is_over = HostClock.now() >= self.timeline.end(self.valid_until);
        let change = self.running.change()?;
        if self.ending.is_none() && (loss.is_some() || is_over) {
            // It was not ended from here: the watchdog did, or it has ended by itself too late.
            self.ending = Some(self.loss_text(loss.is_some()));
        }
        let others_are_left = self.running.reap();
        // Nothing may be left without the lock, whatever was wanted while it was there.
        if others_are_left && (self.ending.is_some() || !self.job.leaves_background) {
            self.end_others().await;
        }
        self.watchdog.dismiss();
        Ok(match (self.ending.take(), change) {
            (Some(Ending::Loss(why)), _) => Ended::LockLost(why),
            (Some(Ending::Yield), _) => Ended::Yielded,
            (None, Some(Change::Killed(signal))) => Ended::Killed { signal, by_terminal: self.terminal.is_some() },
            (None, Some(Change::Exited(code))) => Ended::Exited(code),
            (None, _) => return Err(io::Error::other("the command's end cannot be learned")),
        })
    }

    /// Those whom the command has left behind would go on without the lock.
    async fn end_others(&mut self) {
        if self.ending.is_none() {
            self.job.voice.warn(format_args!(
                "the command has ended and left processes behind; ending them, as they would go on without the lock"
            ));
        }
        self.signal(Signal::TERM);
        self.timeline.terminated(HostClock.now());
        while self.running.has_members() {
            let is_lost = self.held.loss().is_some();
            if !is_lost {
                self.valid_until = self.held.valid_until();
            }
            if self.timeline.due(HostClock.now(), self.valid_until, is_lost) == Due::Kill {
                self.signal(Signal::KILL);
                break;
            }
            self.tell_watchdog();
            tokio::time::sleep(GROUP_LOOK).await;
        }
        let given_up_at = HostClock.now() + KILL_PATIENCE;
        while self.running.has_members() && HostClock.now() < given_up_at {
            tokio::time::sleep(GROUP_LOOK).await;
        }
    }

    /// The group was killed; waits until the command itself is dead.
    async fn wait_for_end(&self, signals: &mut Signals) -> io::Result<()> {
        let given_up_at = HostClock.now() + KILL_PATIENCE;
        while !matches!(self.running.change()?, Some(Change::Exited(_) | Change::Killed(_))) {
            tokio::select! {
                _ = signals.next_or_child() => {}
                () = HostClock.sleep_until(given_up_at) => {
                    return Err(io::Error::other("the command was killed and does not die; it may hang in the system"));
                }
            }
        }
        Ok(())
    }

    fn terminate(&mut self, why: Ending) {
        let text = match &why {
            Ending::Loss(text) => format!("{text}; ending the command"),
            Ending::Yield => "ending the command, to give the lock back".to_owned(),
        };
        self.job.voice.warn(format_args!("{text}"));
        self.ending.get_or_insert(why);
        self.timeline.terminated(HostClock.now());
        // A stopped process takes no notice of TERM until it is continued. Failing, KILL comes next.
        self.signal(Signal::TERM);
        self.signal(Signal::CONT);
    }

    /// Sends a signal to the command's group. A command that became another user's may be out of reach.
    fn signal(&self, signal: Signal) {
        if let Err(error) = self.running.signal(signal) {
            self.job.voice.warn(format_args!("{} cannot be sent to the command: {error}", signals::name(signal)));
        }
    }

    fn loss_text(&self, is_lost: bool) -> Ending {
        Ending::Loss(match self.held.loss() {
            Some(reason) if is_lost => describe(reason),
            _ if self.timeline.ends_by_hold(self.valid_until) => {
                "the longest time to hold the lock is nearly over".to_owned()
            }
            _ => "no server has answered for so long that the lock may soon be another's".to_owned(),
        })
    }

    fn asked(&mut self, who: &str, why: &str) {
        let reason = if why.is_empty() { String::new() } else { format!(": {why}") };
        self.job.voice.warn(format_args!("{who} asks for the lock{reason}"));
        if self.job.yields && !self.timeline.is_terminated() {
            self.terminate(Ending::Yield);
        }
    }

    /// The command was stopped, by Ctrl-Z or otherwise.
    fn stopped(&mut self, signal: i32) -> io::Result<()> {
        let by = |known: Signal| known.as_raw() == signal;
        let wants_terminal = by(Signal::TTIN) || by(Signal::TTOU);
        if !wants_terminal && !by(Signal::TSTP) || !terminal::exists() {
            // Whoever has stopped it otherwise will continue it.
            return Ok(());
        }
        if wants_terminal && self.foreground() {
            // It was quicker than we, or has come to want the terminal since: here it is.
            self.signal(Signal::CONT);
            return Ok(());
        }
        if !wants_terminal {
            self.job.voice.warn(format_args!("stopped; the lock is lost, and the command ended, if that lasts"));
        }
        // As if the terminal had stopped us as well. Here we stand still until we are continued.
        if let Some(terminal) = self.terminal.take() {
            terminal.take_back()?;
        }
        terminal::stop_own_group()?;
        self.foreground();
        self.job.voice.warn(format_args!("continued"));
        self.signal(Signal::CONT);
        Ok(())
    }

    /// Gives the command the terminal's foreground, if it is ours; whether the command has it.
    fn foreground(&mut self) -> bool {
        if let Some(terminal) = Terminal::of_this_process() {
            self.terminal = terminal.give_to(self.running.group()).is_ok().then_some(terminal);
        }
        self.terminal.is_some()
    }

    fn tell_watchdog(&mut self) {
        let until = self.timeline.end(self.valid_until);
        if self.watchdog.tell(self.running.group(), until).is_ok() {
            return;
        }
        // Somebody has killed it.
        let restarted = Watchdog::start().and_then(|watchdog| {
            *self.watchdog = watchdog;
            self.watchdog.tell(self.running.group(), until)
        });
        match restarted {
            Ok(()) => self.job.voice.say(format_args!("the watchdog was gone, and was started again")),
            Err(error) => self.job.voice.say(format_args!("the watchdog is gone: {error}")),
        }
    }
}

fn describe(reason: LossReason) -> String {
    format!("the lock is lost: {reason}")
}
