//! The tree of nodes, with its sessions and watches, under one lock: what a ZooKeeper server does, one request at a
//! time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::watches::{Watch, Watchable};
use super::{Loss, Request};
use crate::clock::Timestamp;
use crate::error::LossReason;
use crate::name::{Mode, Sequence};
use crate::path::LockPath;
use crate::store::{Change, SessionId, SessionState, StoreError, StoreErrorKind};

#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) nodes: BTreeMap<String, ZNode>,
    zxid: i64,
    pub(super) sessions: BTreeMap<SessionId, OpenSession>,
    sessions_opened: i64,
    /// In order, so that one seed of a simulation gives one order of events.
    pub(super) watches: BTreeMap<(String, Watchable), Vec<Watch>>,
    pub(super) events_delivered: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct ZNode {
    pub(super) data: Vec<u8>,
    pub(super) owner: Option<SessionId>,
    pub(super) created_at: i64,
    pub(super) version: i32,
    pub(super) written_at: i64,
    pub(super) members_changed_at: i64,
    children: BTreeSet<String>,
    /// Children ever created: the next sequential child's number.
    next_sequence: i32,
    is_container: bool,
}

#[derive(Debug)]
pub(super) struct OpenSession {
    timeout: Duration,
    states: watch::Sender<SessionState>,
    runtime: Handle,
    /// Counts the connections.
    pub(super) connection: u64,
    /// What the client had seen when it was cut off.
    pub(super) cut_at: Option<i64>,
    losses: Vec<(Request, Loss)>,
}

/// A connection that was cut.
pub(super) struct Cut {
    pub(super) runtime: Handle,
    pub(super) connection: u64,
    pub(super) expires: Timestamp,
}

impl Tree {
    pub(super) fn open_session(
        &mut self,
        timeout: Duration,
        runtime: Handle,
    ) -> (SessionId, watch::Receiver<SessionState>) {
        self.sessions_opened += 1;
        self.zxid += 1;
        let id = SessionId(self.sessions_opened);
        let (states, receiver) = watch::channel(SessionState::Connected);
        let session = OpenSession { timeout, states, runtime, connection: 0, cut_at: None, losses: vec![] };
        self.sessions.insert(id, session);
        (id, receiver)
    }

    pub(super) fn sessions(&self) -> Vec<SessionId> {
        self.sessions.keys().copied().collect()
    }

    pub(super) fn end_session(&mut self, id: SessionId, reason: LossReason) {
        let Some(session) = self.sessions.remove(&id) else { return };
        self.zxid += 1;
        self.end_watches(id);
        let owned: Vec<_> =
            self.nodes.iter().filter(|(_, node)| node.owner == Some(id)).map(|(path, _)| path.clone()).collect();
        for path in owned {
            self.remove(&path);
        }
        session.states.send_replace(SessionState::Ended(reason));
    }

    pub(super) fn disconnect(&mut self, id: SessionId, now: Timestamp) -> Option<Cut> {
        let seen = self.zxid;
        let session = self.sessions.get_mut(&id)?;
        if session.cut_at.is_some() {
            return None;
        }
        session.cut_at = Some(seen);
        session.connection += 1;
        session.states.send_replace(SessionState::Suspended);
        Some(Cut { runtime: session.runtime.clone(), connection: session.connection, expires: now + session.timeout })
    }

    pub(super) fn is_still_cut(&self, id: SessionId, connection: u64) -> bool {
        self.sessions.get(&id).is_some_and(|session| session.cut_at.is_some() && session.connection == connection)
    }

    pub(super) fn reconnect(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(seen) = session.cut_at.take() else { return };
        session.connection += 1;
        session.states.send_replace(SessionState::Connected);
        self.tell_differences(id, seen);
    }

    /// Whether the session can make a request now; `Err` if it never can again.
    pub(super) fn is_connected(&self, id: SessionId) -> Result<bool, StoreError> {
        match self.sessions.get(&id) {
            Some(session) => Ok(session.cut_at.is_none()),
            None => Err(StoreErrorKind::Ended(LossReason::SessionExpired).into()),
        }
    }

    pub(super) fn lose_next(&mut self, id: SessionId, request: Request, loss: Loss) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.losses.push((request, loss));
        }
    }

    pub(super) fn take_loss(&mut self, id: SessionId, request: Request) -> Option<Loss> {
        let session = self.sessions.get_mut(&id)?;
        let at = session.losses.iter().position(|(lost, _)| *lost == request)?;
        Some(session.losses.remove(at).1)
    }

    pub(super) fn node(&self, path: &str) -> Option<&ZNode> {
        self.nodes.get(path)
    }

    pub(super) fn children(&self, path: &str) -> Option<Vec<String>> {
        self.nodes.get(path).map(|node| node.children.iter().cloned().collect())
    }

    /// The root itself is no node.
    pub(super) fn children_of_root(&self) -> Vec<String> {
        self.nodes
            .keys()
            .filter_map(|path| path.strip_prefix('/'))
            .filter(|name| !name.contains('/'))
            .map(str::to_owned)
            .collect()
    }

    /// Creates an ephemeral numbered node; tells its number, its zxid and whether it has siblings.
    pub(super) fn create_numbered(
        &mut self,
        owner: SessionId,
        parent: &str,
        mode: Mode,
        data: Vec<u8>,
    ) -> Result<(Sequence, i64, bool), StoreError> {
        let directory = self.nodes.get(parent).ok_or(StoreErrorKind::NoNode)?;
        if directory.owner.is_some() {
            return Err(StoreErrorKind::EphemeralParent.into());
        }
        let sequence = Sequence::new(directory.next_sequence, mode);
        let path = format!("{parent}/{}", sequence.node_name());
        self.create(&path, ZNode { data, owner: Some(owner), ..ZNode::default() })?;
        let has_siblings = self.nodes.get(parent).is_some_and(|directory| directory.children.len() > 1);
        Ok((sequence, self.zxid, has_siblings))
    }

    /// Deletes a node and creates an ephemeral one beside it or of the same name, at one moment; tells the zxid.
    pub(super) fn replace(&mut self, old: &str, new: &str, owner: SessionId, data: Vec<u8>) -> Result<i64, StoreError> {
        self.check(old, None)?;
        if old != new && self.nodes.contains_key(new) {
            return Err(StoreErrorKind::NodeExists.into());
        }
        self.delete(old, None)?;
        self.create(new, ZNode { data, owner: Some(owner), ..ZNode::default() })?;
        Ok(self.zxid)
    }

    pub(super) fn create_container(&mut self, path: &str) -> Result<(), StoreError> {
        self.create(path, ZNode { is_container: true, ..ZNode::default() })
    }

    pub(super) fn create_persistent(&mut self, path: &str, data: Vec<u8>) -> Result<(), StoreError> {
        self.create(path, ZNode { data, ..ZNode::default() })
    }

    fn create(&mut self, path: &str, node: ZNode) -> Result<(), StoreError> {
        let (parent, name) = split(path);
        if self.nodes.contains_key(path) {
            return Err(StoreErrorKind::NodeExists.into());
        }
        if !parent.is_empty() {
            let directory = self.nodes.get_mut(parent).ok_or(StoreErrorKind::NoNode)?;
            if directory.owner.is_some() {
                return Err(StoreErrorKind::EphemeralParent.into());
            }
            directory.children.insert(name.to_owned());
            directory.next_sequence = directory.next_sequence.wrapping_add(1);
        }
        self.zxid += 1;
        self.nodes.insert(path.to_owned(), ZNode { created_at: self.zxid, written_at: self.zxid, ..node });
        self.fire(path, Change::Written);
        self.members_changed(parent);
        Ok(())
    }

    /// The node at the path of a value. One without data that nobody has written to is none, as on ZooKeeper.
    pub(super) fn value(&self, path: &str) -> Option<&ZNode> {
        self.nodes.get(path).filter(|node| node.version > 0 || !node.data.is_empty())
    }

    /// Makes a value and its ancestors; tells its version.
    pub(super) fn create_value(&mut self, path: &LockPath, data: Vec<u8>) -> Result<i32, StoreError> {
        if self.value(path.as_str()).is_some() {
            return Err(StoreErrorKind::NodeExists.into());
        }
        if self.nodes.contains_key(path.as_str()) {
            return self.write_value(path, data, None);
        }
        for parent in path.parents() {
            if !self.nodes.contains_key(parent) {
                self.create_persistent(parent, vec![])?;
            }
        }
        self.create_persistent(path.as_str(), data)?;
        if self.value(path.as_str()).is_none() { self.write_value(path, vec![], None) } else { Ok(0) }
    }

    /// Writes a value; tells its version.
    pub(super) fn write_value(
        &mut self,
        path: &LockPath,
        data: Vec<u8>,
        version: Option<i32>,
    ) -> Result<i32, StoreError> {
        self.write(path.as_str(), data, version)?;
        let node = self.nodes.get_mut(path.as_str()).ok_or(StoreErrorKind::NoNode)?;
        // It is not to be removed with the queue that has made it.
        node.is_container = false;
        Ok(node.version)
    }

    pub(super) fn write(&mut self, path: &str, data: Vec<u8>, version: Option<i32>) -> Result<(), StoreError> {
        let node = self.nodes.get_mut(path).ok_or(StoreErrorKind::NoNode)?;
        check_version(node, version)?;
        self.zxid += 1;
        node.data = data;
        node.version = node.version.wrapping_add(1);
        node.written_at = self.zxid;
        self.fire(path, Change::Written);
        Ok(())
    }

    pub(super) fn check(&self, path: &str, version: Option<i32>) -> Result<(), StoreError> {
        check_version(self.nodes.get(path).ok_or(StoreErrorKind::NoNode)?, version)
    }

    pub(super) fn delete(&mut self, path: &str, version: Option<i32>) -> Result<(), StoreError> {
        let node = self.nodes.get(path).ok_or(StoreErrorKind::NoNode)?;
        check_version(node, version)?;
        if !node.children.is_empty() {
            return Err(StoreErrorKind::NotEmpty.into());
        }
        self.zxid += 1;
        self.remove(path);
        Ok(())
    }

    /// A copy of the nodes, without anybody who could be told anything.
    pub(super) fn trial(&self) -> Tree {
        Tree { nodes: self.nodes.clone(), zxid: self.zxid, ..Tree::default() }
    }

    pub(super) fn create_with_ancestors(&mut self, path: &str, data: Vec<u8>) {
        for (at, _) in path.match_indices('/').skip(1) {
            // It may be there already.
            let _: Result<_, _> = self.create_persistent(&path[..at], vec![]);
        }
        let _: Result<_, _> = self.create_persistent(path, data);
    }

    pub(super) fn write_by_hand(&mut self, path: &str, data: Vec<u8>) {
        let _: Result<_, _> = self.write(path, data, None);
    }

    pub(super) fn delete_all(&mut self, path: &str) {
        for child in self.children(path).unwrap_or_default() {
            self.delete_all(&format!("{path}/{child}"));
        }
        let _: Result<_, _> = self.delete(path, None);
    }

    pub(super) fn reap_containers(&mut self) {
        loop {
            let empty: Vec<_> = self
                .nodes
                .iter()
                .filter(|(_, node)| node.is_container && node.children.is_empty() && node.next_sequence != 0)
                .map(|(path, _)| path.clone())
                .collect();
            if empty.is_empty() {
                return;
            }
            for path in empty {
                let _: Result<_, _> = self.delete(&path, None);
            }
        }
    }

    pub(super) fn set_next_sequence(&mut self, path: &str, next: i32) {
        if let Some(node) = self.nodes.get_mut(path) {
            node.next_sequence = next;
        }
    }

    pub(super) fn events_delivered(&self) -> u64 {
        self.events_delivered
    }

    fn members_changed(&mut self, directory: &str) {
        if let Some(node) = self.nodes.get_mut(directory) {
            node.members_changed_at = self.zxid;
            self.fire_members(directory);
        }
    }

    fn remove(&mut self, path: &str) {
        self.nodes.remove(path);
        let (parent, name) = split(path);
        if let Some(directory) = self.nodes.get_mut(parent) {
            directory.children.remove(name);
        }
        self.fire(path, Change::Deleted);
        self.members_changed(parent);
    }
}

fn check_version(node: &ZNode, version: Option<i32>) -> Result<(), StoreError> {
    match version {
        Some(version) if version != node.version => Err(StoreErrorKind::VersionMismatch.into()),
        _ => Ok(()),
    }
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}
