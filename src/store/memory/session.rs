//! A session with the in-process store.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use super::tree::{Tree, ZNode};
use super::watches::Watchable;
use super::{Loss, Memory, Request};
use crate::error::LossReason;
use crate::name::{Mode, Sequence};
use crate::path::{LockPath, QueuePath};
use crate::store::{
    Change, Departure, Entered, Expected, Neighbours, Node, Operation, OwnNode, Session, SessionId, SessionState,
    StoreError, StoreErrorKind, Value, WatchEvent, WatchLimits, Watched, WatchedMembers, WatchedValue,
};
use crate::token::FencingToken;

#[derive(Debug)]
pub(super) struct MemorySession {
    memory: Memory,
    id: SessionId,
    timeout: Duration,
    states: watch::Receiver<SessionState>,
}

impl MemorySession {
    pub(super) fn new(memory: Memory, id: SessionId, timeout: Duration, states: watch::Receiver<SessionState>) -> Self {
        Self { memory, id, timeout, states }
    }

    /// Executes a request, once the session is connected, unless a fault was asked for.
    async fn request<T>(
        &self,
        request: Request,
        execute: impl FnOnce(&mut Tree) -> Result<T, StoreError> + Send,
    ) -> Result<T, StoreError> {
        let mut states = self.states.clone();
        loop {
            // A request of a session that is cut off waits for the connection, like a real client's.
            let state = *states
                .wait_for(|state| *state != SessionState::Suspended)
                .await
                .map_err(|_| StoreError::new(StoreErrorKind::Ended(LossReason::Closed)))?;
            if let SessionState::Ended(reason) = state {
                return Err(StoreErrorKind::Ended(reason).into());
            }
            if self.memory.tree().is_connected(self.id)? {
                break;
            }
        }
        let mut tree = self.memory.tree();
        match tree.take_loss(self.id, request) {
            None => execute(&mut tree),
            Some(Loss::Request) => Err(StoreErrorKind::Unknown.into()),
            Some(Loss::Reply) => {
                let _: Result<T, StoreError> = execute(&mut tree);
                Err(StoreErrorKind::Unknown.into())
            }
        }
    }
}

#[async_trait]
impl Session for MemorySession {
    fn id(&self) -> SessionId {
        self.id
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn watch_limits(&self) -> WatchLimits {
        WatchLimits { bytes_max: usize::MAX, bytes_per_path: 0 }
    }

    fn states(&self) -> watch::Receiver<SessionState> {
        self.states.clone()
    }

    async fn enter(&self, queue: &QueuePath, mode: Mode, ticket: &[u8]) -> Result<Entered, StoreError> {
        self.request(Request::Enter, |tree| {
            let (sequence, zxid, has_siblings) =
                tree.create_numbered(self.id, queue.as_str(), mode, ticket.to_vec())?;
            let neighbours = if has_siblings { Neighbours::Some } else { Neighbours::None };
            Ok(Entered { sequence, token: FencingToken::from(zxid), neighbours })
        })
        .await
    }

    async fn make_queue(&self, queue: &QueuePath) -> Result<(), StoreError> {
        self.request(Request::MakeQueue, |tree| {
            for directory in queue.ancestors() {
                match tree.create_container(directory) {
                    Err(error) if error.kind() != StoreErrorKind::NodeExists => return Err(error),
                    _ => {}
                }
            }
            Ok(())
        })
        .await
    }

    async fn survey(&self, queue: &QueuePath) -> Result<Vec<String>, StoreError> {
        self.request(Request::Survey, |tree| tree.children(queue.as_str()).ok_or_else(|| StoreErrorKind::NoNode.into()))
            .await
    }

    async fn find_own(&self, queue: &QueuePath, ticket: &[u8]) -> Result<Vec<OwnNode>, StoreError> {
        self.request(Request::FindOwn, |tree| {
            let names = tree.children(queue.as_str()).ok_or(StoreErrorKind::NoNode)?;
            let own = names.iter().filter_map(|name| {
                let node = tree.node(&queue.join(name))?;
                let sequence = Sequence::of_node(name)?;
                let is_own = node.owner == Some(self.id) && node.data == ticket;
                is_own.then(|| OwnNode { sequence, token: FencingToken::from(node.created_at) })
            });
            Ok(own.collect())
        })
        .await
    }

    async fn inspect(&self, queue: &QueuePath, name: &str) -> Result<Option<Node>, StoreError> {
        self.request(Request::Inspect, |tree| Ok(tree.node(&queue.join(name)).map(as_read))).await
    }

    async fn watch(&self, queue: &QueuePath, name: &str) -> Result<Option<Watched>, StoreError> {
        self.request(Request::Watch, |tree| {
            let path = queue.join(name);
            let Some(node) = tree.node(&path).map(as_read) else { return Ok(None) };
            let Some(receiver) = tree.watch(self.id, &path, Watchable::Node) else {
                return Err(StoreErrorKind::Ended(LossReason::SessionExpired).into());
            };
            let event = Box::pin(async move {
                receiver.await.unwrap_or(WatchEvent { change: Change::SessionEnded, continuous: false })
            });
            Ok(Some(Watched { node, event }))
        })
        .await
    }

    async fn watch_members(&self, queue: &QueuePath) -> Result<WatchedMembers, StoreError> {
        self.request(Request::WatchMembers, |tree| {
            let names = tree.children(queue.as_str()).ok_or(StoreErrorKind::NoNode)?;
            let Some(receiver) = tree.watch(self.id, queue.as_str(), Watchable::Members) else {
                return Err(StoreErrorKind::Ended(LossReason::SessionExpired).into());
            };
            let event = Box::pin(async move {
                let _: Result<WatchEvent, _> = receiver.await;
            });
            Ok(WatchedMembers { names, event })
        })
        .await
    }

    async fn leave(&self, queue: &QueuePath, name: &str, departure: Departure) -> Result<(), StoreError> {
        self.request(Request::Leave, |tree| {
            let path = queue.join(name);
            match departure {
                Departure::Release => {
                    tree.write(&path, vec![], None)?;
                    tree.delete(&path, None)
                }
                Departure::Withdraw => tree.delete(&path, None),
                Departure::CloseQueue => {
                    tree.check(&path, None)?;
                    if tree.children(queue.as_str()).is_some_and(|children| children.len() > 1) {
                        return Err(StoreErrorKind::NotEmpty.into());
                    }
                    tree.delete(&path, None)?;
                    tree.delete(queue.as_str(), None)
                }
            }
        })
        .await
    }

    async fn replace(
        &self,
        queue: &QueuePath,
        old: Sequence,
        mode: Mode,
        ticket: &[u8],
    ) -> Result<OwnNode, StoreError> {
        self.request(Request::Replace, |tree| {
            let new = Sequence::new(old.as_i32(), mode);
            let (old_path, new_path) = (queue.join(&old.node_name()), queue.join(&new.node_name()));
            let zxid = tree.replace(&old_path, &new_path, self.id, ticket.to_vec())?;
            Ok(OwnNode { sequence: new, token: FencingToken::from(zxid) })
        })
        .await
    }

    async fn write_barrier(&self) -> Result<(), StoreError> {
        self.request(Request::WriteBarrier, |_| Ok(())).await
    }

    async fn touch(&self) -> Result<(), StoreError> {
        self.request(Request::Touch, |_| Ok(())).await
    }

    async fn commit(&self, own: &str, operations: &[Operation]) -> Result<(), StoreError> {
        self.request(Request::Commit, |tree| {
            tree.check(own, None).map_err(|error| error.at(0))?;
            // All or none: tried on the side first.
            let mut trial = tree.trial();
            for (index, operation) in operations.iter().enumerate() {
                execute(&mut trial, operation).map_err(|error| error.at(index + 1))?;
            }
            for operation in operations {
                execute(tree, operation)?;
            }
            Ok(())
        })
        .await
    }

    async fn read_value(&self, path: &LockPath) -> Result<Option<Value>, StoreError> {
        self.request(Request::ReadValue, |tree| Ok(tree.value(path.as_str()).map(as_value))).await
    }

    async fn watch_value(&self, path: &LockPath) -> Result<WatchedValue, StoreError> {
        self.request(Request::WatchValue, |tree| {
            let value = tree.value(path.as_str()).map(as_value);
            let Some(receiver) = tree.watch(self.id, path.as_str(), Watchable::Node) else {
                return Err(StoreErrorKind::Ended(LossReason::SessionExpired).into());
            };
            let event = Box::pin(async move {
                // No sender is left once the session has ended.
                let _: Result<WatchEvent, _> = receiver.await;
            });
            Ok(WatchedValue { value, event })
        })
        .await
    }

    async fn write_value(&self, path: &LockPath, data: &[u8], expected: Expected) -> Result<i32, StoreError> {
        self.request(Request::WriteValue, |tree| match expected {
            Expected::Absent => tree.create_value(path, data.to_vec()),
            // As for ZooKeeper, to which it means any.
            Expected::Version(-1) => Err(StoreErrorKind::BadRequest.into()),
            Expected::Version(version) => tree.write_value(path, data.to_vec(), Some(version)),
            Expected::Any => tree.write_value(path, data.to_vec(), None),
        })
        .await
    }

    async fn children(&self, path: Option<&LockPath>) -> Result<Vec<String>, StoreError> {
        self.request(Request::Children, |tree| match path {
            Some(path) => tree.children(path.as_str()).ok_or_else(|| StoreErrorKind::NoNode.into()),
            None => Ok(tree.children_of_root()),
        })
        .await
    }

    fn give_up(&self, reason: LossReason) {
        self.memory.tree().end_session(self.id, reason);
    }

    async fn close(&self) {
        self.memory.tree().end_session(self.id, LossReason::Closed);
    }
}

impl Drop for MemorySession {
    fn drop(&mut self) {
        self.memory.tree().end_session(self.id, LossReason::Closed);
    }
}

fn as_read(node: &ZNode) -> Node {
    Node { data: node.data.clone(), owner: node.owner, token: FencingToken::from(node.created_at) }
}

fn as_value(node: &ZNode) -> Value {
    let (token, modified) = (FencingToken::from(node.created_at), FencingToken::from(node.written_at));
    Value { data: node.data.clone(), version: node.version, token, modified }
}

fn execute(tree: &mut Tree, operation: &Operation) -> Result<(), StoreError> {
    match operation {
        Operation::Create { path, data } => tree.create_persistent(path, data.clone()),
        Operation::SetData { path, data, version } => tree.write(path, data.clone(), *version),
        Operation::Delete { path, version } => tree.delete(path, *version),
        Operation::Check { path, version } => tree.check(path, Some(*version)),
        Operation::Exists { path } => tree.check(path, None),
    }
}
