//! Controls: what the oracle must flag, made on purpose. A matrix whose judge cannot say no proves nothing.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use fairlock_testcontainers::Operation;
use futures::FutureExt;

use crate::fault::Fault;
use crate::oracle::NOTICE;
use crate::stage::Stage;

/// How long the oracle waits where time runs out by design; what leads there has all the time it needs.
const SHORT: Duration = Duration::from_millis(300);

/// What the oracle says; it must say something.
async fn complaint(judged: impl Future<Output = ()>) -> String {
    let panic = AssertUnwindSafe(judged).catch_unwind().await.expect_err("nothing was flagged");
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).expect("a message")
}

#[tokio::test]
async fn a_trap_that_does_not_spring_is_flagged() {
    let (mut stage, _) = Stage::set(Fault::ReplyLost).await;
    let lock = stage.lock().await;
    let hold = stage.trap(Operation::SetAcl);
    let acquiring = stage.acquire(&lock);
    stage.patience = SHORT;
    let said = complaint(stage.finds_it_free(lock, hold, acquiring)).await;
    assert!(said.contains("the trap to spring"), "{said}");
}

#[tokio::test]
async fn a_node_left_behind_is_flagged() {
    let (mut stage, _) = Stage::set(Fault::ReplyLost).await;
    let second = stage.granted(stage.acquire(&stage.other)).await;
    let left = stage.acquire(&stage.lock().await);
    stage.until("the node", async || stage.own_nodes().await == 1).await;
    stage.patience = SHORT;
    let said = complaint(stage.settle(None, second)).await;
    assert!(said.contains("all nodes but the holder's to go"), "{said}");
    left.abort();
}

#[tokio::test]
async fn a_successor_whose_node_is_another_is_flagged() {
    let (stage, _) = Stage::set(Fault::ReplyLost).await;
    let second = stage.granted(stage.acquire(&stage.other)).await;
    let behind = stage.acquire(&stage.lock().await);
    stage.until("the node", async || stage.own_nodes().await == 1).await;
    stage.delete(second.node_path()).await;
    let said = complaint(stage.settle(None, second)).await;
    assert!(said.contains("deleted by somebody else"), "{said}");
    behind.abort();
}

#[tokio::test]
async fn two_valid_guards_are_flagged() {
    for fault in [Fault::SessionExpired, Fault::ZombieLink] {
        let (stage, _) = Stage::set(fault).await;
        let guard = stage.granted(stage.acquire(&stage.lock().await)).await;
        let said = complaint(stage.is_overtaken(&guard, NOTICE)).await;
        assert!(said.contains("two valid guards") || said.contains("not noticed"), "{said}");
    }
}

#[tokio::test]
async fn a_place_that_was_not_kept_is_flagged() {
    let (stage, _) = Stage::set(Fault::ReplyLost).await;
    let lock = stage.lock().await;
    let guard = stage.granted(stage.acquire(&lock)).await;
    let second = tokio::spawn(async { Err(fairlock::Error::Closed) });
    stage.until("its end", async || second.is_finished()).await;
    let said = complaint(stage.held_then_released(lock, guard, second)).await;
    assert!(said.contains("granted to two"), "{said}");
}

#[tokio::test]
async fn a_token_that_does_not_rise_is_flagged() {
    let (stage, _) = Stage::set(Fault::ReplyLost).await;
    let first = stage.granted(stage.acquire(&stage.other)).await;
    let token = first.fencing_token();
    let second = tokio::spawn(async move { Ok(first) });
    let said = complaint(async { drop(stage.successor(second, token).await) }).await;
    assert!(said.contains("tokens rise"), "{said}");
}
