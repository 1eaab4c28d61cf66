//! `fairlock elect`: the command runs while this leads, and again when it leads again.

use std::io::{self, Write as _};
use std::time::Duration;

use fairlock::recipes::{Election, Leader};
use fairlock::{Error, Fairlock, Retry};

use super::held::Held;
use super::job::{How, Job};
use super::plan::Plan;
use super::signals::{self, Signals};
use super::supervise;
use super::watchdog::Watchdog;
use super::{Interrupt, close, environment, exit_of, give_back, interrupt, or_signal, pass_interrupt_on, terminal};
use crate::args::ElectArgs;
use crate::exit::{Exit, Failure};
use crate::json;
use crate::settings::{self, Settings};

/// The pauses between attempts to stand for election while that fails: twice as long each time.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Runs `fairlock elect`.
pub(crate) async fn run(args: ElectArgs, settings: Settings) -> Result<Exit, Failure> {
    fairlock::LockPath::new(&args.name)?;
    if args.listen {
        let mut signals = Signals::catch()?;
        return or_signal(&mut signals, listen(&args, &settings)).await.unwrap_or_else(Ok);
    }
    let plan = Plan::new(args.command.clone())?;
    terminal::never_stop_for_output()?;
    let mut signals = Signals::catch()?;
    let (locks, _) = match or_signal(&mut signals, plan.open(settings)).await {
        Ok(opened) => opened?,
        Err(exit) => return Ok(exit),
    };
    let election = locks.election(&args.name)?;
    let candidate = Candidate { args: &args, plan: &plan, locks: &locks, election };
    let outcome = candidate.stand(&mut signals).await;
    close(&locks, plan.voice).await;
    if let Ok((_, Some(interrupt))) = outcome {
        pass_interrupt_on(interrupt, plan.voice);
    }
    plan.voice.finish();
    outcome.map(|(exit, _)| exit)
}

struct Candidate<'a> {
    args: &'a ElectArgs,
    plan: &'a Plan,
    locks: &'a Fairlock,
    election: Election,
}

impl Candidate<'_> {
    /// Stands for election again and again, until the command ends by itself; how to exit, and which of the terminal's keys has
    /// ended the command, if one has.
    async fn stand(&self, signals: &mut Signals) -> Result<(Exit, Option<Interrupt>), Failure> {
        let voice = self.plan.voice;
        let mut pause = PAUSE_MIN;
        loop {
            // Each ends with the command that it has watched.
            let mut watchdog = Watchdog::start()?;
            let payload = self.args.payload.clone().unwrap_or_default();
            let leadership = match self.or_ending(signals, self.election.campaign(payload)).await {
                Err(exit) => return Ok((exit, None)),
                Ok(Ok(leadership)) => leadership,
                // A candidate wants to lead, whenever that may be.
                Ok(Err(error)) if !self.args.once && passes(&error) => {
                    voice.warn(format_args!("{error}; standing for election again"));
                    if let Err(exit) = self.or_ending(signals, tokio::time::sleep(pause)).await {
                        return Ok((exit, None));
                    }
                    pause = (pause * 2).min(PAUSE_MAX);
                    continue;
                }
                Ok(Err(error)) => return Err(error.into()),
            };
            pause = PAUSE_MIN;
            let held = Held::Leadership(leadership);
            voice.say(format_args!("leading, fencing token {}", held.token()));
            let room = self.plan.room(self.locks.session_timeout().await?)?;
            let job = Job {
                words: &self.plan.words,
                environment: &environment(&self.args.name, &held, self.locks, None),
                timeline: room.timeline(None),
                yields: true,
                gives_up_on: signals::ends_a_candidate,
                leaves_background: self.plan.leaves_background,
                voice,
            };
            let ended = supervise::run(&job, &held, signals, &mut watchdog).await;
            // If it has failed to say how the command has ended, it kills what is left, before the leadership goes back.
            drop(watchdog);
            let ended = ended?;
            let exit = exit_of(&ended.how, voice);
            give_back(held, voice).await;
            match ended.how {
                How::LockLost(_) | How::Yielded if !self.args.once => {}
                how => return Ok((exit, interrupt(&how))),
            }
            if let Some(signal) = ended.told_to_end {
                // Whoever has sent that does not want it to go on, whatever else has ended the command.
                return Ok((signals::exit_for(signal.as_raw()), None));
            }
            voice.warn(format_args!("standing for election again"));
        }
    }

    /// Whatever comes first: the work, or a signal by which somebody wants this to end. Others are for a command, which does not run.
    async fn or_ending<T>(&self, signals: &mut Signals, work: impl Future<Output = T>) -> Result<T, Exit> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                signal = signals.next() => {
                    if signals::ends_a_candidate(signal) {
                        return Err(signals::exit_for(signal.as_raw()));
                    }
                    self.plan.voice.say(format_args!("{} is for the command, which does not run", signals::name(signal)));
                }
                outcome = &mut work => return Ok(outcome),
            }
        }
    }
}

/// Whether a candidacy that failed like this may succeed later.
fn passes(error: &Error) -> bool {
    error.retry() == Retry::Yes || matches!(error, Error::LockLost { .. } | Error::Unreachable { .. })
}

/// Prints the leaders as they change, until the reader or a signal ends it.
async fn listen(args: &ElectArgs, settings: &Settings) -> Result<Exit, Failure> {
    let locks = settings.open("fairlock").await?;
    let mut observer = locks.election(&args.name)?.observe();
    loop {
        let leader = observer.next().await;
        let leader = match leader {
            Ok(leader) => leader,
            Err(error) => {
                settings::close(&locks).await;
                return Err(error.into());
            }
        };
        let line = if args.json { json::leader(leader.as_ref()).to_string() } else { text(leader.as_ref()) };
        let mut out = io::stdout().lock();
        writeln!(out, "{line}")?;
        // A pipe would keep the news back.
        out.flush()?;
    }
}

fn text(leader: Option<&Leader>) -> String {
    match leader {
        None => "nobody leads".to_owned(),
        Some(leader) => {
            let payload = String::from_utf8_lossy(leader.payload());
            let payload: String = payload.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
            let separator = if payload.is_empty() { "" } else { "  " };
            format!("{} leads, fencing token {}{separator}{payload}", leader.identity(), leader.fencing_token())
        }
    }
}
