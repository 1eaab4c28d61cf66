//! Removing a contender by force.

use fairlock::{Error, LossReason, Role};

use crate::bed::{Bed, client, eventually, soon};

#[tokio::test]
async fn a_holder_that_is_removed_is_told_and_the_next_is_granted() {
    let bed = Bed::new().await;
    let guard = bed.locks.mutex("/a").expect("a path").acquire().await.expect("free");
    let next = client(&bed.memory).await.mutex("/a").expect("a path");
    let waiting = tokio::spawn(async move { next.acquire().await });
    bed.until_nodes("/a", 2).await;
    // The holder's node is watched by both.
    eventually(|| bed.memory.watches() == 3).await;

    let operator = client(&bed.memory).await.mutex("/a").expect("a path");
    let holder = operator.contenders().await.expect("a list").remove(0);
    assert_eq!((holder.role, holder.token), (Role::Holder, guard.fencing_token()));
    assert!(operator.break_contender(&holder).await.expect("a server answers"));
    assert_eq!(soon(guard.lost()).await, LossReason::NodeDeleted);
    let next = soon(waiting).await.expect("no panic").expect("granted");
    assert!(next.fencing_token() > guard.fencing_token());
    assert!(!operator.break_contender(&holder).await.expect("a server answers"), "it is gone");
    assert!(next.is_valid());
}

#[tokio::test]
async fn a_waiter_that_is_removed_fails_and_the_others_keep_their_places() {
    let bed = Bed::new().await;
    let lock = bed.locks.mutex("/a").expect("a path");
    let guard = lock.acquire().await.expect("free");
    let waiters: Vec<_> = (2..4)
        .map(|_| {
            let lock = lock.clone();
            tokio::spawn(async move { lock.acquire().await })
        })
        .collect();
    bed.until_nodes("/a", 3).await;
    eventually(|| bed.memory.watches() >= 4).await;
    let listed = lock.contenders().await.expect("a list");
    assert!(lock.break_contender(&listed[1]).await.expect("a server answers"));
    let mut waiters = waiters.into_iter();
    let removed = soon(waiters.next().expect("two")).await.expect("no panic").expect_err("removed");
    assert!(matches!(removed, Error::Removed { .. }), "{removed}");
    guard.release().await.expect("released");
    let last = soon(waiters.next().expect("two")).await.expect("no panic").expect("granted");
    assert_eq!(last.fencing_token(), listed[2].token);
}

#[tokio::test]
async fn a_namesake_in_a_queue_made_anew_is_left_alone() {
    let bed = Bed::new().await;
    let lock = bed.locks.mutex("/a").expect("a path");
    let guard = lock.acquire().await.expect("free");
    let listed = lock.contenders().await.expect("a list").remove(0);
    guard.release().await.expect("released");
    bed.memory.delete_all("/a/_fairlock");
    let guard = lock.acquire().await.expect("free");
    let namesake = lock.contenders().await.expect("a list").remove(0);
    assert_eq!(namesake.sequence, listed.sequence);
    assert!(!lock.break_contender(&listed).await.expect("a server answers"));
    assert!(guard.is_valid());
    assert_eq!(bed.nodes("/a"), 1);
}
