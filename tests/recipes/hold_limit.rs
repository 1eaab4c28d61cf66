//! A limit to how long a lock is held.

use std::time::Duration;

use fairlock::{AcquireOptions, Error, LossReason};

use crate::bed::{Bed, client, soon};

const LIMIT: Duration = Duration::from_secs(3);

fn limited() -> AcquireOptions {
    AcquireOptions::default().hold_at_most(LIMIT)
}

#[tokio::test(start_paused = true)]
async fn a_guard_is_lost_when_its_time_has_passed_and_the_next_is_granted() {
    let bed = Bed::new().await;
    let lock = bed.locks.mutex("/a").expect("a good path");
    let guard = lock.acquire_with(limited()).await.expect("free");
    let next = client(&bed.memory).await.mutex("/a").expect("a good path");
    let next = tokio::spawn(async move { next.acquire().await });
    bed.until_nodes("/a", 2).await;
    assert!(guard.is_valid());
    assert!(guard.valid_for() <= LIMIT);

    let started = tokio::time::Instant::now();
    assert_eq!(guard.lost().await, LossReason::HoldLimitReached);
    assert!(started.elapsed() <= LIMIT, "not later than asked for");
    assert!(!guard.is_valid());
    let later = soon(next).await.expect("no panic").expect("granted");
    assert!(later.fencing_token() > guard.fencing_token());
    let error = guard.release().await.expect_err("it was lost");
    assert!(matches!(error, Error::LockLost { reason: LossReason::HoldLimitReached, .. }), "{error}");
    assert!(later.is_valid(), "the late release concerns nobody else");
}

#[tokio::test(start_paused = true)]
async fn work_that_hangs_is_dropped() {
    let bed = Bed::new().await;
    let lock = bed.locks.mutex("/a").expect("a good path");
    let guard = lock.acquire_with(limited()).await.expect("free");
    let error = guard.protect(std::future::pending::<()>()).await.expect_err("it hangs");
    assert!(matches!(error, Error::LockLost { reason: LossReason::HoldLimitReached, .. }), "{error}");
    bed.until_nodes("/a", 0).await;
}

#[tokio::test(start_paused = true)]
async fn the_time_counts_from_the_grant_and_not_from_the_wait() {
    let bed = Bed::new().await;
    let lock = bed.locks.mutex("/a").expect("a good path");
    let first = lock.acquire().await.expect("free");
    let second = lock.clone();
    let second = tokio::spawn(async move { second.acquire_with(limited()).await });
    bed.until_nodes("/a", 2).await;
    tokio::time::sleep(2 * LIMIT).await;
    first.release().await.expect("released");
    let second = second.await.expect("no panic").expect("granted");
    assert!(second.is_valid());
    assert!(second.valid_for() > LIMIT / 2);
    second.release().await.expect("released in time");
}

#[tokio::test(start_paused = true)]
async fn a_limit_longer_than_the_sessions_validity_does_not_prolong_it() {
    let bed = Bed::new().await;
    let lock = bed.locks.mutex("/a").expect("a good path");
    let guard =
        lock.acquire_with(AcquireOptions::default().hold_at_most(Duration::from_secs(3_600))).await.expect("free");
    bed.memory.disconnect(bed.memory.sessions()[0]);
    assert_eq!(guard.lost().await, LossReason::DeadlinePassed);
}

#[tokio::test]
async fn for_ever_is_no_limit() {
    let bed = Bed::new().await;
    let lock = bed.locks.mutex("/a").expect("a good path");
    let guard = lock.acquire_with(AcquireOptions::default().hold_at_most(Duration::MAX)).await.expect("free");
    let waited = tokio::time::timeout(Duration::from_millis(5), guard.lost()).await;
    assert!(waited.is_err() && guard.is_valid());
    guard.release().await.expect("released");
}
