//! Who is told of what happens to the nodes, once each.

use tokio::sync::oneshot;

use super::tree::{Tree, ZNode};
use crate::store::{Change, SessionId, WatchEvent};

/// What of a node is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Watchable {
    /// The node itself.
    Node,
    /// What children it has.
    Members,
}

#[derive(Debug)]
pub(super) struct Watch {
    session: SessionId,
    connection: u64,
    /// Placed where there was no node.
    awaits_creation: bool,
    sender: oneshot::Sender<WatchEvent>,
}

impl Watch {
    /// What a server tells of the node after a reconnect of a client that has seen everything up to a zxid.
    fn difference(&self, of: Watchable, node: Option<&ZNode>, seen: i64) -> Option<Change> {
        match (node, of) {
            (None, _) => (!self.awaits_creation).then_some(Change::Deleted),
            (Some(node), Watchable::Node) => {
                (self.awaits_creation || node.written_at > seen).then_some(Change::Written)
            }
            (Some(node), Watchable::Members) => (node.members_changed_at > seen).then_some(Change::Written),
        }
    }
}

impl Tree {
    pub(super) fn watch(
        &mut self,
        id: SessionId,
        path: &str,
        what: Watchable,
    ) -> Option<oneshot::Receiver<WatchEvent>> {
        let connection = self.sessions.get(&id)?.connection;
        let awaits_creation = !self.nodes.contains_key(path);
        let (sender, receiver) = oneshot::channel();
        let watches = self.watches.entry((path.to_owned(), what)).or_default();
        watches.retain(|watch| !watch.sender.is_closed());
        watches.push(Watch { session: id, connection, awaits_creation, sender });
        Some(receiver)
    }

    pub(super) fn watch_count(&self) -> usize {
        self.watches.values().flatten().filter(|watch| !watch.sender.is_closed()).count()
    }

    /// Its own watches tell of the end, not of the nodes that vanish with it: a real client cannot tell them apart either
    /// once its connection is closed.
    pub(super) fn end_watches(&mut self, id: SessionId) {
        for watches in self.watches.values_mut() {
            let (own, others) = std::mem::take(watches).into_iter().partition(|watch| watch.session == id);
            *watches = others;
            for watch in own {
                let _: Result<_, _> = watch.sender.send(WatchEvent { change: Change::SessionEnded, continuous: false });
            }
        }
    }

    /// As SetWatches does: what has changed since is told as a difference.
    pub(super) fn tell_differences(&mut self, id: SessionId, seen: i64) {
        for ((path, what), watches) in &mut self.watches {
            let node = self.nodes.get(path);
            for watch in std::mem::take(watches) {
                match watch.difference(*what, node, seen).filter(|_| watch.session == id) {
                    Some(change) => {
                        let _: Result<_, _> = watch.sender.send(WatchEvent { change, continuous: false });
                        self.events_delivered += 1;
                    }
                    None => watches.push(watch),
                }
            }
        }
    }

    /// Tells everybody who watches the node and can be reached, once each.
    pub(super) fn fire(&mut self, path: &str, change: Change) {
        self.tell(path, Watchable::Node, change);
        if change == Change::Deleted {
            self.tell(path, Watchable::Members, change);
        }
    }

    /// Tells everybody who watches what children the node has.
    pub(super) fn fire_members(&mut self, path: &str) {
        self.tell(path, Watchable::Members, Change::Written);
    }

    fn tell(&mut self, path: &str, what: Watchable, change: Change) {
        let key = (path.to_owned(), what);
        let Some(watches) = self.watches.remove(&key) else { return };
        let mut kept = Vec::new();
        for watch in watches {
            match self.sessions.get(&watch.session) {
                Some(session) if session.cut_at.is_some() => kept.push(watch),
                Some(session) => {
                    let continuous = session.connection == watch.connection;
                    if watch.sender.send(WatchEvent { change, continuous }).is_ok() {
                        self.events_delivered += 1;
                    }
                }
                None => {}
            }
        }
        if !kept.is_empty() {
            self.watches.insert(key, kept);
        }
    }
}
