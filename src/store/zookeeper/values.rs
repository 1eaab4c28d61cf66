//! Values: plain, persistent nodes beside the queues.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use zookeeper_client as zk;

use super::store_error;
use crate::path::LockPath;
use crate::store::{Expected, StoreError, Value, WatchedValue};
use crate::token::FencingToken;

/// How often the nodes above a value are made: a server may remove an empty container in between.
const PARENTS_MADE_MAX: usize = 8;

pub(super) async fn read(client: &zk::Client, path: &LockPath) -> Result<Option<Value>, StoreError> {
    match client.get_data(path.as_str()).await {
        Ok((data, stat)) => Ok(Some(value(data, &stat))),
        Err(zk::Error::NoNode) => Ok(None),
        Err(error) => Err(store_error(error)),
    }
}

pub(super) async fn watch(client: &zk::Client, path: &LockPath) -> Result<WatchedValue, StoreError> {
    loop {
        let (value, watcher) = match client.get_and_watch_data(path.as_str()).await {
            Ok((data, stat, watcher)) => (Some(value(data, &stat)), watcher),
            // A read leaves no watch on what does not exist; this look does.
            Err(zk::Error::NoNode) => match client.check_and_watch_stat(path.as_str()).await {
                Ok((None, watcher)) => (None, watcher),
                // Created in between: its data is needed.
                Ok((Some(_), _)) => continue,
                Err(error) => return Err(store_error(error)),
            },
            Err(error) => return Err(store_error(error)),
        };
        // The client's watcher panics if its session task was aborted, with the runtime for example.
        let event = Box::pin(async move { drop(AssertUnwindSafe(watcher.changed()).catch_unwind().await) });
        return Ok(WatchedValue { value, event });
    }
}

pub(super) async fn write(
    client: &zk::Client,
    acls: &[zk::Acl],
    path: &LockPath,
    data: &[u8],
    expected: Expected,
) -> Result<i32, StoreError> {
    if let Expected::Version(version) = expected {
        let stat = client.set_data(path.as_str(), data, Some(version)).await.map_err(store_error)?;
        return Ok(stat.version);
    }
    let options = zk::CreateMode::Persistent.with_acls(zk::Acls::new(acls));
    let parent = path.as_str().rsplit_once('/').map_or("", |(parent, _)| parent);
    let mut made = 0;
    loop {
        match client.create(path.as_str(), data, &options).await {
            Ok(_) => return Ok(0),
            Err(zk::Error::NoNode) if !parent.is_empty() && made < PARENTS_MADE_MAX => made += 1,
            Err(error) => return Err(store_error(error)),
        }
        client.mkdir(parent, &options).await.map_err(store_error)?;
    }
}

fn value(data: Vec<u8>, stat: &zk::Stat) -> Value {
    Value { data, version: stat.version, token: FencingToken::from(stat.czxid) }
}
