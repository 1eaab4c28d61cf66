//! Asking a holder to release.

use std::time::Duration;

use fairlock::recipes::ReleaseAnswer;
use fairlock::store::memory::{Loss, Request};
use fairlock::{Error, LossReason};

use crate::bed::{Bed, client, soon};

const VALUE: &str = "/a/_fairlock_requests";

#[tokio::test]
async fn a_holder_is_asked_says_that_it_heard_and_releases() {
    let bed = Bed::new().await;
    let guard = bed.locks.mutex("/a").expect("a path").acquire().await.expect("free");
    let other = client(&bed.memory).await.mutex("/a").expect("a path");
    let request = other.request_release("deployment").await.expect("a server answers").expect("it is held");
    assert_eq!(request.holder(), guard.fencing_token());
    let asked = soon(guard.release_requested()).await.expect("held");
    assert_eq!((asked.reason(), asked.by()), ("deployment", bed.locks.identity()));
    guard.acknowledge(&asked, "soon").await.expect("held");
    assert_eq!(soon(request.answered()).await.expect("an answer"), ReleaseAnswer::Acknowledged("soon".into()));
    assert!(guard.is_valid(), "nothing is forced");
    let waited = tokio::time::timeout(Duration::from_millis(5), guard.release_requested()).await;
    assert!(waited.is_err(), "what was acknowledged is not told again");
    let released = tokio::spawn(async move { request.released().await });
    guard.release().await.expect("released");
    soon(released).await.expect("no panic").expect("released");
    assert!(other.request_release("again").await.expect("a server answers").is_none(), "nobody holds it");
}

/// Whoever lists the contenders still sees who holds, and a waiter takes no write for the baton.
#[tokio::test]
async fn a_request_leaves_the_holders_node_as_it_is() {
    let bed = Bed::new().await;
    let lock = bed.locks.mutex("/a").expect("a path");
    let guard = lock.acquire().await.expect("free");
    let waiting = tokio::spawn({
        let lock = client(&bed.memory).await.mutex("/a").expect("a path");
        async move { lock.acquire().await }
    });
    bed.until_nodes("/a", 2).await;
    let (ticket, listed) = (bed.memory.data(guard.node_path()), lock.contenders().await.expect("a list"));
    assert!(ticket.is_some());
    lock.request_release("deployment").await.expect("a server answers").expect("it is held");
    let asked = soon(guard.release_requested()).await.expect("held");
    guard.acknowledge(&asked, "soon").await.expect("held");
    assert_eq!(bed.memory.data(guard.node_path()), ticket);
    assert_eq!(lock.contenders().await.expect("a list"), listed);
    assert!(guard.is_valid() && !waiting.is_finished());
}

#[tokio::test]
async fn a_holder_that_waits_for_requests_is_told_of_each() {
    let bed = Bed::new().await;
    let guard = bed.locks.mutex("/a").expect("a path").acquire().await.expect("free");
    for round in ["one", "two", "three"] {
        let (asked, request) = tokio::join!(soon(guard.release_requested()), async {
            let other = client(&bed.memory).await.mutex("/a").expect("a path");
            other.request_release(round).await.expect("a server answers").expect("it is held")
        });
        let asked = asked.expect("held");
        assert_eq!(asked.reason(), round);
        let (answer, told) = tokio::join!(soon(request.answered()), guard.acknowledge(&asked, round));
        told.expect("held");
        assert_eq!(answer.expect("an answer"), ReleaseAnswer::Acknowledged(round.into()));
    }
}

#[tokio::test]
async fn a_request_to_an_earlier_holder_is_not_told_to_the_next() {
    let bed = Bed::new().await;
    let lock = bed.locks.mutex("/a").expect("a path");
    let guard = lock.acquire().await.expect("free");
    let request = lock.request_release("to the first").await.expect("a server answers").expect("it is held");
    guard.release().await.expect("released");
    let next = lock.acquire().await.expect("free");
    assert_eq!(soon(request.answered()).await.expect("an answer"), ReleaseAnswer::Gone);
    assert!(tokio::time::timeout(Duration::from_millis(5), next.release_requested()).await.is_err());
    lock.request_release("to the second").await.expect("a server answers").expect("it is held");
    assert_eq!(soon(next.release_requested()).await.expect("held").reason(), "to the second");
}

#[tokio::test]
async fn requests_made_at_once_are_all_heard() {
    let bed = Bed::new().await;
    let guard = bed.locks.mutex("/a").expect("a path").acquire().await.expect("free");
    let mut asking = Vec::new();
    for number in 0..20 {
        let other = client(&bed.memory).await.mutex("/a").expect("a path");
        asking.push(tokio::spawn(async move {
            let request = other.request_release(&format!("{number}")).await.expect("a server answers");
            soon(request.expect("it is held").answered()).await.expect("an answer")
        }));
    }
    let mut heard = Vec::new();
    for _ in 0..20 {
        let asked = soon(guard.release_requested()).await.expect("held");
        guard.acknowledge(&asked, asked.reason()).await.expect("held");
        heard.push(asked.reason().to_owned());
    }
    for (number, asking) in asking.into_iter().enumerate() {
        let answer = soon(asking).await.expect("no panic");
        assert_eq!(answer, ReleaseAnswer::Acknowledged(format!("{number}")));
    }
    heard.sort_by_key(|number| number.parse::<u32>().expect("a number"));
    heard.dedup();
    assert_eq!(heard.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_reply_is_lost_is_made_once() {
    let bed = Bed::new().await;
    let lock = bed.locks.mutex("/a").expect("a path");
    let guard = lock.acquire().await.expect("free");
    for loss in [Loss::Request, Loss::Reply] {
        bed.memory.lose_next(bed.memory.sessions()[0], Request::WriteValue, loss);
        lock.request_release(&format!("{loss:?}")).await.expect("a server answers").expect("it is held");
        let asked = guard.release_requested().await.expect("held");
        assert_eq!(asked.reason(), format!("{loss:?}"));
        bed.memory.lose_next(bed.memory.sessions()[0], Request::WriteValue, loss);
        guard.acknowledge(&asked, "heard").await.expect("held");
    }
    let value = String::from_utf8(bed.memory.data(VALUE).expect("a value")).expect("text");
    assert_eq!(value.matches("\"reason\"").count(), 2, "{value}");
}

#[tokio::test]
async fn a_holder_that_waits_for_requests_learns_of_its_loss() {
    let bed = Bed::new().await;
    let guard = bed.locks.mutex("/a").expect("a path").acquire().await.expect("free");
    let waiting =
        async { tokio::join!(guard.release_requested(), async { bed.memory.expire(bed.memory.sessions()[0]) }).0 };
    let error = soon(waiting).await.expect_err("lost");
    assert!(matches!(error, Error::LockLost { reason: LossReason::SessionExpired, .. }), "{error}");
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_garbage_is_overwritten() {
    let bed = Bed::new().await;
    let lock = bed.locks.mutex("/a").expect("a path");
    let guard = lock.acquire().await.expect("free");
    let error = lock.request_release(&"x".repeat(513)).await.expect_err("too long");
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    let error = lock.request_release("two\nlines").await.expect_err("control characters");
    assert!(matches!(error, Error::InvalidConfig { .. }), "{error}");
    bed.memory.create(VALUE, "garbage");
    for number in 0..32 {
        lock.request_release(&format!("{number}")).await.expect("a server answers").expect("it is held");
    }
    let error = lock.request_release("one more").await.expect_err("too many");
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    assert_eq!(soon(guard.release_requested()).await.expect("held").reason(), "0");
}

#[tokio::test]
async fn readers_are_not_asked() {
    let bed = Bed::new().await;
    let lock = bed.locks.rw_lock("/a").expect("a path");
    let _reader = lock.read().await.expect("free");
    assert!(lock.as_mutex().request_release("to a reader").await.expect("a server answers").is_none());
}

/// Whoever listed the queue before the lock passed on asks the holder before the present one.
#[tokio::test]
async fn a_late_request_to_an_earlier_holder_undoes_none_to_the_present_one() {
    let bed = Bed::new().await;
    let lock = bed.locks.mutex("/a").expect("a path");
    let guard = lock.acquire().await.expect("free");
    let request = lock.request_release("to the present one").await.expect("a server answers").expect("it is held");
    let value = String::from_utf8(bed.memory.data(VALUE).expect("a value")).expect("text");
    // The present holder as its predecessor would have seen it: requests to a later token are there already.
    let later = guard.fencing_token().as_i64() + 1;
    let token = format!("\"token\":{}", guard.fencing_token());
    assert!(value.contains(&token));
    let of_the_later = value.replace(&token, &format!("\"token\":{later}"));
    bed.memory.write(VALUE, of_the_later.clone());
    let late = lock.request_release("late").await.expect("a server answers").expect("it is held");
    assert_eq!(bed.memory.data(VALUE).expect("a value"), of_the_later.as_bytes(), "nothing was undone");
    guard.release().await.expect("released");
    assert_eq!(soon(late.answered()).await.expect("an answer"), ReleaseAnswer::Gone);
    assert_eq!(soon(request.answered()).await.expect("an answer"), ReleaseAnswer::Gone);
}
