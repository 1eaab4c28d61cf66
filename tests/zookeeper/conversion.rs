//! From writing to reading and back, on a real server: what it costs, and what lost messages and lost sessions do to it.

use std::time::{Duration, Instant};

use fairlock::{Error, LossReason, ReadGuard, RwLock, WriteGuard};
use fairlock_testcontainers::{Close, Direction, EventKind, Operation, Which};
use tokio::task::JoinHandle;

use crate::bed::{self, QUIET, connect, nodes, proxy, queue_of, raw, soon, unused_path, wait_for_nodes};

const SESSION_TIMEOUT: Duration = Duration::from_secs(3);

async fn lock(address: &str, path: &str, session_timeout: Duration) -> RwLock {
    connect(address, session_timeout).await.rw_lock(path).expect("a good path")
}

fn read_aside(lock: &RwLock) -> JoinHandle<ReadGuard> {
    let lock = lock.clone();
    tokio::spawn(async move { lock.read().await.expect("granted") })
}

fn write_aside(lock: &RwLock) -> JoinHandle<(WriteGuard, Instant)> {
    let lock = lock.clone();
    tokio::spawn(async move { (lock.write().await.expect("granted"), Instant::now()) })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_downgraded_writer_lets_the_readers_behind_it_in_and_no_writer() {
    let (server, path) = (bed::server().await.address(), unused_path());
    let (one, other) = (lock(&server, &path, SESSION_TIMEOUT).await, lock(&server, &path, SESSION_TIMEOUT).await);
    let observer = raw(&server).await;
    let writer = soon(one.write()).await.expect("free");
    let token = writer.fencing_token();
    let readers: Vec<_> = (0..5).map(|_| read_aside(&other)).collect();
    wait_for_nodes(&observer, &path, 6).await;
    let next = write_aside(&other);
    wait_for_nodes(&observer, &path, 7).await;
    let reader = soon(writer.downgrade()).await.expect("downgraded");
    assert_eq!(reader.fencing_token(), token);
    let mut shares = vec![reader];
    for reader in readers {
        shares.push(soon(reader).await.expect("no panic"));
    }
    assert!(shares.iter().all(ReadGuard::is_valid));
    for share in shares {
        assert!(!next.is_finished());
        soon(share.release()).await.expect("released");
    }
    let (next, _) = soon(next).await.expect("no panic");
    assert!(next.fencing_token() > token);
    soon(next.release()).await.expect("released");
    wait_for_nodes(&observer, &path, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_downgrade_is_one_transaction_and_wakes_who_waits_next() {
    let (server, path) = (bed::server().await.address(), unused_path());
    let (mine, theirs) = (proxy().await, proxy().await);
    let writer = soon(lock(&mine.address(), &path, QUIET).await.write()).await.expect("free");
    let next = write_aside(&lock(&theirs.address(), &path, QUIET).await);
    wait_for_nodes(&raw(&server).await, &path, 2).await;
    // The waiter's two watches, and the holder's.
    theirs.wait_until(|counts| counts.reply(Operation::GetData) >= 2).await;
    mine.wait_until(|counts| counts.reply(Operation::GetData) >= 1).await;
    mine.reset_counts();
    theirs.reset_counts();
    let reader = soon(writer.downgrade()).await.expect("downgraded");
    // And one that watches the new node, a little later.
    mine.wait_until(|counts| counts.reply(Operation::GetData) == 1).await;
    assert_eq!(mine.counts().request(Operation::Multi), 1);
    assert_eq!(mine.counts().requests(), 2);
    // It lists the queue, and watches the share.
    theirs.wait_until(|counts| counts.reply(Operation::GetData) == 1).await;
    assert_eq!((theirs.counts().events(), theirs.counts().requests()), (1, 2));
    assert_eq!(theirs.counts().event(EventKind::NodeDeleted), 1);
    assert!(!next.is_finished());
    soon(reader.release()).await.expect("released");
    soon(soon(next).await.expect("no panic").0.release()).await.expect("released");
}

/// Loses a message of a downgrade; the writer is a reader afterwards, at its place.
async fn a_downgrade_survives(lose: impl Fn(&fairlock_testcontainers::Proxy, Which) -> fairlock_testcontainers::Trap) {
    let (server, path) = (bed::server().await.address(), unused_path());
    let proxy = proxy().await;
    let locks = connect(&proxy.address(), Duration::from_secs(6)).await.rw_lock(&path).expect("a good path");
    let writer = soon(locks.write()).await.expect("free");
    let other = lock(&server, &path, SESSION_TIMEOUT).await;
    let next = write_aside(&other);
    let observer = raw(&server).await;
    wait_for_nodes(&observer, &path, 2).await;
    let sprung = lose(&proxy, Which::at(Operation::Multi, writer.node_path()));
    let reader = soon(writer.downgrade()).await.expect("downgraded");
    assert!(sprung.is_sprung() && reader.is_valid());
    let names = nodes(&observer, &path).await;
    assert_eq!(names.iter().filter(|name| name.starts_with("read-")).count(), 1, "{names:?}");
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(!next.is_finished());
    soon(reader.release()).await.expect("released");
    soon(soon(next).await.expect("no panic").0.release()).await.expect("released");
    wait_for_nodes(&observer, &path, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_to_downgrade_lost() {
    for close in [Close::Fin, Close::Rst] {
        a_downgrade_survives(|proxy, which| proxy.drop_request(which, close)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reply_to_downgrading_lost() {
    for close in [Close::Fin, Close::Rst] {
        a_downgrade_survives(|proxy, which| proxy.drop_reply(which, close)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_downgrade_whose_future_is_dropped_while_its_reply_is_on_the_way_leaves_nothing() {
    let (server, path) = (bed::server().await.address(), unused_path());
    let proxy = proxy().await;
    let writer = soon(lock(&proxy.address(), &path, SESSION_TIMEOUT).await.write()).await.expect("free");
    let hold = proxy.hold_reply(Which::at(Operation::Multi, writer.node_path()));
    let downgrading = tokio::spawn(writer.downgrade());
    soon(hold.held()).await;
    downgrading.abort();
    hold.let_go();
    let observer = raw(&server).await;
    wait_for_nodes(&observer, &path, 0).await;
    let other = lock(&server, &path, SESSION_TIMEOUT).await;
    soon(soon(other.write()).await.expect("free").release()).await.expect("released");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_was_downgraded_and_is_cut_off_knows_before_the_next_writer_is_granted() {
    let (server, path) = (bed::server().await.address(), unused_path());
    let proxy = proxy().await;
    let writer = soon(lock(&proxy.address(), &path, SESSION_TIMEOUT).await.write()).await.expect("free");
    let reader = soon(writer.downgrade()).await.expect("downgraded");
    let next = write_aside(&lock(&server, &path, SESSION_TIMEOUT).await);
    wait_for_nodes(&raw(&server).await, &path, 2).await;
    proxy.swallow(Direction::Both);
    assert_eq!(soon(reader.lost()).await, LossReason::DeadlinePassed);
    let lost_at = Instant::now();
    let (next, granted_at) = soon(next).await.expect("no panic");
    assert!(lost_at < granted_at, "the reader knew first");
    soon(next.release()).await.expect("released");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_downgraded_readers_node_that_is_deleted_by_hand_is_told() {
    let (server, path) = (bed::server().await.address(), unused_path());
    let proxy = proxy().await;
    let writer = soon(lock(&proxy.address(), &path, SESSION_TIMEOUT).await.write()).await.expect("free");
    proxy.reset_counts();
    let reader = soon(writer.downgrade()).await.expect("downgraded");
    proxy.wait_until(|counts| counts.reply(Operation::GetData) >= 1).await;
    let operator = raw(&server).await;
    let name = nodes(&operator, &path).await.remove(0);
    operator.delete(&format!("{}/{name}", queue_of(&path)), None).await.expect("deleted by hand");
    assert_eq!(soon(reader.lost()).await, LossReason::NodeDeleted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_is_alone_becomes_a_writer_and_one_that_is_not_stays_a_reader_at_the_cost_of_a_look() {
    let (server, path) = (bed::server().await.address(), unused_path());
    let proxy = proxy().await;
    let one = lock(&proxy.address(), &path, QUIET).await;
    let other = lock(&server, &path, SESSION_TIMEOUT).await;
    let observer = raw(&server).await;
    let (reader, second) = (soon(one.read()).await.expect("free"), soon(other.read()).await.expect("shared"));
    proxy.wait_until(|counts| counts.reply(Operation::GetData) >= 1).await;
    proxy.reset_counts();
    let refused = soon(reader.try_upgrade()).await.expect_err("somebody else reads");
    assert!(matches!(refused.error(), Error::UpgradeRefused { .. }), "{refused}");
    assert_eq!((proxy.counts().requests(), proxy.counts().request(Operation::Multi)), (1, 0));
    soon(second.release()).await.expect("released");
    let reader = refused.into_guard();
    let token = reader.fencing_token();
    let writer = soon(reader.try_upgrade()).await.expect("upgraded");
    assert!(writer.is_valid() && writer.fencing_token() > token);
    wait_for_nodes(&observer, &path, 1).await;
    assert!(soon(other.try_read()).await.expect("a server answers").is_none());
    let next = write_aside(&other);
    wait_for_nodes(&observer, &path, 2).await;
    soon(writer.release()).await.expect("released");
    soon(soon(next).await.expect("no panic").0.release()).await.expect("released");
    wait_for_nodes(&observer, &path, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_comes_after_the_look_keeps_an_upgrade_from_it() {
    let (server, path) = (bed::server().await.address(), unused_path());
    let proxy = proxy().await;
    let reader = soon(lock(&proxy.address(), &path, QUIET).await.read()).await.expect("free");
    let other = lock(&server, &path, SESSION_TIMEOUT).await;
    // The attempt enters after the look; before that, another comes.
    let entering = proxy.hold_request(Operation::Multi);
    let upgrading = tokio::spawn(reader.try_upgrade());
    soon(entering.held()).await;
    let second = soon(other.read()).await.expect("shared");
    entering.let_go();
    let refused = soon(upgrading).await.expect("no panic").expect_err("somebody else reads");
    assert!(matches!(refused.error(), Error::UpgradeRefused { .. }), "{refused}");
    let reader = refused.into_guard();
    assert!(reader.is_valid() && second.is_valid());
    wait_for_nodes(&raw(&server).await, &path, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_to_an_upgrade_that_are_lost_are_found_out() {
    let (server, path) = (bed::server().await.address(), unused_path());
    let observer = raw(&server).await;
    for close in [Close::Fin, Close::Rst] {
        for operation in [Operation::Multi, Operation::GetChildren] {
            let proxy = proxy().await;
            let reader = soon(lock(&proxy.address(), &path, Duration::from_secs(6)).await.read()).await.expect("free");
            let sprung = proxy.drop_reply(operation, close);
            let writer = soon(reader.try_upgrade()).await.expect("upgraded");
            assert!(sprung.is_sprung() && writer.is_valid(), "{operation:?}");
            soon(writer.release()).await.expect("released");
            wait_for_nodes(&observer, &path, 0).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgraded_writer_that_is_cut_off_knows_before_the_next_is_granted() {
    let (server, path) = (bed::server().await.address(), unused_path());
    let proxy = proxy().await;
    let reader = soon(lock(&proxy.address(), &path, SESSION_TIMEOUT).await.read()).await.expect("free");
    let writer = soon(reader.try_upgrade()).await.expect("upgraded");
    let observer = raw(&server).await;
    wait_for_nodes(&observer, &path, 1).await;
    let next = write_aside(&lock(&server, &path, SESSION_TIMEOUT).await);
    wait_for_nodes(&observer, &path, 2).await;
    proxy.swallow(Direction::Both);
    assert_eq!(soon(writer.lost()).await, LossReason::DeadlinePassed);
    let lost_at = Instant::now();
    let (next, granted_at) = soon(next).await.expect("no panic");
    assert!(lost_at < granted_at, "the writer knew first");
    soon(next.release()).await.expect("released");
}
