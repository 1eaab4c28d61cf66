//! Listing who holds a lock and who waits for it.

use crate::path::QueuePath;
use crate::queue::{Sequence, sort_children};
use crate::session::Session;
use crate::store::{SessionId, StoreError, StoreErrorKind};
use crate::ticket::{Identity, Ticket};
use crate::token::FencingToken;

/// Somebody who holds or waits for a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contender {
    /// The place in the queue, counted from 0, the holder's.
    pub position: usize,
    /// Whether it holds or waits.
    pub role: Role,
    /// Its number in the queue.
    pub sequence: Sequence,
    /// Its fencing token, should it be granted.
    pub token: FencingToken,
    /// The session that owns its node.
    pub session: Option<SessionId>,
    /// Who it is; `None` if its node holds no ticket of this library or may not be read.
    pub identity: Option<Identity>,
    /// When it entered, in milliseconds since 1970 by its own wall clock.
    pub since_unix_ms: Option<u64>,
}

/// What a contender does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// First in the queue: it holds the lock, or is about to be told so.
    Holder,
    /// Somebody is ahead of it.
    Waiter,
}

pub(super) async fn list(session: &Session, queue: &QueuePath) -> Result<Vec<Contender>, StoreError> {
    let names = match session.read_surely(|| session.store().survey(queue)).await {
        Ok(names) => names,
        Err(error) if error.kind() == StoreErrorKind::NoNode => return Ok(vec![]),
        Err(error) => return Err(error),
    };
    let mut contenders = Vec::new();
    for sequence in sort_children(&names).contenders {
        let name = sequence.node_name();
        let node = match session.read_surely(|| session.store().inspect(queue, &name)).await {
            Ok(Some(node)) => node,
            // It left since.
            Ok(None) => continue,
            Err(error) => return Err(error),
        };
        let position = contenders.len();
        let ticket = Ticket::parse(&node.data);
        contenders.push(Contender {
            position,
            role: if position == 0 { Role::Holder } else { Role::Waiter },
            sequence,
            token: node.token,
            session: node.owner,
            since_unix_ms: ticket.as_ref().map(Ticket::since_unix_ms),
            identity: ticket.map(|ticket| ticket.identity().clone()),
        });
    }
    Ok(contenders)
}
