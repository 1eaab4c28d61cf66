//! Sessions on a counting store, and waiting until nothing happens any more.

use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

use fairlock::{Error, Fairlock};
use tokio::task::JoinHandle;

use crate::counting::Counting;
use crate::formula::Size;
use crate::meter::Cost;

/// So long that no keeper sends anything while something else is counted.
const SESSION_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// Longer than a holder waits before it watches its node, shorter than anything else takes.
const MOMENT: Duration = Duration::from_millis(100);

/// Runs it where time passes only while everybody waits.
pub(super) fn on_a_paused_clock<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without I/O needs nothing").block_on(work)
}

pub(super) struct Stage {
    pub(super) store: Counting,
    pub(super) sessions: Vec<Fairlock>,
    seen: Cost,
}

impl Stage {
    pub(super) async fn set(size: Size) -> Self {
        Self::with(size.sessions, Duration::ZERO, SESSION_TIMEOUT).await
    }

    pub(super) async fn with(sessions: u64, latency: Duration, timeout: Duration) -> Self {
        let store = Counting::new(latency);
        let mut open = Vec::new();
        for _ in 0..sessions {
            let session = Fairlock::builder().session_timeout(timeout).open(store.clone()).await;
            open.push(session.expect("the embedded store is there"));
        }
        Self { store, sessions: open, seen: Cost::NONE }
    }

    /// The session of whoever stands at this place in this lock's queue.
    pub(super) fn session(&self, lock: u64, place: u64) -> &Fairlock {
        &self.sessions[((lock + place) % self.sessions.len() as u64) as usize]
    }

    /// Lets everything happen that is under way, and tells what it has cost since the last time.
    pub(super) async fn cost(&mut self) -> Cost {
        tokio::time::sleep(MOMENT).await;
        let now = self.store.cost();
        now - std::mem::replace(&mut self.seen, now)
    }
}

/// The path of a lock.
pub(super) fn path(lock: u64) -> String {
    format!("/locks/{lock}")
}

/// Those who wait, in their order.
pub(super) struct Line<T>(VecDeque<JoinHandle<Result<T, Error>>>);

impl<T: Send + 'static> Line<T> {
    pub(super) fn new() -> Self {
        Self(VecDeque::new())
    }

    pub(super) fn come(&mut self, acquire: impl Future<Output = Result<T, Error>> + Send + 'static) {
        self.0.push_back(tokio::spawn(acquire));
    }

    /// The foremost, once it is granted.
    pub(super) async fn next(&mut self) -> T {
        let first = self.0.pop_front().expect("somebody waits");
        first.await.expect("no panic").expect("granted")
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The one at this place gives up.
    pub(super) fn give_up(&mut self, at: usize) {
        self.0.remove(at).expect("somebody waits there").abort();
    }
}
