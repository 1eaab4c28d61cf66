//! Sessions on a real server: roots, restarts, renewal, closing, and many locks on one of them.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use fairlock::queue::Limits;
use fairlock::{Error, LossReason};
use fairlock_testcontainers::{Close, Direction, Server};
use futures::stream::StreamExt;
use zookeeper_client as zk;

use crate::bed::{self, builder, connect, mutex, nodes, proxy, raw, soon, unused_path, wait_for_nodes};

#[tokio::test]
async fn the_root_of_the_connect_string_is_in_front_of_all_paths() {
    let server = bed::server().await.address();
    let observer = raw(&server).await;
    let root = unused_path();
    observer.mkdir(&root, &zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all())).await.expect("made");
    let lock = mutex(&format!("{server}{root}"), "/jobs/1", Duration::from_secs(10)).await;
    let guard = lock.acquire().await.expect("free");
    assert_eq!(nodes(&observer, &format!("{root}/jobs/1")).await.len(), 1);
    assert!(guard.node_path().starts_with("/jobs/1/_fairlock/lock-"));
    guard.transaction().create("/jobs/1/state", b"x").commit().await.expect("held");
    let (data, _) = observer.get_data(&format!("{root}/jobs/1/state")).await.expect("written below the root");
    assert_eq!(data, b"x");
    // Waiting works there as well: paths in events are below the root too.
    let waiter = tokio::spawn({
        let lock = lock.clone();
        async move { lock.acquire().await }
    });
    wait_for_nodes(&observer, &format!("{root}/jobs/1"), 2).await;
    guard.release().await.expect("released");
    drop(soon(waiter).await.expect("no panic").expect("granted"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_comes_back_takes_no_lock_and_no_place_along() {
    let server = Server::start().await.expect("a server");
    let path = unused_path();
    let session_timeout = Duration::from_secs(10);
    let (one, two) = (
        mutex(&server.address(), &path, session_timeout).await,
        mutex(&server.address(), &path, session_timeout).await,
    );
    let guard = one.acquire().await.expect("free");
    let waiter = tokio::spawn(async move { two.acquire().await.expect("granted") });
    wait_for_nodes(&raw(&server.address()).await, &path, 2).await;
    server.kill().await.expect("killed");
    server.start_again().await.expect("back");
    let token = guard.fencing_token();
    assert!(guard.is_valid());
    soon(guard.release()).await.expect("released");
    let next = soon(waiter).await.expect("no panic");
    assert!(next.is_valid() && next.fencing_token() > token);
    soon(next.release()).await.expect("released");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_session_is_replaced_and_its_guards_and_waiters_are_not() {
    let (proxy, path) = (proxy().await, unused_path());
    let locks = connect(&proxy.address(), Duration::from_secs(2)).await;
    let other =
        mutex(&bed::server().await.address(), &path, Duration::from_secs(20)).await.acquire().await.expect("free");
    let held = locks.mutex(&unused_path()).expect("a good path").acquire().await.expect("free");
    let lock = locks.mutex(&path).expect("a good path");
    let waiter = tokio::spawn({
        let lock = lock.clone();
        async move { lock.acquire().await }
    });
    let observer = raw(&bed::server().await.address()).await;
    wait_for_nodes(&observer, &path, 2).await;
    proxy.swallow(Direction::Both);
    wait_for_nodes(&observer, &path, 1).await;
    proxy.pass();
    proxy.cut(Close::Rst);
    let error = soon(waiter).await.expect("no panic").expect_err("its session has expired");
    assert!(matches!(error, Error::SessionLost { reason: LossReason::SessionExpired, .. }), "{error}");
    assert!(!held.is_valid());
    // Later acquisitions work without any help.
    let again = tokio::spawn(async move { lock.acquire().await });
    wait_for_nodes(&observer, &path, 2).await;
    other.release().await.expect("released");
    let guard = soon(again).await.expect("no panic").expect("granted");
    assert!(guard.is_valid() && !held.is_valid());
    guard.release().await.expect("released");
}

#[tokio::test]
async fn without_any_server_an_acquisition_fails_after_the_time_to_connect() {
    let server = Server::start().await.expect("a server");
    let locks = builder(Duration::from_secs(1))
        .connect_timeout(Duration::from_secs(2))
        .connect(&server.address())
        .await
        .expect("a session");
    let guard = locks.mutex("/a").expect("a good path").acquire().await.expect("free");
    server.kill().await.expect("killed");
    assert_eq!(soon(guard.lost()).await, LossReason::DeadlinePassed);
    let started = Instant::now();
    let error = soon(locks.mutex("/b").expect("a good path").acquire()).await.expect_err("nobody answers");
    assert!(matches!(error, Error::Unreachable { .. } | Error::SessionLost { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(10));
    server.start_again().await.expect("back");
    drop(
        soon(async {
            loop {
                if let Ok(guard) = locks.mutex("/b").expect("a good path").acquire().await {
                    return guard;
                }
            }
        })
        .await,
    );
}

#[tokio::test]
async fn closing_releases_all_at_once_and_so_does_dropping_the_last_handle() {
    let (server, path) = (bed::server().await.address(), unused_path());
    let observer = raw(&server).await;
    for close in [true, false] {
        let locks = connect(&server, Duration::from_secs(30)).await;
        let guard = locks.mutex(&path).expect("a good path").acquire().await.expect("free");
        let started = Instant::now();
        if close {
            locks.close().await;
            assert_eq!(guard.lost().await, LossReason::Closed);
        } else {
            // A guard keeps the session, so it must go as well, without having been released by its task.
            drop((locks, guard));
        }
        wait_for_nodes(&observer, &path, 0).await;
        assert!(started.elapsed() < Duration::from_secs(5), "not by expiry");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_locks_survive_a_reconnect_spread_over_as_many_sessions_as_it_takes() {
    let (proxy, root) = (proxy().await, unused_path());
    let locks = connect(&proxy.address(), Duration::from_secs(20)).await;
    let count = 3_000;
    let guards: Vec<_> = futures::stream::iter(0..count)
        .map(|number| {
            let lock = locks.mutex(&format!("{root}/{number}")).expect("a good path");
            async move { lock.acquire().await.expect("free") }
        })
        .buffer_unordered(100)
        .collect()
        .await;
    // All own nodes are watched before the connections are cut.
    let watched = count as u64;
    soon(proxy.wait_until(|counts| counts.reply(fairlock_testcontainers::Operation::GetData) >= watched)).await;
    let observer = raw(&bed::server().await.address()).await;
    let mut sessions = HashSet::new();
    for guard in guards.iter().step_by(50) {
        let (_, stat) = observer.get_data(guard.node_path()).await.expect("its node");
        sessions.insert(stat.ephemeral_owner);
    }
    assert!(sessions.len() >= 2, "one session cannot carry that many watches");
    proxy.cut(Close::Fin);
    soon(proxy.wait_for_connections(|open| open >= sessions.len())).await;
    // Some of them are deleted by hand: the watches still tell.
    observer.delete(guards[7].node_path(), None).await.expect("deleted");
    assert_eq!(soon(guards[7].lost()).await, LossReason::NodeDeleted);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(guards.iter().filter(|guard| guard.is_valid()).count(), count - 1);
    eprintln!("{count} locks over {} sessions", sessions.len());
    locks.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_opened_on_behalf_of_a_runtime_that_ends_lives_on() {
    let session_timeout = Duration::from_secs(2);
    let locks = connect(&bed::server().await.address(), session_timeout).await;
    // Paths so long that the first session is full.
    let base = format!("{}/{}", unused_path(), "x".repeat(960));
    let observer = raw(&bed::server().await.address()).await;
    let mut guards = Vec::new();
    for number in 0..61 {
        let lock = locks.mutex(&format!("{base}{number}")).expect("a good path");
        guards.push(soon(lock.acquire()).await.expect("free"));
    }
    let lock = locks.mutex(&format!("{base}-from-elsewhere")).expect("a good path");
    let elsewhere = std::thread::spawn(move || {
        let short_lived = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        short_lived.block_on(lock.acquire()).expect("free")
    });
    let guard = tokio::task::spawn_blocking(|| elsewhere.join()).await.expect("no panic").expect("no panic");
    let owner = async |path: &str| observer.check_stat(path).await.expect("a look").expect("there").ephemeral_owner;
    assert_ne!(owner(guard.node_path()).await, owner(guards[0].node_path()).await, "another session was opened");
    tokio::time::sleep(session_timeout * 2).await;
    assert!(guard.is_valid());
    soon(guard.release()).await.expect("the session does not depend on the caller's runtime");
}

#[tokio::test]
async fn the_session_timeout_is_what_the_server_grants() {
    let server = bed::server().await.address();
    let locks = builder(Duration::from_secs(3_600)).connect(&server).await.expect("a session");
    assert_eq!(locks.session_timeout().await.expect("a session"), Duration::from_secs(120), "the server's upper bound");
    let slow = Server::builder().tick_time(Duration::from_secs(1)).start().await.expect("a server");
    let locks = builder(Duration::from_millis(500)).connect(&slow.address()).await.expect("a session");
    assert_eq!(locks.session_timeout().await.expect("a session"), Duration::from_secs(2), "the server's lower bound");
}

#[tokio::test]
async fn numbers_start_again_before_they_end_and_tokens_go_on_rising() {
    let limits = Limits { heal_from: 3.into(), refuse_from: 6.into(), ..Limits::default() };
    let server = bed::server().await.address();
    let locks = builder(Duration::from_secs(20)).limits(limits).connect(&server).await.expect("a session");
    let lock = locks.mutex(&unused_path()).expect("a good path");
    let (mut last_token, mut numbers) = (None, Vec::new());
    for _ in 0..12 {
        let guard = soon(lock.acquire()).await.expect("never refused: the queue is healed before");
        assert!(Some(guard.fencing_token()) > last_token);
        last_token = Some(guard.fencing_token());
        numbers.push(guard.node_path().rsplit('-').next().expect("a number").to_owned());
        guard.release().await.expect("released");
    }
    assert_eq!(numbers[..5], ["0000000000", "0000000001", "0000000002", "0000000003", "0000000000"]);
}

#[tokio::test]
async fn a_guard_dropped_on_a_thread_without_runtime_releases_on_a_real_server() {
    let (server, path) = (bed::server().await.address(), unused_path());
    let guard = mutex(&server, &path, Duration::from_secs(20)).await.acquire().await.expect("free");
    std::thread::spawn(move || drop(guard)).join().expect("no panic");
    wait_for_nodes(&raw(&server).await, &path, 0).await;
}

#[test]
fn a_runtime_that_ends_with_guards_alive_panics_nowhere_and_the_lock_is_free_again() {
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let path = unused_path();
    let first = runtime();
    let guard = first.block_on(async {
        let guard =
            mutex(&bed::server().await.address(), &path, Duration::from_secs(1)).await.acquire().await.expect("free");
        // Its own node is watched: the client's watcher must not be polled without its session's task.
        tokio::time::sleep(Duration::from_millis(150)).await;
        guard
    });
    drop(first);
    assert!(!guard.is_valid());
    let second = runtime();
    second.block_on(async {
        assert_eq!(guard.lost().await, LossReason::Closed);
        let next = soon(mutex(&bed::server().await.address(), &path, Duration::from_secs(20)).await.acquire())
            .await
            .expect("free");
        assert!(matches!(guard.release().await, Err(Error::LockLost { reason: LossReason::Closed, .. })));
        assert!(next.is_valid());
    });
}
