//! What a store promises of values.

use std::sync::Arc;

use tokio::time::timeout;

use super::{Harness, PATIENCE};
use crate::path::LockPath;
use crate::store::{Expected, Session, StoreErrorKind, Value, WatchedValue};

fn unused_path(harness: &dyn Harness) -> LockPath {
    let queue = harness.unused_queue();
    let (lock, _) = queue.as_str().rsplit_once('/').expect("a queue lies below its lock");
    LockPath::new(lock).expect("the lock of a queue has a good path")
}

async fn read(session: &dyn Session, path: &LockPath) -> Option<Value> {
    // Another session's acknowledged write is seen after this.
    session.write_barrier().await.expect("a barrier");
    session.read_value(path).await.expect("a read")
}

/// [`Session::write_value`] makes a value that did not exist, with all nodes above it, once.
pub async fn a_value_is_made_once(harness: &dyn Harness) {
    let (one, two) = (harness.session().await, harness.session().await);
    let path = unused_path(harness);
    assert_eq!(read(&*one, &path).await, None);
    let missing = one.write_value(&path, b"1", Expected::Version(0)).await.expect_err("there is none");
    assert_eq!(missing.kind(), StoreErrorKind::NoNode);
    assert_eq!(one.write_value(&path, b"1", Expected::Absent).await.expect("made"), 0);
    let error = two.write_value(&path, b"2", Expected::Absent).await.expect_err("it exists");
    assert_eq!(error.kind(), StoreErrorKind::NodeExists);
    let value = read(&*two, &path).await.expect("a value");
    assert_eq!((value.data.as_slice(), value.version), (&b"1"[..], 0));
}

/// [`Session::write_value`] writes only over the version that it expects, and counts versions.
pub async fn a_value_is_written_only_if_it_has_the_expected_version(harness: &dyn Harness) {
    let (one, two) = (harness.session().await, harness.session().await);
    let path = unused_path(harness);
    one.write_value(&path, b"1", Expected::Absent).await.expect("made");
    let before = read(&*one, &path).await.expect("a value");
    assert_eq!(two.write_value(&path, b"2", Expected::Version(0)).await.expect("as expected"), 1);
    let error = one.write_value(&path, b"3", Expected::Version(0)).await.expect_err("it was written");
    assert_eq!(error.kind(), StoreErrorKind::VersionMismatch);
    let after = read(&*one, &path).await.expect("a value");
    assert_eq!((after.data.as_slice(), after.version, after.token), (&b"2"[..], 1, before.token));
}

/// A value outlives the session that wrote it.
pub async fn a_value_stays_when_its_session_ends(harness: &dyn Harness) {
    let (one, two) = (harness.session().await, harness.session().await);
    let path = unused_path(harness);
    one.write_value(&path, b"1", Expected::Absent).await.expect("made");
    one.close().await;
    assert_eq!(read(&*two, &path).await.map(|value| value.data), Some(b"1".to_vec()));
}

/// [`Session::watch_value`] tells of a creation and of a write, by whomever, and reads and watches in one step.
pub async fn a_watched_value_tells_of_its_next_change(harness: &dyn Harness) {
    let (one, two) = (harness.session().await, harness.session().await);
    let path = unused_path(harness);
    let mut expected = Expected::Absent;
    for (version, data) in (0..).zip([&b"1"[..], b"2", b"3"]) {
        let mut watched = one.watch_value(&path).await.expect("watched");
        assert_eq!(watched.value.map(|value| value.version), (version > 0).then(|| version - 1));
        assert!(futures_util::poll!(&mut watched.event).is_pending(), "nothing has changed yet");
        two.write_value(&path, data, expected).await.expect("written");
        timeout(PATIENCE, watched.event).await.expect("it is told");
        expected = Expected::Version(version);
    }
}

/// A watch of a value ends with the session.
pub async fn a_watched_value_tells_of_the_end_of_the_session(harness: &dyn Harness) {
    let session: Arc<dyn Session> = harness.session().await;
    let path = unused_path(harness);
    let absent: WatchedValue = session.watch_value(&path).await.expect("watched");
    session.write_value(&path, b"1", Expected::Absent).await.expect("made");
    let present = session.watch_value(&path).await.expect("watched");
    session.close().await;
    timeout(PATIENCE, absent.event).await.expect("it is told");
    timeout(PATIENCE, present.event).await.expect("it is told");
}
