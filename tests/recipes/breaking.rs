//! Removing a contender by force.

use crate::bed::Bed;

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
