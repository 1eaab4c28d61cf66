//! What lies at one path, and what is directly below it.

use super::super::contenders::{self, Contender, Room};
use super::{LockInfo, LockKind, Unreadable};
use crate::error::Error;
use crate::path::{LockPath, QUEUE_NAME, QueuePath};
use crate::permits::Agreement;
use crate::queue::{Sequence, Survey, sort_children};
use crate::recipes::Leader;
use crate::session::Session;
use crate::store::{StoreError, StoreErrorKind};

/// What a visit has found.
#[derive(Debug, Default)]
pub(super) struct Visited {
    pub(super) below: Vec<LockPath>,
    pub(super) locks: Vec<LockInfo>,
    pub(super) unreadable: Vec<Unreadable>,
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

pub(super) async fn visit(session: &Session, path: Option<LockPath>) -> Result<Visited, Error> {
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
    // A queue goes when nobody has been there for a while, and an election stays.
    if found.has_queue || found.has_leader {
        match lock_at(session, &path, found.has_leader).await {
            Ok(Some((lock, denied))) => {
                visited.locks.push(lock);
                if let Some(error) = denied {
                    visited.note(path.leader_record().as_str(), error)?;
                }
            }
            Ok(None) => {}
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

/// A lock, and why its leader's record may not be read. `None`: it has vanished.
async fn lock_at(
    session: &Session,
    path: &LockPath,
    has_leader: bool,
) -> Result<Option<(LockInfo, Option<StoreError>)>, StoreError> {
    let queue = path.queue();
    let survey = match survey(session, &queue).await? {
        Some(survey) => survey,
        None if has_leader => Survey::default(),
        None => return Ok(None),
    };
    let (holders, waiting) = holders(session, &queue, &survey.contenders, Room::Free).await?;
    let mut denied = None;
    let kind = if has_leader {
        let record = path.leader_record();
        let value = match session.read_surely(|| session.store().read_value(&record)).await {
            Ok(value) => value,
            Err(error) if error.kind() == StoreErrorKind::NoPermission => {
                denied = Some(error);
                None
            }
            Err(error) => return Err(error),
        };
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
    Ok(Some((LockInfo { path: path.clone(), kind, holders, waiting, foreign, foreign_example }, denied)))
}

/// `None`: it has vanished.
async fn semaphore_at(session: &Session, path: &LockPath) -> Result<Option<LockInfo>, StoreError> {
    let (room, place) = (path.permits(), path.permits().as_value());
    let Some(mut inside) = survey(session, &room).await? else { return Ok(None) };
    let agreement = session.read_surely(|| session.store().read_value(&place)).await?;
    let permits = agreement.and_then(|value| Agreement::parse(&value.data)).map(Agreement::permits);
    let outside = survey(session, &path.turns()).await?.unwrap_or_default();
    inside.contenders.retain(|contender| contender.permits().is_some());
    // Whoever has its turn enters last, and gives the turn up when it is granted. All before it have their permits, also if there are
    // fewer permits by now.
    let granted = inside.contenders.len().saturating_sub(usize::from(!outside.contenders.is_empty()));
    let (mut holders, next) =
        holders(session, &room, &inside.contenders, Room::Permits(permits.unwrap_or(0).into())).await?;
    let known = inside.contenders.len() - next;
    if known < granted {
        let more = contenders::look_at(session, &room, &inside.contenders[known..granted]).await?;
        for (sequence, node) in more {
            holders.push(contenders::contender(holders.len(), true, sequence, &node));
        }
    }
    // One that waits for room is in both places.
    let waiting = (inside.contenders.len() - known.max(granted)).max(outside.contenders.len());
    let kind = LockKind::Semaphore { permits };
    let foreign = inside.foreign + outside.foreign;
    let foreign_example = inside.foreign_example.or(outside.foreign_example);
    Ok(Some(LockInfo { path: path.clone(), kind, holders, waiting, foreign, foreign_example }))
}

async fn survey(session: &Session, queue: &QueuePath) -> Result<Option<Survey>, StoreError> {
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
    mut room: Room,
) -> Result<(Vec<Contender>, usize), StoreError> {
    let (mut found, mut rest) = (Vec::new(), contenders);
    loop {
        // Those that hold if all of them are still there. One that left since makes room for the next.
        let mut presumed = room;
        let count = rest.iter().take_while(|&&sequence| presumed.lets_in(sequence)).count();
        if count == 0 {
            return Ok((found, rest.len()));
        }
        let (holding, others) = rest.split_at(count);
        for (sequence, node) in contenders::look_at(session, queue, holding).await? {
            room.lets_in(sequence);
            found.push(contenders::contender(found.len(), true, sequence, &node));
        }
        rest = others;
    }
}
