//! The lock behind its object-safe trait.

use std::sync::Arc;
use std::time::Duration;

use fairlock::{DistributedLock, Error, Failover, Fencing, LossNotice, LossReason, Order};

use crate::bed::{Bed, soon};

#[tokio::test]
async fn a_mutex_can_be_used_without_knowing_it() {
    let bed = Bed::new().await;
    let lock: Arc<dyn DistributedLock> = Arc::new(bed.locks.mutex("/a").expect("a path"));
    assert_eq!(lock.name(), "/a");
    let held = lock.acquire().await.expect("free");
    let token = held.fencing_token().expect("it has tokens");
    assert!(held.is_valid() && held.valid_for() > Duration::ZERO);
    assert!(lock.try_acquire().await.expect("no error").is_none());
    let error = lock.acquire_timeout(Duration::from_millis(5)).await.expect_err("held");
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    held.release().await.expect("released");
    let held = lock.try_acquire().await.expect("no error").expect("free");
    assert!(held.fencing_token() > Some(token));
    bed.memory.expire(bed.memory.sessions()[0]);
    assert_eq!(soon(held.lost()).await, LossReason::SessionExpired);
    assert!(!held.is_valid());
}

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
