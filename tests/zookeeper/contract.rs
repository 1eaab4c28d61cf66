//! The store contract, on a real server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fairlock::queue::Mode;
use fairlock::store::contract::{self, Harness};
use fairlock::store::zookeeper::{Access, ZooKeeper};
use fairlock::store::{OpenOptions, Session, SessionId, Store};
use fairlock::{LockPath, QueuePath};
use fairlock_testcontainers::{Close, Direction, Proxy};

use crate::bed;

/// Each session has a proxy of its own, which cuts it off to let it expire.
#[derive(Default)]
struct ServerHarness {
    proxies: Mutex<HashMap<SessionId, Proxy>>,
}

#[async_trait]
impl Harness for ServerHarness {
    async fn session(&self) -> Arc<dyn Session> {
        let proxy = bed::proxy().await;
        let store = ZooKeeper::new(proxy.address(), vec![], Access::Everyone).expect("a good connect string");
        let mut options = OpenOptions::default();
        options.session_timeout = Duration::from_millis(1_500);
        let session = store.open(&options).await.expect("a session");
        self.proxies.lock().expect("no panic").insert(session.id(), proxy);
        session
    }

    async fn expire(&self, session: &dyn Session) {
        let path = self.unused_queue();
        let watcher = bed::raw(&bed::server().await.address()).await;
        let probe = format!("{}-expiry", path.as_str().replace('/', "-"));
        // An ephemeral node of the session shows when the server has ended it.
        session.make_queue(&path).await.expect("a queue");
        session.enter(&path, Mode::Exclusive, probe.as_bytes()).await.expect("entered");
        self.proxies.lock().expect("no panic")[&session.id()].swallow(Direction::Both);
        bed::soon(async {
            while !watcher.list_children(path.as_str()).await.is_ok_and(|names| names.is_empty()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        let proxies = self.proxies.lock().expect("no panic");
        proxies[&session.id()].pass();
        proxies[&session.id()].cut(Close::Fin);
    }

    fn unused_queue(&self) -> QueuePath {
        QueuePath::of(&LockPath::new(&bed::unused_path()).expect("a good path"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zookeeper_keeps_the_contract() {
    contract::check_all(&ServerHarness::default()).await;
}
