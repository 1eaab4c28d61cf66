//! A lock that its owner takes again.

use fairlock::{Error, LossReason};

use crate::bed::{Bed, client, eventually, soon};

#[tokio::test]
async fn an_owner_takes_it_again_without_a_request_and_the_last_guard_releases_it() {
    let bed = Bed::new().await;
    let lock = bed.locks.mutex("/a").expect("a path").reentrant(3);
    let outer = lock.acquire().await.expect("free");
    let nodes = bed.memory.children("/a/_fairlock");
    let inner = lock.clone().acquire().await.expect("the same owner");
    let tried = lock.try_acquire().await.expect("no error").expect("the same owner");
    assert_eq!(bed.memory.children("/a/_fairlock"), nodes, "no second node");
    assert_eq!(outer.fencing_token(), inner.fencing_token());
    outer.release().await.expect("released");
    drop(tried);
    assert!(inner.is_valid());
    assert_eq!(bed.nodes("/a"), 1);
    inner.release().await.expect("released");
    assert_eq!(bed.nodes("/a"), 0);
    let again = lock.acquire().await.expect("free again");
    assert!(again.is_valid());
}

#[tokio::test]
async fn a_recursion_without_end_is_told() {
    let bed = Bed::new().await;
    let lock = bed.locks.mutex("/a").expect("a path").reentrant(2);
    let guards = [lock.acquire().await.expect("free"), lock.acquire().await.expect("again")];
    let error = lock.acquire().await.expect_err("a third");
    assert!(matches!(error, Error::HeldTooOften { limit: 2, .. }), "{error}");
    let [one, other] = guards;
    one.release().await.expect("released");
    let again = lock.acquire().await.expect("there is room again");
    drop((again, other));
    bed.until_nodes("/a", 0).await;
}

#[tokio::test]
async fn another_owner_in_the_same_process_waits() {
    let bed = Bed::new().await;
    let mutex = bed.locks.mutex("/a").expect("a path");
    let (one, other) = (mutex.reentrant(2), mutex.reentrant(2));
    let guard = one.acquire().await.expect("free");
    assert!(other.try_acquire().await.expect("no error").is_none());
    let waiting = tokio::spawn(async move { other.acquire().await });
    bed.until_nodes("/a", 2).await;
    guard.release().await.expect("released");
    drop(soon(waiting).await.expect("no panic").expect("granted"));
}

#[tokio::test]
async fn clones_that_wait_at_once_need_one_place() {
    let bed = Bed::new().await;
    let blocker = client(&bed.memory).await.mutex("/a").expect("a path").acquire().await.expect("free");
    let lock = bed.locks.mutex("/a").expect("a path").reentrant(10);
    let waiting: Vec<_> = (0..5)
        .map(|_| {
            let lock = lock.clone();
            tokio::spawn(async move { lock.acquire().await })
        })
        .collect();
    bed.until_nodes("/a", 2).await;
    // The one that is in the queue gives up, and another enters for the rest.
    waiting[0].abort();
    eventually(|| waiting[0].is_finished()).await;
    bed.until_nodes("/a", 2).await;
    blocker.release().await.expect("released");
    let mut tokens = Vec::new();
    let mut guards = Vec::new();
    for waiter in waiting.into_iter().skip(1) {
        let guard = soon(waiter).await.expect("no panic").expect("granted");
        tokens.push(guard.fencing_token());
        guards.push(guard);
    }
    tokens.dedup();
    assert_eq!(tokens.len(), 1, "they share one grant");
    assert_eq!(bed.nodes("/a"), 1);
}

#[tokio::test]
async fn a_lost_lock_is_not_entered_again_until_its_guards_are_gone() {
    let bed = Bed::new().await;
    let lock = bed.locks.mutex("/a").expect("a path").reentrant(3);
    let (outer, inner) = (lock.acquire().await.expect("free"), lock.acquire().await.expect("again"));
    bed.memory.expire(bed.memory.sessions()[0]);
    assert_eq!(soon(outer.lost()).await, LossReason::SessionExpired);
    let error = lock.acquire().await.expect_err("lost");
    assert!(matches!(error, Error::LockLost { reason: LossReason::SessionExpired, .. }), "{error}");
    let error = inner.release().await.expect_err("lost");
    assert!(matches!(error, Error::LockLost { .. }), "{error}");
    drop(outer);
    let again = lock.acquire().await.expect("with a new session");
    assert!(again.is_valid());
}

#[tokio::test]
async fn a_try_is_answered_at_once_while_another_clone_is_on_its_way_in() {
    let bed = Bed::new().await;
    let lock = bed.locks.mutex("/a").expect("a path").reentrant(3);
    // Both ask at once: the second waits for the first, and is polled only after the try.
    let mut first = Box::pin(lock.acquire());
    let mut second = Box::pin(lock.acquire());
    assert!(futures::poll!(&mut first).is_pending());
    assert!(futures::poll!(&mut second).is_pending());
    let outer = soon(first).await.expect("free");
    let tried = lock.try_acquire().await.expect("no error").expect("this owner holds it");
    let inner = soon(second).await.expect("the same owner");
    assert_eq!(outer.fencing_token(), inner.fencing_token());
    drop((outer, inner));
    assert_eq!(bed.nodes("/a"), 1);
    tried.release().await.expect("released");
    assert_eq!(bed.nodes("/a"), 0);
}
