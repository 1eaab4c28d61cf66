//! Several locks, all or none.

use std::sync::Arc;
use std::time::Duration;

use fairlock::store::memory::Memory;
use fairlock::{Error, LossReason};

use crate::bed::{Bed, client, eventually, soon};

#[tokio::test]
async fn all_are_held_in_the_order_of_their_paths_and_released_together() {
    let bed = Bed::new().await;
    let lock = bed.locks.multi_lock(["/c", "/a", "/b"]).expect("good paths");
    let guard = lock.acquire().await.expect("free");
    let paths: Vec<_> = guard.guards().iter().map(|guard| guard.path().as_str()).collect();
    assert_eq!(paths, ["/a", "/b", "/c"]);
    assert!(guard.is_valid());
    assert!(guard.valid_for() > Duration::ZERO);
    assert!(lock.try_acquire().await.expect("a server answers").is_none());
    guard.release().await.expect("released");
    for path in ["/a", "/b", "/c"] {
        assert_eq!(bed.nodes(path), 0);
    }
}

#[tokio::test]
async fn bad_sets_are_refused() {
    let bed = Bed::new().await;
    let refused = |paths: &[&str]| bed.locks.multi_lock(paths).expect_err("a mistake");
    assert!(matches!(refused(&[]), Error::InvalidConfig { .. }));
    assert!(matches!(refused(&["/a", "/b", "/a"]), Error::InvalidConfig { .. }));
    assert!(matches!(refused(&["/a", "b"]), Error::InvalidPath { .. }));
}

/// Each of many callers takes two of three locks, given in any order, again and again: with two orders they would soon
/// wait for each other.
#[tokio::test(start_paused = true)]
async fn callers_with_overlapping_sets_never_wait_for_each_other_in_a_circle() {
    let memory = Memory::new();
    let inside = Arc::new([const { std::sync::atomic::AtomicU32::new(0) }; 3]);
    let mut callers = Vec::new();
    for caller in 0..6_usize {
        let locks = client(&memory).await;
        let inside = inside.clone();
        callers.push(tokio::spawn(async move {
            use std::sync::atomic::Ordering::SeqCst;
            for round in 0..20 {
                let (one, other) = (caller % 3, (caller + 1 + round % 2) % 3);
                let lock = locks.multi_lock([format!("/{one}"), format!("/{other}")]).expect("good paths");
                let guard = lock.acquire().await.expect("granted");
                for number in [one, other] {
                    assert_eq!(inside[number].fetch_add(1, SeqCst), 0, "alone in /{number}");
                }
                tokio::task::yield_now().await;
                for number in [one, other] {
                    inside[number].fetch_sub(1, SeqCst);
                }
                guard.release().await.expect("released");
            }
        }));
    }
    for caller in callers {
        tokio::time::timeout(Duration::from_secs(600), caller).await.expect("no deadlock").expect("no panic");
    }
}

#[tokio::test(start_paused = true)]
async fn one_time_limit_covers_all_and_what_was_held_is_released() {
    let bed = Bed::new().await;
    let others = client(&bed.memory).await;
    let (first, last) = (others.mutex("/a").expect("a path"), others.mutex("/c").expect("a path"));
    let first = first.acquire().await.expect("free");
    let _last = last.acquire().await.expect("free");
    let lock = bed.locks.multi_lock(["/a", "/b", "/c"]).expect("good paths");
    let limit = Duration::from_secs(10);
    let started = tokio::time::Instant::now();
    let waiting = tokio::spawn(async move { lock.acquire_timeout(limit).await });
    bed.until_nodes("/a", 2).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    first.release().await.expect("released");

    let error = waiting.await.expect("no panic").expect_err("the last is held");
    assert!(matches!(&error, Error::Timeout { path, waited } if path == "/c" && *waited == limit), "{error}");
    assert!(started.elapsed() < limit + Duration::from_secs(1), "not {limit:?} for each: {:?}", started.elapsed());
    bed.until_nodes("/a", 0).await;
    bed.until_nodes("/b", 0).await;
    bed.until_nodes("/c", 1).await;
}

#[tokio::test]
async fn a_lock_that_is_lost_while_another_is_waited_for_ends_the_wait() {
    let bed = Bed::new().await;
    let blocker = client(&bed.memory).await.mutex("/b").expect("a path").acquire().await.expect("free");
    let lock = bed.locks.multi_lock(["/a", "/b"]).expect("good paths");
    let waiting = tokio::spawn(async move { lock.acquire().await });
    bed.until_nodes("/b", 2).await;
    // Its loss is noticed once its node is watched.
    eventually(|| bed.memory.watches() >= 3).await;
    bed.memory.delete_all("/a/_fairlock");
    let error = soon(waiting).await.expect("no panic").expect_err("lost");
    let reason = LossReason::NodeDeleted;
    assert!(matches!(&error, Error::LockLost { path, reason: told } if path == "/a" && *told == reason), "{error}");
    bed.until_nodes("/b", 1).await;
    drop(blocker);
}

#[tokio::test]
async fn the_loss_of_one_is_the_loss_of_all_and_the_store_refuses_its_writes() {
    let bed = Bed::new().await;
    let lock = bed.locks.multi_lock(["/a", "/b"]).expect("good paths");
    let guard = lock.acquire().await.expect("free");
    guard.transaction().create("/data", b"1").commit().await.expect("both are held");
    let second = format!("/b/_fairlock/{}", bed.memory.children("/b/_fairlock")[0]);
    // Before the holder can have heard of it, the store decides.
    bed.memory.delete_all(&second);
    let error = guard.transaction().set_data("/data", b"2", None).commit().await.expect_err("one is lost");
    assert!(matches!(error, Error::TransactionRefused { index: 0, .. }), "{error}");
    assert_eq!(bed.memory.data("/data").as_deref(), Some(&b"1"[..]));
    let (path, reason) = soon(guard.lost()).await;
    assert_eq!((path.as_str(), reason), ("/b", LossReason::NodeDeleted));
    assert!(!guard.is_valid());
    let error = guard.protect(async {}).await.expect_err("lost");
    assert!(matches!(error, Error::LockLost { .. }), "{error}");
    let error = guard.release().await.expect_err("one was lost");
    assert!(matches!(error, Error::LockLost { .. }), "{error}");
    bed.until_nodes("/a", 0).await;
}

#[tokio::test]
async fn work_that_is_done_together_with_the_loss_came_too_late() {
    let bed = Bed::new().await;
    let guard = bed.locks.multi_lock(["/a", "/b"]).expect("good paths").acquire().await.expect("free");
    let work = async { bed.memory.expire(bed.memory.sessions()[0]) };
    let error = guard.protect(work).await.expect_err("lost before the work was done");
    assert!(matches!(error, Error::LockLost { reason: LossReason::SessionExpired, .. }), "{error}");
    // No task has to run for it.
    assert_eq!(futures::FutureExt::now_or_never(guard.lost()).expect("at once").1, LossReason::SessionExpired);
}
