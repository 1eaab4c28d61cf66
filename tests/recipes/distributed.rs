//! The lock behind its object-safe trait.

use fairlock::{DistributedLock, Failover, Fencing, LossNotice, Order};

use crate::bed::Bed;

#[tokio::test]
async fn it_says_what_it_can_be_relied_upon_for() {
    let bed = Bed::new().await;
    let lock = bed.locks.mutex("/a").expect("a path");
    let guarantees = lock.guarantees();
    assert_eq!(guarantees.order, Order::FirstComeFirstServed);
    assert_eq!(guarantees.fencing, Fencing::NeverGoesBack);
    assert_eq!(guarantees.loss, LossNotice::InTime);
    assert_eq!(guarantees.failover, Failover::Forgets, "it is a store in this process");
}
