//! Who is measured: locks on ZooKeeper behind one trait, and the floor that none can be below.

mod curator;
mod fairlock;
mod floor;
mod kazoo;
mod local;
mod peer;
mod zookeeper_client;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;

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
}

impl Name {
    pub(crate) const ALL: [Self; 5] = [Self::Floor, Self::Fairlock, Self::ZookeeperClient, Self::Kazoo, Self::Curator];

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Fairlock => "fairlock",
            Self::ZookeeperClient => "zookeeper-client",
            Self::Kazoo => "kazoo",
            Self::Curator => "Curator",
        }
    }

    /// Whether it is another lock on ZooKeeper.
    pub(crate) fn is_peer(self) -> bool {
        !matches!(self, Self::Floor | Self::Fairlock)
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

    /// The holder releases; how long until the next one holds.
    async fn hand_over(&mut self) -> Result<Duration>;

    /// One more starts waiting.
    async fn join(&mut self) -> Result<()>;

    /// The holder releases, and so does each waiter as soon as it holds; how long until the last one held.
    async fn drain(&mut self) -> Result<Duration>;

    /// Closes the sessions of the crowd.
    async fn disperse(&mut self) -> Result<()>;

    /// Takes and gives back so many locks at the same time, each so often; how long it took in all.
    async fn independent(&mut self, lock: &str, locks: usize, cycles: usize) -> Result<Duration>;

    /// Opens a session and takes a lock that nobody has; then closes it, which does not count.
    async fn cold_start(&mut self, lock: &str) -> Result<Duration>;
}

/// Where contenders in other languages are found.
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
    })
}
