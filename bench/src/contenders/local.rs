//! Contenders that are libraries of this language: all that they have in common.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::{Barrier, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Contender, PATIENCE};
use crate::error::{Error, Result};

/// One session of a library, and the locks of it.
pub(super) trait Session: Sized + Send + Sync + 'static {
    /// What whoever holds a lock has of it.
    type Held: Send + 'static;

    fn connect(address: &str) -> impl Future<Output = Result<Self>> + Send;

    fn acquire(&self, lock: &str) -> impl Future<Output = Result<Self::Held>> + Send;

    /// As `acquire`, where it is known that others hold it.
    fn queue_up(&self, lock: &str) -> impl Future<Output = Result<Self::Held>> + Send {
        self.acquire(lock)
    }

    fn release(&self, held: Self::Held) -> impl Future<Output = Result<()>> + Send;

    /// Whether a lock that is held was taken; `None` where there is no trying.
    fn attempt(&self, lock: &str) -> impl Future<Output = Result<Option<bool>>> + Send;

    /// Whatever else must happen before it is dropped.
    fn close(&self) -> impl Future<Output = ()> + Send;
}

/// A library as a contender.
pub(super) struct Local<S: Session> {
    address: String,
    session: Arc<S>,
    held: Option<S::Held>,
    crowd: Option<Crowd<S>>,
}

impl<S: Session> Local<S> {
    pub(super) async fn open(address: &str) -> Result<Self> {
        let session = Arc::new(S::connect(address).await?);
        Ok(Self { address: address.to_owned(), session, held: None, crowd: None })
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

    async fn independent(&mut self, lock: &str, locks: usize, cycles: usize) -> Result<Duration> {
        let start = Arc::new(Barrier::new(locks + 1));
        let mut tasks: JoinSet<Result<()>> = JoinSet::new();
        for number in 0..locks {
            let (session, start) = (Arc::clone(&self.session), Arc::clone(&start));
            let lock = format!("{lock}/{number}");
            tasks.spawn(async move {
                // The first one makes the directory.
                let made = session.acquire(&lock).await;
                let made = match made {
                    Ok(held) => session.release(held).await,
                    Err(error) => Err(error),
                };
                start.wait().await;
                made?;
                for _ in 0..cycles {
                    session.release(session.acquire(&lock).await?).await?;
                }
                Ok(())
            });
        }
        start.wait().await;
        let started = Instant::now();
        while let Some(done) = tasks.join_next().await {
            done.map_err(|error| Error::Peer(error.to_string()))??;
        }
        Ok(started.elapsed())
    }

    async fn cold_start(&mut self, lock: &str) -> Result<Duration> {
        let started = Instant::now();
        let session = S::connect(&self.address).await?;
        let held = session.acquire(lock).await?;
        let took = started.elapsed();
        session.release(held).await?;
        session.close().await;
        Ok(took)
    }
}
