//! Listing who holds a lock and who waits for it.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::path::QueuePath;
use crate::queue::{Sequence, sort_children};
use crate::session::Session;
use crate::store::{Departure, Node, SessionId, StoreError, StoreErrorKind};
use crate::ticket::{Identity, Ticket};
use crate::token::FencingToken;

/// The pause before a connection that broke is tried again.
const BARRIER_PAUSE: Duration = Duration::from_millis(20);

/// How many nodes are looked at side by side: a long queue takes long, but nobody else's requests wait behind all of it.
pub(super) const LOOKS_MAX: usize = 16;

/// Somebody who holds or waits for a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contender {
    /// The place in the queue, counted from 0, the first holder's.
    pub position: usize,
    /// Whether it holds or waits.
    pub role: Role,
    /// Its number in the queue, and whether it shares the lock.
    pub sequence: Sequence,
    /// Its fencing token, should it be granted. Of one that was downgraded, it is that of its new node, and higher.
    pub token: FencingToken,
    /// What tells its node from all that ever had its name.
    pub(super) node_token: FencingToken,
    /// The session that owns its node.
    pub session: Option<SessionId>,
    /// Who it is; `None` if its node holds no ticket of this library or may not be read.
    pub identity: Option<Identity>,
    /// When it entered, in milliseconds since 1970 by its own wall clock.
    pub since_unix_ms: Option<u64>,
}

impl Contender {
    /// How many permits of a semaphore it has or wants; `None` if that is not known: it does not contend for permits, or still
    /// waits for its turn.
    pub fn permits(&self) -> Option<u32> {
        self.sequence.permits()
    }
}

/// What a contender does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// First in the queue, or among the first who share the lock: it holds the lock, or is about to be told so.
    Holder,
    /// Somebody is ahead of it.
    Waiter,
}

/// Deletes a contender's node if it is still the one that was listed; whether it did.
pub(super) async fn remove(session: &Session, queue: &QueuePath, contender: &Contender) -> Result<bool, StoreError> {
    let name = contender.sequence.node_name();
    let mut is_sent = false;
    loop {
        // By its name alone it might be another's: numbers start again in a queue that was made anew.
        let node = session.read_surely(|| session.store().inspect(queue, &name)).await?;
        if !node.is_some_and(|node| node.token == contender.node_token && node.owner == contender.session) {
            return Ok(is_sent);
        }
        match session.write(session.store().leave(queue, &name, Departure::Withdraw)).await {
            Ok(()) => return Ok(true),
            Err(error) if error.kind() == StoreErrorKind::NoNode => return Ok(is_sent),
            Err(error) if error.kind() == StoreErrorKind::Unknown => is_sent = true,
            Err(error) => return Err(error),
        }
        // The next look must not see a state from before the deletion.
        match session.write(session.store().write_barrier()).await {
            Err(error) if error.kind() != StoreErrorKind::Unknown => return Err(error),
            Ok(()) => {}
            Err(_) => tokio::time::sleep(BARRIER_PAUSE).await,
        }
    }
}

pub(super) async fn list(session: &Session, queue: &QueuePath) -> Result<Vec<Contender>, StoreError> {
    let mut contenders: Vec<Contender> = Vec::new();
    for (sequence, node) in nodes(session, queue).await? {
        let shares = |other: &Contender| !other.sequence.is_exclusive() && other.role == Role::Holder;
        let holds = contenders.is_empty() || !sequence.is_exclusive() && contenders.iter().all(shares);
        contenders.push(contender(contenders.len(), holds, sequence, &node));
    }
    Ok(contenders)
}

/// Who has permits, or is next to get some, and then who waits for its turn.
pub(super) async fn list_room(
    session: &Session,
    room: &QueuePath,
    turns: &QueuePath,
    permits: u32,
) -> Result<Vec<Contender>, StoreError> {
    let (mut contenders, mut tickets, mut wanted) = (Vec::new(), BTreeSet::new(), 0);
    for (sequence, node) in nodes(session, room).await? {
        // Others than contenders for permits want none.
        let Some(count) = sequence.permits() else { continue };
        wanted += u64::from(count);
        contenders.push(contender(contenders.len(), wanted <= u64::from(permits), sequence, &node));
        tickets.insert(node.data);
    }
    for (sequence, node) in nodes(session, turns).await? {
        // Whoever has its turn is in both places.
        if !tickets.contains(&node.data) {
            contenders.push(contender(contenders.len(), false, sequence, &node));
        }
    }
    Ok(contenders)
}

pub(super) fn contender(position: usize, holds: bool, sequence: Sequence, node: &Node) -> Contender {
    let ticket = Ticket::parse(&node.data);
    Contender {
        position,
        role: if holds { Role::Holder } else { Role::Waiter },
        sequence,
        token: Ticket::fencing_token_of(node),
        node_token: node.token,
        session: node.owner,
        since_unix_ms: ticket.as_ref().map(Ticket::since_unix_ms),
        identity: ticket.map(|ticket| ticket.identity().clone()),
    }
}

async fn nodes(session: &Session, queue: &QueuePath) -> Result<Vec<(Sequence, Node)>, StoreError> {
    let names = match session.read_surely(|| session.store().survey(queue)).await {
        Ok(names) => names,
        Err(error) if error.kind() == StoreErrorKind::NoNode => return Ok(vec![]),
        Err(error) => return Err(error),
    };
    let looks = sort_children(&names).contenders.into_iter().map(|sequence| async move {
        let name = sequence.node_name();
        let node = session.read_surely(|| session.store().inspect(queue, &name)).await?;
        // `None`: it left since.
        Ok(node.map(|node| (sequence, node)))
    });
    let nodes = stream::iter(looks).buffered(LOOKS_MAX).try_filter_map(|node| future::ready(Ok(node)));
    nodes.try_collect().await
}
