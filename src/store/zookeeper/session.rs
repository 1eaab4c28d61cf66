//! A session with a ZooKeeper ensemble.

use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use tokio::sync::watch;
use tracing::debug;
use zookeeper_client as zk;

use super::directories::{self, QUEUE_MARK};
use super::states::{end, forward_states};
use super::{Access, multi_error, nodes, not_understood, store_error, values};
use crate::error::{Error, LossReason};
use crate::name::{Mode, Sequence};
use crate::path::{LockPath, QueuePath};
use crate::store::{
    Change, Departure, Entered, Expected, Neighbours, Node, Operation, OwnNode, Session, SessionId, SessionState,
    StoreError, StoreErrorKind, Value, WatchEvent, WatchLimits, Watched, WatchedMembers, WatchedValue,
};
use crate::token::FencingToken;

/// After a reconnect, zookeeper-client 0.11.2 restores its watches in frames of at most 128 KiB of paths, all with
/// the same request id (`WatchManager::resend_watches`). The reply to a second frame then breaks the connection, and
/// so on until the session expires. So no session carries more than fits one frame.
const WATCHED_BYTES_MAX: usize = 120 * 1_024;

/// How long closing waits for the server's word, at most.
const CLOSE_TIMEOUT_MAX: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct ZooKeeperSession {
    id: SessionId,
    timeout: Duration,
    root: String,
    access: Access,
    /// Taken out by closing: the session is closed when the last clone of the client is dropped.
    client: Mutex<Option<zk::Client>>,
    states: watch::Sender<SessionState>,
}

impl ZooKeeperSession {
    pub(super) fn new(client: zk::Client, access: Access) -> Self {
        let states = watch::Sender::new(SessionState::Connected);
        tokio::spawn(forward_states(client.state_watcher(), states.clone()));
        Self {
            id: SessionId(client.session_id().0),
            timeout: client.session_timeout(),
            root: client.path().trim_end_matches('/').to_owned(),
            access,
            client: Mutex::new(Some(client)),
            states,
        }
    }

    /// The root of the connect string must exist: nothing can be created otherwise, and the server's answer to that
    /// would name the wrong path.
    pub(super) async fn check_root(&self) -> Result<(), Error> {
        if self.root.is_empty() {
            return Ok(());
        }
        let client = self.client().map_err(|source| Error::from_store("look at the root", &self.root, source))?;
        match client.check_stat("/").await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => {
                Err(Error::MissingChroot { chroot: self.root.clone(), source: StoreError::new(StoreErrorKind::NoNode) })
            }
            Err(error) => Err(Error::from_store("look at the root", &self.root, store_error(error))),
        }
    }

    fn client(&self) -> Result<zk::Client, StoreError> {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        client.clone().ok_or_else(|| match *self.states.borrow() {
            // Given up, for a reason that may pass: not for somebody's closing it.
            SessionState::Ended(reason) => StoreErrorKind::Ended(reason).into(),
            SessionState::Connected | SessionState::Suspended => StoreErrorKind::Ended(LossReason::Closed).into(),
        })
    }

    /// Enters without the transaction, where the directory's data are not to be written or may not be.
    async fn enter_plainly(
        &self,
        client: &zk::Client,
        queue: &QueuePath,
        mode: Mode,
        ticket: &[u8],
    ) -> Result<Entered, StoreError> {
        let acls = self.access.acls();
        let options = zk::CreateMode::EphemeralSequential.with_acls(zk::Acls::new(&acls));
        let (stat, number) = client.create(&queue.join(&mode.prefix()), ticket, &options).await.map_err(store_error)?;
        let number = i32::try_from(number.into_i64()).map_err(|_| not_understood())?;
        let sequence = Sequence::new(number, mode);
        // Servers before 3.5 do not tell; the node then counts as one whose reply was lost, and is found again.
        if stat.is_invalid() {
            return Err(not_understood());
        }
        Ok(Entered { sequence, token: FencingToken::from(stat.czxid), neighbours: Neighbours::Unknown })
    }

    /// The paths of this session's ephemeral nodes in a queue.
    async fn own_paths(&self, client: &zk::Client, queue: &QueuePath) -> Result<Vec<String>, StoreError> {
        match client.list_ephemerals(queue.as_str()).await {
            Ok(paths) => Ok(paths),
            // Known since 3.6. Before, every node has to be looked at.
            Err(zk::Error::Unimplemented) => {
                let names = client.list_children(queue.as_str()).await.map_err(store_error)?;
                Ok(names.iter().map(|name| queue.join(name)).collect())
            }
            Err(error) => Err(store_error(error)),
        }
    }
}

#[async_trait]
impl Session for ZooKeeperSession {
    fn id(&self) -> SessionId {
        self.id
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn watch_limits(&self) -> WatchLimits {
        WatchLimits { bytes_max: WATCHED_BYTES_MAX, bytes_per_path: self.root.len() }
    }

    fn states(&self) -> watch::Receiver<SessionState> {
        self.states.subscribe()
    }

    async fn enter(&self, queue: &QueuePath, mode: Mode, ticket: &[u8]) -> Result<Entered, StoreError> {
        let client = self.client()?;
        if matches!(mode, Mode::Permits(_)) {
            // The directory's data say how many permits there are: only who changes that writes them.
            return self.enter_plainly(&client, queue, mode, ticket).await;
        }
        let prefix = queue.join(&mode.prefix());
        let acls = self.access.acls();
        let results = {
            let mut writer = client.new_multi_writer();
            let options = zk::CreateMode::EphemeralSequential.with_acls(zk::Acls::new(&acls));
            writer.add_create(&prefix, ticket, &options).map_err(store_error)?;
            writer.add_set_data(queue.as_str(), QUEUE_MARK, None).map_err(store_error)?;
            writer.commit().await
        };
        let results = match results {
            Ok(results) => results,
            Err(zk::MultiWriteError::OperationFailed { index: 1, source: zk::Error::NoAuth }) => {
                return self.enter_plainly(&client, queue, mode, ticket).await;
            }
            Err(error) => return Err(multi_error(error)),
        };
        // The Stat of the create is not asked for anything: servers before 3.7.2, 3.8.2 and 3.9.0 fill it with
        // invalid values (ZOOKEEPER-4026). The directory's Stat is the one inside the transaction: its last write is
        // this transaction, whose id is also the id of the node's creation.
        let [zk::MultiWriteResult::Create { path, .. }, zk::MultiWriteResult::SetData { stat: directory }] =
            &results[..]
        else {
            return Err(not_understood());
        };
        let name = path.strip_prefix(queue.as_str()).and_then(|rest| rest.strip_prefix('/'));
        let sequence = name.and_then(Sequence::of_node).ok_or_else(not_understood)?;
        debug_assert!(directory.num_children >= 1, "the new node is a child");
        let neighbours = if directory.num_children == 1 { Neighbours::None } else { Neighbours::Some };
        Ok(Entered { sequence, token: FencingToken::from(directory.mzxid), neighbours })
    }

    async fn make_queue(&self, queue: &QueuePath) -> Result<(), StoreError> {
        directories::make(&self.client()?, &self.access.acls(), queue).await
    }

    async fn survey(&self, queue: &QueuePath) -> Result<Vec<String>, StoreError> {
        self.client()?.list_children(queue.as_str()).await.map_err(store_error)
    }

    async fn find_own(&self, queue: &QueuePath, ticket: &[u8]) -> Result<Vec<OwnNode>, StoreError> {
        let client = self.client()?;
        let mut own = Vec::new();
        for path in self.own_paths(&client, queue).await? {
            let name = path.strip_prefix(queue.as_str()).and_then(|rest| rest.strip_prefix('/'));
            let Some(sequence) = name.and_then(Sequence::of_node) else { continue };
            match client.get_data(&path).await {
                Ok((data, stat)) if data == ticket && stat.ephemeral_owner == self.id.0 => {
                    own.push(OwnNode { sequence, token: FencingToken::from(stat.czxid) });
                }
                // A node that is not readable is another's: one's own grants its creator everything.
                Ok(_) | Err(zk::Error::NoNode | zk::Error::NoAuth) => {}
                Err(error) => return Err(store_error(error)),
            }
        }
        Ok(own)
    }

    async fn inspect(&self, queue: &QueuePath, name: &str) -> Result<Option<Node>, StoreError> {
        let (client, path) = (self.client()?, queue.join(name));
        match client.get_data(&path).await {
            Ok((data, stat)) => Ok(Some(node(data, &stat))),
            Err(zk::Error::NoNode) => Ok(None),
            // Looking whether a node exists, and whose it is, needs no permission.
            Err(zk::Error::NoAuth) => match client.check_stat(&path).await {
                Ok(stat) => Ok(stat.map(|stat| node(vec![], &stat))),
                Err(error) => Err(store_error(error)),
            },
            Err(error) => Err(store_error(error)),
        }
    }

    async fn watch(&self, queue: &QueuePath, name: &str) -> Result<Option<Watched>, StoreError> {
        let (client, path) = (self.client()?, queue.join(name));
        // Taken before the request is sent, so that an interruption in between counts.
        let mut connection = client.state_watcher();
        connection.state();
        let (node, watcher) = match client.get_and_watch_data(&path).await {
            Ok((data, stat, watcher)) => (node(data, &stat), watcher),
            Err(zk::Error::NoNode) => return Ok(None),
            // Looking whether a node exists needs no permission, and its watch tells of writes and deletion too.
            Err(zk::Error::NoAuth) => match client.check_and_watch_stat(&path).await {
                Ok((Some(stat), watcher)) => (node(vec![], &stat), watcher),
                Ok((None, _)) => return Ok(None),
                Err(error) => return Err(store_error(error)),
            },
            Err(error) => return Err(store_error(error)),
        };
        let event = Box::pin(async move {
            // The client's watcher panics if its session task was aborted, with the runtime for example.
            let Ok(event) = AssertUnwindSafe(watcher.changed()).catch_unwind().await else {
                return WatchEvent { change: Change::SessionEnded, continuous: false };
            };
            let change = match event.event_type {
                zk::EventType::NodeDeleted => Change::Deleted,
                zk::EventType::Session => Change::SessionEnded,
                zk::EventType::NodeDataChanged => Change::Written,
                // Nothing that may be mistaken for the baton.
                _ => return WatchEvent { change: Change::Written, continuous: false },
            };
            // The client's task told of the interruption before it told of the event, so it is visible by now.
            let continuous = connection.changed().now_or_never().is_none();
            WatchEvent { change, continuous }
        });
        Ok(Some(Watched { node, event }))
    }

    async fn watch_members(&self, queue: &QueuePath) -> Result<WatchedMembers, StoreError> {
        let (names, watcher) = self.client()?.list_and_watch_children(queue.as_str()).await.map_err(store_error)?;
        Ok(WatchedMembers { names, event: values::fired(watcher) })
    }

    async fn leave(&self, queue: &QueuePath, name: &str, departure: Departure) -> Result<(), StoreError> {
        nodes::leave(&self.client()?, queue, name, departure).await
    }

    async fn replace(
        &self,
        queue: &QueuePath,
        old: Sequence,
        mode: Mode,
        ticket: &[u8],
    ) -> Result<OwnNode, StoreError> {
        nodes::replace(&self.client()?, &self.access.acls(), queue, old, mode, ticket).await
    }

    async fn write_barrier(&self) -> Result<(), StoreError> {
        let client = self.client()?;
        let checked = {
            let mut writer = client.new_multi_writer();
            writer.add_check_version("/", -1).map_err(store_error)?;
            writer.commit().await
        };
        match checked {
            // A failed check was decided by the leader as well, and is logged like a write.
            Ok(_)
            | Err(zk::MultiWriteError::OperationFailed {
                source: zk::Error::NoNode | zk::Error::NoAuth | zk::Error::BadVersion,
                ..
            }) => Ok(()),
            Err(error) => Err(multi_error(error)),
        }
    }

    async fn touch(&self) -> Result<(), StoreError> {
        self.client()?.check_stat("/").await.map(|_| ()).map_err(store_error)
    }

    async fn commit(&self, own: &str, operations: &[Operation]) -> Result<(), StoreError> {
        let client = self.client()?;
        let acls = self.access.acls();
        let options = zk::CreateMode::Persistent.with_acls(zk::Acls::new(&acls));
        let committed = {
            let mut writer = client.new_multi_writer();
            writer.add_check_version(own, -1).map_err(store_error)?;
            for (index, operation) in operations.iter().enumerate() {
                match operation {
                    Operation::Create { path, data } => writer.add_create(path, data, &options),
                    Operation::SetData { path, data, version } => writer.add_set_data(path, data, *version),
                    Operation::Delete { path, version } => writer.add_delete(path, *version),
                    Operation::Check { path, version } => writer.add_check_version(path, *version),
                    Operation::Exists { path } => writer.add_check_version(path, -1),
                }
                .map_err(|error| store_error(error).at(index + 1))?;
            }
            writer.commit().await
        };
        committed.map(|_| ()).map_err(multi_error)
    }

    async fn read_value(&self, path: &LockPath) -> Result<Option<Value>, StoreError> {
        values::read(&self.client()?, path).await
    }

    async fn watch_value(&self, path: &LockPath) -> Result<WatchedValue, StoreError> {
        values::watch(&self.client()?, path).await
    }

    async fn write_value(&self, path: &LockPath, data: &[u8], expected: Expected) -> Result<i32, StoreError> {
        values::write(&self.client()?, &self.access.acls(), path, data, expected).await
    }

    async fn children(&self, path: Option<&LockPath>) -> Result<Vec<String>, StoreError> {
        self.client()?.list_children(path.map_or("/", LockPath::as_str)).await.map_err(store_error)
    }

    fn give_up(&self, reason: LossReason) {
        end(&self.states, reason);
        // Without it, nothing is sent any more that would keep the session alive.
        drop(self.client.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    async fn close(&self) {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(client) = client else { return };
        let mut watcher = client.state_watcher();
        let is_over = watcher.state().is_terminated();
        // Guards must not count on the session any more, whether or not a server can be told.
        end(&self.states, LossReason::Closed);
        drop(client);
        if is_over {
            return;
        }
        let closed = async { while !watcher.changed().await.is_terminated() {} };
        if tokio::time::timeout(self.timeout.min(CLOSE_TIMEOUT_MAX), closed).await.is_err() {
            debug!(session = %self.id, "no server confirmed that the session was closed; it will expire");
        }
    }
}

fn node(data: Vec<u8>, stat: &zk::Stat) -> Node {
    let owner = (stat.ephemeral_owner != 0).then_some(SessionId(stat.ephemeral_owner));
    Node { data, owner, token: FencingToken::from(stat.czxid) }
}
