//! From writing to reading and back.

use std::time::Duration;

use fairlock::queue::Mode;
use fairlock::store::memory::{Loss, Request};
use fairlock::{AcquireOptions, Error, LossReason, Role};

use crate::aside::{granted, lock, read_aside, write_aside};
use crate::bed::{Bed, eventually, soon};

fn names(bed: &Bed) -> Vec<String> {
    bed.memory.children("/a/_fairlock")
}

#[tokio::test]
async fn a_downgraded_writer_lets_readers_in_and_no_writer() {
    let bed = Bed::new().await;
    let (one, other) = (lock(&bed.memory).await, lock(&bed.memory).await);
    let writer = one.write().await.expect("free");
    let token = writer.fencing_token();
    let first = read_aside(&other);
    bed.until_nodes("/a", 2).await;
    let next_writer = write_aside(&other);
    bed.until_nodes("/a", 3).await;
    let late = read_aside(&other);
    bed.until_nodes("/a", 4).await;
    let reader = writer.downgrade().await.expect("downgraded");
    assert_eq!(reader.fencing_token(), token);
    let first = granted(first).await;
    assert!(reader.is_valid() && first.is_valid() && first.fencing_token() > token);
    assert!(!next_writer.is_finished() && !late.is_finished());
    first.release().await.expect("released");
    assert!(!next_writer.is_finished());
    reader.release().await.expect("released");
    let next_writer = granted(next_writer).await;
    assert!(next_writer.fencing_token() > token && !late.is_finished());
    next_writer.release().await.expect("released");
    granted(late).await.release().await.expect("released");
    assert_eq!(bed.nodes("/a"), 0);
}

#[tokio::test]
async fn a_downgraded_writer_is_listed_as_a_reader_at_its_place_and_is_told_of_its_nodes_deletion() {
    let bed = Bed::new().await;
    let lock = lock(&bed.memory).await;
    let writer = lock.write().await.expect("free");
    let waiting = write_aside(&lock);
    bed.until_nodes("/a", 2).await;
    let reader = writer.downgrade().await.expect("downgraded");
    let listed = lock.contenders().await.expect("a list");
    let told: Vec<_> = listed.iter().map(|contender| (contender.sequence.mode(), contender.role)).collect();
    assert_eq!(told, [(Mode::Shared, Role::Holder), (Mode::Exclusive, Role::Waiter)]);
    eventually(|| bed.memory.watches() >= 3).await;
    assert!(lock.as_mutex().break_contender(&listed[0]).await.expect("no error"));
    assert_eq!(soon(reader.lost()).await, LossReason::NodeDeleted);
    drop(granted(waiting).await);
}

#[tokio::test]
async fn a_lost_request_or_reply_to_a_downgrade_is_found_out() {
    for loss in [Loss::Request, Loss::Reply] {
        let bed = Bed::new().await;
        let lock = bed.locks.rw_lock("/a").expect("a path");
        let writer = lock.write().await.expect("free");
        bed.memory.lose_next(bed.memory.sessions()[0], Request::Replace, loss);
        let reader = soon(writer.downgrade()).await.expect("downgraded");
        assert!(reader.is_valid());
        assert!(lock.try_read().await.expect("no error").is_some(), "{loss:?}");
        reader.release().await.expect("released");
        bed.until_nodes("/a", 0).await;
    }
}

/// Whoever overwrites the ticket does not make a node another's.
#[tokio::test]
async fn a_node_that_a_stranger_wrote_to_is_found_as_well() {
    for loss in [None, Some(Loss::Request), Some(Loss::Reply)] {
        let bed = Bed::new().await;
        let lock = bed.locks.rw_lock("/a").expect("a path");
        let writer = lock.write().await.expect("free");
        bed.memory.write(writer.node_path(), b"a stranger was here".to_vec());
        // In doubt about its node, it looks before it replaces it.
        bed.memory.disconnect(bed.memory.sessions()[0]);
        bed.memory.reconnect(bed.memory.sessions()[0]);
        if let Some(loss) = loss {
            bed.memory.lose_next(bed.memory.sessions()[0], Request::Replace, loss);
        }
        let reader = soon(writer.downgrade()).await.expect("downgraded");
        assert!(reader.is_valid(), "{loss:?}");
        reader.release().await.expect("released");
        bed.until_nodes("/a", 0).await;
    }
}

#[tokio::test]
async fn a_downgrade_that_nobody_waits_for_any_more_leaves_nothing() {
    for loss in [None, Some(Loss::Request), Some(Loss::Reply)] {
        let bed = Bed::new().await;
        let lock = bed.locks.rw_lock("/a").expect("a path");
        let writer = lock.write().await.expect("free");
        if let Some(loss) = loss {
            bed.memory.lose_next(bed.memory.sessions()[0], Request::Replace, loss);
        }
        let mut downgrade = Box::pin(writer.downgrade());
        // Polled once: it is asked for.
        assert!(futures_util::poll!(&mut downgrade).is_pending());
        drop(downgrade);
        bed.until_nodes("/a", 0).await;
        assert!(lock.try_write().await.expect("no error").is_some());
    }
}

#[tokio::test]
async fn a_writer_that_is_lost_cannot_be_downgraded() {
    let bed = Bed::new().await;
    let lock = bed.locks.rw_lock("/a").expect("a path");
    let writer = lock.write().await.expect("free");
    bed.memory.expire(bed.memory.sessions()[0]);
    let (writer, error) = writer.downgrade().await.expect_err("it is lost").into_parts();
    assert!(matches!(error, Error::LockLost { reason: LossReason::SessionExpired, .. }), "{error}");
    assert!(!writer.is_valid());
}

#[tokio::test]
async fn a_writer_whose_node_is_deleted_while_it_is_downgraded_is_told() {
    let bed = Bed::new().await;
    let lock = bed.locks.rw_lock("/a").expect("a path");
    let writer = lock.write().await.expect("free");
    // Before its own watch is in place.
    bed.memory.delete_all(writer.node_path());
    let (writer, error) = writer.downgrade().await.expect_err("it is lost").into_parts();
    assert!(matches!(error, Error::LockLost { reason: LossReason::NodeDeleted, .. }), "{error}");
    assert_eq!(writer.loss(), Some(LossReason::NodeDeleted));
}

#[tokio::test]
async fn a_name_that_is_taken_by_hand_leaves_the_writer_alone() {
    let bed = Bed::new().await;
    let lock = bed.locks.rw_lock("/a").expect("a path");
    let writer = lock.write().await.expect("free");
    bed.memory.create("/a/_fairlock/read-0000000000", b"by hand".to_vec());
    let refused = writer.downgrade().await.expect_err("the name is taken");
    assert!(matches!(refused.error(), Error::Store { .. }), "{refused}");
    let writer = refused.into_guard();
    assert!(writer.is_valid());
    bed.memory.delete_all("/a/_fairlock/read-0000000000");
    let reader = writer.downgrade().await.expect("downgraded");
    reader.release().await.expect("released");
}

/// Its own watch was not in place yet.
#[tokio::test]
async fn whoever_is_refused_right_after_the_grant_is_told_of_its_nodes_deletion() {
    let bed = Bed::new().await;
    let lock = bed.locks.rw_lock("/a").expect("a path");
    let writer = lock.write().await.expect("free");
    bed.memory.create("/a/_fairlock/read-0000000000", b"by hand".to_vec());
    let writer = writer.downgrade().await.expect_err("the name is taken").into_guard();
    eventually(|| bed.memory.watches() > 0).await;
    bed.memory.delete_all(writer.node_path());
    assert_eq!(soon(writer.lost()).await, LossReason::NodeDeleted);
}

#[tokio::test]
async fn a_limit_on_how_long_it_is_held_goes_on_through_both_conversions() {
    let bed = Bed::new().await;
    let lock = bed.locks.rw_lock("/a").expect("a path");
    tokio::time::pause();
    let limit = Duration::from_secs(1);
    let writer = lock.write_with(AcquireOptions::default().hold_at_most(limit)).await.expect("free");
    let until = writer.valid_until();
    tokio::time::advance(limit / 4).await;
    let reader = writer.downgrade().await.expect("downgraded");
    tokio::time::advance(limit / 4).await;
    let writer = reader.try_upgrade().await.expect("upgraded");
    assert_eq!(writer.valid_until(), until);
    assert_eq!(writer.lost().await, LossReason::HoldLimitReached);
    let (_, error) = writer.downgrade().await.expect_err("it is lost").into_parts();
    assert!(matches!(error, Error::LockLost { reason: LossReason::HoldLimitReached, .. }), "{error}");
}

#[tokio::test]
async fn a_reader_that_is_alone_becomes_a_writer_and_its_share_goes() {
    let bed = Bed::new().await;
    let lock = bed.locks.rw_lock("/a").expect("a path");
    let reader = lock.read().await.expect("free");
    let token = reader.fencing_token();
    let writer = reader.try_upgrade().await.expect("upgraded");
    assert!(writer.is_valid() && writer.fencing_token() > token);
    assert_eq!(names(&bed), ["lock-0000000001"], "the share is gone");
    let listed = lock.contenders().await.expect("a list");
    assert_eq!((listed.len(), listed[0].role), (1, Role::Holder));
    assert!(lock.try_read().await.expect("no error").is_none());
    // And back, and forth.
    let reader = writer.downgrade().await.expect("downgraded");
    let writer = reader.try_upgrade().await.expect("upgraded");
    writer.release().await.expect("released");
    bed.until_nodes("/a", 0).await;
}

#[tokio::test]
async fn an_upgrade_is_refused_while_others_share_the_lock_or_wait_for_it() {
    let bed = Bed::new().await;
    let lock = bed.locks.rw_lock("/a").expect("a path");
    let reader = lock.read().await.expect("free");
    let other = lock.read().await.expect("shared");
    let refused = reader.try_upgrade().await.expect_err("somebody else reads");
    assert!(matches!(refused.error(), Error::UpgradeRefused { .. }), "{refused}");
    let reader = refused.into_guard();
    assert!(reader.is_valid());
    other.release().await.expect("released");
    let waiting = write_aside(&lock);
    bed.until_nodes("/a", 2).await;
    let refused = reader.try_upgrade().await.expect_err("a writer waits, and came first");
    assert!(matches!(refused.error(), Error::UpgradeRefused { .. }), "{refused}");
    assert_eq!(bed.nodes("/a"), 2, "nothing is left of the attempt");
    drop(refused.into_guard());
    drop(granted(waiting).await);
}

/// Two that wait for each other would wait for ever.
#[tokio::test]
async fn of_two_readers_that_both_want_to_write_at_most_one_does_and_neither_waits() {
    for first_polled in 0..2 {
        let bed = Bed::new().await;
        let lock = bed.locks.rw_lock("/a").expect("a path");
        let (one, two) = (lock.read().await.expect("free"), lock.read().await.expect("shared"));
        let (first, second) = if first_polled == 0 { (one, two) } else { (two, one) };
        let (first, second) = soon(async { tokio::join!(first.try_upgrade(), second.try_upgrade()) }).await;
        assert!(first.is_err() && second.is_err(), "both hold their shares");
        drop(first);
        let second = second.expect_err("refused").into_guard();
        eventually(|| bed.nodes("/a") == 1).await;
        second.try_upgrade().await.expect("alone by now").release().await.expect("released");
    }
}

/// Who enters between the look and the attempt is found by the attempt's own list.
#[tokio::test]
async fn a_reader_that_comes_between_the_look_and_the_attempt_keeps_the_upgrade_from_it() {
    let bed = Bed::new().await;
    let lock = bed.locks.rw_lock("/a").expect("a path");
    let reader = lock.read().await.expect("free");
    let mut upgrade = Box::pin(reader.try_upgrade());
    // The look is made when it is polled first; the attempt has a task of its own.
    assert!(futures_util::poll!(&mut upgrade).is_pending());
    bed.memory.create("/a/_fairlock/read-0000000001", b"by hand".to_vec());
    let refused = soon(upgrade).await.expect_err("somebody came");
    assert!(matches!(refused.error(), Error::UpgradeRefused { .. }), "{refused}");
    assert!(refused.into_guard().is_valid());
    bed.until_nodes("/a", 1 + 1).await;
}

#[tokio::test]
async fn readers_that_come_while_an_upgrade_is_tried_are_let_in_when_it_is_refused() {
    let bed = Bed::new().await;
    let lock = bed.locks.rw_lock("/a").expect("a path");
    let reader = lock.read().await.expect("free");
    let mut upgrade = Box::pin(reader.try_upgrade());
    assert!(futures_util::poll!(&mut upgrade).is_pending());
    drop(upgrade);
    // The share and the attempt are both given up.
    soon(lock.read()).await.expect("let in").release().await.expect("released");
    bed.until_nodes("/a", 0).await;
}

#[tokio::test]
async fn a_share_that_was_removed_alone_or_with_its_queue_is_not_exchanged_for_the_lock() {
    for removed in ["/a/_fairlock/read-0000000000", "/a/_fairlock", "/a"] {
        let bed = Bed::new().await;
        let lock = bed.locks.rw_lock("/a").expect("a path");
        let reader = lock.read().await.expect("free");
        // Before its own watch is in place.
        bed.memory.delete_all(removed);
        let (reader, error) = reader.try_upgrade().await.expect_err("it is lost").into_parts();
        assert!(matches!(error, Error::LockLost { reason: LossReason::NodeDeleted, .. }), "{removed}: {error}");
        assert_eq!(soon(reader.lost()).await, LossReason::NodeDeleted);
        bed.until_nodes("/a", 0).await;
    }
}

#[tokio::test]
async fn a_lost_share_is_not_upgraded() {
    let bed = Bed::new().await;
    let lock = bed.locks.rw_lock("/a").expect("a path");
    let reader = lock.read().await.expect("free");
    bed.memory.expire(bed.memory.sessions()[0]);
    let refused = reader.try_upgrade().await.expect_err("it is lost");
    assert!(matches!(refused.error(), Error::LockLost { reason: LossReason::SessionExpired, .. }), "{refused}");
    assert!(!refused.into_guard().is_valid());
}

#[tokio::test]
async fn lost_replies_to_an_upgrade_are_found_out() {
    for request in [Request::Enter, Request::Survey, Request::Inspect] {
        for loss in [Loss::Request, Loss::Reply] {
            let bed = Bed::new().await;
            let lock = bed.locks.rw_lock("/a").expect("a path");
            let reader = lock.read().await.expect("free");
            bed.memory.lose_next(bed.memory.sessions()[0], request, loss);
            let writer = soon(reader.try_upgrade()).await.expect("upgraded");
            assert!(writer.is_valid(), "{request:?} {loss:?}");
            writer.release().await.expect("released");
            bed.until_nodes("/a", 0).await;
        }
    }
}

#[tokio::test]
async fn an_upgraded_writers_release_lets_the_next_in_after_its_share_is_gone() {
    let bed = Bed::new().await;
    let lock = bed.locks.rw_lock("/a").expect("a path");
    let reader = lock.read().await.expect("free");
    let writer = reader.try_upgrade().await.expect("upgraded");
    let (next, after) = (write_aside(&lock), read_aside(&lock));
    bed.until_nodes("/a", 3).await;
    writer.release().await.expect("released");
    granted(next).await.release().await.expect("released");
    granted(after).await.release().await.expect("released");
    assert_eq!(bed.nodes("/a"), 0);
}
