//! What applications do: contenders acquire in every way the library offers, hold, work, let go in every way, and drop
//! their futures at any point.

use std::sync::Arc;
use std::time::Duration;

use fairlock::queue::{Limits, Sequence};
use fairlock::{AcquireOptions, Error, Fairlock, Guard, Identity, LossReason, Mutex, ReadGuard, RwLock};
use fastrand::Rng;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::book::{DATA_FOLDER, lock_path};
use crate::facts::{Fact, Lock, Token};
use crate::guard::AnyGuard;
use crate::network::{Network, Stage};
use crate::plan::{FaultKind, Plan};

mod conversion;
mod election;
mod permits;

/// The handles, shared by all contenders.
pub(crate) struct Workload {
    network: Arc<Network>,
    plan: Plan,
    clients: Vec<tokio::sync::Mutex<Option<Fairlock>>>,
}

/// An attempt under way, from the call to the end of its guard.
struct Attempt {
    network: Arc<Network>,
    lock: Lock,
    /// Where it waits for its turn first.
    turns: Option<Lock>,
    client: usize,
}

impl Attempt {
    fn begin(network: &Arc<Network>, lock: Lock, client: usize) -> Self {
        network.lock().book.begin(lock, client);
        Self { network: network.clone(), lock, turns: None, client }
    }

    /// One for permits.
    fn begin_for_permits(network: &Arc<Network>, client: usize) -> Self {
        let (turns, room) = network.lock().book.semaphore().expect("a semaphore");
        network.lock().book.begin(turns, client);
        let mut attempt = Self::begin(network, room, client);
        attempt.turns = Some(turns);
        attempt
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let mut world = self.network.lock();
        world.book.end(self.lock, self.client);
        if let Some(turns) = self.turns {
            world.book.end(turns, self.client);
        }
    }
}

impl Workload {
    pub(crate) fn new(network: Arc<Network>) -> Arc<Self> {
        let plan = network.lock().plan.clone();
        let clients = (0..plan.clients).map(|_| tokio::sync::Mutex::default()).collect();
        Arc::new(Self { network, plan, clients })
    }

    /// Contends again and again, until the faults have ended.
    pub(crate) async fn contend(self: Arc<Self>, mut rng: Rng) {
        let mut stage = self.network.lock().stage.subscribe();
        let is_faulty = |stage: &watch::Receiver<Stage>| *stage.borrow() == Stage::Faulty;
        loop {
            until_healed(&mut stage, sleep(ms(rng.u64(..=self.plan.think_ms)))).await;
            if !is_faulty(&stage) {
                return;
            }
            let client = rng.usize(..self.plan.clients);
            let lock = rng.u8(..u8::try_from(self.plan.locks).expect("few locks"));
            if self.plan.has(FaultKind::HandleClosed) && rng.u8(..30) == 0 {
                self.close(client).await;
            }
            let Some(locks) = self.handle(client).await else { continue };
            if self.plan.permitting > 0 && rng.u32(..10) < self.plan.permitting {
                self.take_permits(locks, client, &mut rng, &mut stage).await;
                continue;
            }
            if self.plan.campaigning > 0 && rng.u32(..10) < self.plan.campaigning {
                self.campaign(locks, client, &mut rng, &mut stage).await;
                continue;
            }
            // Nothing is drawn where nobody shares: such a history is what it was before there was sharing.
            let shares = self.plan.sharing > 0 && rng.u32(..10) < self.plan.sharing;
            let rw_lock = locks.rw_lock(&lock_path(lock)).expect("a good path");
            // It keeps the handle as well as the lock alive, or only the lock.
            let kept = rng.bool().then_some(locks);
            let attempt = Attempt::begin(&self.network, lock, client);
            let writes = self.converts(&mut rng);
            let acquired = if shares {
                self.share(&rw_lock, &mut rng, &mut stage).await.map(AnyGuard::Shared)
            } else if writes {
                self.acquire_as_writer(&rw_lock, &mut rng).await.map(AnyGuard::Writing)
            } else {
                self.acquire(rw_lock.as_mutex(), &mut rng, &mut stage).await.map(AnyGuard::Alone)
            };
            if let Some(guard) = acquired {
                drop((rw_lock, kept));
                self.hold(attempt, guard, &mut rng, &mut stage).await;
            } else {
                drop(attempt);
                // Nobody asks again at once, where nothing was to be had.
                until_healed(&mut stage, sleep(ms(rng.u64(..=self.plan.timeout_ms / 8)))).await;
            }
        }
    }

    async fn handle(&self, client: usize) -> Option<Fairlock> {
        let mut slot = self.clients[client].lock().await;
        if let Some(locks) = &*slot {
            return Some(locks.clone());
        }
        let timeout = ms(self.plan.timeout_ms);
        let opened = Fairlock::builder()
            .session_timeout(timeout)
            .connect_timeout(2 * timeout)
            .identity(Identity::new(format!("client-{client}")).expect("a good name"))
            .limits(self.limits(client))
            .open(self.network.store(client))
            .await;
        match opened {
            Ok(locks) => Some(slot.insert(locks).clone()),
            Err(error) => {
                self.failed(&error, false);
                None
            }
        }
    }

    /// Where few numbers are left, clients disagree on how few: whoever is turned away has others behind it.
    fn limits(&self, client: usize) -> Limits {
        let mut limits = self.plan.limits;
        if limits.refuse_from < Limits::default().refuse_from {
            let later = 3 * i32::try_from(client).expect("few clients");
            limits.refuse_from = Sequence::from(limits.refuse_from.as_i32() + later);
        }
        limits
    }

    async fn close(&self, client: usize) {
        let Some(locks) = self.clients[client].lock().await.take() else { return };
        self.network.lock().observe(Fact::Fault(FaultKind::HandleClosed));
        locks.close().await;
        let mut world = self.network.lock();
        world.look_at_guards();
    }

    /// Closes or drops what is left.
    pub(crate) async fn end(&self, rng: &mut Rng) {
        for client in &self.clients {
            let Some(locks) = client.lock().await.take() else { continue };
            if rng.bool() {
                locks.close().await;
            }
        }
    }

    async fn acquire(&self, mutex: &Mutex, rng: &mut Rng, stage: &mut watch::Receiver<Stage>) -> Option<Guard> {
        let limit = ms(rng.u64(..2 * self.plan.timeout_ms));
        let way = rng.u8(..12);
        let acquired = match way {
            0 | 1 => mutex.acquire_timeout(limit).await,
            2 | 3 => match mutex.try_acquire().await {
                Ok(None) => return None,
                Ok(Some(guard)) => Ok(guard),
                Err(error) => Err(error),
            },
            4 | 5 => match timeout(limit, mutex.acquire()).await {
                Ok(acquired) => acquired,
                Err(_) => return self.cancelled(),
            },
            // Dropped at an early await: how early, its polls decide.
            6 => match timeout(ms(rng.u64(..=self.plan.latency_ms)), mutex.acquire()).await {
                Ok(acquired) => acquired,
                Err(_) => return self.cancelled(),
            },
            7 => {
                let interval = ms(self.plan.timeout_ms / 3 + 1);
                let (options, mut progress) = AcquireOptions::default().progress_interval(interval).progress();
                let (acquired, ()) = tokio::join!(biased; mutex.acquire_with(options), async {
                    while progress.changed().await.is_some() {}
                });
                acquired
            }
            // Taken up late: it may be lost by then.
            9 => {
                let (mutex, late) = (mutex.clone(), ms(rng.u64(..=2 * self.plan.timeout_ms)));
                let acquired = tokio::spawn(async move { mutex.acquire().await });
                until_healed(stage, sleep(late)).await;
                // A panic is collected where it happens.
                acquired.await.ok()?
            }
            8 => {
                let listed = mutex.contenders();
                if let Some(Ok(Err(error))) = until_healed(stage, timeout(limit, listed)).await {
                    self.failed(&error, false);
                }
                return None;
            }
            _ => mutex.acquire().await,
        };
        acquired.map_err(|error| self.failed(&error, way <= 1)).ok()
    }

    async fn share(&self, lock: &RwLock, rng: &mut Rng, stage: &mut watch::Receiver<Stage>) -> Option<ReadGuard> {
        let limit = ms(rng.u64(..2 * self.plan.timeout_ms));
        let way = rng.u8(..10);
        let acquired = match way {
            0 => lock.read_timeout(limit).await,
            1 | 2 => match lock.try_read().await {
                Ok(None) => return None,
                Ok(Some(guard)) => Ok(guard),
                Err(error) => Err(error),
            },
            3 => match timeout(limit, lock.read()).await {
                Ok(acquired) => acquired,
                Err(_) => return self.cancelled(),
            },
            4 => match timeout(ms(rng.u64(..=self.plan.latency_ms)), lock.read()).await {
                Ok(acquired) => acquired,
                Err(_) => return self.cancelled(),
            },
            // Taken up late: it may be lost by then.
            5 => {
                let (lock, late) = (lock.clone(), ms(rng.u64(..=2 * self.plan.timeout_ms)));
                let acquired = tokio::spawn(async move { lock.read().await });
                until_healed(stage, sleep(late)).await;
                acquired.await.ok()?
            }
            _ => lock.read().await,
        };
        acquired.map_err(|error| self.failed(&error, way == 0)).ok()
    }

    fn cancelled<T>(&self) -> Option<T> {
        self.network.lock().judge.stats.cancelled += 1;
        None
    }

    async fn hold(&self, attempt: Attempt, guard: AnyGuard, rng: &mut Rng, stage: &mut watch::Receiver<Stage>) {
        let mut guard = Arc::new(guard);
        self.granted(&attempt, &guard, None);
        let is_convertible = matches!(*guard, AnyGuard::Writing(_) | AnyGuard::Shared(_));
        if is_convertible && self.converts(rng) {
            until_healed(stage, sleep(ms(rng.u64(..=self.plan.hold_ms)))).await;
            match self.convert(&attempt, guard, rng).await {
                Some(converted) => guard = converted,
                // It was given up with the future.
                None => return,
            }
        }
        let pause = ms(rng.u64(..=self.plan.hold_ms));
        match rng.u8(..5) {
            0 => drop(until_healed(stage, guard.protect(sleep(pause))).await),
            1 => {
                until_healed(stage, timeout(pause, guard.lost())).await;
            }
            2 => self.write(&attempt, &guard).await,
            3 => {
                self.write(&attempt, &guard).await;
                until_healed(stage, sleep(pause)).await;
                self.write(&attempt, &guard).await;
            }
            _ => drop(until_healed(stage, sleep(pause)).await),
        }
        self.ended(attempt, guard, rng).await;
    }

    /// A guard was returned, perhaps in place of a share, whose node may still be there.
    fn granted(&self, attempt: &Attempt, guard: &Arc<AnyGuard>, share: Option<Token>) {
        let (lock, token) = (attempt.lock, guard.fencing_token().as_i64());
        let mut world = self.network.lock();
        let shares = guard.shares();
        let excluded = world.book.held(lock).iter().filter(|held| held.excludes(shares) && held.is_valid());
        let others = match guard.permits() {
            0 => excluded.map(|held| held.token).collect(),
            permits => world.book.too_many(lock, token, permits),
        };
        let ahead = world.book.ahead_of(lock, token, shares, share);
        let valid = guard.is_valid();
        // Behind its owner's share it is no head, as long as that is there.
        let was_head = world.book.was_head(lock, token) || share.is_some() && (ahead.is_none() || !valid);
        world.observe(Fact::Granted { shares, lock, token, valid, others, ahead, was_head });
        world.book.hold(lock, token, Arc::downgrade(guard), shares);
    }

    async fn ended(&self, attempt: Attempt, guard: Arc<AnyGuard>, rng: &mut Rng) {
        let (lock, token) = (attempt.lock, guard.fencing_token().as_i64());
        {
            let mut world = self.network.lock();
            let valid = guard.is_valid();
            world.judge.stats.losses += u64::from(!valid);
            let lives = world.book.lives(lock, token);
            world.observe(Fact::Seen { lock, token, valid, lives, calm_ms: 0 });
            world.observe(Fact::Ended { lock, token });
            world.book.unhold(lock, token);
        }
        let guard = Arc::try_unwrap(guard).expect("nobody else keeps it");
        drop(attempt);
        match rng.u8(..4) {
            0 => drop(guard),
            1 => drop(guard.release()),
            2 => drop(timeout(ms(rng.u64(..=self.plan.timeout_ms)), guard.release()).await),
            _ => match guard.release().await {
                Ok(()) => {
                    let mut world = self.network.lock();
                    let lives = world.book.lives(lock, token);
                    world.observe(Fact::Released { lock, token, lives });
                }
                Err(Error::LockLost { .. }) => {}
                Err(error) => self.failed(&error, false),
            },
        }
    }

    async fn write(&self, attempt: &Attempt, guard: &AnyGuard) {
        // Who shares the lock has no business writing.
        let guard: &Guard = match guard {
            AnyGuard::Alone(guard) => guard,
            AnyGuard::Writing(guard) => guard,
            _ => return,
        };
        let (path, token) = (format!("{DATA_FOLDER}/{}", attempt.lock), guard.fencing_token().to_string());
        match guard.transaction().set_data(path, token, None).commit().await {
            Ok(()) | Err(Error::LockLost { .. } | Error::UnknownOutcome { .. }) => {}
            Err(error) => self.failed(&error, false),
        }
    }

    fn failed(&self, error: &Error, may_time_out: bool) {
        let (name, expected) = explain(error, &self.plan, may_time_out);
        self.network.lock().observe(Fact::Failed { error: name, expected });
    }
}

/// The error's name, and whether the plan explains it.
fn explain(error: &Error, plan: &Plan, may_time_out: bool) -> (&'static str, bool) {
    use FaultKind as Kind;
    let has = |kinds: &[Kind]| kinds.iter().any(|kind| plan.has(*kind));
    match error {
        Error::Timeout { .. } => ("Timeout", may_time_out),
        // A campaign fails so if the leadership is lost before it was proclaimed.
        Error::LockLost { reason: LossReason::NodeDeleted, .. } => {
            ("LockLost", has(&[Kind::NodeDeleted, Kind::QueueDeleted, Kind::RudeExpiry]))
        }
        Error::LockLost { reason: LossReason::Closed, .. } => ("LockLost", has(&[Kind::HandleClosed])),
        Error::SessionLost { .. } | Error::LockLost { .. } => {
            let kinds = [
                Kind::RequestLost,
                Kind::ReplyLost,
                Kind::Disconnect,
                Kind::LongCut,
                Kind::Zombie,
                Kind::Stall,
                Kind::Isolated,
                Kind::RudeExpiry,
                Kind::ClockJump,
            ];
            ("SessionLost", has(&kinds) || plan.spikes > 0)
        }
        Error::Removed { .. } => ("Removed", has(&[Kind::NodeDeleted, Kind::QueueDeleted])),
        Error::Unreachable { .. } => ("Unreachable", has(&[Kind::Unreachable])),
        Error::NoPermission { .. } => ("NoPermission", has(&[Kind::Denied])),
        Error::QueueExhausted { .. } => ("QueueExhausted", has(&[Kind::Numbers])),
        Error::Closed => ("Closed", has(&[Kind::HandleClosed])),
        Error::Store { source, .. } if source.is_transient() => ("Overloaded", has(&[Kind::Overloaded])),
        Error::Store { .. } => ("Store", false),
        Error::NoAgreement { .. } => ("NoAgreement", has(&[Kind::QueueDeleted])),
        Error::TooManyPermits { .. } => ("TooManyPermits", plan.resizes),
        Error::TransactionRefused { .. } => ("TransactionRefused", false),
        _ => ("another", false),
    }
}

/// The future's outcome; `None` once the faults have ended.
async fn until_healed<T>(stage: &mut watch::Receiver<Stage>, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        _ = stage.wait_for(|stage| *stage != Stage::Faulty) => None,
        output = future => Some(output),
    }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
