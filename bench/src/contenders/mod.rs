//! Who is measured: locks behind one trait, on ZooKeeper and elsewhere, and the floor that none on ZooKeeper can be below.

mod curator;
mod endurance;
mod fairlock;
mod floor;
mod kazoo;
mod local;
mod others;
mod peer;
mod zookeeper_client;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::{Error, Result};

pub(crate) use peer::prepare;

/// How long a session lives without a word: so long that nobody sends anything only to keep it, during a measurement
/// that counts requests.
const SESSION_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// For anything that a contender is asked to do at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Name {
    /// Creating and deleting a node, and hearing of a deletion
    Floor,
    Fairlock,
    /// `Client::lock` of the crate zookeeper-client
    ZookeeperClient,
    /// `kazoo.recipe.lock.Lock`, Python
    Kazoo,
    /// `InterProcessMutex`, Java
    Curator,
    /// The lock service of etcd, by the crate etcd-client
    Etcd,
    /// A token in Redis, by the crate redis
    Redis,
}

/// What a lock is kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum System {
    ZooKeeper,
    Etcd,
    Redis,
}

impl Name {
    pub(crate) const ALL: [Self; 7] =
        [Self::Floor, Self::Fairlock, Self::ZookeeperClient, Self::Kazoo, Self::Curator, Self::Etcd, Self::Redis];

    /// Those in this language, which need nothing else than a program of this package.
    pub(crate) const LIBRARIES: [Self; 3] = [Self::Floor, Self::Fairlock, Self::ZookeeperClient];

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Fairlock => "fairlock",
            Self::ZookeeperClient => "zookeeper-client",
            Self::Kazoo => "kazoo",
            Self::Curator => "Curator",
            Self::Etcd => "etcd",
            Self::Redis => "Redis",
        }
    }

    pub(crate) fn system(self) -> System {
        match self {
            Self::Floor | Self::Fairlock | Self::ZookeeperClient | Self::Kazoo | Self::Curator => System::ZooKeeper,
            Self::Etcd => System::Etcd,
            Self::Redis => System::Redis,
        }
    }

    pub(crate) fn is_on_zookeeper(self) -> bool {
        self.system() == System::ZooKeeper
    }

    /// Whether it is another lock on ZooKeeper.
    pub(crate) fn is_peer(self) -> bool {
        self.is_on_zookeeper() && !matches!(self, Self::Floor | Self::Fairlock)
    }

    /// Whether those who wait are never quiet, since they ask again and again.
    pub(crate) fn polls(self) -> bool {
        self == Self::Redis
    }

    /// How often whoever comes into a queue looks at a single node: fairlock watches its own as well.
    pub(crate) fn looks(self) -> u64 {
        match self {
            Self::Fairlock => 2,
            _ => 1,
        }
    }

    /// The directory in which the lock's queue is.
    pub(crate) fn queue(self, lock: &str) -> String {
        match self {
            Self::Fairlock => format!("{lock}/_fairlock"),
            _ => lock.to_owned(),
        }
    }
}

/// A lock, as what measures it sees it. Each is asked for one thing at a time, and measures by its own clock, from the
/// call to the moment in which the caller goes on.
///
/// There is one session for whoever is alone, and there are two for a crowd: one of the first holder, one of all who
/// wait.
#[async_trait]
pub(crate) trait Contender: Send {
    /// Takes a lock that nobody has.
    async fn acquire(&mut self, lock: &str) -> Result<Duration>;

    /// Gives back what was acquired.
    async fn release(&mut self) -> Result<Duration>;

    /// Tries to take a lock that was acquired by this contender; `None` if there is no such thing as trying.
    async fn attempt(&mut self, lock: &str) -> Result<Option<Duration>>;

    /// Opens the two sessions of a crowd, lets the one take the lock and starts so many waiters. Who waits may not be in the queue yet.
    async fn gather(&mut self, lock: &str, waiters: usize) -> Result<()>;

    /// How many have the lock of the crowd or wait for it, of those whose queue is not seen in ZooKeeper.
    async fn queued(&mut self) -> Result<usize> {
        Err(Error::OutOfOrder("count"))
    }

    /// The holder releases; how long until the next one holds.
    async fn hand_over(&mut self) -> Result<Duration>;

    /// One more starts waiting.
    async fn join(&mut self) -> Result<()>;

    /// The holder releases, and so does each waiter as soon as it holds; how long until the last one held.
    async fn drain(&mut self) -> Result<Duration>;

    /// Closes the sessions of the crowd.
    async fn disperse(&mut self) -> Result<()>;

    /// Takes and gives back so many locks at the same time, each so often; how long it took in all. With more sessions than
    /// one, those are opened for it, and the locks are dealt out to them.
    async fn independent(&mut self, lock: &str, crowd: Independent, cycles: usize) -> Result<Duration>;

    /// So many at the same time share a lock or take it alone, each so often; how long it took in all. `None` if it cannot
    /// be shared.
    async fn mix(&mut self, lock: &str, tasks: usize, cycles: usize) -> Result<Option<Duration>>;

    /// Opens a session beside its own.
    async fn connect(&mut self) -> Result<Duration>;

    /// Takes a lock that nobody has with the session that it has just opened.
    async fn first_grant(&mut self, lock: &str) -> Result<Duration>;

    /// Gives back what was granted first, and closes the session.
    async fn disconnect(&mut self) -> Result<()>;

    /// Begins to take a lock and to give it back all the time, whatever happens, and to hold another one; returns once it
    /// has been granted both.
    async fn endure(&mut self, lock: &str) -> Result<()>;

    /// Is granted once more, and ends what [`endure`](Self::endure) began.
    async fn endured(&mut self) -> Result<Outage>;
}

/// So many locks over so many sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Independent {
    pub(crate) locks: usize,
    pub(crate) sessions: usize,
}

/// What somebody went through who takes locks all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outage {
    /// The longest time between two grants.
    pub(crate) between_grants: Duration,
    /// How long the holder of a lock was told that it could not rely on it; `None` if it would not be told.
    pub(crate) in_doubt: Option<Duration>,
    /// How often it was told that the lock was lost, and took it anew.
    pub(crate) losses: u32,
}

/// Between two cycles of one who endures: there is something else to do for the processors.
const ENDURING_PAUSE: Duration = Duration::from_millis(5);

/// Whether a task takes the lock alone the next time: every tenth time of all does.
fn writes(task: usize, tasks: usize, cycle: usize) -> bool {
    (cycle * tasks + task) % 10 == 9
}

/// Where contenders in other processes are found.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    /// For what has to be made for them.
    pub(crate) workshop: &'a Path,
    /// A folder with Curator's jars and those that it needs.
    pub(crate) curator_jars: Option<&'a Path>,
}

/// Gets a contender ready, connected to this address.
pub(crate) async fn open(name: Name, address: &str, places: &Places<'_>) -> Result<Box<dyn Contender>> {
    Ok(match name {
        Name::Floor => Box::new(local::Local::<floor::Floor>::open(address).await?),
        Name::Fairlock => Box::new(local::Local::<fairlock::Fairlock>::open(address).await?),
        Name::ZookeeperClient => Box::new(local::Local::<zookeeper_client::Client>::open(address).await?),
        Name::Kazoo => Box::new(kazoo::open(address, places).await?),
        Name::Curator => Box::new(curator::open(address, places).await?),
        Name::Etcd => Box::new(others::open_etcd(address, places).await?),
        Name::Redis => Box::new(others::open_redis(address, places).await?),
    })
}
