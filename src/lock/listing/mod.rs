//! Finding the locks below a path, of whichever kind, and who holds them.
//!
//! What a lock is stored as has names that begin with `_fairlock`, so a walk from node to node finds every lock, and by those names
//! its kind. The walk goes by a list of paths that are still to be visited, a bounded number of them at a time: however deep or wide a
//! tree is, it costs no more memory than its paths, and the servers are not flooded.

mod change;
mod visit;

use futures_util::stream::{FuturesUnordered, StreamExt as _};

pub use self::change::LockChange;
use self::visit::visit;
use super::client::Fairlock;
use super::contenders::{self, Contender};
use crate::error::Error;
use crate::path::LockPath;
use crate::recipes::Leader;

/// How many paths are visited side by side.
const VISITS_MAX: usize = 16;

/// How many paths are visited in all. A larger tree is listed in parts.
const PATHS_MAX: usize = 100_000;

/// A lock that was found: what it is, who holds it, and how many wait.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockInfo {
    /// Its path.
    pub path: LockPath,
    /// What it is.
    pub kind: LockKind,
    /// Who holds it or, of a semaphore, has permits.
    pub holders: Vec<Contender>,
    /// How many wait for it. Of a semaphore, one that was granted is counted until it has given its turn up, which it does at once.
    pub waiting: usize,
    /// How many nodes in its queue are not of this library. They block nobody.
    pub foreign: usize,
    /// The name of one of them, shortened. Whoever made it has chosen it.
    pub foreign_example: Option<String>,
}

/// What a lock is, as far as the store shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockKind {
    /// One that is held alone, or that nobody is at: then it cannot be told from one that is shared.
    Exclusive,
    /// One that somebody shares, or waits to share.
    Shared,
    /// A semaphore.
    Semaphore {
        /// How many permits it has; `None` if that was overwritten by hand.
        permits: Option<u32>,
    },
    /// An election.
    Election {
        /// Who leads and has said so.
        leader: Option<Leader>,
    },
}

/// The locks that were found, in the order of their paths.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LockList {
    /// The locks, those with nobody at them included.
    pub locks: Vec<LockInfo>,
    /// What could not be read. Locks may be there, or below.
    pub unreadable: Vec<Unreadable>,
    /// Whether the tree was larger than can be listed at once, so that locks may be missing.
    pub is_cut: bool,
}

/// A path that could not be read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Unreadable {
    /// The path.
    pub path: String,
    /// Why it could not be.
    pub error: Error,
}

impl Fairlock {
    /// Finds all locks, semaphores and elections at a path and below it; `/` is the root. Those with nobody at them are listed as
    /// long as the store keeps something of them: of a lock for about a minute, of the others for good.
    ///
    /// Costs one request for each node below the path, whatever it is, and for each lock one more to list its queue and one for each of
    /// its holders; for a semaphore one more to list who waits and one to read the number of permits, for an election one to read who
    /// leads. 16 paths are visited at a time, and of each 16 holders. After 100,000 nodes it ends and [says so](LockList::is_cut).
    ///
    /// It shows states from different moments, none of which may hold any more: for people and dashboards. A node that vanishes while
    /// it is visited is left out. What may not be read is [told](LockList::unreadable) and does not stop the rest.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), fairlock::Error> {
    /// # use fairlock::{Fairlock, store::memory::Memory};
    /// # let locks = Fairlock::builder().open(Memory::new()).await?;
    /// let guard = locks.mutex("/jobs/backup")?.acquire().await?;
    /// let permit = locks.semaphore("/jobs/crawl", 3)?.acquire().await?;
    /// for lock in locks.locks_below("/jobs").await?.locks {
    ///     let holders: Vec<_> = lock.holders.iter().filter_map(|holder| holder.identity.as_ref()).collect();
    ///     println!("{} is {:?}, held by {holders:?}, {} wait", lock.path, lock.kind, lock.waiting);
    /// }
    /// # permit.release().await?;
    /// # guard.release().await }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidPath`] if the path is malformed; otherwise as [`Mutex::acquire`](crate::Mutex::acquire). A path without a node
    /// is no error: nothing is below it.
    ///
    /// # Cancel safety
    ///
    /// Only reads; may be dropped at any time.
    pub async fn locks_below(&self, path: &str) -> Result<LockList, Error> {
        let start = if path == "/" { None } else { Some(LockPath::new(path)?) };
        let session = &*self.shared.pool.session().await?;
        let (mut list, mut to_visit, mut paths) = (LockList::default(), vec![start], 0);
        let mut visits = FuturesUnordered::new();
        loop {
            while visits.len() < VISITS_MAX
                && let Some(path) = to_visit.pop()
            {
                paths += 1;
                if paths > PATHS_MAX {
                    list.is_cut = true;
                    to_visit.clear();
                } else {
                    visits.push(visit(session, path));
                }
            }
            let Some(visited) = visits.next().await else { break };
            let visited = visited?;
            to_visit.extend(visited.below.into_iter().map(Some));
            list.locks.extend(visited.locks);
            list.unreadable.extend(visited.unreadable);
        }
        list.locks.sort_by(|one, two| one.path.cmp(&two.path));
        list.unreadable.sort_by(|one, two| one.path.cmp(&two.path));
        Ok(list)
    }

    /// What is at one path: nothing, a lock, or a lock and a semaphore that share the path. As [`Fairlock::locks_below`] otherwise, but
    /// what may not be read is an error, unless it is only what a leader has said.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidPath`] if the path is malformed, [`Error::NoPermission`] if it may not be read; otherwise as
    /// [`Mutex::acquire`](crate::Mutex::acquire).
    ///
    /// # Cancel safety
    ///
    /// Only reads; may be dropped at any time.
    pub async fn locks_at(&self, path: &str) -> Result<Vec<LockInfo>, Error> {
        let path = LockPath::new(path)?;
        let session = &*self.shared.pool.session().await?;
        let record = path.leader_record();
        let visited = visit(session, Some(path)).await?;
        // What lies below is another lock's, and was not looked at.
        let hides_a_lock = |unreadable: &Unreadable| {
            !matches!(unreadable.error, Error::InvalidPath { .. }) && unreadable.path != record.as_str()
        };
        match visited.unreadable.into_iter().find(hides_a_lock) {
            Some(unreadable) => Err(unreadable.error),
            None => Ok(visited.locks),
        }
    }

    /// Lists who holds a lock that was found, and who waits for it, in their order: [`Mutex::contenders`](crate::Mutex::contenders) or
    /// [`Semaphore::contenders`](crate::Semaphore::contenders), as its kind asks for. Only reads, and so does not make a semaphore
    /// where there is none any more.
    ///
    /// # Errors
    ///
    /// As [`Mutex::acquire`](crate::Mutex::acquire).
    ///
    /// # Cancel safety
    ///
    /// Only reads; may be dropped at any time.
    pub async fn contenders_of(&self, lock: &LockInfo) -> Result<Vec<Contender>, Error> {
        let session = self.shared.pool.session().await?;
        let listed = match lock.kind {
            LockKind::Semaphore { permits } => {
                let (room, turns) = (lock.path.permits(), lock.path.turns());
                contenders::list_room(&session, &room, &turns, permits.unwrap_or(0)).await
            }
            LockKind::Exclusive | LockKind::Shared | LockKind::Election { .. } => {
                contenders::list(&session, &lock.path.queue()).await
            }
        };
        listed.map_err(|error| Error::from_store("list the contenders", lock.path.as_str(), error))
    }
}
