//! The store contract, on the in-process store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use fairlock::store::contract::{self, Harness};
use fairlock::store::memory::Memory;
use fairlock::store::{OpenOptions, Session, Store};
use fairlock::{LockPath, QueuePath};

struct MemoryHarness {
    memory: Memory,
    queues: AtomicU32,
}

#[async_trait]
impl Harness for MemoryHarness {
    async fn session(&self) -> Arc<dyn Session> {
        self.memory.open(&OpenOptions::default()).await.expect("the store is in this process")
    }

    async fn expire(&self, session: &dyn Session) {
        self.memory.expire(session.id());
    }

    fn unused_queue(&self) -> QueuePath {
        let number = self.queues.fetch_add(1, Ordering::Relaxed);
        QueuePath::of(&LockPath::new(&format!("/contract/{number}")).expect("a good path"))
    }
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    contract::check_all(&MemoryHarness { memory: Memory::new(), queues: AtomicU32::new(0) }).await;
}
