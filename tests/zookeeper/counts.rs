//! What each operation costs, counted on the wire. The first use of a lock is in `directories`.

use std::time::Duration;

use fairlock_testcontainers::{EventKind, Operation};
use tokio::task::JoinSet;

use crate::bed::{self, QUIET, mutex, nodes, proxy, raw, soon, unused_path, wait_for_nodes};

#[tokio::test]
async fn an_uncontended_acquire_is_one_request_and_a_release_is_one() {
    let proxy = proxy().await;
    let lock = mutex(&proxy.address(), &unused_path(), QUIET).await;
    // The first use makes the directories.
    lock.acquire().await.expect("free").release().await.expect("released");
    proxy.reset_counts();
    let guard = lock.acquire().await.expect("free");
    let acquired = proxy.counts();
    guard.release().await.expect("released");
    let released = proxy.counts() - acquired.clone();
    assert_eq!((acquired.requests(), acquired.request(Operation::Multi)), (1, 1), "{acquired}");
    assert_eq!((released.requests(), released.request(Operation::Multi)), (1, 1), "{released}");
    assert_eq!((acquired.events(), released.events()), (0, 0));
}

#[tokio::test]
async fn a_lock_held_longer_has_its_own_node_watched_with_one_request_after_the_grant() {
    let proxy = proxy().await;
    let lock = mutex(&proxy.address(), &unused_path(), QUIET).await;
    lock.acquire().await.expect("free").release().await.expect("released");
    proxy.reset_counts();
    let guard = lock.acquire().await.expect("free");
    soon(proxy.wait_until(|counts| counts.reply(Operation::GetData) == 1)).await;
    let held = proxy.counts();
    assert_eq!((held.requests(), held.request(Operation::Multi)), (2, 1), "{held}");
    guard.release().await.expect("released");
    let released = proxy.counts() - held;
    // The one event is the echo of the release on the holder's own watch.
    assert_eq!((released.requests(), released.events()), (1, 1), "{released}");
}

#[tokio::test]
async fn a_try_on_a_held_lock_is_one_read_and_no_write() {
    let path = unused_path();
    let proxy = proxy().await;
    let guard = mutex(&bed::server().await.address(), &path, QUIET).await.acquire().await.expect("free");
    let lock = mutex(&proxy.address(), &path, QUIET).await;
    proxy.reset_counts();
    assert!(lock.try_acquire().await.expect("no error").is_none());
    let counts = proxy.counts();
    assert_eq!((counts.requests(), counts.request(Operation::GetChildren)), (1, 1), "{counts}");
    drop(guard);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hand_over_is_one_event_and_no_request_with_2_waiters() {
    hand_over_with(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hand_over_is_one_event_and_no_request_with_100_waiters() {
    hand_over_with(100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hand_over_is_one_event_and_no_request_with_1000_waiters() {
    hand_over_with(1_000).await;
}

/// The holder has one connection, the waiters another, so that what each is told can be counted apart.
async fn hand_over_with(waiters: usize) {
    let path = unused_path();
    let (holders, theirs) = (proxy().await, proxy().await);
    let observer = raw(&bed::server().await.address()).await;
    let holder = mutex(&holders.address(), &path, QUIET).await;
    let guard = holder.acquire().await.expect("free");
    let lock = mutex(&theirs.address(), &path, QUIET).await;
    let mut waiting = JoinSet::new();
    for _ in 0..waiters {
        let lock = lock.clone();
        waiting.spawn(async move { lock.acquire().await.expect("granted") });
    }
    // Each enters with one request and places two watches.
    let requests = waiters as u64 * 3;
    soon(theirs.wait_until(|counts| counts.replies() >= requests)).await;
    assert_eq!(nodes(&observer, &path).await.len(), waiters + 1);
    let before = theirs.counts();
    assert_eq!(before.events(), 0, "{before}");

    guard.release().await.expect("released");
    let first = soon(waiting.join_next()).await.expect("one is granted").expect("no panic");
    let hand_over = theirs.counts() - before;
    assert_eq!((hand_over.requests(), hand_over.events()), (0, 1), "{hand_over}");
    assert_eq!(hand_over.event(EventKind::NodeDataChanged), 1, "{hand_over}");
    assert!(waiting.try_join_next().is_none(), "one only");

    // From waiter to waiter it is the same, and the order is that of their nodes. The request is the release itself.
    let (mut guard, rounds) = (first, waiters.min(20) - 1);
    for _ in 0..rounds {
        let before = theirs.counts();
        let (token, node) = (guard.fencing_token(), guard.node_path().to_owned());
        guard.release().await.expect("released");
        guard = soon(waiting.join_next()).await.expect("one is granted").expect("no panic");
        let hand_over = theirs.counts() - before;
        assert_eq!((hand_over.requests(), hand_over.events()), (1, 1), "{hand_over}");
        assert!(guard.fencing_token() > token && guard.node_path() > node.as_str());
    }
    waiting.abort_all();
    drop(guard);
    wait_for_nodes(&observer, &path, 0).await;
}

/// A mutex, of which nobody expects readers, is watched with one request for the predecessor in `hand_over_with`.
#[tokio::test]
async fn a_writer_comes_to_a_reader_or_a_writer_with_four_requests_and_no_list() {
    let path = unused_path();
    let proxy = proxy().await;
    let observer = raw(&bed::server().await.address()).await;
    let others = bed::connect(&bed::server().await.address(), QUIET).await.rw_lock(&path).expect("a good path");
    let lock = bed::connect(&proxy.address(), QUIET).await.rw_lock(&path).expect("a good path");
    let reader = soon(others.read()).await.expect("free");
    let mut before = proxy.counts();
    let mut waiting = Vec::new();
    for _ahead in ["a reader", "a writer"] {
        let lock = lock.clone();
        waiting.push(tokio::spawn(async move { lock.write().await.expect("granted") }));
        // Its entry, its own watch, and one on either form of the one ahead.
        let replies = before.replies() + 4;
        soon(proxy.wait_until(|counts| counts.replies() >= replies)).await;
        let entered = proxy.counts() - before;
        let of = [Operation::Multi, Operation::GetData, Operation::GetChildren].map(|which| entered.request(which));
        assert_eq!((entered.requests(), of), (4, [1, 3, 0]), "{entered}");
        before = proxy.counts();
    }
    reader.release().await.expect("released");
    let second = waiting.pop().expect("two");
    let writer = soon(waiting.pop().expect("two")).await.expect("no panic");
    // A reader's departure is no baton: the writer lists the queue. A writer's is.
    let granted = proxy.counts() - before.clone();
    assert_eq!((granted.requests(), granted.events()), (1, 1), "{granted}");
    writer.release().await.expect("released");
    drop(soon(second).await.expect("no panic"));
    wait_for_nodes(&observer, &path, 0).await;
}

#[tokio::test]
async fn idle_sessions_send_no_more_than_the_clients_own_pings_would() {
    let proxy = proxy().await;
    let session_timeout = Duration::from_millis(1_400);
    let _locks = bed::connect(&proxy.address(), session_timeout).await;
    proxy.reset_counts();
    // Ten session timeouts, at one beat each seventh.
    tokio::time::sleep(session_timeout * 10).await;
    let counts = proxy.counts();
    let sent = counts.request(Operation::Exists) + counts.request(Operation::Ping);
    assert!((40..=75).contains(&sent), "{counts}");
    // A ping is sent only where a beat came late.
    assert!(counts.request(Operation::Ping) <= sent / 4, "{counts}");
    assert_eq!(counts.request(Operation::Multi), 0, "{counts}");
}
