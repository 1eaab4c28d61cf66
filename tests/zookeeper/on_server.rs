//! The promises of the recipes, on a real server, with a proxy in front of it for each process.

use std::time::Duration;

use async_trait::async_trait;
use fairlock::Identity;
use fairlock_testcontainers::{Close, Direction, Operation, Proxy, Which};
use zookeeper_client as zk;

use crate::bed::{self, builder, raw};
use crate::recipe_contract::stage::{Ground, Link, LostReply, Process, Step};
use crate::recipe_contract::{check, promises, table};

pub(crate) struct OnServer {
    operator: zk::Client,
}

impl OnServer {
    pub(crate) async fn new() -> Self {
        Self { operator: raw(&bed::server().await.address()).await }
    }
}

#[async_trait]
impl Ground for OnServer {
    async fn process(&self, name: &str, session_timeout: Duration) -> Process {
        let (proxy, identity) = (bed::proxy().await, Identity::new(name).expect("a good name"));
        let locks = builder(session_timeout).identity(identity).connect(&proxy.address()).await.expect("a session");
        Process { locks, link: Box::new(proxy) }
    }

    fn unused_path(&self) -> String {
        bed::unused_path()
    }

    async fn children(&self, path: &str) -> Vec<String> {
        match self.operator.list_children(path).await {
            Ok(names) => names,
            Err(zk::Error::NoNode) => vec![],
            Err(error) => panic!("listing {path}: {error}"),
        }
    }

    async fn create(&self, path: &str) {
        let options = zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all());
        self.operator.create(path, b"foreign", &options).await.expect("made");
    }

    /// Queues have no grandchildren.
    async fn delete_all(&self, path: &str) {
        let is_gone = |outcome: Result<(), zk::Error>| match outcome {
            Ok(()) | Err(zk::Error::NoNode) => true,
            Err(zk::Error::NotEmpty) => false,
            Err(error) => panic!("deleting {path}: {error}"),
        };
        while !is_gone(self.operator.delete(path, None).await) {
            for name in self.children(path).await {
                assert!(is_gone(self.operator.delete(&format!("{path}/{name}"), None).await));
            }
        }
    }

    fn short_session(&self) -> Duration {
        Duration::from_millis(1_500)
    }

    /// docs/TESTING.md, "What is not covered".
    fn tells_ends_from_deletions(&self) -> bool {
        false
    }
}

#[async_trait]
impl Link for Proxy {
    async fn end_session(&self) {
        Proxy::end_session(self).await.expect("ended");
    }

    fn cut_off(&self) {
        self.swallow(Direction::Both);
    }

    fn reconnect(&self) {
        self.pass();
        self.cut(Close::Fin);
    }

    fn interrupt(&self) {
        self.cut(Close::Rst);
    }

    fn lose_next_reply(&self, step: Step) -> LostReply {
        let traps = match step {
            Step::Entering(path) => vec![self.drop_reply((Operation::Multi, path), Close::Rst)],
            // Some holders delete their node in a transaction, and some do not.
            Step::Leaving(node) => [Operation::Multi, Operation::Delete]
                .map(|operation| self.drop_reply(Which::at(operation, node), Close::Rst))
                .into(),
        };
        LostReply(Box::new(move || traps.iter().any(fairlock_testcontainers::Trap::is_sprung)))
    }
}

macro_rules! cases {
    ($($promise:ident { $($kind:ident),+; $($other:ident: $why:literal),* })+) => { $(
        mod $promise {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $kind() {
                    super::check(super::OnServer::new().await, stringify!($kind), super::promises::$promise).await;
                }
            )+
        }
    )+ };
}

table::promises!(cases);
