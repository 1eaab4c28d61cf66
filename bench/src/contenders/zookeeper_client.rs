//! The lock of the crate zookeeper-client, which fairlock uses for its requests and nothing else.
//!
//! Its lock has no release that can be waited for: dropping it deletes the node some time. So the node is deleted here,
//! with the same request, and the crate's own deletion is left out.

use zookeeper_client as zk;

use super::local::{Session, Standing};
use super::{ENDURING_PAUSE, SESSION_TIMEOUT};
use crate::error::Result;

pub(super) struct Client(zk::Client);

/// Deletes a node in the end: a lost reply leaves open whether it was.
pub(super) async fn delete(client: &zk::Client, node: &str) -> Result<()> {
    let mut is_open = false;
    loop {
        match client.delete(node, None).await {
            Err(zk::Error::ConnectionLoss) => is_open = true,
            Err(zk::Error::NoNode) if is_open => return Ok(()),
            deleted => return Ok(deleted?),
        }
        tokio::time::sleep(ENDURING_PAUSE).await;
    }
}

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
        delete(&self.0, &node).await
    }

    /// It knows what its session knows, and no more.
    fn standing(&self, _node: &String) -> Option<Standing> {
        Some(match self.0.state() {
            zk::SessionState::SyncConnected => Standing::Sure,
            state if state.is_terminated() => Standing::Lost,
            _ => Standing::InDoubt,
        })
    }

    fn has_ended(&self) -> bool {
        self.0.state().is_terminated()
    }

    async fn attempt(&self, _lock: &str) -> Result<Option<bool>> {
        Ok(None)
    }

    async fn close(&self) {}
}
