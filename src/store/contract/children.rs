//! What every store must do so that locks can be found: what lies below a path can be listed.

use super::{Harness, entered, queue_of};
use crate::path::LockPath;
use crate::store::{Departure, Expected, Session, StoreErrorKind};

/// Runs every check.
///
/// # Panics
///
/// If the store violates the contract.
pub async fn check_all(harness: &dyn Harness) {
    children_are_listed_by_their_names(harness).await;
    what_is_below_children_is_not_listed(harness).await;
    the_root_is_listed(harness).await;
    a_path_without_a_node_is_told(harness).await;
    a_node_without_children_has_an_empty_list(harness).await;
}

/// The lock whose queue that is.
fn lock_of(queue: &str) -> LockPath {
    let (lock, _) = queue.rsplit_once('/').expect("a queue lies in a directory");
    LockPath::new(lock).expect("the path of a lock")
}

fn below(path: &LockPath, name: &str) -> LockPath {
    LockPath::new(&format!("{path}/{name}")).expect("a good path")
}

async fn listed(session: &dyn Session, path: &LockPath) -> Vec<String> {
    // So that it has seen what others did.
    session.write_barrier().await.expect("a barrier");
    let mut names = session.children(Some(path)).await.expect("a list");
    names.sort();
    names
}

/// [`Session::children`] lists queues and everything else, whoever made it, without a path before the names.
pub async fn children_are_listed_by_their_names(harness: &dyn Harness) {
    let (one, two) = (harness.session().await, harness.session().await);
    let queue = queue_of(&*one, harness).await;
    let lock = lock_of(queue.as_str());
    for name in ["other", "übung"] {
        one.write_value(&below(&lock, name), b"data", Expected::Absent).await.expect("written");
    }
    assert_eq!(listed(&*two, &lock).await, ["_fairlock", "other", "übung"]);
}

/// [`Session::children`] goes down one step, not more.
pub async fn what_is_below_children_is_not_listed(harness: &dyn Harness) {
    let session = harness.session().await;
    let queue = queue_of(&*session, harness).await;
    let lock = lock_of(queue.as_str());
    let (name, _) = entered(&*session, &queue, b"t").await;
    assert_eq!(listed(&*session, &lock).await, ["_fairlock"]);
    session.leave(&queue, &name, Departure::CloseQueue).await.expect("closed");
    assert!(listed(&*session, &lock).await.is_empty(), "what is gone is not listed");
}

/// The root can be listed as well; all paths begin there.
pub async fn the_root_is_listed(harness: &dyn Harness) {
    let session = harness.session().await;
    let queue = queue_of(&*session, harness).await;
    let first = queue.as_str().split('/').nth(1).expect("an absolute path");
    let names = session.children(None).await.expect("a list");
    assert!(names.iter().any(|name| name == first), "{first} is missing: {names:?}");
    assert!(names.iter().all(|name| !name.is_empty() && !name.contains('/')), "{names:?}");
}

/// [`Session::children`] of nothing is an error that says so.
pub async fn a_path_without_a_node_is_told(harness: &dyn Harness) {
    let session = harness.session().await;
    let lock = lock_of(harness.unused_queue().as_str());
    let error = session.children(Some(&lock)).await.expect_err("there is nothing");
    assert_eq!(error.kind(), StoreErrorKind::NoNode);
}

/// A node that has no children is no error.
pub async fn a_node_without_children_has_an_empty_list(harness: &dyn Harness) {
    let session = harness.session().await;
    let path = below(&lock_of(harness.unused_queue().as_str()), "leaf");
    session.write_value(&path, b"data", Expected::Absent).await.expect("written");
    assert!(listed(&*session, &path).await.is_empty());
}
