//! Deleting a node, and putting another in its place.

use zookeeper_client as zk;

use super::{multi_error, not_understood, store_error};
use crate::name::{Mode, Sequence};
use crate::path::QueuePath;
use crate::store::{Departure, OwnNode, StoreError, StoreErrorKind};
use crate::token::FencingToken;

/// One transaction. It writes the new node as well, for its Stat: servers before 3.7.2, 3.8.2 and 3.9.0 fill that of a create in a
/// transaction with invalid values (ZOOKEEPER-4026).
pub(super) async fn replace(
    client: &zk::Client,
    acls: &[zk::Acl],
    queue: &QueuePath,
    old: Sequence,
    mode: Mode,
    ticket: &[u8],
) -> Result<OwnNode, StoreError> {
    check_connected(client)?;
    let sequence = Sequence::new(old.as_i32(), mode);
    let path = queue.join(&sequence.node_name());
    let committed = {
        let mut writer = client.new_multi_writer();
        let options = zk::CreateMode::Ephemeral.with_acls(zk::Acls::new(acls));
        writer.add_delete(&queue.join(&old.node_name()), None).map_err(store_error)?;
        writer.add_create(&path, ticket, &options).map_err(store_error)?;
        writer.add_set_data(&path, ticket, None).map_err(store_error)?;
        writer.commit().await
    };
    match &committed.map_err(multi_error)?[..] {
        // The transaction's id is also the id of the node's creation.
        [_, _, zk::MultiWriteResult::SetData { stat }] => {
            Ok(OwnNode { sequence, token: FencingToken::from(stat.mzxid) })
        }
        _ => Err(not_understood()),
    }
}

pub(super) async fn leave(
    client: &zk::Client,
    queue: &QueuePath,
    name: &str,
    departure: Departure,
) -> Result<(), StoreError> {
    check_connected(client)?;
    let path = queue.join(name);
    let committed = {
        let mut writer = client.new_multi_writer();
        match departure {
            Departure::Withdraw => {
                return client.delete(&path, None).await.map_err(store_error);
            }
            Departure::Release => {
                writer.add_set_data(&path, &[], None).map_err(store_error)?;
                writer.add_delete(&path, None).map_err(store_error)?;
            }
            Departure::CloseQueue => {
                writer.add_delete(&path, None).map_err(store_error)?;
                writer.add_delete(queue.as_str(), None).map_err(store_error)?;
            }
        }
        writer.commit().await
    };
    committed.map(|_| ()).map_err(multi_error)
}

/// By the time a connection is back, the name may be another's: the caller makes sure first.
fn check_connected(client: &zk::Client) -> Result<(), StoreError> {
    match client.state() {
        zk::SessionState::SyncConnected => Ok(()),
        _ => Err(StoreErrorKind::Unknown.into()),
    }
}
