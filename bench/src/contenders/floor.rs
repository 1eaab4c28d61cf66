//! The floor: one node is created and deleted, and its deletion is heard of. It is no lock, since it never looks whether it may.

use zookeeper_client as zk;

use super::SESSION_TIMEOUT;
use super::local::Session;
use super::zookeeper_client::delete;
use crate::error::Result;

pub(super) struct Floor(zk::Client);

impl Floor {
    /// The number and the path of a new node.
    async fn create(&self, lock: &str) -> Result<(i64, String)> {
        let prefix = format!("{lock}/n-");
        let options = zk::CreateMode::EphemeralSequential.with_acls(zk::Acls::anyone_all());
        let created = match self.0.create(&prefix, b"", &options).await {
            Err(zk::Error::NoNode) => {
                self.0.mkdir(lock, &zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all())).await?;
                self.0.create(&prefix, b"", &options).await
            }
            created => created,
        };
        let (_, sequence) = created?;
        Ok((sequence.into_i64(), format!("{prefix}{sequence}")))
    }
}

impl Session for Floor {
    type Held = String;

    async fn connect(address: &str) -> Result<Self> {
        Ok(Self(zk::Client::connector().with_session_timeout(SESSION_TIMEOUT).connect(address).await?))
    }

    async fn acquire(&self, lock: &str) -> Result<String> {
        Ok(self.create(lock).await?.1)
    }

    /// Waits for the deletion of the node before, if there is one.
    async fn queue_up(&self, lock: &str) -> Result<String> {
        let (number, node) = self.create(lock).await?;
        match self.0.get_and_watch_data(&format!("{lock}/n-{:010}", number - 1)).await {
            Ok((_, _, watcher)) => drop(watcher.changed().await),
            Err(zk::Error::NoNode | zk::Error::BadArguments(_)) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(node)
    }

    async fn release(&self, node: String) -> Result<()> {
        delete(&self.0, &node).await
    }

    fn has_ended(&self) -> bool {
        self.0.state().is_terminated()
    }

    async fn attempt(&self, _lock: &str) -> Result<Option<bool>> {
        Ok(None)
    }

    async fn close(&self) {}
}
