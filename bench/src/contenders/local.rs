//! Contenders that are libraries of this language: all that they have in common.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::{Barrier, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::endurance::Endurance;
use super::{Contender, Independent, Outage, PATIENCE, writes};
use crate::error::{Error, Result};

/// One session of a library, and the locks of it.
pub(super) trait Session: Sized + Send + Sync + 'static {
    /// What whoever holds a lock has of it.
    type Held: Send + 'static;

    /// Whether a lock can be shared.
    const SHARES: bool = false;

    fn connect(address: &str) -> impl Future<Output = Result<Self>> + Send;

    fn acquire(&self, lock: &str) -> impl Future<Output = Result<Self::Held>> + Send;

    /// As `acquire`, where it is known that others hold it.
    fn queue_up(&self, lock: &str) -> impl Future<Output = Result<Self::Held>> + Send {
        self.acquire(lock)
    }

    /// Shares a lock, where that can be done.
    fn share(&self, _lock: &str) -> impl Future<Output = Result<Self::Held>> + Send {
        async { Err(Error::OutOfOrder("share")) }
    }

    /// In the end, also if connections break meanwhile.
    fn release(&self, held: Self::Held) -> impl Future<Output = Result<()>> + Send;

    /// What whoever holds a lock is told of it; `None` if nothing would be told.
    fn standing(&self, _held: &Self::Held) -> Option<Standing> {
        None
    }

    /// Whether nothing can be acquired with it any more.
    fn has_ended(&self) -> bool {
        false
    }

    /// Whether a lock that is held was taken; `None` where there is no trying.
    fn attempt(&self, lock: &str) -> impl Future<Output = Result<Option<bool>>> + Send;

    /// Whatever else must happen before it is dropped.
    fn close(&self) -> impl Future<Output = ()> + Send;
}

/// What a holder knows of what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Sure,
    /// It may be so, or become so again.
    InDoubt,
    Lost,
}

/// A library as a contender.
pub(super) struct Local<S: Session> {
    address: String,
    session: Arc<S>,
    held: Option<S::Held>,
    crowd: Option<Crowd<S>>,
    /// Those that many locks are dealt out to, by their number.
    dealt_to: Vec<Arc<S>>,
    /// Locks that have been used over those.
    used: HashSet<(String, usize)>,
    newcomer: Option<(S, Option<S::Held>)>,
    endurance: Option<Endurance>,
}

impl<S: Session> Local<S> {
    pub(super) async fn open(address: &str) -> Result<Self> {
        let session = Arc::new(S::connect(address).await?);
        let dealt_to = vec![Arc::clone(&session)];
        Ok(Self {
            address: address.to_owned(),
            session,
            held: None,
            crowd: None,
            dealt_to,
            used: HashSet::new(),
            newcomer: None,
            endurance: None,
        })
    }

    fn crowd(&mut self, wanted: &'static str) -> Result<&mut Crowd<S>> {
        self.crowd.as_mut().ok_or(Error::OutOfOrder(wanted))
    }
}

/// Someone's turn: it holds since then.
struct Turn<S: Session> {
    since: Instant,
    session: Arc<S>,
    /// Unless it has released already.
    held: Option<S::Held>,
}

struct Crowd<S: Session> {
    lock: String,
    holders: Arc<S>,
    waiters: Arc<S>,
    /// Whether who holds releases at once.
    draining: Arc<AtomicBool>,
    turn: Option<Turn<S>>,
    /// So many wait.
    waiting: usize,
    tasks: JoinSet<()>,
    granted: mpsc::UnboundedReceiver<Result<Turn<S>>>,
    grants: mpsc::UnboundedSender<Result<Turn<S>>>,
}

impl<S: Session> Crowd<S> {
    async fn gather(address: &str, lock: &str, waiters: usize) -> Result<Self> {
        let (grants, granted) = mpsc::unbounded_channel();
        let holders = Arc::new(S::connect(address).await?);
        let held = holders.queue_up(lock).await?;
        let mut crowd = Self {
            lock: lock.to_owned(),
            waiters: Arc::new(S::connect(address).await?),
            draining: Arc::default(),
            turn: Some(Turn { since: Instant::now(), session: Arc::clone(&holders), held: Some(held) }),
            holders,
            waiting: 0,
            tasks: JoinSet::new(),
            granted,
            grants,
        };
        for _ in 0..waiters {
            crowd.join();
        }
        Ok(crowd)
    }

    fn join(&mut self) {
        let (session, lock) = (Arc::clone(&self.waiters), self.lock.clone());
        let (grants, draining) = (self.grants.clone(), Arc::clone(&self.draining));
        self.waiting += 1;
        self.tasks.spawn(async move {
            let turn = async {
                let held = session.queue_up(&lock).await?;
                let since = Instant::now();
                let held = if draining.load(Ordering::Relaxed) {
                    session.release(held).await?;
                    None
                } else {
                    Some(held)
                };
                Ok(Turn { since, session, held })
            };
            let turn = turn.await;
            // Nobody listens any more once the crowd is dispersed.
            let _ = grants.send(turn);
        });
    }

    /// The one who holds releases; meanwhile so many are granted. When that began, and the last of them.
    async fn pass_on(&mut self, times: usize) -> Result<(Instant, Turn<S>)> {
        let turn = self.turn.take().ok_or(Error::OutOfOrder("release"))?;
        let held = turn.held.ok_or(Error::OutOfOrder("release"))?;
        let granted = &mut self.granted;
        let started = Instant::now();
        let (released, last) = tokio::join!(turn.session.release(held), async {
            let mut last: Option<Turn<S>> = None;
            for _ in 0..times {
                let next = timeout(PATIENCE, granted.recv()).await.map_err(|_| Error::Late("a hand-over"))?;
                let next = next.ok_or(Error::OutOfOrder("hand over"))??;
                // Those who have released tell so in any order.
                if last.as_ref().is_none_or(|last| last.since < next.since) {
                    last = Some(next);
                }
            }
            last.ok_or(Error::OutOfOrder("hand over to"))
        });
        released?;
        self.waiting -= times;
        Ok((started, last?))
    }
}

#[async_trait]
impl<S: Session> Contender for Local<S> {
    async fn acquire(&mut self, lock: &str) -> Result<Duration> {
        let started = Instant::now();
        let held = self.session.acquire(lock).await?;
        let took = started.elapsed();
        self.held = Some(held);
        Ok(took)
    }

    async fn release(&mut self) -> Result<Duration> {
        let held = self.held.take().ok_or(Error::OutOfOrder("release"))?;
        let started = Instant::now();
        self.session.release(held).await?;
        Ok(started.elapsed())
    }

    async fn attempt(&mut self, lock: &str) -> Result<Option<Duration>> {
        let started = Instant::now();
        match self.session.attempt(lock).await? {
            None => Ok(None),
            Some(false) => Ok(Some(started.elapsed())),
            Some(true) => Err(Error::Peer("took a lock that is held".to_owned())),
        }
    }

    async fn gather(&mut self, lock: &str, waiters: usize) -> Result<()> {
        self.crowd = Some(Crowd::gather(&self.address, lock, waiters).await?);
        Ok(())
    }

    async fn hand_over(&mut self) -> Result<Duration> {
        let crowd = self.crowd("hand over")?;
        let (started, next) = crowd.pass_on(1).await?;
        let took = next.since - started;
        crowd.turn = Some(next);
        Ok(took)
    }

    async fn join(&mut self) -> Result<()> {
        self.crowd("join")?.join();
        Ok(())
    }

    async fn drain(&mut self) -> Result<Duration> {
        let crowd = self.crowd("drain")?;
        crowd.draining.store(true, Ordering::Relaxed);
        let (started, last) = crowd.pass_on(crowd.waiting).await?;
        Ok(last.since - started)
    }

    async fn disperse(&mut self) -> Result<()> {
        let mut crowd = self.crowd.take().ok_or(Error::OutOfOrder("disperse"))?;
        crowd.holders.close().await;
        crowd.waiters.close().await;
        crowd.tasks.shutdown().await;
        Ok(())
    }

    async fn independent(&mut self, lock: &str, of: Independent, cycles: usize) -> Result<Duration> {
        while self.dealt_to.len() < of.sessions {
            self.dealt_to.push(Arc::new(S::connect(&self.address).await?));
        }
        let is_new = self.used.insert((lock.to_owned(), of.sessions));
        let start = Arc::new(Barrier::new(of.locks + 1));
        let mut tasks = JoinSet::new();
        for number in 0..of.locks {
            let (session, start) = (Arc::clone(&self.dealt_to[number % of.sessions]), Arc::clone(&start));
            let lock = format!("{lock}/{number}");
            tasks.spawn(async move {
                // The first one makes the directory.
                let made = if is_new { cycle(&*session, &lock).await } else { Ok(()) };
                start.wait().await;
                let begun = Instant::now();
                made?;
                for _ in 0..cycles {
                    cycle(&*session, &lock).await?;
                }
                Ok((begun, Instant::now()))
            });
        }
        until_all_are_done(&start, tasks).await
    }

    async fn mix(&mut self, lock: &str, tasks: usize, cycles: usize) -> Result<Option<Duration>> {
        if !S::SHARES {
            return Ok(None);
        }
        let start = Arc::new(Barrier::new(tasks + 1));
        let mut running = JoinSet::new();
        for task in 0..tasks {
            let (session, start, lock) = (Arc::clone(&self.session), Arc::clone(&start), lock.to_owned());
            running.spawn(async move {
                start.wait().await;
                let begun = Instant::now();
                for number in 0..cycles {
                    if writes(task, tasks, number) {
                        cycle(&*session, &lock).await?;
                    } else {
                        session.release(session.share(&lock).await?).await?;
                    }
                }
                Ok((begun, Instant::now()))
            });
        }
        until_all_are_done(&start, running).await.map(Some)
    }

    async fn connect(&mut self) -> Result<Duration> {
        let started = Instant::now();
        let session = S::connect(&self.address).await?;
        let took = started.elapsed();
        self.newcomer = Some((session, None));
        Ok(took)
    }

    async fn first_grant(&mut self, lock: &str) -> Result<Duration> {
        let (session, held) = self.newcomer.as_mut().ok_or(Error::OutOfOrder("acquire with"))?;
        let started = Instant::now();
        *held = Some(session.acquire(lock).await?);
        Ok(started.elapsed())
    }

    async fn disconnect(&mut self) -> Result<()> {
        let (session, held) = self.newcomer.take().ok_or(Error::OutOfOrder("disconnect"))?;
        if let Some(held) = held {
            session.release(held).await?;
        }
        session.close().await;
        Ok(())
    }

    async fn endure(&mut self, lock: &str) -> Result<()> {
        self.endurance = Some(Endurance::begin::<S>(&self.address, lock).await?);
        Ok(())
    }

    async fn endured(&mut self) -> Result<Outage> {
        self.endurance.take().ok_or(Error::OutOfOrder("end"))?.end().await
    }
}

async fn cycle<S: Session>(session: &S, lock: &str) -> Result<()> {
    session.release(session.acquire(lock).await?).await
}

/// Gives the start, and says how long it took from the first one's beginning to the last one's end. By their own clocks: among a
/// thousand, whoever gives the start goes on when many have begun.
async fn until_all_are_done(start: &Barrier, mut tasks: JoinSet<Result<(Instant, Instant)>>) -> Result<Duration> {
    start.wait().await;
    let mut span: Option<(Instant, Instant)> = None;
    while let Some(done) = tasks.join_next().await {
        let (begun, ended) = done.map_err(|error| Error::Peer(error.to_string()))??;
        span = Some(span.map_or((begun, ended), |(first, last)| (first.min(begun), last.max(ended))));
    }
    span.map(|(first, last)| last - first).ok_or(Error::OutOfOrder("do nothing"))
}
