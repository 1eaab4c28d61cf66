//! Acquisitions cancelled at any moment, with and without a broken connection, leave nothing behind.

use std::time::Duration;

use fairlock::Mutex;
use fairlock_testcontainers::Close;
use tokio::task::JoinSet;
use zookeeper_client as zk;

use crate::bed::{self, mutex, nodes, proxy, raw, unused_path};

const ATTEMPTS: usize = 1_000;

/// Drops acquisitions at random moments of their lives: before the request, with the request in flight, while
/// waiting, at the grant.
async fn cancel_at_random(lock: &Mutex, attempts: usize) {
    let mut running = JoinSet::new();
    for attempt in 0..attempts {
        let lock = lock.clone();
        running.spawn(async move {
            // From nothing at all to a few round trips, in microseconds.
            let moment = Duration::from_micros(fastrand::u64(0..8_000));
            if attempt % 2 == 0 {
                let _ = tokio::time::timeout(moment, lock.acquire()).await;
            } else {
                let _ = tokio::time::timeout(moment, lock.try_acquire()).await;
            }
        });
        if running.len() >= 50 {
            running.join_next().await.expect("one is running").expect("no panic");
        }
    }
    while running.join_next().await.is_some() {}
}

/// Waits one second, then counts.
async fn left_after_a_second(observer: &zk::Client, path: &str) -> Vec<String> {
    tokio::time::sleep(Duration::from_secs(1)).await;
    nodes(observer, path).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_acquisitions_cancelled_at_random_leave_no_node() {
    let (server, path) = (bed::server().await.address(), unused_path());
    let lock = mutex(&server, &path, Duration::from_secs(20)).await;
    let observer = raw(&server).await;
    cancel_at_random(&lock, ATTEMPTS).await;
    assert_eq!(left_after_a_second(&observer, &path).await, Vec::<String>::new());
    lock.acquire().await.expect("free").release().await.expect("released");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_acquisitions_cancelled_while_the_connection_is_cut_leave_no_node() {
    let (proxy, path) = (proxy().await, unused_path());
    let lock = mutex(&proxy.address(), &path, Duration::from_secs(20)).await;
    let observer = raw(&bed::server().await.address()).await;
    for round in 0..10 {
        let cutter = async {
            for close in [Close::Fin, Close::Rst] {
                tokio::time::sleep(Duration::from_millis(fastrand::u64(2..15))).await;
                proxy.cut(close);
            }
        };
        tokio::join!(cancel_at_random(&lock, ATTEMPTS / 10), cutter);
        if round % 3 == 0 {
            // Some of them end while there is no connection at all.
            proxy.refuse(true);
            proxy.cut(Close::Rst);
            cancel_at_random(&lock, 20).await;
            proxy.refuse(false);
        }
    }
    assert_eq!(left_after_a_second(&observer, &path).await, Vec::<String>::new());
    // The same session goes on.
    lock.acquire().await.expect("free").release().await.expect("released");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_waiter_touches_nobody_elses_node() {
    let (server, path) = (bed::server().await.address(), unused_path());
    let (one, two) =
        (mutex(&server, &path, Duration::from_secs(20)).await, mutex(&server, &path, Duration::from_secs(20)).await);
    let observer = raw(&server).await;
    let guard = one.acquire().await.expect("free");
    cancel_at_random(&two, 300).await;
    let left = left_after_a_second(&observer, &path).await;
    assert_eq!(left, [guard.node_path().rsplit('/').next().expect("a name").to_owned()]);
    assert!(guard.is_valid());
    guard.release().await.expect("released");
}

/// The control: the same treatment of the client crate's own lock is noticed by the same look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clients_own_lock_leaves_nodes_when_cancelled_early() {
    let client = raw(&bed::server().await.address()).await;
    let path = unused_path();
    client.mkdir(&path, &zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all())).await.expect("made");
    for _ in 0..200 {
        let prefix = zk::LockPrefix::new_curator(&path, "lock-").expect("a good path");
        let lock = client.lock(prefix, b"", zk::Acls::anyone_all());
        let _ = tokio::time::timeout(Duration::from_micros(fastrand::u64(0..1_000)), lock).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let left = client.list_children(&path).await.expect("a list").len();
    eprintln!("zookeeper-client's own lock left {left} nodes of 200 attempts");
    assert!(left > 0, "if it leaves none any more, this control must be made stronger");
}
