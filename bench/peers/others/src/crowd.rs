//! Two connections: that of the first holder, and one of all who wait, each of them on its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::{Asker, Result};

const PATIENCE: Duration = Duration::from_secs(300);

/// Someone's turn: it holds since then.
struct Turn<A: Asker> {
    since: Instant,
    asker: A,
    /// Unless it has released already.
    held: Option<A::Held>,
}

pub(crate) struct Crowd<A: Asker> {
    lock: String,
    waiters: A,
    /// All, to be closed.
    askers: Vec<A>,
    /// Whether who holds releases at once.
    draining: Arc<AtomicBool>,
    turn: Option<Turn<A>>,
    /// So many wait.
    waiting: usize,
    tasks: JoinSet<()>,
    granted: mpsc::UnboundedReceiver<Result<Turn<A>>>,
    grants: mpsc::UnboundedSender<Result<Turn<A>>>,
}

impl<A: Asker> Crowd<A> {
    pub(crate) async fn gather(holder: A, waiters: A, lock: &str, count: usize) -> Result<Self> {
        let (grants, granted) = mpsc::unbounded_channel();
        let held = holder.acquire(lock).await?;
        let mut crowd = Self {
            lock: lock.to_owned(),
            askers: vec![holder.clone(), waiters.clone()],
            waiters,
            draining: Arc::default(),
            turn: Some(Turn { since: Instant::now(), asker: holder, held: Some(held) }),
            waiting: 0,
            tasks: JoinSet::new(),
            granted,
            grants,
        };
        for _ in 0..count {
            crowd.join().await?;
        }
        Ok(crowd)
    }

    pub(crate) async fn join(&mut self) -> Result<()> {
        let asker = self.waiters.another().await?;
        self.askers.push(asker.clone());
        self.waiting += 1;
        let (lock, grants, draining) = (self.lock.clone(), self.grants.clone(), Arc::clone(&self.draining));
        self.tasks.spawn(async move {
            let turn = async {
                let held = asker.acquire(&lock).await?;
                let since = Instant::now();
                let held = if draining.load(Ordering::Relaxed) {
                    asker.release(held).await?;
                    None
                } else {
                    Some(held)
                };
                Ok(Turn { since, asker, held })
            };
            // Nobody listens any more once the crowd is dispersed.
            let _ = grants.send(turn.await);
        });
        Ok(())
    }

    /// How many have the lock or wait for it.
    pub(crate) async fn queued(&self) -> Result<usize> {
        self.waiters.queued(&self.lock).await
    }

    pub(crate) async fn hand_over(&mut self) -> Result<Duration> {
        let (started, next) = self.pass_on(1).await?;
        let took = next.since - started;
        self.turn = Some(next);
        Ok(took)
    }

    pub(crate) async fn drain(&mut self) -> Result<Duration> {
        self.draining.store(true, Ordering::Relaxed);
        let (started, last) = self.pass_on(self.waiting).await?;
        Ok(last.since - started)
    }

    /// The one who holds releases; meanwhile so many are granted. When that began, and the last of them.
    async fn pass_on(&mut self, times: usize) -> Result<(Instant, Turn<A>)> {
        let turn = self.turn.take().ok_or("nobody holds")?;
        let held = turn.held.ok_or("nobody holds any more")?;
        let granted = &mut self.granted;
        let started = Instant::now();
        let (released, last) = tokio::join!(turn.asker.release(held), async {
            let mut last: Option<Turn<A>> = None;
            for _ in 0..times {
                let next = timeout(PATIENCE, granted.recv()).await.map_err(|_| "nobody was granted in time")?;
                let next = next.ok_or("nobody waits")??;
                // Those who have released tell so in any order.
                if last.as_ref().is_none_or(|last| last.since < next.since) {
                    last = Some(next);
                }
            }
            Result::Ok(last.ok_or("nobody waits")?)
        });
        released?;
        self.waiting -= times;
        Ok((started, last?))
    }

    /// Everybody has a turn: etcd 3.4 grants nothing any more once many have given up waiting over one connection. Then all
    /// close at the same time, since the link may be slow.
    pub(crate) async fn disperse(mut self) -> Result<()> {
        if self.turn.is_some() && self.waiting > 0 {
            self.drain().await?;
        }
        self.tasks.shutdown().await;
        let mut closing: JoinSet<Result<()>> = JoinSet::new();
        for asker in self.askers {
            closing.spawn(async move { asker.close().await });
        }
        while let Some(closed) = closing.join_next().await {
            closed??;
        }
        Ok(())
    }
}
