//! Somebody who takes a lock and gives it back all the time, whatever happens, and holds another one meanwhile.
//!
//! The longest time between two grants is what an outage costs. It needs no clock in common with whoever causes it, nor does
//! it matter how long it takes to cause it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Barrier;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::local::{Session, Standing};
use super::{ENDURING_PAUSE, Outage};
use crate::error::{Error, Result};

pub(super) struct Endurance {
    /// A grant that is asked for from now on is the last one.
    enough: Arc<AtomicBool>,
    /// The holder may go, too.
    over: Arc<AtomicBool>,
    taking: JoinHandle<Duration>,
    holding: JoinHandle<(Option<Duration>, u32)>,
}

impl Endurance {
    /// Returns once both locks have been granted.
    pub(super) async fn begin<S: Session>(address: &str, lock: &str) -> Result<Self> {
        let (enough, over) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let granted = Arc::new(Barrier::new(3));
        let session = Arc::new(S::connect(address).await?);
        let one = Someone { session, address: address.to_owned(), lock: format!("{lock}/taken") };
        let other = Someone { session: Arc::clone(&one.session), lock: format!("{lock}/held"), ..one.clone() };
        let taking = tokio::spawn(one.take(Arc::clone(&granted), Arc::clone(&enough)));
        let holding = tokio::spawn(other.hold(Arc::clone(&granted), Arc::clone(&over)));
        granted.wait().await;
        Ok(Self { enough, over, taking, holding })
    }

    pub(super) async fn end(mut self) -> Result<Outage> {
        self.enough.store(true, Ordering::Relaxed);
        let gone = |error: tokio::task::JoinError| Error::Peer(error.to_string());
        let between_grants = (&mut self.taking).await.map_err(gone)?;
        self.over.store(true, Ordering::Relaxed);
        let (in_doubt, losses) = (&mut self.holding).await.map_err(gone)?;
        Ok(Outage { between_grants, in_doubt, losses })
    }
}

impl Drop for Endurance {
    fn drop(&mut self) {
        self.taking.abort();
        self.holding.abort();
    }
}

struct Someone<S: Session> {
    session: Arc<S>,
    address: String,
    lock: String,
}

impl<S: Session> Clone for Someone<S> {
    fn clone(&self) -> Self {
        Self { session: Arc::clone(&self.session), address: self.address.clone(), lock: self.lock.clone() }
    }
}

impl<S: Session> Someone<S> {
    /// Takes the lock in the end.
    async fn insist(&mut self) -> S::Held {
        loop {
            if let Ok(held) = self.session.acquire(&self.lock).await {
                return held;
            }
            if self.session.has_ended()
                && let Ok(session) = S::connect(&self.address).await
            {
                self.session = Arc::new(session);
            }
            sleep(ENDURING_PAUSE).await;
        }
    }

    /// The longest time between two grants.
    async fn take(mut self, granted: Arc<Barrier>, enough: Arc<AtomicBool>) -> Duration {
        let mut longest = Duration::ZERO;
        let mut last: Option<Instant> = None;
        loop {
            let is_last = enough.load(Ordering::Relaxed);
            let held = self.insist().await;
            let now = Instant::now();
            match last.replace(now) {
                Some(last) => longest = longest.max(now - last),
                None => {
                    granted.wait().await;
                }
            }
            // What it is worth shows with the next grant.
            let _ = self.session.release(held).await;
            if is_last {
                return longest;
            }
            sleep(ENDURING_PAUSE).await;
        }
    }

    /// How long it could not rely on what it held, if it would be told, and how often that was lost.
    async fn hold(mut self, granted: Arc<Barrier>, over: Arc<AtomicBool>) -> (Option<Duration>, u32) {
        let mut held = self.insist().await;
        granted.wait().await;
        let (mut in_doubt, mut since, mut losses) = (Duration::ZERO, None, 0);
        loop {
            let standing = self.session.standing(&held);
            match standing {
                None => {}
                Some(Standing::Sure) => {
                    in_doubt += since.take().map(|since: Instant| since.elapsed()).unwrap_or_default();
                }
                Some(Standing::InDoubt) => {
                    since.get_or_insert_with(Instant::now);
                }
                Some(Standing::Lost) => {
                    since.get_or_insert_with(Instant::now);
                    losses += 1;
                    held = self.insist().await;
                    continue;
                }
            }
            if since.is_none() && over.load(Ordering::Relaxed) {
                let _ = self.session.release(held).await;
                return (standing.map(|_| in_doubt), losses);
            }
            sleep(ENDURING_PAUSE).await;
        }
    }
}
