//! The promises of the recipes, on the in-process store.

use std::time::Duration;

use async_trait::async_trait;
use fairlock::store::SessionId;
use fairlock::store::memory::{Loss, Memory, Request};
use fairlock::{Fairlock, Identity};

use crate::recipe_contract::stage::{Ground, Link, LostReply, Process, Step};
use crate::recipe_contract::{check, promises, table};

#[derive(Default)]
struct InMemory {
    memory: Memory,
}

#[async_trait]
impl Ground for InMemory {
    async fn process(&self, name: &str, session_timeout: Duration) -> Process {
        let identity = Identity::new(name).expect("a good name");
        let builder = Fairlock::builder().identity(identity).session_timeout(session_timeout);
        let locks = builder.open(self.memory.clone()).await.expect("a session");
        let session = *self.memory.sessions().last().expect("the one just opened");
        Process { locks, link: Box::new(InMemoryLink { memory: self.memory.clone(), session }) }
    }

    fn unused_path(&self) -> String {
        "/a".into()
    }

    async fn children(&self, path: &str) -> Vec<String> {
        self.memory.children(path)
    }

    async fn create(&self, path: &str) {
        self.memory.create(path, b"foreign");
    }

    async fn delete_all(&self, path: &str) {
        self.memory.delete_all(path);
    }

    fn short_session(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn tells_ends_from_deletions(&self) -> bool {
        true
    }
}

struct InMemoryLink {
    memory: Memory,
    /// The first; those that replace it are left alone.
    session: SessionId,
}

#[async_trait]
impl Link for InMemoryLink {
    async fn end_session(&self) {
        self.memory.expire(self.session);
    }

    fn cut_off(&self) {
        self.memory.disconnect(self.session);
    }

    fn reconnect(&self) {
        self.memory.reconnect(self.session);
    }

    fn interrupt(&self) {
        self.memory.disconnect(self.session);
        self.memory.reconnect(self.session);
    }

    fn lose_next_reply(&self, step: Step) -> LostReply {
        // It loses whichever comes next, and there is no other.
        let memory = self.memory.clone();
        match step {
            Step::Entering(path) => {
                assert!(!memory.children(path).is_empty(), "there is a queue to enter");
                memory.lose_next(self.session, Request::Enter, Loss::Reply);
                LostReply(Box::new(|| true))
            }
            Step::Leaving(node) => {
                let node = node.to_owned();
                assert!(memory.data(&node).is_some(), "there is a node to delete");
                memory.lose_next(self.session, Request::Leave, Loss::Reply);
                LostReply(Box::new(move || memory.data(&node).is_none()))
            }
        }
    }
}

macro_rules! cases {
    ($($promise:ident { $($kind:ident),+; $($other:ident: $why:literal),* })+) => { $(
        mod $promise {
            $(
                #[tokio::test(start_paused = true)]
                async fn $kind() {
                    super::check(super::InMemory::default(), stringify!($kind), super::promises::$promise).await;
                }
            )+
        }
    )+ };
}

table::promises!(cases);
