//! Faults of servers and of clients' links: one at a time, each healed before the next, so that a quorum comes back.

use std::time::Duration;

use fairlock_testcontainers::{Close, Direction, Ensemble, Error, Proxy};
use tokio::time::{Instant, sleep, sleep_until};

use crate::config::Config;
use crate::faults::{Deck, Kind};
use crate::log::Log;

/// How long to wait for a leader before a fault that needs one.
const LEADER_PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct ServerFaults<'a> {
    pub(crate) config: &'a Config,
    pub(crate) ensemble: &'a Ensemble,
    /// In front of each server.
    pub(crate) proxies: &'a [Proxy],
    pub(crate) log: &'a Log,
}

impl ServerFaults<'_> {
    /// Until the deadline; the last one is healed.
    pub(crate) async fn go_on_until(&self, deadline: Instant, mut random: fastrand::Rng) -> Result<(), Error> {
        let mut deck = Deck::new(&Kind::SERVERS_AND_LINKS);
        loop {
            let least = self.config.fault_min;
            let next = Instant::now() + Duration::from_millis(random.u64(least..=self.config.fault_max.max(least)));
            let kind = deck.deal(&mut random);
            let lasts = Duration::from_millis(random.u64(500..=3_500));
            match kind {
                Kind::CutLinks => self.cut(&mut random),
                Kind::StallLinks => self.stall(lasts, &mut random).await,
                kind => self.harm_server(kind, lasts, &mut random).await?,
            }
            if next >= deadline {
                return Ok(());
            }
            sleep_until(next).await;
        }
    }

    async fn leader(&self) -> Result<usize, Error> {
        let deadline = Instant::now() + LEADER_PATIENCE;
        loop {
            match self.ensemble.leader().await {
                Err(Error::NoLeader) if Instant::now() < deadline => sleep(Duration::from_millis(20)).await,
                outcome => return outcome,
            }
        }
    }

    async fn harm_server(&self, kind: Kind, lasts: Duration, random: &mut fastrand::Rng) -> Result<(), Error> {
        let leader = self.leader().await?;
        let servers = self.ensemble.servers();
        let followers: Vec<_> = (0..servers.len()).filter(|server| *server != leader).collect();
        let target = if kind.is_of_leader() { leader } else { followers[random.usize(..followers.len())] };
        let server = &servers[target];
        self.log.fault(kind, format_args!("server {target} for {lasts:.1?}"));
        match kind {
            Kind::KillLeader | Kind::KillFollower => {
                server.kill().await?;
                self.wait(kind, lasts).await;
                server.launch().await?;
            }
            Kind::PauseLeader | Kind::PauseFollower => {
                server.pause().await?;
                self.wait(kind, lasts).await;
                server.unpause().await?;
            }
            _ => {
                self.ensemble.isolate(target)?;
                self.wait(kind, lasts).await;
                self.ensemble.heal(target)?;
            }
        }
        let healed = Instant::now();
        self.ensemble.wait_until_serving().await?;
        let leader = self.leader().await?;
        self.log.line(format_args!("  all serve {:.1?} after healing; server {leader} leads", healed.elapsed()));
        Ok(())
    }

    /// Waits as long as the fault lasts, and tells which server leads meanwhile.
    async fn wait(&self, kind: Kind, lasts: Duration) {
        let begin = Instant::now();
        if kind.is_of_leader() {
            match tokio::time::timeout(lasts, self.leader()).await {
                Ok(Ok(leader)) => self.log.line(format_args!("  server {leader} leads after {:.1?}", begin.elapsed())),
                _ => self.log.line(format_args!("  nobody leads within {lasts:.1?}")),
            }
        }
        sleep_until(begin + lasts).await;
    }

    fn cut(&self, random: &mut fastrand::Rng) {
        let close = if random.bool() { Close::Fin } else { Close::Rst };
        // Of one server, or of all of them: those move to other servers, or find the same one again.
        let target = random.usize(..=self.proxies.len());
        let name = if target == self.proxies.len() { "all servers".to_owned() } else { format!("server {target}") };
        self.log.fault(Kind::CutLinks, format_args!("{name}, by {close:?}"));
        for (_, proxy) in self.proxies.iter().enumerate().filter(|(i, _)| target == self.proxies.len() || target == *i)
        {
            proxy.cut(close);
        }
    }

    async fn stall(&self, lasts: Duration, random: &mut fastrand::Rng) {
        let target = random.usize(..self.proxies.len());
        let ways = [Direction::Both, Direction::ToServer, Direction::ToClient];
        let way = ways[random.usize(..ways.len())];
        self.log.fault(Kind::StallLinks, format_args!("server {target}, {way:?}, for {lasts:.1?}"));
        let proxy = &self.proxies[target];
        proxy.swallow(way);
        sleep(lasts).await;
        // What was swallowed is lost, so the connections cannot go on: first the cut, then whatever comes next passes.
        proxy.cut(Close::Rst);
        proxy.pass();
    }
}
