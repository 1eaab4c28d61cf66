//! What applications do with an election: candidates campaign, proclaim and resign, observers watch.

use std::sync::Arc;
use std::time::Duration;

use fairlock::recipes::{Election, Leader, Leadership, Observer};
use fairlock::{AcquireOptions, Error, Fairlock};
use fastrand::Rng;
use tokio::sync::watch;
use tokio::task;
use tokio::time::{sleep, timeout};

use super::{Attempt, Workload, ms, until_healed};
use crate::facts::Fact;
use crate::guard::AnyGuard;
use crate::leading::{ELECTION_PATH, Leading};
use crate::network::Stage;

/// How often the last campaign is tried: sessions may still be on their way to their end.
const LAST_CAMPAIGNS: usize = 5;

impl Workload {
    fn with_leading<T>(&self, act: impl FnOnce(&mut Leading) -> T) -> T {
        act(self.network.lock().book.leading.as_mut().expect("an election"))
    }

    fn begin_campaign(&self, client: usize) -> Attempt {
        let lock = self.with_leading(|leading| leading.lock);
        Attempt::begin(&self.network, lock, client)
    }

    /// Campaigns in some way, and leads in some way if it is elected.
    pub(super) async fn campaign(
        &self,
        locks: Fairlock,
        client: usize,
        rng: &mut Rng,
        stage: &mut watch::Receiver<Stage>,
    ) {
        let election = locks.election(ELECTION_PATH).expect("a good path");
        // It keeps the handle as well as the election alive, or only the election.
        let kept = rng.bool().then_some(locks);
        let attempt = self.begin_campaign(client);
        if let Some(leadership) = self.elect(&election, rng, stage).await {
            drop((election, kept));
            self.lead(attempt, leadership, rng, stage).await;
        } else {
            drop(attempt);
            until_healed(stage, sleep(ms(rng.u64(..=self.plan.timeout_ms / 8)))).await;
        }
    }

    async fn elect(
        &self,
        election: &Election,
        rng: &mut Rng,
        stage: &mut watch::Receiver<Stage>,
    ) -> Option<Leadership> {
        let limit = ms(rng.u64(..2 * self.plan.timeout_ms));
        let number = self.with_leading(Leading::next_payload);
        let payload = number.to_string();
        let way = rng.u8(..12);
        let elected = match way {
            0 | 1 => election.campaign_with(AcquireOptions::default().timeout(limit), payload).await,
            2 => match timeout(limit, election.campaign(payload)).await {
                Ok(elected) => elected,
                Err(_) => return self.cancelled(),
            },
            // Dropped at an early await: how early, its polls decide.
            3 => match timeout(ms(rng.u64(..=4 * self.plan.latency_ms)), election.campaign(payload)).await {
                Ok(elected) => elected,
                Err(_) => return self.cancelled(),
            },
            // Taken up late: it may be lost by then.
            4 => {
                let (election, late) = (election.clone(), ms(rng.u64(..=2 * self.plan.timeout_ms)));
                let elected = tokio::spawn(async move { election.campaign(payload).await });
                until_healed(stage, sleep(late)).await;
                elected.await.ok()?
            }
            5 | 6 => {
                match election.leader().await {
                    Ok(leader) => self.network.lock().told(None, task::id(), leader.as_ref()),
                    Err(error) => self.failed(&error, false),
                }
                return None;
            }
            7 => {
                if let Some(Err(error)) = until_healed(stage, election.candidates()).await {
                    self.failed(&error, false);
                }
                return None;
            }
            8 => {
                let pause = ms(rng.u64(..=self.plan.hold_ms));
                let run = election.run(payload, async |leadership| {
                    self.proclaim(&leadership).await;
                    sleep(pause).await;
                });
                if let Some(Err(error)) = until_healed(stage, run).await {
                    self.failed(&error, false);
                }
                return None;
            }
            _ => election.campaign(payload).await,
        };
        match elected {
            Ok(leadership) => {
                self.confirm(&leadership, number);
                Some(leadership)
            }
            Err(error) => {
                self.failed(&error, way <= 1);
                None
            }
        }
    }

    async fn lead(&self, attempt: Attempt, leadership: Leadership, rng: &mut Rng, stage: &mut watch::Receiver<Stage>) {
        let guard = Arc::new(AnyGuard::Leading(leadership));
        let AnyGuard::Leading(leadership) = &*guard else { unreachable!("it was just made") };
        self.granted(&attempt, &guard, None);
        let pause = ms(rng.u64(..=self.plan.hold_ms));
        match rng.u8(..6) {
            0 => drop(until_healed(stage, guard.protect(sleep(pause))).await),
            1 => {
                until_healed(stage, timeout(pause, guard.lost())).await;
            }
            2 => {
                self.proclaim(leadership).await;
                until_healed(stage, sleep(pause)).await;
                self.proclaim(leadership).await;
            }
            // Two at once: the later one must stay.
            3 => {
                tokio::join!(biased; self.proclaim(leadership), self.proclaim(leadership));
            }
            // One is dropped while it is under way.
            4 => {
                let early = ms(rng.u64(..=4 * self.plan.latency_ms));
                if timeout(early, self.proclaim(leadership)).await.is_err() {
                    self.cancelled::<()>();
                }
                self.proclaim(leadership).await;
            }
            _ => drop(until_healed(stage, sleep(pause)).await),
        }
        self.ended(attempt, guard, rng).await;
    }

    async fn proclaim(&self, leadership: &Leadership) {
        let number = self.with_leading(Leading::next_payload);
        match leadership.proclaim(number.to_string()).await {
            Ok(()) => self.confirm(leadership, number),
            Err(Error::LockLost { .. }) => {}
            Err(error) => self.failed(&error, false),
        }
    }

    fn confirm(&self, leadership: &Leadership, payload: u64) {
        let token = leadership.fencing_token().as_i64();
        let took_effect = self.with_leading(|leading| leading.was_executed((token, payload)));
        self.network.lock().observe(Fact::Confirmed { token, payload, took_effect });
    }

    /// Watches who leads, until all is over.
    pub(crate) async fn observe(self: Arc<Self>, mut rng: Rng) {
        let mut stage = self.network.lock().stage.subscribe();
        let number = self.with_leading(|leading| leading.begin(task::id()));
        let is_over = |stage: &watch::Receiver<Stage>| *stage.borrow() == Stage::Over;
        while !is_over(&stage) {
            let client = rng.usize(..self.plan.clients);
            let Some(locks) = self.handle(client).await else {
                sleep(ms(1 + self.plan.timeout_ms / 8)).await;
                continue;
            };
            let mut observer = locks.election(ELECTION_PATH).expect("a good path").observe();
            let kept = rng.bool().then_some(locks);
            self.with_leading(|leading| leading.forget(number));
            self.watch(number, &mut observer, &mut rng, &mut stage).await;
            drop(kept);
        }
    }

    /// Until all is over, or this observer is of no use any more.
    async fn watch(&self, number: u8, observer: &mut Observer, rng: &mut Rng, stage: &mut watch::Receiver<Stage>) {
        loop {
            // Now and then it looks away; what it was told meanwhile, it must be told afterwards.
            let (limit, away) = match rng.u8(..4) {
                0 if *stage.borrow() == Stage::Faulty => (self.plan.timeout_ms / 4, self.plan.timeout_ms / 2),
                1 if *stage.borrow() == Stage::Faulty => (4 * self.plan.latency_ms, self.plan.latency_ms),
                _ => (u64::MAX, 0),
            };
            let (limit, away) = (if limit == u64::MAX { limit } else { rng.u64(..=limit) }, ms(rng.u64(..=away)));
            self.asks(number, true);
            let next = next_within(observer, limit, stage).await;
            self.asks(number, false);
            match next {
                Next::Over => return,
                Next::Dropped => sleep(away).await,
                Next::Told(Ok(leader)) => self.network.lock().told(Some(number), task::id(), leader.as_ref()),
                Next::Told(Err(error)) => {
                    self.failed(&error, false);
                    sleep(ms(1 + self.plan.timeout_ms / 8)).await;
                    if matches!(error, Error::Closed) {
                        return;
                    }
                }
            }
        }
    }

    fn asks(&self, observer: u8, asks: bool) {
        let mut world = self.network.lock();
        let now = world.now();
        if let Some(leading) = &mut world.book.leading {
            leading.asks(observer, asks.then_some(now));
        }
    }

    /// After the faults: somebody is elected once more, and may go on to lead or not. Each time all observers must come to know.
    pub(crate) async fn conclude_the_election(&self, bound: Duration, rng: &mut Rng) {
        self.until_all_know(bound).await;
        let mut leads = None;
        for _ in 0..LAST_CAMPAIGNS {
            leads = self.campaign_last(rng.usize(..self.plan.clients)).await;
            if leads.is_some() {
                break;
            }
        }
        if let Some((attempt, leadership)) = leads {
            self.until_all_know(bound).await;
            let kept = match rng.u8(..4) {
                0 => {
                    self.proclaim(&leadership).await;
                    Some(leadership)
                }
                1 => {
                    if let Err(error) = leadership.resign().await {
                        self.failed(&error, false);
                    }
                    None
                }
                2 => {
                    drop(leadership);
                    None
                }
                _ => {
                    let token = leadership.fencing_token().as_i64();
                    let session = self.network.lock().book.session_of(attempt.lock, token);
                    if let Some(session) = session {
                        self.network.end_by_operator(session);
                    }
                    Some(leadership)
                }
            };
            self.until_all_know(bound).await;
            self.observe_last();
            drop((kept, attempt));
        } else {
            self.observe_last();
        }
    }

    async fn campaign_last(&self, client: usize) -> Option<(Attempt, Leadership)> {
        let locks = self.handle(client).await?;
        let attempt = self.begin_campaign(client);
        let number = self.with_leading(Leading::next_payload);
        match locks.election(ELECTION_PATH).expect("a good path").campaign(number.to_string()).await {
            Ok(leadership) => {
                self.confirm(&leadership, number);
                Some((attempt, leadership))
            }
            Err(error) => {
                self.failed(&error, false);
                None
            }
        }
    }

    async fn until_all_know(&self, bound: Duration) {
        let all_know = async {
            while !self.with_leading(|leading| leading.all_know()) {
                sleep(ms(10)).await;
            }
        };
        let _ = timeout(bound, all_know).await;
    }

    fn observe_last(&self) {
        let mut world = self.network.lock();
        let known: Vec<_> = world.book.leading.iter().flat_map(Leading::knowledge).collect();
        for known in known {
            world.observe(Fact::KnownLast { observer: known.observer, is_true: known.is_true });
        }
    }
}

/// What became of a question for news.
enum Next {
    Told(Result<Option<Leader>, Error>),
    Dropped,
    Over,
}

async fn next_within(observer: &mut Observer, limit: u64, stage: &mut watch::Receiver<Stage>) -> Next {
    tokio::select! {
        biased;
        _ = stage.wait_for(|stage| *stage == Stage::Over) => Next::Over,
        told = timeout(ms(limit), observer.next()) => told.map_or(Next::Dropped, Next::Told),
    }
}
