//! Whose heap is measured: the floor, fairlock, and the lock of the crate zookeeper-client.
//!
//! The same as the contenders of that name, but nothing of what measures their times.

use std::time::Duration;

use zookeeper_client as zk;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// So short that the server forgets a process that has ended, and so long that a busy machine loses none.
const SESSION_TIMEOUT: Duration = Duration::from_secs(40);

/// One session and its locks.
pub(crate) trait Subject: Sized + Send + Sync + 'static {
    const NAME: &str;

    /// What whoever holds a lock has of it.
    type Held: Send + 'static;

    fn connect(address: &str) -> impl Future<Output = Result<Self>> + Send;

    /// Waits for its turn.
    fn acquire(&self, lock: &str) -> impl Future<Output = Result<Self::Held>> + Send;

    /// The directory in which the lock's queue is.
    fn queue(lock: &str) -> String {
        lock.to_owned()
    }
}

async fn client(address: &str) -> Result<zk::Client> {
    Ok(zk::Client::connector().with_session_timeout(SESSION_TIMEOUT).connect(address).await?)
}

fn directory() -> zk::CreateOptions<'static> {
    zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all())
}

/// A node, and a watch on the node before.
pub(crate) struct Floor(zk::Client);

impl Subject for Floor {
    const NAME: &str = "floor";
    type Held = String;

    async fn connect(address: &str) -> Result<Self> {
        Ok(Self(client(address).await?))
    }

    async fn acquire(&self, lock: &str) -> Result<String> {
        let prefix = format!("{lock}/n-");
        let options = zk::CreateMode::EphemeralSequential.with_acls(zk::Acls::anyone_all());
        let created = match self.0.create(&prefix, b"", &options).await {
            Err(zk::Error::NoNode) => {
                self.0.mkdir(lock, &directory()).await?;
                self.0.create(&prefix, b"", &options).await
            }
            created => created,
        };
        let (_, sequence) = created?;
        let own = sequence.into_i64();
        if own > 0 {
            match self.0.get_and_watch_data(&format!("{prefix}{:010}", own - 1)).await {
                Ok((_, _, watcher)) => drop(watcher.changed().await),
                Err(zk::Error::NoNode) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(format!("{prefix}{sequence}"))
    }
}

pub(crate) struct Fairlock(::fairlock::Fairlock);

impl Subject for Fairlock {
    const NAME: &str = "fairlock";
    type Held = ::fairlock::Guard;

    async fn connect(address: &str) -> Result<Self> {
        Ok(Self(::fairlock::Fairlock::builder().session_timeout(SESSION_TIMEOUT).connect(address).await?))
    }

    async fn acquire(&self, lock: &str) -> Result<::fairlock::Guard> {
        Ok(self.0.mutex(lock)?.acquire().await?)
    }

    fn queue(lock: &str) -> String {
        format!("{lock}/_fairlock")
    }
}

/// `Client::lock` of the crate zookeeper-client.
pub(crate) struct Client(zk::Client);

impl Subject for Client {
    const NAME: &str = "zookeeper-client";
    type Held = zk::OwnedLockClient;

    async fn connect(address: &str) -> Result<Self> {
        Ok(Self(client(address).await?))
    }

    async fn acquire(&self, lock: &str) -> Result<zk::OwnedLockClient> {
        let options = zk::LockOptions::new(zk::Acls::anyone_all()).with_ancestor_options(directory())?;
        Ok(self.0.lock(zk::LockPrefix::new_curator(lock, "lock-")?, b"", options).await?.into_owned())
    }
}
