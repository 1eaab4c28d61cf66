//! A store in this process, and what tests ask it.

use std::time::Duration;

use fairlock::Fairlock;
use fairlock::store::memory::Memory;
use tokio::time::timeout;

/// How long anything may take that should happen at once.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Bed {
    pub(crate) memory: Memory,
    pub(crate) locks: Fairlock,
}

impl Bed {
    pub(crate) async fn new() -> Self {
        let memory = Memory::new();
        let locks = client(&memory).await;
        Self { memory, locks }
    }

    /// How many contenders the lock has.
    pub(crate) fn nodes(&self, path: &str) -> usize {
        self.memory.children(&format!("{path}/_fairlock")).len()
    }

    pub(crate) async fn until_nodes(&self, path: &str, count: usize) {
        eventually(|| self.nodes(path) == count).await;
    }
}

/// A process of its own, as far as the store can tell.
pub(crate) async fn client(memory: &Memory) -> Fairlock {
    Fairlock::builder().open(memory.clone()).await.expect("a session")
}

pub(crate) async fn eventually(condition: impl Fn() -> bool) {
    soon(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("in time")
}
