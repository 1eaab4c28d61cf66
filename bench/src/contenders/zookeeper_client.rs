//! The lock of the crate zookeeper-client, which fairlock uses for its requests and nothing else.
//!
//! Its lock has no release that can be waited for: dropping it deletes the node some time. So the node is deleted here,
//! with the same request, and the crate's own deletion is left out.

use zookeeper_client as zk;

use super::SESSION_TIMEOUT;
use super::local::Session;
use crate::error::Result;

pub(super) struct Client(zk::Client);

impl Session for Client {
    type Held = String;

    async fn connect(address: &str) -> Result<Self> {
        Ok(Self(zk::Client::connector().with_session_timeout(SESSION_TIMEOUT).connect(address).await?))
    }

    async fn acquire(&self, lock: &str) -> Result<String> {
        let directory = zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all());
        let options = zk::LockOptions::new(zk::Acls::anyone_all()).with_ancestor_options(directory)?;
        let lock = self.0.lock(zk::LockPrefix::new_curator(lock, "lock-")?, b"", options).await?;
        let node = lock.lock_path().to_owned();
        std::mem::forget(lock);
        Ok(node)
    }

    async fn release(&self, node: String) -> Result<()> {
        Ok(self.0.delete(&node, None).await?)
    }

    async fn attempt(&self, _lock: &str) -> Result<Option<bool>> {
        Ok(None)
    }

    async fn close(&self) {}
}
