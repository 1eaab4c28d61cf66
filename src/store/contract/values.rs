//! What every store must do about values.

use tokio::time::timeout;

use super::{Harness, PATIENCE, queue_of};
use crate::name::Mode;
use crate::path::LockPath;
use crate::store::{Departure, Expected, Operation, Session, StoreErrorKind, Value, WatchedValue};

/// Runs every check.
///
/// # Panics
///
/// If the store violates the contract.
pub async fn check_all(harness: &dyn Harness) {
    an_absent_value_is_told_as_such(harness).await;
    a_value_is_made_once_with_its_ancestors(harness).await;
    an_empty_value_is_a_value(harness).await;
    a_write_needs_the_expected_version(harness).await;
    any_version_is_written_over(harness).await;
    minus_one_is_no_version(harness).await;
    a_value_made_anew_has_a_higher_token(harness).await;
    a_value_outlives_its_writer(harness).await;
    a_value_where_a_queue_was_first_stays(harness).await;
    a_watch_tells_once_of_each_kind_of_change(harness).await;
    a_watch_ends_with_its_session(harness).await;
}

fn unused_path(harness: &dyn Harness) -> LockPath {
    let queue = harness.unused_queue();
    let (path, _) = queue.as_str().rsplit_once('/').expect("a queue lies below its lock");
    LockPath::new(path).expect("the path of a lock")
}

async fn made(session: &dyn Session, harness: &dyn Harness, data: &[u8]) -> LockPath {
    let path = unused_path(harness);
    session.write_value(&path, data, Expected::Absent).await.expect("a value can be made");
    path
}

async fn read(session: &dyn Session, path: &LockPath) -> Value {
    session.read_value(path).await.expect("a look").expect("a value")
}

async fn watched(session: &dyn Session, path: &LockPath) -> WatchedValue {
    session.watch_value(path).await.expect("watching succeeds")
}

async fn told(watched: WatchedValue) {
    timeout(PATIENCE, watched.event).await.expect("the watch fires");
}

async fn delete(session: &dyn Session, path: &LockPath) {
    let delete = Operation::Delete { path: path.to_string(), version: None };
    session.commit(path.as_str(), &[delete]).await.expect("deleted");
}

/// A value that does not exist is read as none and is not written to.
pub async fn an_absent_value_is_told_as_such(harness: &dyn Harness) {
    let session = harness.session().await;
    let path = unused_path(harness);
    assert_eq!(session.read_value(&path).await.expect("a look"), None);
    for expected in [Expected::Version(0), Expected::Any] {
        let error = session.write_value(&path, b"1", expected).await.expect_err("there is none");
        assert_eq!(error.kind(), StoreErrorKind::NoNode, "{expected:?}");
    }
    assert_eq!(session.read_value(&path).await.expect("a look"), None);
}

/// [`Expected::Absent`] makes a value and what is missing above it, and refuses if there is one.
pub async fn a_value_is_made_once_with_its_ancestors(harness: &dyn Harness) {
    let (one, two) = (harness.session().await, harness.session().await);
    let path = LockPath::new(&format!("{}/b/c", unused_path(harness))).expect("a good path");
    let version = one.write_value(&path, b"1", Expected::Absent).await.expect("made");
    let error = two.write_value(&path, b"2", Expected::Absent).await.expect_err("it is there");
    assert_eq!(error.kind(), StoreErrorKind::NodeExists);
    let value = read(&*two, &path).await;
    assert_eq!((&value.data[..], value.version), (&b"1"[..], version));
    assert_eq!(value.token, value.modified);
}

/// A value may be empty, also from the beginning.
pub async fn an_empty_value_is_a_value(harness: &dyn Harness) {
    let session = harness.session().await;
    let path = made(&*session, harness, b"").await;
    let error = session.write_value(&path, b"1", Expected::Absent).await.expect_err("it is there");
    assert_eq!(error.kind(), StoreErrorKind::NodeExists);
    let version = read(&*session, &path).await.version;
    session.write_value(&path, b"1", Expected::Version(version)).await.expect("written");
    session.write_value(&path, b"", Expected::Version(version + 1)).await.expect("written");
    let value = read(&*session, &path).await;
    assert_eq!((&value.data[..], value.version), (&b""[..], version + 2));
}

/// [`Expected::Version`] writes what has that version, makes the version one higher, and changes nothing otherwise.
pub async fn a_write_needs_the_expected_version(harness: &dyn Harness) {
    let (one, two) = (harness.session().await, harness.session().await);
    let path = made(&*one, harness, b"1").await;
    let before = read(&*one, &path).await;
    let version = two.write_value(&path, b"2", Expected::Version(before.version)).await.expect("written");
    assert_eq!(version, before.version + 1);
    let after = read(&*two, &path).await;
    assert_eq!((&after.data[..], after.version, after.token), (&b"2"[..], version, before.token));
    assert!(after.modified > before.modified);
    for wrong in [before.version, version + 1] {
        let error = one.write_value(&path, b"3", Expected::Version(wrong)).await.expect_err("another version");
        assert_eq!(error.kind(), StoreErrorKind::VersionMismatch);
    }
    assert_eq!(read(&*one, &path).await, after);
}

/// [`Expected::Any`] writes over every version.
pub async fn any_version_is_written_over(harness: &dyn Harness) {
    let session = harness.session().await;
    let path = made(&*session, harness, b"1").await;
    let first = session.write_value(&path, b"2", Expected::Any).await.expect("written");
    let second = session.write_value(&path, b"3", Expected::Any).await.expect("written");
    let value = read(&*session, &path).await;
    assert_eq!((&value.data[..], value.version, second), (&b"3"[..], first + 1, first + 1));
}

/// A version that is no version does not stand for any.
pub async fn minus_one_is_no_version(harness: &dyn Harness) {
    let session = harness.session().await;
    let path = made(&*session, harness, b"1").await;
    let error = session.write_value(&path, b"2", Expected::Version(-1)).await.expect_err("no version");
    assert_eq!(error.kind(), StoreErrorKind::BadRequest);
    assert_eq!(read(&*session, &path).await.data, b"1");
}

/// A value that was deleted and made anew has a higher token, whatever its version.
pub async fn a_value_made_anew_has_a_higher_token(harness: &dyn Harness) {
    let session = harness.session().await;
    let path = made(&*session, harness, b"1").await;
    let before = read(&*session, &path).await;
    delete(&*session, &path).await;
    assert_eq!(session.read_value(&path).await.expect("a look"), None);
    session.write_value(&path, b"1", Expected::Absent).await.expect("made anew");
    let after = read(&*session, &path).await;
    assert_eq!(after.version, before.version);
    assert!(after.token > before.token && after.modified > before.modified);
}

/// A value belongs to no session.
pub async fn a_value_outlives_its_writer(harness: &dyn Harness) {
    let (one, two) = (harness.session().await, harness.session().await);
    let path = made(&*one, harness, b"1").await;
    one.close().await;
    two.write_barrier().await.expect("a barrier");
    assert_eq!(read(&*two, &path).await.data, b"1");
}

/// The directory of a queue is no value until it is made one; then it stays when the queue goes.
pub async fn a_value_where_a_queue_was_first_stays(harness: &dyn Harness) {
    let (one, two) = (harness.session().await, harness.session().await);
    let queue = queue_of(&*one, harness).await;
    let (path, _) = queue.as_str().rsplit_once('/').expect("a queue lies below its lock");
    let path = LockPath::new(path).expect("the path of a lock");
    assert_eq!(one.read_value(&path).await.expect("a look"), None);
    let watch = watched(&*two, &path).await;
    assert_eq!(watch.value, None);
    let entered = one.enter(&queue, Mode::Exclusive, b"t").await.expect("entered");
    let version = two.write_value(&path, b"1", Expected::Absent).await.expect("made while the lock is held");
    told(watch).await;
    let error = one.write_value(&path, b"2", Expected::Absent).await.expect_err("it is there");
    assert_eq!(error.kind(), StoreErrorKind::NodeExists);
    one.leave(&queue, &entered.sequence.node_name(), Departure::CloseQueue).await.expect("left");
    let value = read(&*one, &path).await;
    assert_eq!((&value.data[..], value.version), (&b"1"[..], version));
    two.write_value(&path, b"2", Expected::Version(version)).await.expect("written");
}

/// A creation, a write and a deletion are each told once, to everybody who watches.
pub async fn a_watch_tells_once_of_each_kind_of_change(harness: &dyn Harness) {
    let (one, two) = (harness.session().await, harness.session().await);
    let path = unused_path(harness);
    let (first, second) = (watched(&*two, &path).await, watched(&*two, &path).await);
    assert_eq!((&first.value, &second.value), (&None, &None));
    let version = one.write_value(&path, b"1", Expected::Absent).await.expect("made");
    told(first).await;
    told(second).await;
    let watch = watched(&*two, &path).await;
    assert_eq!(watch.value.as_ref().map(|value| &value.data[..]), Some(&b"1"[..]));
    one.write_value(&path, b"2", Expected::Version(version)).await.expect("written");
    told(watch).await;
    let mut watch = watched(&*two, &path).await;
    assert_eq!(watch.value.as_ref().map(|value| &value.data[..]), Some(&b"2"[..]));
    two.write_barrier().await.expect("a barrier");
    let early = futures_util::FutureExt::now_or_never(&mut watch.event);
    assert_eq!(early, None, "what was told before is not told again");
    delete(&*one, &path).await;
    told(watch).await;
    assert_eq!(two.read_value(&path).await.expect("a look"), None);
}

/// Nobody waits for ever for the news of a session that has ended.
pub async fn a_watch_ends_with_its_session(harness: &dyn Harness) {
    let (doomed, other) = (harness.session().await, harness.session().await);
    let path = made(&*other, harness, b"1").await;
    let (present, absent) = (watched(&*doomed, &path).await, watched(&*doomed, &unused_path(harness)).await);
    harness.expire(&*doomed).await;
    told(present).await;
    told(absent).await;
    let error = doomed.read_value(&path).await.expect_err("nothing works any more");
    assert!(matches!(error.kind(), StoreErrorKind::Ended(_)), "{error:?}");
}
