//! What every store must do where one node comes in the place of another, in one transaction.

use super::{Harness, change, entered, entered_as, queue_of, watched};
use crate::name::{Mode, Sequence};
use crate::store::{Change, Departure, OwnNode, StoreErrorKind};

/// Runs every check.
///
/// # Panics
///
/// If the store violates the contract.
pub async fn check_all(harness: &dyn Harness) {
    a_shared_node_comes_in_place_of_the_exclusive_one(harness).await;
    a_downgrade_is_a_delete_event_and_whoever_looks_then_sees_the_share(harness).await;
    a_node_that_is_gone_is_not_downgraded(harness).await;
    a_downgrade_that_was_done_is_not_done_again(harness).await;
    a_downgraded_node_is_found_and_goes_with_its_session(harness).await;
    numbers_go_on_after_a_downgrade(harness).await;
    anothers_place_can_be_taken_over(harness).await;
}

fn shared(sequence: Sequence) -> Sequence {
    Sequence::new(sequence.as_i32(), Mode::Shared)
}

/// It has the same number, a token of its own and the ticket, and belongs to the session.
pub async fn a_shared_node_comes_in_place_of_the_exclusive_one(harness: &dyn Harness) {
    let (one, two) = (harness.session().await, harness.session().await);
    let queue = queue_of(&*one, harness).await;
    let (_, own) = entered(&*one, &queue, b"mine").await;
    let (_, later) = entered(&*two, &queue, b"other").await;
    let downgraded = one.replace(&queue, own.sequence, Mode::Shared, b"mine").await.expect("downgraded");
    assert_eq!(downgraded.sequence, shared(own.sequence));
    assert!(downgraded.token > later.token, "it is a new node");
    two.write_barrier().await.expect("a barrier");
    let mut names = two.survey(&queue).await.expect("a list");
    names.sort_unstable();
    assert_eq!(names, [later.sequence.node_name(), downgraded.sequence.node_name()]);
    let node = two.inspect(&queue, &downgraded.sequence.node_name()).await.expect("a look").expect("a node");
    assert_eq!((&node.data[..], node.owner, node.token), (&b"mine"[..], Some(one.id()), downgraded.token));
}

/// Whoever watched the exclusive node is told once that it was deleted: not that it was written, which is the baton.
pub async fn a_downgrade_is_a_delete_event_and_whoever_looks_then_sees_the_share(harness: &dyn Harness) {
    let (one, two) = (harness.session().await, harness.session().await);
    let queue = queue_of(&*one, harness).await;
    let (name, own) = entered(&*one, &queue, b"mine").await;
    two.write_barrier().await.expect("a barrier");
    let watch = watched(&*two, &queue, &name).await;
    let downgraded = one.replace(&queue, own.sequence, Mode::Shared, b"mine").await.expect("downgraded");
    assert_eq!(change(watch).await, Change::Deleted);
    assert_eq!(two.survey(&queue).await.expect("a list"), [downgraded.sequence.node_name()]);
}

/// Nothing comes in place of nothing.
pub async fn a_node_that_is_gone_is_not_downgraded(harness: &dyn Harness) {
    let session = harness.session().await;
    let queue = queue_of(&*session, harness).await;
    let (name, own) = entered(&*session, &queue, b"t").await;
    session.leave(&queue, &name, Departure::Withdraw).await.expect("left");
    let error = session.replace(&queue, own.sequence, Mode::Shared, b"t").await.expect_err("it is gone");
    assert_eq!(error.kind(), StoreErrorKind::NoNode);
    assert!(session.survey(&queue).await.expect("a list").is_empty());
}

/// A second downgrade says that the exclusive node is gone, and the share stays.
pub async fn a_downgrade_that_was_done_is_not_done_again(harness: &dyn Harness) {
    let session = harness.session().await;
    let queue = queue_of(&*session, harness).await;
    let (_, own) = entered(&*session, &queue, b"t").await;
    let downgraded = session.replace(&queue, own.sequence, Mode::Shared, b"t").await.expect("downgraded");
    let error = session.replace(&queue, own.sequence, Mode::Shared, b"t").await.expect_err("it is done");
    assert_eq!(error.kind(), StoreErrorKind::NoNode);
    assert_eq!(session.survey(&queue).await.expect("a list"), [downgraded.sequence.node_name()]);
}

/// After a lost reply, the ticket says which of the two it is.
pub async fn a_downgraded_node_is_found_and_goes_with_its_session(harness: &dyn Harness) {
    let (doomed, other) = (harness.session().await, harness.session().await);
    let queue = queue_of(&*doomed, harness).await;
    let (_, own) = entered(&*doomed, &queue, b"mine").await;
    entered_as(Mode::Shared, &*doomed, &queue, b"another").await;
    let found = doomed.find_own(&queue, b"mine").await.expect("a search");
    assert_eq!(found, [OwnNode { sequence: own.sequence, token: own.token }]);
    let downgraded = doomed.replace(&queue, own.sequence, Mode::Shared, b"mine").await.expect("downgraded");
    doomed.write_barrier().await.expect("a barrier");
    assert_eq!(doomed.find_own(&queue, b"mine").await.expect("a search"), [downgraded]);
    other.write_barrier().await.expect("a barrier");
    let watch = watched(&*other, &queue, &downgraded.sequence.node_name()).await;
    harness.expire(&*doomed).await;
    assert_eq!(change(watch).await, Change::Deleted);
}

/// Whoever enters afterwards has a higher number and a higher token than the share and all before.
pub async fn numbers_go_on_after_a_downgrade(harness: &dyn Harness) {
    let session = harness.session().await;
    let queue = queue_of(&*session, harness).await;
    let (_, own) = entered(&*session, &queue, b"1").await;
    let (_, second) = entered(&*session, &queue, b"2").await;
    let downgraded = session.replace(&queue, own.sequence, Mode::Shared, b"1").await.expect("downgraded");
    let (_, third) = entered(&*session, &queue, b"3").await;
    assert!(third.sequence > second.sequence && third.token > downgraded.token);
}

/// A node of the same name comes in place of another session's, which it outlives.
pub async fn anothers_place_can_be_taken_over(harness: &dyn Harness) {
    let (doomed, one, two) = (harness.session().await, harness.session().await, harness.session().await);
    let queue = queue_of(&*doomed, harness).await;
    let (name, old) = entered(&*doomed, &queue, b"old").await;
    one.write_barrier().await.expect("a barrier");
    let (_, later) = entered(&*one, &queue, b"later").await;
    let watch = watched(&*one, &queue, &name).await;
    two.write_barrier().await.expect("a barrier");
    let new = two.replace(&queue, old.sequence, Mode::Exclusive, b"new").await.expect("replaced");
    assert_eq!(new.sequence, old.sequence);
    assert!(new.token > later.token, "it is a new node");
    assert_eq!(change(watch).await, Change::Deleted);
    assert_eq!(two.find_own(&queue, b"new").await.expect("a search"), [new]);
    harness.expire(&*doomed).await;
    two.write_barrier().await.expect("a barrier");
    let node = two.inspect(&queue, &name).await.expect("a look").expect("it stays");
    assert_eq!((&node.data[..], node.owner, node.token), (&b"new"[..], Some(two.id()), new.token));
}
