//! `fairlock elect`: the command runs while this leads, and again when it leads again.

use std::io::{self, Write as _};

use fairlock::recipes::{Election, Leader};
use fairlock::{Error, Fairlock};

use super::held::Held;
use super::signals::Signals;
use super::supervise::{self, Ended, Job};
use super::watchdog::Watchdog;
use super::{Plan, close, environment, exit_of, give_back, or_signal, pass_interrupt_on};
use crate::args::ElectArgs;
use crate::exit::{Exit, Failure};
use crate::json;
use crate::settings::Settings;

/// Runs `fairlock elect`.
pub(crate) async fn run(args: ElectArgs, settings: Settings) -> Result<Exit, Failure> {
    fairlock::LockPath::new(&args.name)?;
    let mut signals = Signals::catch()?;
    if args.listen {
        return match or_signal(&mut signals, listen(&args, &settings)).await {
            Ok(outcome) => outcome,
            Err(exit) => Ok(exit),
        };
    }
    let plan = Plan::new(args.command.clone())?;
    let (locks, grace) = match or_signal(&mut signals, plan.open(settings)).await {
        Ok(opened) => opened?,
        Err(exit) => return Ok(exit),
    };
    let election = locks.election(&args.name)?;
    let candidate = Candidate { args: &args, plan: &plan, locks: &locks, election, grace };
    let outcome = candidate.stand(&mut signals).await;
    close(&locks, plan.voice).await;
    let (exit, ended) = outcome?;
    if let Some(Ended::Killed { signal, by_terminal: true }) = ended {
        pass_interrupt_on(signal);
    }
    Ok(exit)
}

struct Candidate<'a> {
    args: &'a ElectArgs,
    plan: &'a Plan,
    locks: &'a Fairlock,
    election: Election,
    grace: std::time::Duration,
}

impl Candidate<'_> {
    /// Stands for election again and again, until the command ends by itself.
    async fn stand(&self, signals: &mut Signals) -> Result<(Exit, Option<Ended>), Failure> {
        let voice = self.plan.voice;
        loop {
            // Each ends with the command that it has watched.
            let mut watchdog = Watchdog::start()?;
            let payload = self.args.payload.clone().unwrap_or_default();
            let leadership = match or_signal(signals, self.election.campaign(payload)).await {
                Err(exit) => return Ok((exit, None)),
                Ok(Ok(leadership)) => leadership,
                // A candidate wants to lead, whenever that may be.
                Ok(Err(error @ Error::SessionLost { .. })) if !self.args.once => {
                    voice.warn(format_args!("{error}; standing for election again"));
                    continue;
                }
                Ok(Err(error)) => return Err(error.into()),
            };
            let held = Held::Leadership(leadership);
            voice.say(format_args!("leading, fencing token {}", held.token()));
            let environment = environment(&self.args.name, &held, self.locks, None);
            let job = Job {
                words: &self.plan.words,
                environment: &environment,
                grace: self.grace,
                hold_end: None,
                yields: true,
                leaves_background: self.plan.leaves_background,
                voice,
            };
            let ended = supervise::run(&job, &held, signals, &mut watchdog).await?;
            let exit = exit_of(&ended, voice);
            give_back(held, voice).await;
            match ended {
                Ended::LockLost(_) | Ended::Yielded if !self.args.once => {
                    voice.warn(format_args!("standing for election again"));
                }
                ended => return Ok((exit, Some(ended))),
            }
        }
    }
}

/// Prints the leaders as they change, until the reader or a signal ends it.
async fn listen(args: &ElectArgs, settings: &Settings) -> Result<Exit, Failure> {
    let locks = settings.open("fairlock").await?;
    let mut observer = locks.election(&args.name)?.observe();
    loop {
        let leader = observer.next().await?;
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
