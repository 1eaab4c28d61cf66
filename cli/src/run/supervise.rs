//! The command while it runs under the lock: signals go through, the lock is watched, and the command ends with it.
//!
//! Nothing in here gives up on a living command: what cannot be done is told, and the lock stays held, for whoever returns from here
//! gives the lock back.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use fairlock::LossReason;
use fairlock::clock::{Clock as _, HostClock, Timestamp};
use rustix::process::{Signal, getpgrp};

use super::command::{Change, Running};
use super::held::{Held, Request};
use super::job::{Ended, How, Job, Key, Killed};
use super::signals::{self, Signals};
use super::terminal::{self, Stop, Terminal};
use super::timeline::{Due, Timeline};
use super::watchdog::Watchdog;

/// How often the watchdog is told how long the lock is good, at least.
const NEWS_INTERVAL: Duration = Duration::from_millis(200);
/// How often it is looked whether a group is empty, or a session good for longer: nothing tells.
const LOOK: Duration = Duration::from_millis(10);
/// The pause before it is asked again who wants the lock, when that could not be learned.
const REQUEST_PAUSE: Duration = Duration::from_secs(5);

/// What whoever asks for the lock is told.
const ENDS: &str = "seen; the command is being ended";
const GOES_ON: &str = "seen; the command goes on until it ends by itself";

const HELD_TOO_LONG: &str = "the longest time to hold the lock is nearly over";

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
    /// Whether an interrupt came through here.
    is_interrupted: bool,
    /// Whether the stop key was passed on, and has stopped nobody yet.
    is_stopping: bool,
    told_to_end: Option<Signal>,
    watchdog: &'a mut Watchdog,
    has_watchdog: bool,
    /// Until when the group may live, as the watchdog knows it.
    told_until: Timestamp,
    /// Whether the command was stopped for want of the foreground, which could not be given to it.
    wants_foreground: bool,
}

/// Runs the command to its end; nobody of its group is left then, unless it was wanted otherwise.
pub(super) async fn run(
    job: &Job<'_>,
    held: &Held,
    signals: &mut Signals,
    watchdog: &mut Watchdog,
) -> io::Result<Ended> {
    let not_begun = |how| Ok(Ended { how, told_to_end: None });
    // A grant may come when little is known of how long the session lives; the next answer tells of more.
    while !job.timeline.leaves_time(HostClock.now(), held.valid_until()) {
        if let Some(reason) = held.loss() {
            return not_begun(How::LockLost(describe(reason)));
        }
        if job.timeline.is_too_late(HostClock.now()) {
            return not_begun(How::LockLost(HELD_TOO_LONG.to_owned()));
        }
        tokio::select! {
            biased;
            signal = signals.next() => if (job.gives_up_on)(signal) {
                return not_begun(How::NotBegun(signal));
            },
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    let valid_until = held.valid_until();
    let running = Running::start(job.words, job.environment, job.timeline.last_end(valid_until))?;
    let mut supervision = Supervision {
        job,
        held,
        running,
        terminal: Terminal::open(),
        timeline: job.timeline,
        valid_until,
        ending: None,
        is_interrupted: false,
        is_stopping: false,
        told_to_end: None,
        watchdog,
        has_watchdog: true,
        told_until: Timestamp::default(),
        wants_foreground: false,
    };
    // Known to the watchdog before its program begins.
    supervision.tell_watchdog();
    supervision.signal(Signal::CONT);
    let outcome = supervision.run(signals).await;
    if outcome.is_err() {
        // It cannot be learned any more what becomes of it, and the lock goes back.
        supervision.signal(Signal::KILL);
    }
    outcome
}

impl<'a> Supervision<'a> {
    async fn run(&mut self, signals: &mut Signals) -> io::Result<Ended> {
        let mut asked = self.requests(Duration::ZERO);
        let mut is_lost = false;
        // It may have ended before the signal of its end was waited for.
        let mut change = self.running.change()?;
        loop {
            match change {
                Some(Change::Exited(_) | Change::Killed(_)) => break,
                Some(Change::Stopped(signal)) => self.stopped(signal),
                None => {}
            }
            is_lost = is_lost || self.is_lost();
            let wake = match self.timeline.due(HostClock.now(), self.valid_until, is_lost) {
                Due::Nothing(until) => until,
                Due::Terminate => {
                    self.terminate(self.why(is_lost));
                    change = self.running.change()?;
                    continue;
                }
                Due::Kill => {
                    self.signal(Signal::KILL);
                    self.job.voice.say(format_args!("the command does not end; killed its process group"));
                    self.wait_for_end(signals).await?;
                    break;
                }
            };
            self.tell_watchdog();
            if self.wants_foreground {
                self.give_foreground();
            }
            let wake = if is_lost { wake } else { wake.min(HostClock.now() + NEWS_INTERVAL) };
            change = tokio::select! {
                biased;
                signal = signals.next_or_child() => {
                    self.pass_on(signal);
                    self.running.change()?
                }
                _ = self.held.lost(), if !is_lost => None,
                request = &mut asked => {
                    let pause = self.asked(request);
                    asked = self.requests(pause);
                    None
                }
                () = HostClock.sleep_until(wake) => None,
            };
        }
        self.finish(signals).await
    }

    /// Whether the lock is lost. As long as it is not, the time until which it is good is noted: that counts afterwards.
    fn is_lost(&mut self) -> bool {
        let valid_until = self.held.valid_until();
        if self.held.loss().is_some() {
            return true;
        }
        self.valid_until = valid_until;
        false
    }

    /// Who asks for the lock next.
    fn requests(&self, pause: Duration) -> Pin<Box<dyn Future<Output = Result<Request, fairlock::Error>> + 'a>> {
        let held = self.held;
        let answer = if self.job.yields { ENDS } else { GOES_ON };
        Box::pin(async move {
            tokio::time::sleep(pause).await;
            held.asked_to_release(answer).await
        })
    }

    /// The command has ended, or was killed: deals with those it leaves behind, and says how it ended.
    async fn finish(&mut self, signals: &mut Signals) -> io::Result<Ended> {
        // Looked at before anything else is waited for: was all of the work done under the lock?
        let is_lost = self.is_lost();
        let now = HostClock.now();
        let change = self.running.change()?;
        // The watchdog acts on what it was told last, which may be less than is known by now.
        let was_killed = change == Some(Change::Killed(Signal::KILL.as_raw()));
        let is_over = now >= self.timeline.last_end(self.valid_until) || was_killed && now >= self.told_until;
        let key = self.key();
        if self.ending.is_none() && (is_lost || is_over) {
            // It was not ended from here: the watchdog did, or it has ended by itself too late.
            self.ending = Some(self.why(is_lost));
        }
        let has_ended = matches!(change, Some(Change::Exited(_) | Change::Killed(_)));
        let others_are_left = has_ended && self.running.reap();
        // Nothing may be left without the lock, whatever was wanted while it was there.
        if others_are_left && (self.ending.is_some() || !self.job.leaves_background) {
            self.end_others(signals).await;
        }
        self.watchdog.dismiss();
        if let Some(terminal) = &self.terminal {
            terminal.take_back_from(self.running.group());
        }
        let how = match (self.ending.take(), change) {
            (Some(Ending::Loss(why)), _) => How::LockLost(why),
            (Some(Ending::Yield), _) => How::Yielded,
            (None, Some(Change::Killed(signal))) => How::Killed { signal, key },
            (None, Some(Change::Exited(code))) => How::Exited(code),
            (None, _) => return Err(io::Error::other("the command's end cannot be learned")),
        };
        Ok(Ended { how, told_to_end: self.told_to_end })
    }

    /// Whom a key of the terminal has interrupted, if it was one that has ended the command.
    fn key(&self) -> Option<Key> {
        let terminal = self.terminal.as_ref()?;
        match self.is_interrupted {
            false => terminal.is_with(self.running.group()).then_some(Key::OfCommand),
            true => terminal.is_with(getpgrp()).then_some(Key::OfAll),
        }
    }

    /// Those whom the command has left behind would go on without the lock.
    async fn end_others(&mut self, signals: &mut Signals) {
        self.signal(Signal::TERM);
        self.signal(Signal::CONT);
        self.timeline.terminated(HostClock.now());
        if self.ending.is_none() {
            self.job.voice.warn(format_args!(
                "the command has ended and left processes behind; ending them, as they would go on without the lock"
            ));
        }
        let mut killed: Option<Killed> = None;
        while self.running.has_members() {
            let is_lost = self.is_lost();
            if killed.is_none() && self.timeline.due(HostClock.now(), self.valid_until, is_lost) == Due::Kill {
                self.signal(Signal::KILL);
                killed = Some(Killed::now());
            }
            if killed.as_mut().is_some_and(|killed| killed.is_hopeless(self.job.voice)) && is_lost {
                return;
            }
            self.tell_watchdog();
            tokio::select! {
                biased;
                signal = signals.next_or_child() => self.pass_on(signal),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// The group was killed; waits until the command itself is dead, or the lock lost all the same.
    async fn wait_for_end(&mut self, signals: &mut Signals) -> io::Result<()> {
        let mut killed = Killed::now();
        while !matches!(self.running.change()?, Some(Change::Exited(_) | Change::Killed(_))) {
            let is_lost = self.is_lost();
            if killed.is_hopeless(self.job.voice) && is_lost {
                return Ok(());
            }
            self.tell_watchdog();
            tokio::select! {
                biased;
                signal = signals.next_or_child() => self.pass_on(signal),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        Ok(())
    }

    fn terminate(&mut self, why: Ending) {
        // A stopped process takes no notice of TERM until it is continued. Failing, KILL comes next.
        self.signal(Signal::TERM);
        self.signal(Signal::CONT);
        self.timeline.terminated(HostClock.now());
        match &why {
            Ending::Loss(text) => self.job.voice.warn(format_args!("{text}; ending the command")),
            Ending::Yield => self.job.voice.warn(format_args!("ending the command, to give the lock back")),
        }
        self.ending.get_or_insert(why);
    }

    /// Sends a signal to the command's group. A command that became another user's may be out of reach.
    fn signal(&self, signal: Signal) {
        if let Err(error) = self.running.signal(signal) {
            self.job.voice.warn(format_args!("{} cannot be sent to the command: {error}", signals::name(signal)));
        }
    }

    /// Passes a signal on, if it is one.
    fn pass_on(&mut self, signal: Option<Signal>) {
        let Some(signal) = signal else { return };
        self.signal(signal);
        self.job.voice.say(format_args!("passed {} on", signals::name(signal)));
        self.is_interrupted |= signal == Signal::INT || signal == Signal::QUIT;
        self.is_stopping |= signal == Signal::TSTP;
        if signals::is_ending(signal) {
            self.told_to_end = Some(signal);
        }
    }

    fn why(&self, is_lost: bool) -> Ending {
        Ending::Loss(match self.held.loss() {
            Some(reason) if is_lost => describe(reason),
            _ if self.timeline.ends_by_hold(self.valid_until) => HELD_TOO_LONG.to_owned(),
            _ => "no server has answered for so long that the lock may soon be another's".to_owned(),
        })
    }

    /// Deals with a request to give the lock back; how long to pause before the next is waited for.
    fn asked(&mut self, request: Result<Request, fairlock::Error>) -> Duration {
        // A failure to look is no reason to end anything.
        let Ok(request) = request else { return REQUEST_PAUSE };
        let reason = if request.reason.is_empty() { String::new() } else { format!(": {}", request.reason) };
        self.job.voice.warn(format_args!("{} asks for the lock{reason}", request.by));
        if self.job.yields && !self.timeline.is_terminated() {
            self.terminate(Ending::Yield);
        }
        // One that could not be acknowledged comes again.
        if request.is_acknowledged { Duration::ZERO } else { REQUEST_PAUSE }
    }

    /// The command was stopped, by the terminal or otherwise.
    fn stopped(&mut self, signal: i32) {
        let group = self.running.group();
        let by = |known: Signal| known.as_raw() == signal;
        // Where the stop key came first, the command is to be stopped, whatever has stopped it.
        let needs_foreground = (by(Signal::TTIN) || by(Signal::TTOU)) && !self.is_stopping;
        if needs_foreground && self.give_foreground() {
            return;
        }
        let had_foreground = self.terminal.as_ref().is_some_and(|terminal| terminal.is_with(group));
        // Whoever was stopped otherwise, away from the terminal, is continued by whoever has stopped it. One that is like this stops
        // itself for the key.
        if by(Signal::STOP) && !had_foreground && !self.is_stopping {
            return;
        }
        self.is_stopping = false;
        self.job.voice.say(format_args!("the command was stopped"));
        if let Some(terminal) = &self.terminal {
            terminal.take_back_from(group);
        }
        // As if the terminal had stopped us as well. Here we stand still until we are continued.
        let stop = if needs_foreground { Stop::NeedsForeground } else { Stop::Key };
        if terminal::stop_own_group(stop) {
            self.job.voice.warn(format_args!("continued"));
        } else if needs_foreground {
            // Nobody could bring us to the foreground. It may become free by itself.
            self.wants_foreground = true;
            return self.job.voice.warn(format_args!("the command waits for the terminal, which others have"));
        }
        if let Some(terminal) = self.terminal.as_ref().filter(|_| had_foreground) {
            terminal.give_to(group);
        }
        self.signal(Signal::CONT);
    }

    /// Gives the command the foreground that it was stopped for want of, if it is there to be given.
    fn give_foreground(&mut self) -> bool {
        let given = self.terminal.as_ref().is_some_and(|terminal| terminal.give_to(self.running.group()));
        if given {
            self.wants_foreground = false;
            // From here on the terminal's keys are for the command alone.
            self.is_interrupted = false;
            self.signal(Signal::CONT);
        }
        given
    }

    fn tell_watchdog(&mut self) {
        let until = self.timeline.last_end(self.valid_until);
        self.told_until = until;
        let group = self.running.group();
        if self.watchdog.tell(group, until).is_ok() || !self.has_watchdog {
            return;
        }
        // Somebody has killed it, or stopped it.
        let replaced = self.watchdog.replace().and_then(|()| self.watchdog.tell(group, until));
        match replaced {
            Ok(()) => self.job.voice.say(format_args!("the watchdog was gone, and was replaced")),
            Err(error) => {
                self.has_watchdog = false;
                self.job.voice.warn(format_args!("the watchdog is gone and cannot be replaced: {error}"));
            }
        }
    }
}

fn describe(reason: LossReason) -> String {
    format!("the lock is lost: {reason}")
}
