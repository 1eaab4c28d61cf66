//! Trying through a session what a lock needs.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout, timeout_at};
use zookeeper_client as zk;

use super::{ClockDifference, EnsembleReport, Quota, Step, quota, secured, server};
use crate::error::Error;
use crate::path::LockPath;
use crate::store::zookeeper::session::ZooKeeperSession;
use crate::store::zookeeper::{ZooKeeper, diagnosis, multi_error, not_understood, store_error};
use crate::store::{OpenOptions, Session as _, StoreError, StoreErrorKind};

/// How many writes are timed.
const WRITES: usize = 5;

/// How long it may take to tidy up, after everything else has used up its time.
const TIDY_PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn look(
    store: &ZooKeeper,
    root: Option<&LockPath>,
    options: &OpenOptions,
) -> Result<EnsembleReport, Error> {
    store.check_tls()?;
    let started = Instant::now();
    let client = store.connect(options).await?;
    let connected_in = started.elapsed();
    let deadline = Instant::now() + options.connect_timeout;
    let session = ZooKeeperSession::new(client.clone(), store.access);
    let unreachable = async |_| store.unreachable(options.connect_timeout, None).await;
    let outcome = match timeout_at(deadline, session.check_root()).await {
        Ok(checked) => checked,
        Err(elapsed) => Err(unreachable(elapsed).await),
    };
    let outcome = match outcome {
        Ok(()) => Probe { store, client, deadline }.run(root, connected_in).await,
        Err(error) => {
            drop(client);
            Err(error)
        }
    };
    session.close().await;
    outcome
}

struct Probe<'a> {
    store: &'a ZooKeeper,
    client: zk::Client,
    deadline: Instant,
}

impl Probe<'_> {
    async fn run(self, root: Option<&LockPath>, connected_in: Duration) -> Result<EnsembleReport, Error> {
        let wanted = root.map_or("/", LockPath::as_str);
        let place = self
            .innermost_existing(wanted)
            .await
            .map_err(|error| Error::from_store("look at the path", wanted, error))?;
        let mut report = EnsembleReport::new(self.client.session_timeout(), place);
        report.connected_in = connected_in;
        report.chroot = self.client.path().to_owned();
        report.exists = place == wanted;
        let users = self.within(self.client.list_auth_users()).await;
        report.users = users
            .ok()
            .map(|users| users.iter().map(|user| printable(&format!("{}:{}", user.scheme(), user.user()))).collect());
        let config = self.within(self.client.get_config()).await;
        report.members = config.ok().map(|(config, _)| members(&config));
        let acls = self.within(self.client.get_acl(place)).await;
        report.acl = acls.ok().map(|(acls, _)| acls.iter().map(acl).collect());
        report.quotas = self.quotas(&absolute(&report.chroot, place)).await;
        self.try_out(&mut report).await;
        Ok(report)
    }

    async fn within<T>(&self, request: impl Future<Output = Result<T, zk::Error>>) -> Result<T, StoreError> {
        match timeout_at(self.deadline, request).await {
            Ok(reply) => reply.map_err(store_error),
            Err(elapsed) => Err(StoreError::with_source(StoreErrorKind::Unknown, elapsed)),
        }
    }

    async fn innermost_existing<'a>(&self, path: &'a str) -> Result<&'a str, StoreError> {
        let mut place = path;
        while place != "/" && self.within(self.client.check_stat(place)).await?.is_none() {
            place = match place.rfind('/') {
                None | Some(0) => "/",
                Some(at) => &place[..at],
            };
        }
        Ok(place)
    }

    async fn quotas(&self, path: &str) -> Result<Vec<Quota>, StoreError> {
        // Quotas lie outside of any chroot.
        let client = self.client.clone().chroot("/").map_err(|_| not_understood())?;
        let mut quotas = Vec::new();
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]).filter(|end| *end > 1);
        for path in ends.map(|end| &path[..end]) {
            let (limits, used) = quota::nodes(path);
            let limits = match self.within(client.get_data(&limits)).await {
                Ok((limits, _)) => limits,
                Err(error) if error.kind() == StoreErrorKind::NoNode => continue,
                Err(error) => return Err(error),
            };
            let used = self.within(client.get_data(&used)).await.map(|(used, _)| used).unwrap_or_default();
            quotas.push(Quota::parse(path, &limits, &used));
        }
        Ok(quotas)
    }

    /// Takes the steps until one fails.
    async fn try_out(&self, report: &mut EnsembleReport) {
        let place = report.place.trim_end_matches('/');
        let directory = format!("{place}/fairlock-doctor-{:016x}", fastrand::u64(..));
        let read = self.within(self.client.get_data(&report.place)).await.map(|_| ());
        report.steps.push((Step::ReadPlace, read));

        let before = self.store.clock.unix_millis();
        let (created, containers) = match self.create(&directory, zk::CreateMode::Container).await {
            Err(error) if error.kind() == StoreErrorKind::Unsupported => {
                (self.create(&directory, zk::CreateMode::Persistent).await, Some(false))
            }
            created => {
                let containers = created.is_ok().then_some(true);
                (created, containers)
            }
        };
        let after = self.store.clock.unix_millis();
        report.containers = containers;
        let (node, written) = match created {
            Ok(created) => created,
            Err(error) => {
                // Without a reply it may be there all the same.
                let is_unknown = matches!(error.kind(), StoreErrorKind::Unknown | StoreErrorKind::Ended(_));
                if is_unknown && self.remove_if_made(&directory).await.is_err() {
                    report.left_behind = Some(absolute(&report.chroot, &directory));
                }
                report.steps.push((Step::Create, Err(error)));
                return;
            }
        };
        report.steps.push((Step::Create, Ok(())));
        report.clock = difference(before, written, after);
        for (step, outcome) in self.use_directory(&directory, &node, &mut report.writes).await {
            report.steps.push((step, outcome));
        }
        let absolute = absolute(&report.chroot, &directory);
        report.seen = self.seen(&absolute).await;
        let removed = self.remove(&directory, Some(&node)).await;
        if removed.is_err() {
            report.left_behind = Some(absolute);
        }
        report.steps.push((Step::Delete, removed));
    }

    /// The directory and a node in it at once: whatever happens next, the node vanishes with the session, and the servers
    /// remove a container that had one. Gives the node's path, and when it was written by the ensemble's clock.
    async fn create(&self, directory: &str, mode: zk::CreateMode) -> Result<(String, i64), StoreError> {
        let acls = self.store.access.acls();
        let acls = zk::Acls::new(&acls);
        let committed = {
            let mut writer = self.client.new_multi_writer();
            writer.add_create(directory, b"", &mode.with_acls(acls)).map_err(store_error)?;
            let node = format!("{directory}/n-");
            let options = zk::CreateMode::EphemeralSequential.with_acls(acls);
            writer.add_create(&node, b"", &options).map_err(store_error)?;
            writer.add_set_data(directory, b"", None).map_err(store_error)?;
            timeout_at(self.deadline, writer.commit()).await
        };
        let committed = committed.map_err(|elapsed| StoreError::with_source(StoreErrorKind::Unknown, elapsed))?;
        match &committed.map_err(multi_error)?[..] {
            // Of a create in a transaction some servers tell nothing but the path.
            [_, zk::MultiWriteResult::Create { path, .. }, zk::MultiWriteResult::SetData { stat }] => {
                let name = path.rsplit('/').next().ok_or_else(not_understood)?;
                Ok((format!("{directory}/{name}"), stat.mtime))
            }
            _ => Err(not_understood()),
        }
    }

    async fn use_directory(
        &self,
        directory: &str,
        node: &str,
        writes: &mut Vec<Duration>,
    ) -> Vec<(Step, Result<(), StoreError>)> {
        let read = self.within(self.client.get_data(node)).await.map(|_| ());
        let listed = self.within(self.client.list_children(directory)).await.and_then(|names| {
            let is_listed = names.iter().any(|name| node.ends_with(&format!("/{name}")));
            if is_listed { Ok(()) } else { Err(StoreErrorKind::NoNode.into()) }
        });
        let mut written = Ok(());
        for _ in 0..WRITES {
            let sent = Instant::now();
            written = self.within(self.client.set_data(directory, b"", None)).await.map(|_| ());
            if written.is_err() {
                break;
            }
            writes.push(sent.elapsed());
        }
        writes.sort_unstable();
        vec![(Step::Read, read), (Step::List, listed), (Step::Write, written)]
    }

    async fn seen(&self, path: &str) -> Vec<(String, Option<bool>)> {
        let servers = self.store.servers.split(',').zip(diagnosis::addresses(&self.store.servers));
        join_all(servers.map(async |(text, server)| {
            let looking = async {
                match self.store.is_secured(text) {
                    true => secured::sees(self.store, server, path).await.ok(),
                    false => server::sees(server, path).await.ok(),
                }
            };
            (server.to_owned(), timeout_at(self.deadline, looking).await.ok().flatten())
        }))
        .await
    }

    async fn remove_if_made(&self, directory: &str) -> Result<(), StoreError> {
        let nodes = match timeout(TIDY_PATIENCE, self.client.list_children(directory)).await {
            Ok(Ok(nodes)) => nodes,
            Ok(Err(zk::Error::NoNode)) => return Ok(()),
            Ok(Err(error)) => return Err(store_error(error)),
            Err(elapsed) => return Err(StoreError::with_source(StoreErrorKind::Unknown, elapsed)),
        };
        let node = nodes.first().map(|name| format!("{directory}/{name}"));
        self.remove(directory, node.as_deref()).await
    }

    async fn remove(&self, directory: &str, node: Option<&str>) -> Result<(), StoreError> {
        let committed = {
            let mut writer = self.client.new_multi_writer();
            if let Some(node) = node {
                writer.add_delete(node, None).map_err(store_error)?;
            }
            writer.add_delete(directory, None).map_err(store_error)?;
            timeout(TIDY_PATIENCE, writer.commit()).await
        };
        match committed {
            Ok(committed) => committed.map(|_| ()).map_err(multi_error),
            Err(elapsed) => Err(StoreError::with_source(StoreErrorKind::Unknown, elapsed)),
        }
    }
}

/// Behind the chroot, where the servers keep it.
fn absolute(chroot: &str, path: &str) -> String {
    match (chroot.trim_end_matches('/'), path) {
        ("", path) => path.to_owned(),
        (chroot, "/") => chroot.to_owned(),
        (chroot, path) => format!("{chroot}{path}"),
    }
}

/// The servers of a configuration, of lines such as `server.1=zk1:2888:3888:participant;0.0.0.0:2181`.
fn members(config: &[u8]) -> Vec<String> {
    let config = String::from_utf8_lossy(config);
    config.lines().filter(|line| line.starts_with("server.")).map(printable).collect()
}

fn acl(acl: &zk::Acl) -> String {
    printable(&format!("{}:{}:{}", acl.scheme(), acl.id(), letters(acl.permission())))
}

fn letters(permission: zk::Permission) -> String {
    use zk::Permission as P;
    let letters = [(P::CREATE, 'c'), (P::READ, 'r'), (P::DELETE, 'd'), (P::WRITE, 'w'), (P::ADMIN, 'a')];
    letters.iter().filter(|(each, _)| permission.has(*each)).map(|(_, letter)| letter).collect()
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

fn difference(before: u64, written: i64, after: u64) -> Option<ClockDifference> {
    let took = after.checked_sub(before)?;
    let middle = i64::try_from(before + took / 2).ok()?;
    // Both clocks tell whole milliseconds.
    let uncertainty = Duration::from_millis(took.div_ceil(2) + 1);
    Some(ClockDifference { ahead_millis: written.checked_sub(middle)?, uncertainty })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_seen_from_outside_of_the_chroot() {
        for (chroot, path, outside) in [("/", "/", "/"), ("/", "/a", "/a"), ("/c", "/", "/c"), ("/c", "/a/b", "/c/a/b")]
        {
            assert_eq!(absolute(chroot, path), outside);
        }
    }

    #[test]
    fn a_difference_of_clocks_is_as_uncertain_as_the_request_was_long() {
        let found = difference(1_000, 1_510, 1_020).expect("clocks that tell time");
        assert_eq!((found.ahead_millis, found.uncertainty), (500, Duration::from_millis(11)));
        assert!(difference(1_000, 1_000, 999).is_none(), "this host's clock was set back meanwhile");
        assert!(difference(0, i64::MIN, 2).is_none());
    }

    #[test]
    fn members_are_the_servers_of_the_configuration() {
        let config = b"server.1=a:2888:3888:participant;2181\nserver.2=b:1:2:observer\nversion=0\n";
        assert_eq!(members(config).len(), 2);
        assert!(members(b"\xff\x00").is_empty());
    }
}
