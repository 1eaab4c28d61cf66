//! Faults of client processes: stopped for less or more than the session timeout, and killed, some at the worst moment.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{Instant, sleep, sleep_until};

use crate::config::Config;
use crate::desk::{Deed, Desk, Step};
use crate::faults::{Deck, Kind};
use crate::herd::Herd;
use crate::log::Log;

/// How long to wait for a holder that takes the step in question.
pub(crate) const AMBUSH_PATIENCE: Duration = Duration::from_secs(20);

/// The time between two of these faults, in milliseconds.
const INTERVAL: std::ops::RangeInclusive<u64> = 3_000..=7_000;

pub(crate) struct ClientFaults<'a> {
    pub(crate) config: &'a Config,
    pub(crate) herd: &'a Herd,
    pub(crate) desk: &'a Desk,
    pub(crate) log: &'a Log,
}

impl ClientFaults<'_> {
    /// Until the deadline; the last one is healed.
    pub(crate) async fn go_on_until(&self, deadline: Instant, mut random: fastrand::Rng) -> std::io::Result<()> {
        let mut deck = Deck::new(&Kind::CLIENTS);
        loop {
            let next = Instant::now() + Duration::from_millis(random.u64(INTERVAL));
            self.harm(deck.deal(&mut random), &mut random).await?;
            if next >= deadline {
                return Ok(());
            }
            sleep_until(next).await;
        }
    }

    async fn harm(&self, kind: Kind, random: &mut fastrand::Rng) -> std::io::Result<()> {
        let timeout = self.config.session_timeout();
        let client = random.usize(..self.config.clients());
        let shortly = timeout.mul_f64(0.1 + 0.6 * random.f64());
        // Long enough that the servers have ended the session even if a new leader has begun to count anew.
        let long = timeout.mul_f64(1.8 + 1.2 * random.f64());
        let pause_before_restart = Duration::from_millis(random.u64(100..2_000));
        match kind {
            Kind::StopShortly | Kind::StopLong => {
                let lasts = if kind == Kind::StopLong { long } else { shortly };
                if self.herd.signal(client, None, Signal::STOP) {
                    self.log.fault(kind, format_args!("client {client} for {lasts:.1?}"));
                    self.wake(client, lasts).await;
                }
            }
            Kind::StopHolder => match self.desk.lie_in_wait(Step::Read, Deed::Stop).await {
                Some(client) => {
                    self.log.fault(kind, format_args!("client {client} for {long:.1?}, before its write"));
                    self.wake(client, long).await;
                }
                None => self.log.line("no holder came to be stopped"),
            },
            Kind::KillHolder => {
                let step = if random.bool() { Step::Read } else { Step::Write };
                match self.desk.lie_in_wait(step, Deed::Kill).await {
                    Some(client) => {
                        self.log.fault(kind, format_args!("client {client} before the answer to its {step:?}"));
                        sleep(pause_before_restart).await;
                        self.herd.start(client)?;
                    }
                    None => self.log.line("no holder came to be killed"),
                }
            }
            _ => {
                if self.herd.kill(client, None) {
                    self.log.fault(kind, format_args!("client {client}"));
                    sleep(pause_before_restart).await;
                    self.herd.start(client)?;
                }
            }
        }
        Ok(())
    }

    async fn wake(&self, client: usize, after: Duration) {
        sleep(after).await;
        self.herd.signal(client, None, Signal::CONT);
    }
}
