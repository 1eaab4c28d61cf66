//! Making a queue's directories, and those above a value.
//!
//! Mostly the directory above the lock exists, and neither the lock's nor the queue's does. So these two are made first, in
//! one transaction; while it says that one more is missing above, the next transaction begins with that. Each is done
//! as a whole or not at all, so none leaves a directory that has never had a child, which servers do not remove, but the
//! queue itself until somebody enters.
//!
//! Any other refusal may hide another: who may not create the lock's directory is not told that it exists. So the directories
//! are then made one by one, from the innermost outwards until one can be made, and back. What is refused there is what
//! stands in the way.

use zookeeper_client as zk;

use super::{multi_error, store_error};
use crate::path::QueuePath;
use crate::store::StoreError;

/// The data of a queue's directory, for people who look at it. Written by everyone who enters: the write is what
/// makes the server tell the directory's state inside the transaction.
pub(super) const QUEUE_MARK: &[u8] = b"fairlock queue 1";

/// See the module's doc. An existing queue is no error.
pub(super) async fn make(client: &zk::Client, acls: &[zk::Acl], queue: &QueuePath) -> Result<(), StoreError> {
    let directories: Vec<&str> = queue.ancestors().collect();
    let options = zk::CreateMode::Container.with_acls(zk::Acls::new(acls));
    let add = |writer: &mut zk::MultiWriter<'_>, outermost: usize| {
        (outermost..directories.len())
            .try_for_each(|index| writer.add_create(directories[index], data(&directories, index), &options))
    };
    if !queue.is_beside_permits() && make_together(client, directories.len() - 1, add).await? {
        return Ok(());
    }
    make_one_by_one(client, acls, &directories).await
}

/// Commits what is added from the last of so many directories on, or from the last but one on, and so on, until it is not
/// refused because one is missing above. Says whether it was committed; if not, nothing has been made.
pub(super) async fn make_together(
    client: &zk::Client,
    directories: usize,
    add: impl Fn(&mut zk::MultiWriter<'_>, usize) -> Result<(), zk::Error> + Send + Sync,
) -> Result<bool, StoreError> {
    for outermost in (0..directories).rev() {
        let committed = {
            let mut writer = client.new_multi_writer();
            add(&mut writer, outermost).map_err(store_error)?;
            writer.commit().await
        };
        match committed {
            Ok(_) => return Ok(true),
            Err(zk::MultiWriteError::OperationFailed { index: 0, source: zk::Error::NoNode }) => {}
            Err(error) if is_verdict(&error) => return Ok(false),
            Err(error) => return Err(multi_error(error)),
        }
    }
    Ok(false)
}

/// Whether a server has refused the transaction for what it contains.
fn is_verdict(error: &zk::MultiWriteError) -> bool {
    match error {
        zk::MultiWriteError::OperationFailed { .. } => true,
        // Servers that know no containers cannot read it.
        zk::MultiWriteError::RequestFailed { source } => {
            matches!(source, zk::Error::Unimplemented | zk::Error::MarshallingError)
        }
    }
}

async fn make_one_by_one(client: &zk::Client, acls: &[zk::Acl], directories: &[&str]) -> Result<(), StoreError> {
    let innermost = directories.len() - 1;
    let mut missing = innermost;
    loop {
        match make_one(client, acls, directories[missing], data(directories, missing)).await {
            Ok(()) if missing == innermost => return Ok(()),
            Ok(()) => missing += 1,
            Err(zk::Error::NoNode) if missing > 0 => missing -= 1,
            Err(error) => return Err(store_error(error)),
        }
    }
}

async fn make_one(client: &zk::Client, acls: &[zk::Acl], path: &str, data: &[u8]) -> Result<(), zk::Error> {
    let acls = zk::Acls::new(acls);
    let created = match client.create(path, data, &zk::CreateMode::Container.with_acls(acls)).await {
        // Before 3.5 there are no containers: the directory stays.
        Err(zk::Error::Unimplemented) => client.create(path, data, &zk::CreateMode::Persistent.with_acls(acls)).await,
        created => created,
    };
    match created {
        Ok(_) | Err(zk::Error::NodeExists) => Ok(()),
        Err(error) => Err(error),
    }
}

fn data(directories: &[&str], index: usize) -> &'static [u8] {
    if index + 1 == directories.len() { QUEUE_MARK } else { b"" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_verdict_lets_the_directories_be_made_one_by_one() {
        let request = |source| zk::MultiWriteError::RequestFailed { source };
        let operation = |index, source| zk::MultiWriteError::OperationFailed { index, source };
        for error in [
            operation(0, zk::Error::NodeExists),
            operation(0, zk::Error::NoAuth),
            operation(0, zk::Error::NoChildrenForEphemerals),
            operation(1, zk::Error::QuotaExceeded),
            request(zk::Error::MarshallingError),
            request(zk::Error::Unimplemented),
        ] {
            assert!(is_verdict(&error), "{error:?}");
        }
        for source in
            [zk::Error::ConnectionLoss, zk::Error::Throttled, zk::Error::NotReadOnly, zk::Error::SessionExpired]
        {
            assert!(!is_verdict(&request(source.clone())), "{source:?}");
        }
    }
}
