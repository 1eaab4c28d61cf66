//! The simulated ensemble and its wires: one agenda of what happens when, worked off in order of time by one task.
//!
//! The state of the ensemble itself is the embedded store. Around it, this folder has what that store leaves out: each
//! session has one wire to its server, on which requests travel in their order, and replies and watch events travel
//! back in the order in which the server produced them; a follower relays to the leader late what it has heard, and the
//! leader ends sessions that it has not heard of. Everything random comes from the plan's generator, in the order of
//! the agenda, so that one seed gives one history.

mod call;
mod election;
mod ending;
mod faults;
mod link;
mod server;
mod session;
#[cfg(test)]
mod values;
mod wire;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::pin::pin;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use fairlock::LossReason;
use fairlock::store::memory::Memory;
use fairlock::store::{OpenOptions, SessionId, SessionState, Store, StoreError, StoreErrorKind};
use fastrand::Rng;
use tokio::sync::{Notify, oneshot};
use tokio::task;
use tokio::time::Instant;

pub(crate) use self::call::CallKind;
use self::call::{Call, Reply};
use self::link::{Link, Wire};
use self::server::Attempted;
pub(crate) use self::session::SimStore;
use crate::book::Book;
use crate::clock::DriftingClock;
use crate::facts::Fact;
use crate::fan::Fan;
use crate::judge::Judge;
use crate::plan::{FaultKind, Plan, Sabotage};
use crate::trace::Step;

/// A session's state, as its client knows it.
type States = Arc<Mutex<Fan<SessionState>>>;

/// A history that has come so far without a violation is healed: many short ones find more than few long ones.
const STEPS_MAX: u64 = 1_500;

/// How far a history has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Faults happen.
    Faulty,
    /// None will happen any more.
    Healed,
    /// All has ended but the observers, and they may.
    Over,
    /// A property is broken.
    Failed,
}

/// Something that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// The next request of this connection arrives.
    Up(SessionId, u64),
    /// A request of a broken connection takes effect.
    Late(SessionId),
    /// The next reply or event of this connection arrives.
    Down(SessionId, u64),
    /// The leader hears of the session.
    Relay(SessionId, u64),
    /// The leader may have to end the session.
    Expiry(SessionId),
    /// The client notices that this connection is broken.
    Notice(SessionId, u64),
    /// The client tries to connect again.
    Reconnect(SessionId),
    /// What was held up is delivered.
    Unmute(SessionId, u64),
    /// The request to close the session arrives.
    Close(SessionId),
    /// Permissions are given back.
    Permit,
    /// A fault happens.
    Fault,
    /// The guards and queues are looked at.
    Sample,
    /// The faults end.
    Heal,
}

/// See the module's doc.
pub(crate) struct Network {
    world: Mutex<World>,
    bell: Notify,
}

/// All that the agenda works on.
pub(crate) struct World {
    start: Instant,
    memory: Memory,
    pub(crate) plan: Plan,
    rng: Rng,
    agenda: BinaryHeap<Reverse<(u64, u64, Due)>>,
    scheduled: u64,
    links: BTreeMap<SessionId, Link>,
    /// Watches of the servers that have fired, in that order.
    fired: Arc<Mutex<Vec<(SessionId, u64)>>>,
    watches_placed: u64,
    /// The tasks that have entered a queue.
    attempts: HashMap<task::Id, Attempted>,
    clocks: Vec<Arc<DriftingClock>>,
    denied: bool,
    unreachable_until: u64,
    foreign: Vec<String>,
    pub(crate) book: Book,
    pub(crate) judge: Judge,
    pub(crate) stage: Fan<Stage>,
}

impl Network {
    pub(crate) fn new(plan: Plan, rng: Rng, judge: Judge) -> Arc<Self> {
        let start = Instant::now();
        let clocks = plan.rates.iter().map(|&rate| Arc::new(DriftingClock::new(start, rate))).collect();
        let mut world = World {
            start,
            memory: Memory::new(),
            book: Book::new(plan.locks, plan.permitting > 0, plan.observers > 0, plan.clients),
            rng,
            agenda: BinaryHeap::new(),
            scheduled: 0,
            links: BTreeMap::new(),
            fired: Arc::default(),
            watches_placed: 0,
            attempts: HashMap::new(),
            clocks,
            denied: false,
            unreachable_until: 0,
            foreign: Vec::new(),
            judge,
            stage: Fan::new(Stage::Faulty),
            plan,
        };
        if world.plan.has(FaultKind::Numbers) {
            world.observe(Fact::Fault(FaultKind::Numbers));
        }
        let (heal_at, sample_at) = (world.plan.faulty_ms, world.plan.timeout_ms / 8);
        world.schedule(heal_at, Due::Heal);
        world.schedule(sample_at, Due::Sample);
        world.schedule_fault();
        Arc::new(Self { world: Mutex::new(world), bell: Notify::new() })
    }

    /// Works the agenda off, for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            let next = {
                let mut world = self.lock();
                world.work();
                world.agenda.peek().map(|Reverse((at, ..))| world.start + Duration::from_millis(*at))
            };
            let Some(next) = next else { return self.bell.notified().await };
            tokio::select! {
                biased;
                () = self.bell.notified() => {},
                () = tokio::time::sleep_until(next) => {},
            }
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    /// The store of one client.
    pub(crate) fn store(self: &Arc<Self>, client: usize) -> SimStore {
        SimStore { network: self.clone(), client, clock: self.lock().clocks[client].clone() }
    }

    async fn open(
        &self,
        client: usize,
        timeout: Duration,
    ) -> Result<(SessionId, States, Arc<AtomicU64>), StoreErrorKind> {
        let latency = self.lock().latency();
        tokio::time::sleep(Duration::from_millis(latency)).await;
        let (opened, latency) = {
            let mut world = self.lock();
            if world.now() < world.unreachable_until {
                return Err(StoreErrorKind::Unknown);
            }
            (world.open(client, timeout), world.latency())
        };
        self.bell.notify_one();
        tokio::time::sleep(Duration::from_millis(latency)).await;
        Ok(opened)
    }

    /// Sends a request, or has it sent once there is a connection.
    fn send(&self, id: SessionId, call: Call) -> Result<(oneshot::Receiver<Reply>, oneshot::Receiver<()>), StoreError> {
        let sent = self.lock().send(id, call);
        self.bell.notify_one();
        sent
    }

    /// Ends a session at the client's wish; the receiver learns when the servers have confirmed it.
    fn end(&self, id: SessionId, reason: LossReason) -> Option<oneshot::Receiver<()>> {
        let confirmed = self.lock().end_by_client(id, reason);
        self.bell.notify_one();
        confirmed
    }
}

impl World {
    /// Milliseconds since the history began.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Tells the judge.
    pub(crate) fn observe(&mut self, fact: Fact) {
        let now = self.now();
        if self.judge.observe(now, fact) {
            self.stage.set(Stage::Failed);
        }
    }

    fn schedule(&mut self, at: u64, due: Due) {
        self.scheduled += 1;
        self.agenda.push(Reverse((at, self.scheduled, due)));
    }

    /// Does what is due by now.
    fn work(&mut self) {
        let now = self.now();
        while let Some(&Reverse((at, _, due))) = self.agenda.peek()
            && at <= now
        {
            self.agenda.pop();
            self.happen(due);
        }
        if self.judge.trace().count() > STEPS_MAX {
            self.heal();
        }
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Up(id, connection) => self.arrive(id, connection),
            Due::Late(id) => self.arrive_late(id),
            Due::Down(id, connection) => self.deliver(id, connection),
            Due::Relay(id, connection) => self.relay(id, connection),
            Due::Expiry(id) => self.expire_if_silent(id),
            Due::Notice(id, connection) => self.notice(id, connection),
            Due::Reconnect(id) => self.reconnect(id),
            Due::Unmute(id, connection) => self.unmute(id, connection),
            Due::Close(id) => self.close(id),
            Due::Permit => self.denied = false,
            Due::Fault => self.happen_to_fail(),
            Due::Sample => self.sample(),
            Due::Heal => self.heal(),
        }
    }

    fn is_faulty(&self) -> bool {
        self.stage.get() == Stage::Faulty
    }

    fn note(&mut self, step: Step) {
        let now = self.now();
        self.judge.note(now, step);
    }

    fn open(&mut self, client: usize, timeout: Duration) -> (SessionId, States, Arc<AtomicU64>) {
        let now = self.now();
        let mut options = OpenOptions::default();
        options.session_timeout = timeout;
        let memory = at_once(self.memory.open(&options)).expect("the embedded store opens every session");
        let id = memory.id();
        self.note(Step::Opened { session: id.0, client });
        let states = Arc::new(Mutex::new(Fan::new(SessionState::Connected)));
        let epoch = Arc::new(AtomicU64::new(0));
        let link = Link {
            client,
            memory,
            states: states.clone(),
            breaks: Vec::new(),
            epoch: if self.plan.sabotage == Some(Sabotage::InterruptionForgotten) {
                Arc::default()
            } else {
                epoch.clone()
            },
            unsent: Default::default(),
            wire: Wire::Works,
            connection: 1,
            connected_at: now,
            calm_since: now,
            up: Default::default(),
            down: Default::default(),
            up_last: now,
            down_last: now,
            late: Default::default(),
            is_deaf: false,
            slow_at: None,
            down_ms: 0,
            lives: true,
            heard_at: now,
            relay_ms: self.draw_relay(),
            relay_due: None,
            watches: BTreeMap::new(),
            closing: None,
        };
        self.links.insert(id, link);
        self.schedule(now + self.plan.timeout_ms, Due::Expiry(id));
        (id, states, epoch)
    }

    fn draw_relay(&mut self) -> u64 {
        if self.plan.relay_ms == 0 || self.rng.u8(..4) == 0 { 0 } else { self.plan.relay_ms }
    }

    pub(crate) fn latency(&mut self) -> u64 {
        let longest = if self.is_faulty() && self.rng.u32(..1_000) < self.plan.spikes {
            self.plan.timeout_ms / 2
        } else {
            self.plan.latency_ms
        };
        self.rng.u64(..=longest)
    }
}

/// The outcome of a future that the embedded store completes without waiting.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("the embedded store answers a connected session at once"),
    }
}

/// A panic elsewhere is a verdict of its own.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
