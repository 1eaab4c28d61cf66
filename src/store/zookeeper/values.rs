//! Values as persistent znodes.
//!
//! A lock that was there first has made the znode of its path as a *container*, which servers remove some time after its
//! last child, and whose Stat looks like any other's. So a znode without data that nobody has written to counts as
//! absent. It becomes a value by a write together with the creation of a child that stays, the note, so that it is not
//! removed with the queue. A new value without data is written to at once.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;

use futures_util::FutureExt;
use zookeeper_client as zk;

use super::{directories, multi_error, not_understood, store_error};
use crate::path::LockPath;
use crate::store::{Expected, StoreError, StoreErrorKind, Value, WatchedValue};
use crate::token::FencingToken;

/// How often a value is made whose directories vanish at the same time: servers may remove an empty container in between.
const CREATIONS_MAX: u32 = 8;

/// The version that servers take for any.
const ANY_VERSION: i32 = -1;

pub(super) async fn read(client: &zk::Client, path: &LockPath) -> Result<Option<Value>, StoreError> {
    match client.get_data(path.as_str()).await {
        Ok((data, stat)) => Ok(value(data, &stat)),
        Err(zk::Error::NoNode) => Ok(None),
        Err(error) => Err(store_error(error)),
    }
}

pub(super) async fn watch(client: &zk::Client, path: &LockPath) -> Result<WatchedValue, StoreError> {
    let (value, watcher) = loop {
        match client.get_and_watch_data(path.as_str()).await {
            Ok((data, stat, watcher)) => break (value(data, &stat), watcher),
            Err(zk::Error::NoNode) => {}
            Err(error) => return Err(store_error(error)),
        }
        match client.check_and_watch_stat(path.as_str()).await {
            Ok((None, watcher)) => break (None, watcher),
            // Made in between.
            Ok((Some(_), _)) => {}
            Err(error) => return Err(store_error(error)),
        }
    };
    Ok(WatchedValue { value, event: fired(watcher) })
}

/// Resolves when the watch fires or its session ends.
pub(super) fn fired(watcher: zk::OneshotWatcher) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        // The client's watcher panics if its session task was aborted, with the runtime for example.
        let _: Result<zk::WatchedEvent, _> = AssertUnwindSafe(watcher.changed()).catch_unwind().await;
    })
}

pub(super) async fn write(
    client: &zk::Client,
    acls: &[zk::Acl],
    path: &LockPath,
    data: &[u8],
    expected: Expected,
) -> Result<i32, StoreError> {
    let options = zk::CreateMode::Persistent.with_acls(zk::Acls::new(acls));
    match expected {
        Expected::Absent => create(client, &options, path, data).await,
        Expected::Version(ANY_VERSION) => Err(StoreErrorKind::BadRequest.into()),
        // Whoever has read a version 0 has seen data, so it is no container.
        Expected::Version(version) => set(client, path, data, Some(version)).await,
        Expected::Any => set_any(client, &options, path, data).await,
    }
}

async fn create(
    client: &zk::Client,
    options: &zk::CreateOptions<'_>,
    path: &LockPath,
    data: &[u8],
) -> Result<i32, StoreError> {
    for _ in 0..CREATIONS_MAX {
        match create_at_once(client, options, path, data).await {
            Ok(version) => return Ok(version),
            Err(zk::Error::NoNode) => {
                if create_with_parents(client, options, path, data).await? {
                    return Ok(version_of_new(data));
                }
                make_parents(client, options, path).await?;
            }
            Err(zk::Error::NodeExists) => {
                // The refusal was this session's write, so its own server knows the node, or more.
                match client.check_stat(path.as_str()).await.map_err(store_error)? {
                    Some(stat) if is_unwritten(&stat) => {}
                    Some(_) => return Err(StoreErrorKind::NodeExists.into()),
                    None => continue,
                }
                match settle_in(client, options, path, data).await {
                    Err(error) if error.kind() == StoreErrorKind::NoNode => {}
                    settled => return settled,
                }
            }
            Err(error) => return Err(store_error(error)),
        }
    }
    Err(StoreErrorKind::NoNode.into())
}

async fn create_at_once(
    client: &zk::Client,
    options: &zk::CreateOptions<'_>,
    path: &LockPath,
    data: &[u8],
) -> Result<i32, zk::Error> {
    if !data.is_empty() {
        return client.create(path.as_str(), data, options).await.map(|_| version_of_new(data));
    }
    let committed = {
        let mut writer = client.new_multi_writer();
        add_new(&mut writer, options, path, data)?;
        writer.commit().await
    };
    match committed {
        Ok(_) => Ok(version_of_new(data)),
        Err(zk::MultiWriteError::RequestFailed { source } | zk::MultiWriteError::OperationFailed { source, .. }) => {
            Err(source)
        }
    }
}

fn add_new(
    writer: &mut zk::MultiWriter<'_>,
    options: &zk::CreateOptions<'_>,
    path: &LockPath,
    data: &[u8],
) -> Result<(), zk::Error> {
    writer.add_create(path.as_str(), data, options)?;
    if data.is_empty() {
        writer.add_set_data(path.as_str(), data, Some(0))?;
    }
    Ok(())
}

fn version_of_new(data: &[u8]) -> i32 {
    i32::from(data.is_empty())
}

/// As a queue's directories are made. Says whether they and the value are there.
async fn create_with_parents(
    client: &zk::Client,
    options: &zk::CreateOptions<'_>,
    path: &LockPath,
    data: &[u8],
) -> Result<bool, StoreError> {
    let parents: Vec<&str> = path.parents().collect();
    directories::make_together(client, parents.len(), |writer, outermost| {
        parents[outermost..].iter().try_for_each(|parent| writer.add_create(parent, b"", options))?;
        add_new(writer, options, path, data)
    })
    .await
}

/// From the innermost outwards until one can be made, then back.
async fn make_parents(client: &zk::Client, options: &zk::CreateOptions<'_>, path: &LockPath) -> Result<(), StoreError> {
    let mut missing: Vec<&str> = Vec::new();
    for parent in path.parents().rev() {
        match client.create(parent, b"", options).await {
            Ok(_) | Err(zk::Error::NodeExists) => break,
            Err(zk::Error::NoNode) => missing.push(parent),
            Err(error) => return Err(store_error(error)),
        }
    }
    for parent in missing.into_iter().rev() {
        match client.create(parent, b"", options).await {
            Ok(_) | Err(zk::Error::NodeExists) => {}
            // Removed again meanwhile: the caller starts over.
            Err(zk::Error::NoNode) => return Ok(()),
            Err(error) => return Err(store_error(error)),
        }
    }
    Ok(())
}

/// Makes a znode that nobody has written to a value.
async fn settle_in(
    client: &zk::Client,
    options: &zk::CreateOptions<'_>,
    path: &LockPath,
    data: &[u8],
) -> Result<i32, StoreError> {
    let committed = {
        let mut writer = client.new_multi_writer();
        writer.add_set_data(path.as_str(), data, Some(0)).map_err(store_error)?;
        writer.add_create(path.note().as_str(), b"", options).map_err(store_error)?;
        writer.commit().await
    };
    match committed {
        Ok(results) => match &results[..] {
            [zk::MultiWriteResult::SetData { stat }, _] => Ok(stat.version),
            _ => Err(not_understood()),
        },
        // Somebody else has made a note without a value.
        Err(zk::MultiWriteError::OperationFailed { index: 1, source: zk::Error::NodeExists }) => {
            match set(client, path, data, Some(0)).await {
                Err(error) if error.kind() == StoreErrorKind::VersionMismatch => Err(StoreErrorKind::NodeExists.into()),
                written => written,
            }
        }
        // Somebody else was faster.
        Err(zk::MultiWriteError::OperationFailed { source: zk::Error::BadVersion, .. }) => {
            Err(StoreErrorKind::NodeExists.into())
        }
        Err(error) => Err(multi_error(error)),
    }
}

async fn set(client: &zk::Client, path: &LockPath, data: &[u8], version: Option<i32>) -> Result<i32, StoreError> {
    client.set_data(path.as_str(), data, version).await.map(|stat| stat.version).map_err(store_error)
}

async fn set_any(
    client: &zk::Client,
    options: &zk::CreateOptions<'_>,
    path: &LockPath,
    data: &[u8],
) -> Result<i32, StoreError> {
    let version = set(client, path, data, None).await?;
    // The first write, perhaps to a container: acknowledged once it stays.
    if version == 1 {
        match client.create(path.note().as_str(), b"", options).await {
            Ok(_) | Err(zk::Error::NodeExists) => {}
            // Written it is.
            Err(error) => return Err(StoreError::with_source(StoreErrorKind::Unknown, error)),
        }
    }
    Ok(version)
}

fn value(data: Vec<u8>, stat: &zk::Stat) -> Option<Value> {
    let (token, modified) = (FencingToken::from(stat.czxid), FencingToken::from(stat.mzxid));
    (!is_unwritten(stat)).then_some(Value { data, version: stat.version, token, modified })
}

fn is_unwritten(stat: &zk::Stat) -> bool {
    stat.version == 0 && stat.data_length == 0
}
