//! Putting an own node in the place of another.

use zookeeper_client as zk;

use super::{multi_error, not_understood, store_error};
use crate::name::{Mode, Sequence};
use crate::path::QueuePath;
use crate::store::{OwnNode, StoreError, StoreErrorKind};
use crate::token::FencingToken;

/// One transaction, and a look at what it made: servers before 3.7.2, 3.8.2 and 3.9.0 fill the Stat of a create in a
/// transaction with invalid values (ZOOKEEPER-4026).
pub(super) async fn replace(
    client: &zk::Client,
    acls: &[zk::Acl],
    queue: &QueuePath,
    old: Sequence,
    mode: Mode,
    ticket: &[u8],
) -> Result<OwnNode, StoreError> {
    // By the time a connection is back, the name may be another's: the caller makes sure first.
    if client.state() != zk::SessionState::SyncConnected {
        return Err(StoreErrorKind::Unknown.into());
    }
    let sequence = Sequence::new(old.as_i32(), mode);
    let path = queue.join(&sequence.node_name());
    let committed = {
        let mut writer = client.new_multi_writer();
        let options = zk::CreateMode::Ephemeral.with_acls(zk::Acls::new(acls));
        writer.add_delete(&queue.join(&old.node_name()), None).map_err(store_error)?;
        writer.add_create(&path, ticket, &options).map_err(store_error)?;
        writer.commit().await
    };
    committed.map_err(multi_error)?;
    match client.check_stat(&path).await.map_err(store_error)? {
        Some(stat) => Ok(OwnNode { sequence, token: FencingToken::from(stat.czxid) }),
        // Deleted by hand between the two: to be found out like a lost reply.
        None => Err(not_understood()),
    }
}
