//! etcd's own lock: its lock service, which queues on the server by the revisions of keys, each bound to a lease.

use std::time::Duration;

use etcd_client::{Client, GetOptions, LockOptions};
use fairlock_other_peers::{Asker, Result, run};

fn main() -> Result<()> {
    run::<Etcd>()
}

#[derive(Clone)]
struct Etcd {
    client: Client,
    /// Whoever asks twice with one lease is in the queue once, so each has its own.
    lease: i64,
    seconds: i64,
}

impl Etcd {
    async fn with(mut client: Client, seconds: i64) -> Result<Self> {
        let lease = client.lease_grant(seconds, None).await?.id();
        Ok(Self { client, lease, seconds })
    }
}

impl Asker for Etcd {
    /// The key that says so.
    type Held = Vec<u8>;

    async fn connect(address: &str, session: Duration) -> Result<Self> {
        Self::with(Client::connect([address], None).await?, i64::try_from(session.as_secs())?).await
    }

    async fn another(&self) -> Result<Self> {
        Self::with(self.client.clone(), self.seconds).await
    }

    async fn acquire(&self, lock: &str) -> Result<Vec<u8>> {
        let options = LockOptions::new().with_lease(self.lease);
        Ok(self.client.lock_client().lock(lock, Some(options)).await?.key().to_vec())
    }

    async fn release(&self, key: Vec<u8>) -> Result<()> {
        self.client.lock_client().unlock(key).await?;
        Ok(())
    }

    async fn attempt(&self, _lock: &str) -> Result<Option<bool>> {
        Ok(None)
    }

    async fn queued(&self, lock: &str) -> Result<usize> {
        let options = GetOptions::new().with_prefix().with_count_only();
        let found = self.client.kv_client().get(format!("{lock}/"), Some(options)).await?;
        Ok(usize::try_from(found.count())?)
    }

    async fn close(&self) -> Result<()> {
        self.client.lease_client().revoke(self.lease).await?;
        Ok(())
    }
}
