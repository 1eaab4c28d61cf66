//! What every store must do for semaphores: a queue's members can be watched, and its data stay what they are.

use std::num::NonZeroU32;

use tokio::time::timeout;

use super::{Harness, PATIENCE};
use crate::name::{Mode, Sequence};
use crate::path::QueuePath;
use crate::store::{Departure, Expected, Neighbours, Session, StoreErrorKind, WatchedMembers};

/// Runs every check.
///
/// # Panics
///
/// If the store violates the contract.
pub async fn check_all(harness: &dyn Harness) {
    members_that_come_or_go_are_told_once(harness).await;
    members_that_go_with_their_session_are_told(harness).await;
    the_end_of_the_own_session_ends_the_watch(harness).await;
    members_of_a_missing_queue_are_not_watched(harness).await;
    entering_for_permits_leaves_the_queues_data(harness).await;
    a_lost_entry_for_permits_is_found(harness).await;
}

const MODE: Mode = Mode::Permits(NonZeroU32::new(3).expect("not zero"));
const DATA: &[u8] = b"three permits";

/// A queue that is a value as well, as a semaphore's is.
async fn queue_of(session: &dyn Session, harness: &dyn Harness) -> QueuePath {
    let queue = harness.unused_queue();
    session.write_value(&queue.as_value(), DATA, Expected::Absent).await.expect("a value");
    queue
}

async fn enter(session: &dyn Session, queue: &QueuePath) -> Sequence {
    session.enter(queue, MODE, b"t").await.expect("entered").sequence
}

async fn watched(session: &dyn Session, queue: &QueuePath) -> WatchedMembers {
    // So that it has seen what others did.
    session.write_barrier().await.expect("a barrier");
    session.watch_members(queue).await.expect("a list")
}

#[track_caller]
fn has_fired(members: WatchedMembers) -> impl Future<Output = ()> {
    let location = std::panic::Location::caller();
    async move {
        assert!(timeout(PATIENCE, members.event).await.is_ok(), "the watch must fire: {location}");
    }
}

/// Whoever watches is told of the next member that comes, and of the next that goes; each watch once, all watches.
pub async fn members_that_come_or_go_are_told_once(harness: &dyn Harness) {
    let (one, two) = (harness.session().await, harness.session().await);
    let queue = queue_of(&*one, harness).await;
    let (empty, also_empty) = (watched(&*two, &queue).await, watched(&*one, &queue).await);
    assert!(empty.names.is_empty() && also_empty.names.is_empty());
    let sequence = enter(&*one, &queue).await;
    has_fired(empty).await;
    has_fired(also_empty).await;
    let full = watched(&*two, &queue).await;
    assert_eq!(full.names, [sequence.node_name()]);
    one.leave(&queue, &sequence.node_name(), Departure::Withdraw).await.expect("left");
    has_fired(full).await;
    assert!(watched(&*two, &queue).await.names.is_empty());
}

/// Members that vanish with their session have gone.
pub async fn members_that_go_with_their_session_are_told(harness: &dyn Harness) {
    let (doomed, other) = (harness.session().await, harness.session().await);
    let queue = queue_of(&*other, harness).await;
    enter(&*doomed, &queue).await;
    let full = watched(&*other, &queue).await;
    assert_eq!(full.names.len(), 1);
    harness.expire(&*doomed).await;
    has_fired(full).await;
}

/// Nobody waits on a watch whose session has ended.
pub async fn the_end_of_the_own_session_ends_the_watch(harness: &dyn Harness) {
    let (doomed, closed) = (harness.session().await, harness.session().await);
    let queue = queue_of(&*doomed, harness).await;
    let watches = [watched(&*doomed, &queue).await, watched(&*closed, &queue).await];
    harness.expire(&*doomed).await;
    closed.close().await;
    for watch in watches {
        has_fired(watch).await;
    }
}

/// There is nothing to watch.
pub async fn members_of_a_missing_queue_are_not_watched(harness: &dyn Harness) {
    let session = harness.session().await;
    let error = session.watch_members(&harness.unused_queue()).await.expect_err("there is no queue");
    assert_eq!(error.kind(), StoreErrorKind::NoNode);
}

/// The number of permits is in the data of their directory: who enters there neither writes nor touches it.
pub async fn entering_for_permits_leaves_the_queues_data(harness: &dyn Harness) {
    let (one, two) = (harness.session().await, harness.session().await);
    let queue = queue_of(&*one, harness).await;
    let first = one.enter(&queue, MODE, b"t").await.expect("entered");
    assert_ne!(first.neighbours, Neighbours::Some, "nobody else is there");
    two.write_barrier().await.expect("a barrier");
    let second = two.enter(&queue, MODE, b"t").await.expect("entered");
    assert_ne!(second.neighbours, Neighbours::None, "somebody is there");
    assert_eq!((first.sequence.mode(), second.sequence.mode()), (MODE, MODE));
    assert_eq!(second.sequence.as_i32(), first.sequence.as_i32() + 1);
    assert!(second.token > first.token);
    let node = two.inspect(&queue, &first.sequence.node_name()).await.expect("a look").expect("a node");
    assert_eq!((node.owner, node.token), (Some(one.id()), first.token));
    let value = two.read_value(&queue.as_value()).await.expect("a look").expect("a value");
    assert_eq!((&value.data[..], value.version), (DATA, 0));
    one.leave(&queue, &first.sequence.node_name(), Departure::Withdraw).await.expect("left");
    let changed = one.write_value(&queue.as_value(), b"four", Expected::Version(0)).await.expect("as expected");
    assert_eq!(changed, 1);
}

/// What holds for contenders of locks holds for those for permits.
pub async fn a_lost_entry_for_permits_is_found(harness: &dyn Harness) {
    let session = harness.session().await;
    let queue = queue_of(&*session, harness).await;
    let entered = session.enter(&queue, MODE, b"mine").await.expect("entered");
    session.enter(&queue, MODE, b"other").await.expect("entered");
    session.write_barrier().await.expect("a barrier");
    let found = session.find_own(&queue, b"mine").await.expect("a search");
    assert_eq!(found, [crate::store::OwnNode { sequence: entered.sequence, token: entered.token }]);
}
