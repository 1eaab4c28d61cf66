//! The directories of a lock that nobody has used: what making them costs, and what can stand in the way.

use std::time::Duration;

use fairlock::store::zookeeper::Access;
use fairlock::{Error, Fairlock};
use fairlock_testcontainers::{Close, Counts, Operation, Proxy, Server, Trap, What, Which};
use tokio::task::JoinSet;
use zookeeper_client as zk;

use crate::bed::{self, QUIET, mutex, nodes, proxy, queue_of, raw, soon, unused_path};

/// Makes an existing node, with these permissions for everybody, and what is above it.
async fn make(client: &zk::Client, path: &str, permissions: zk::Permission) {
    let open = zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all());
    client.mkdir(path.rsplit_once('/').expect("absolute").0, &open).await.expect("made");
    let acl = [zk::Acl::new(permissions, zk::AuthId::anyone())];
    client.create(path, b"", &zk::CreateMode::Persistent.with_acls(zk::Acls::new(&acl))).await.expect("made");
}

/// A session whose requests are counted, and a directory that exists.
async fn stage() -> (Proxy, Fairlock, String) {
    let proxy = proxy().await;
    let locks = bed::connect(&proxy.address(), QUIET).await;
    let parent = unused_path();
    make(&raw(&bed::server().await.address()).await, &parent, zk::Permission::ALL).await;
    (proxy, locks, parent)
}

/// What the first use of this lock costs.
async fn first_use(proxy: &Proxy, locks: &Fairlock, path: &str) -> Counts {
    proxy.reset_counts();
    let guard = soon(locks.mutex(path).expect("a good path").acquire()).await.expect("free");
    let counts = proxy.counts();
    guard.release().await.expect("released");
    counts
}

#[tokio::test]
async fn the_first_use_of_a_lock_makes_its_two_directories_with_one_request() {
    let (proxy, locks, parent) = stage().await;
    let counts = first_use(&proxy, &locks, &format!("{parent}/new")).await;
    // Entering fails, both are made, entering succeeds.
    assert_eq!((counts.requests(), counts.request(Operation::Multi)), (3, 3), "{counts}");
}

#[tokio::test]
async fn each_directory_that_is_missing_above_the_lock_costs_one_request_more() {
    let (proxy, locks, parent) = stage().await;
    for (path, requests) in [("a/new", 4), ("b/c/d/new", 6), ("b/c/e/new", 4), ("b/c/e/newer", 3)] {
        let counts = first_use(&proxy, &locks, &format!("{parent}/{path}")).await;
        assert_eq!((counts.requests(), counts.request(Operation::Multi)), (requests, requests), "{path}: {counts}");
    }
}

#[tokio::test]
async fn a_lock_whose_own_directory_exists_costs_one_request_more_than_one_where_it_does_not() {
    let (proxy, locks, parent) = stage().await;
    let counts = first_use(&proxy, &locks, &parent).await;
    assert_eq!((counts.request(Operation::Multi), counts.request(Operation::CreateContainer)), (3, 1), "{counts}");
    assert_eq!(counts.requests(), 4, "{counts}");
}

#[tokio::test]
async fn a_semaphores_turns_are_made_beside_its_permits_with_one_request() {
    let (proxy, locks, parent) = stage().await;
    proxy.reset_counts();
    let permit = soon(locks.semaphore(&parent, 1).expect("a good path").acquire()).await.expect("free");
    let counts = proxy.counts();
    // The permits are there, so nobody tries to make the directory of both.
    let together = What::Request { operation: Operation::Multi, path: Some(parent.clone()) };
    assert!(proxy.log().iter().all(|entry| entry.what != together), "{counts}");
    assert_eq!(counts.request(Operation::CreateContainer), 1, "{counts}");
    permit.release().await.expect("released");
}

#[tokio::test]
async fn both_directories_are_removed_by_the_server_when_they_are_empty() {
    let flag = "-Dznode.container.checkIntervalMs=100";
    let server =
        Server::builder().tick_time(Duration::from_millis(200)).jvm_flag(flag).start().await.expect("a server");
    let client = raw(&server.address()).await;
    make(&client, "/some/above", zk::Permission::ALL).await;
    let lock = mutex(&server.address(), "/some/above/new", QUIET).await;
    lock.acquire().await.expect("free").release().await.expect("released");
    soon(async {
        while client.check_stat("/some/above/new").await.expect("a look").is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert!(client.check_stat("/some/above").await.expect("a look").is_some(), "what was there before stays");
    soon(lock.acquire()).await.expect("free").release().await.expect("released");
}

#[tokio::test]
async fn both_directories_are_the_creators_where_access_is_for_the_creator() {
    let server = bed::server().await.address();
    let (client, path) = (raw(&server).await, unused_path());
    make(&client, &path, zk::Permission::ALL).await;
    let locks = bed::builder(QUIET)
        .credentials("digest", "user:secret")
        .access(Access::CreatorOnly)
        .connect(&server)
        .await
        .expect("a session");
    let path = format!("{path}/new");
    let guard = soon(locks.mutex(&path).expect("a good path").acquire()).await.expect("free");
    for directory in [path.clone(), queue_of(&path)] {
        let listed = client.list_children(&directory).await;
        assert!(matches!(listed, Err(zk::Error::NoAuth)), "{directory}: {listed:?}");
    }
    guard.release().await.expect("released");
}

#[tokio::test]
async fn who_may_not_create_above_the_lock_uses_one_that_exists() {
    let (proxy, locks, parent) = stage().await;
    let client = raw(&bed::server().await.address()).await;
    let (above, path) = (format!("{parent}/above"), format!("{parent}/above/lock"));
    make(&client, &above, zk::Permission::ALL).await;
    make(&client, &path, zk::Permission::ALL).await;
    let acl = [zk::Acl::new(zk::Permission::READ, zk::AuthId::anyone())];
    client.set_acl(&above, &acl, None).await.expect("denied from now on");
    // The denial comes before the news that the lock's directory exists.
    let counts = first_use(&proxy, &locks, &path).await;
    assert_eq!((counts.requests(), counts.request(Operation::CreateContainer)), (4, 1), "{counts}");
}

#[tokio::test]
async fn who_may_not_create_above_the_lock_makes_none() {
    let (_proxy, locks, parent) = stage().await;
    let client = raw(&bed::server().await.address()).await;
    let above = format!("{parent}/above");
    make(&client, &above, zk::Permission::READ).await;
    for path in [format!("{above}/lock"), format!("{above}/and/another")] {
        let error = soon(locks.mutex(&path).expect("a good path").acquire()).await.expect_err("denied");
        let text = error.to_string();
        assert!(matches!(error, Error::NoPermission { .. }) && text.contains("directories"), "{text}");
    }
    assert!(client.list_children(&above).await.expect("listed").is_empty());
}

#[tokio::test]
async fn a_quota_that_leaves_room_for_one_of_two_directories() {
    let server = Server::builder().jvm_flag("-Dzookeeper.enforceQuota=true").start().await.expect("a server");
    let client = raw(&server.address()).await;
    make(&client, "/some/limited", zk::Permission::ALL).await;
    make(&client, "/zookeeper/quota/some/limited", zk::Permission::ALL).await;
    let options = zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all());
    let (limits, used) = (b"count=-1,bytes=-1,byteHardLimit=-1,countHardLimit=2", b"count=1,bytes=0");
    client.create("/zookeeper/quota/some/limited/zookeeper_limits", limits, &options).await.expect("made");
    client.create("/zookeeper/quota/some/limited/zookeeper_stats", used, &options).await.expect("made");
    let error = soon(mutex(&server.address(), "/some/limited/new", QUIET).await.acquire()).await.expect_err("no room");
    assert!(matches!(error, Error::QuotaExceeded { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_that_use_new_locks_side_by_side_at_once_all_get_them() {
    let (_proxy, locks, parent) = stage().await;
    let other = bed::connect(&bed::server().await.address(), QUIET).await;
    let mut using = JoinSet::new();
    for number in 0..60 {
        let locks = if number % 2 == 0 { &locks } else { &other };
        // Each is used by two, and is below one of three that are new as well.
        let path = format!("{parent}/{}/{}", number % 3, number / 2);
        let lock = locks.mutex(&path).expect("a good path");
        using.spawn(async move { lock.acquire().await?.release().await });
    }
    while let Some(used) = soon(using.join_next()).await {
        used.expect("no panic").expect("acquired and released");
    }
}

/// Uses a new lock for the first time while the transaction that makes its directories is struck.
async fn making_survives(trap: impl Fn(&Proxy, Which) -> Trap) {
    let (proxy, locks, parent) = stage().await;
    let path = format!("{parent}/new");
    // Entering is at the node in the queue.
    let sprung = trap(&proxy, Which::at(Operation::Multi, &path));
    let guard = soon(locks.mutex(&path).expect("a good path").acquire()).await.expect("free");
    assert!(sprung.is_sprung());
    assert_eq!(nodes(&raw(&bed::server().await.address()).await, &path).await.len(), 1);
    guard.release().await.expect("released");
}

#[tokio::test]
async fn reply_to_making_the_directories_lost() {
    making_survives(|proxy, which| proxy.drop_reply(which, Close::Rst)).await;
}

#[tokio::test]
async fn request_to_make_the_directories_lost() {
    making_survives(|proxy, which| proxy.drop_request(which, Close::Fin)).await;
}

#[tokio::test]
async fn reply_to_making_a_semaphores_permits_and_the_directory_above_lost() {
    let (proxy, locks, parent) = stage().await;
    let path = format!("{parent}/new");
    let sprung = proxy.drop_reply(Which::at(Operation::Multi, &path), Close::Fin);
    let permit = soon(locks.semaphore(&path, 1).expect("a good path").acquire()).await.expect("free");
    assert!(sprung.is_sprung());
    permit.release().await.expect("released");
}
