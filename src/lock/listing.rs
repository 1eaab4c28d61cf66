//! Finding the locks below a path, of whichever kind, and who holds them.
//!
//! What a lock is stored as has names that begin with `_fairlock`, so a walk from node to node finds every lock, and by those names
//! its kind. The walk goes by a list of paths that are still to be visited, a bounded number of them at a time: however deep or wide a
//! tree is, it costs no more memory than its paths, and the servers are not flooded.

use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::client::Fairlock;
use super::contenders::{self, Contender};
use crate::error::Error;
use crate::path::{LockPath, QUEUE_NAME, QueuePath};
use crate::permits::Agreement;
use crate::queue::{Sequence, sort_children};
use crate::recipes::Leader;
use crate::session::Session;
use crate::store::{StoreError, StoreErrorKind};

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
    /// How many wait for it.
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
    /// long as the store keeps their directories, which for a lock is about a minute.
    ///
    /// Costs one request for each node below the path, whatever it is, and for each lock one more to list its queue and one for each of
    /// its holders; for a semaphore one more to list who waits and one to read the number of permits, for an election one to read who
    /// leads. 16 are under way at a time. After 100,000 nodes it ends and [says so](LockList::is_cut).
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
    /// what may not be read is an error.
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
        let visited = visit(session, Some(path)).await?;
        // What lies below is another lock's, and was not looked at.
        match visited.unreadable.into_iter().find(|unreadable| !matches!(unreadable.error, Error::InvalidPath { .. })) {
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

/// What a visit has found.
#[derive(Debug, Default)]
struct Visited {
    below: Vec<LockPath>,
    locks: Vec<LockInfo>,
    unreadable: Vec<Unreadable>,
}

impl Visited {
    /// Notes what may not be read; any other error ends the walk.
    fn note(&mut self, path: &str, error: StoreError) -> Result<(), Error> {
        let (is_denied, error) =
            (error.kind() == StoreErrorKind::NoPermission, Error::from_store("list the nodes", path, error));
        if !is_denied {
            return Err(error);
        }
        self.unreadable.push(Unreadable { path: path.to_owned(), error });
        Ok(())
    }
}

async fn visit(session: &Session, path: Option<LockPath>) -> Result<Visited, Error> {
    let (mut visited, mut found) = (Visited::default(), Found::default());
    let names = match session.read_surely(|| session.store().children(path.as_ref())).await {
        Ok(names) => names,
        Err(error) if error.kind() == StoreErrorKind::NoNode => return Ok(visited),
        Err(error) => {
            visited.note(path.as_ref().map_or("/", LockPath::as_str), error)?;
            return Ok(visited);
        }
    };
    for name in names {
        if let Some(rest) = name.strip_prefix(QUEUE_NAME) {
            found.note(rest);
        } else if path.is_some() || name != SERVERS_OWN {
            match LockPath::below(path.as_ref(), &name) {
                Ok(below) => visited.below.push(below),
                Err(error) => {
                    let path = format!("{}/{name}", path.as_ref().map_or("", LockPath::as_str));
                    visited.unreadable.push(Unreadable { path, error });
                }
            }
        }
    }
    let Some(path) = path else { return Ok(visited) };
    if found.has_queue {
        match lock_at(session, &path, found.has_leader).await {
            Ok(lock) => visited.locks.extend(lock),
            Err(error) => visited.note(path.queue().as_str(), error)?,
        }
    }
    if found.has_permits {
        match semaphore_at(session, &path).await {
            Ok(semaphore) => visited.locks.extend(semaphore),
            Err(error) => visited.note(path.permits().as_str(), error)?,
        }
    }
    Ok(visited)
}

/// The servers' own directory; no lock lies there.
const SERVERS_OWN: &str = "zookeeper";

/// Which of a lock's directories were seen.
#[derive(Debug, Default)]
struct Found {
    has_queue: bool,
    has_leader: bool,
    has_permits: bool,
}

impl Found {
    fn note(&mut self, rest: &str) {
        match rest {
            "" => self.has_queue = true,
            "_leader" => self.has_leader = true,
            "_permits" => self.has_permits = true,
            // Turns without permits are nobody's; other names belong to values and requests.
            _ => {}
        }
    }
}

/// `None`: it has vanished.
async fn lock_at(session: &Session, path: &LockPath, has_leader: bool) -> Result<Option<LockInfo>, StoreError> {
    let queue = path.queue();
    let Some(survey) = survey(session, &queue).await? else { return Ok(None) };
    let holds = |ahead: &[Contender], sequence: Sequence| {
        ahead.is_empty() || !sequence.is_exclusive() && ahead.iter().all(|holder| !holder.sequence.is_exclusive())
    };
    let (holders, waiting) = holders(session, &queue, &survey.contenders, holds).await?;
    let kind = if has_leader {
        let record = path.leader_record();
        let value = session.read_surely(|| session.store().read_value(&record)).await?;
        let leader = value.and_then(|value| Leader::parse(&value.data));
        // The record of one that is gone stays until the next leader has written its own.
        let leads = |leader: &Leader| holders.first().is_some_and(|holder| leader.leads_by(holder.node_token));
        LockKind::Election { leader: leader.filter(leads) }
    } else if survey.contenders.iter().any(|contender| !contender.is_exclusive()) {
        LockKind::Shared
    } else {
        LockKind::Exclusive
    };
    let (foreign, foreign_example) = (survey.foreign, survey.foreign_example);
    Ok(Some(LockInfo { path: path.clone(), kind, holders, waiting, foreign, foreign_example }))
}

/// `None`: it has vanished.
async fn semaphore_at(session: &Session, path: &LockPath) -> Result<Option<LockInfo>, StoreError> {
    let (room, place) = (path.permits(), path.permits().as_value());
    let Some(mut inside) = survey(session, &room).await? else { return Ok(None) };
    let agreement = session.read_surely(|| session.store().read_value(&place)).await?;
    let permits = agreement.and_then(|value| Agreement::parse(&value.data)).map(Agreement::permits);
    let outside = survey(session, &path.turns()).await?.unwrap_or_default();
    inside.contenders.retain(|contender| contender.permits().is_some());
    let holds = |ahead: &[Contender], sequence: Sequence| {
        let taken = ahead.iter().filter_map(Contender::permits).chain(sequence.permits());
        taken.map(u64::from).sum::<u64>() <= u64::from(permits.unwrap_or(0))
    };
    let (holders, next) = holders(session, &room, &inside.contenders, holds).await?;
    // Whoever has its turn and waits for room is in both places: those are the first of the others, one in the usual case.
    let waiting = next.max(outside.contenders.len());
    let kind = LockKind::Semaphore { permits };
    let foreign = inside.foreign + outside.foreign;
    let foreign_example = inside.foreign_example.or(outside.foreign_example);
    Ok(Some(LockInfo { path: path.clone(), kind, holders, waiting, foreign, foreign_example }))
}

async fn survey(session: &Session, queue: &QueuePath) -> Result<Option<crate::queue::Survey>, StoreError> {
    match session.read_surely(|| session.store().survey(queue)).await {
        Ok(names) => Ok(Some(sort_children(&names))),
        Err(error) if error.kind() == StoreErrorKind::NoNode => Ok(None),
        Err(error) => Err(error),
    }
}

/// Looks at contenders until one holds nothing; tells the holders, and how many are behind them.
async fn holders(
    session: &Session,
    queue: &QueuePath,
    contenders: &[Sequence],
    holds: impl Fn(&[Contender], Sequence) -> bool,
) -> Result<(Vec<Contender>, usize), StoreError> {
    let mut found: Vec<Contender> = Vec::new();
    for (at, &sequence) in contenders.iter().enumerate() {
        if !holds(&found, sequence) {
            return Ok((found, contenders.len() - at));
        }
        let name = sequence.node_name();
        // One that left since makes room for the next.
        if let Some(node) = session.read_surely(|| session.store().inspect(queue, &name)).await? {
            found.push(contenders::contender(found.len(), true, sequence, &node));
        }
    }
    Ok((found, 0))
}
