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
    let mut room = Room::Free;
    let nodes = nodes(session, queue).await?.into_iter().enumerate();
    Ok(nodes.map(|(at, (sequence, node))| contender(at, room.lets_in(sequence), sequence, &node)).collect())
}

/// Who has permits, or is next to get some, and then who waits for its turn.
pub(super) async fn list_room(
    session: &Session,
    room: &QueuePath,
    turns: &QueuePath,
    permits: u32,
) -> Result<Vec<Contender>, StoreError> {
    let inside = nodes(session, room).await?;
    // Afterwards: whoever is inside and has no turn any more was granted.
    let outside = nodes(session, turns).await?;
    Ok(in_room(inside, outside, permits))
}

fn in_room(inside: Vec<(Sequence, Node)>, outside: Vec<(Sequence, Node)>, permits: u32) -> Vec<Contender> {
    // What may not be read has no data, which says nothing about who it is.
    let tickets = |nodes: &[(Sequence, Node)]| -> BTreeSet<Vec<u8>> {
        let tickets = nodes.iter().map(|(_, node)| &node.data).filter(|data| Ticket::parse(data).is_some());
        tickets.cloned().collect()
    };
    let (in_room, in_turns) = (tickets(&inside), tickets(&outside));
    let (mut contenders, mut free) = (Vec::new(), Room::Permits(permits.into()));
    for (sequence, node) in inside {
        // Others than contenders for permits want none.
        if sequence.permits().is_none() {
            continue;
        }
        // The turn is given up when the permits are there, and they are kept when there are fewer permits later.
        let is_granted = in_room.contains(&node.data) && !in_turns.contains(&node.data);
        contenders.push(contender(contenders.len(), free.lets_in(sequence) || is_granted, sequence, &node));
    }
    // Whoever has its turn is in both places.
    for (sequence, node) in outside.into_iter().filter(|(_, node)| !in_room.contains(&node.data)) {
        contenders.push(contender(contenders.len(), false, sequence, &node));
    }
    contenders
}

/// What there is room for, while contenders are taken in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// For anybody.
    Free,
    /// For more who share the lock.
    Shared,
    /// For so many permits.
    Permits(u64),
    /// For nobody: nobody is overtaken.
    None,
}

impl Room {
    /// Lets the next one in, if there is room for it; whether there was.
    pub(super) fn lets_in(&mut self, sequence: Sequence) -> bool {
        let rest = match *self {
            Room::Free if sequence.is_exclusive() => Some(Room::None),
            Room::Free => Some(Room::Shared),
            Room::Shared => (!sequence.is_exclusive()).then_some(Room::Shared),
            Room::Permits(free) => {
                let wanted = sequence.permits().unwrap_or(0);
                free.checked_sub(wanted.into()).map(Room::Permits)
            }
            Room::None => None,
        };
        *self = rest.unwrap_or(Room::None);
        rest.is_some()
    }
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
    look_at(session, queue, &sort_children(&names).contenders).await
}

/// Looks at these; those that have left since are left out.
pub(super) async fn look_at(
    session: &Session,
    queue: &QueuePath,
    contenders: &[Sequence],
) -> Result<Vec<(Sequence, Node)>, StoreError> {
    let looks = contenders.iter().copied().map(|sequence| async move {
        let name = sequence.node_name();
        let node = session.read_surely(|| session.store().inspect(queue, &name)).await?;
        Ok(node.map(|node| (sequence, node)))
    });
    let nodes = stream::iter(looks).buffered(LOOKS_MAX).try_filter_map(|node| future::ready(Ok(node)));
    nodes.try_collect().await
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::name::Mode;

    /// `who`: its ticket says so; `None`: it may not be read.
    fn node(number: i32, permits: Option<u32>, who: Option<&str>) -> (Sequence, Node) {
        let mode = permits.and_then(NonZeroU32::new).map_or(Mode::Exclusive, Mode::Permits);
        let ticket = |who| format!(r#"{{"id":"{who}","owner":"app","host":"h","pid":1,"since_unix_ms":1}}"#);
        let data = who.map(ticket).unwrap_or_default().into_bytes();
        let node = Node { data, owner: Some(SessionId(1)), token: FencingToken::from(i64::from(number)) };
        (Sequence::new(number, mode), node)
    }

    fn roles(inside: Vec<(Sequence, Node)>, outside: Vec<(Sequence, Node)>, permits: u32) -> Vec<Role> {
        in_room(inside, outside, permits).into_iter().map(|contender| contender.role).collect()
    }

    #[test]
    fn permits_are_kept_when_there_are_fewer() {
        let inside = vec![node(0, Some(2), Some("a")), node(1, Some(1), Some("b")), node(2, Some(1), Some("c"))];
        let outside = vec![node(7, None, Some("c")), node(8, None, Some("d"))];
        let expected = [Role::Holder, Role::Holder, Role::Waiter, Role::Waiter];
        assert_eq!(roles(inside.clone(), outside.clone(), 1), expected);
        assert_eq!(roles(inside.clone(), outside, 0), expected, "the number was overwritten");
        assert_eq!(roles(inside, vec![], 1), [Role::Holder; 3]);
    }

    #[test]
    fn waiters_that_may_not_be_read_are_listed_each() {
        let inside = vec![node(0, Some(1), Some("a")), node(1, Some(1), None)];
        let outside = vec![node(7, None, Some("b")), node(8, None, None), node(9, None, None)];
        let expected = [Role::Holder, Role::Waiter, Role::Waiter, Role::Waiter, Role::Waiter];
        assert_eq!(roles(inside, outside, 1), expected);
    }

    #[test]
    fn nobody_is_overtaken() {
        let (one, two) = (Sequence::new(1, Mode::Permits(NonZeroU32::MIN)), Sequence::from(2));
        let mut room = Room::Permits(1);
        assert_eq!([room.lets_in(one), room.lets_in(one), room.lets_in(one)], [true, false, false]);
        let reader = Sequence::new(3, Mode::Shared);
        let mut room = Room::Free;
        assert_eq!([reader, reader, two, reader].map(|next| room.lets_in(next)), [true, true, false, false]);
    }
}
