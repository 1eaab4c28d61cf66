//! Many tasks that share one place in the queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fairlock::Error;

use crate::bed::{Bed, client, eventually, soon};

#[tokio::test]
async fn a_thousand_tasks_are_one_znode() {
    const TASKS: usize = 1_000;
    let bed = Bed::new().await;
    let lock = bed.locks.mutex("/a").expect("a path").folded(u32::MAX);
    let first = lock.acquire().await.expect("free");
    let token = first.fencing_token();
    let (inside, order) = (Arc::new(AtomicUsize::new(0)), Arc::new(std::sync::Mutex::new(Vec::new())));
    let mut tasks = Vec::new();
    for number in 0..TASKS {
        let (own, inside, order) = (lock.clone(), inside.clone(), order.clone());
        tasks.push(tokio::spawn(async move {
            let guard = own.acquire().await.expect("granted");
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "alone");
            order.lock().expect("no panic").push((number, guard.fencing_token(), guard.turn()));
            tokio::task::yield_now().await;
            inside.fetch_sub(1, Ordering::SeqCst);
            guard.release().await.expect("released");
        }));
        eventually(|| lock.waiting() == number + 1).await;
    }
    assert_eq!(bed.nodes("/a"), 1, "one znode for all");
    first.release().await.expect("passed on");
    for task in tasks {
        soon(task).await.expect("no panic");
    }
    let order = order.lock().expect("no panic").clone();
    assert_eq!(order, (0..TASKS).map(|task| (task, token, task as u32 + 1)).collect::<Vec<_>>());
    assert_eq!(bed.nodes("/a"), 0, "the last one out released it");
}

#[tokio::test]
async fn other_processes_are_let_in_when_the_turns_are_used_up() {
    let bed = Bed::new().await;
    let lock = bed.locks.mutex("/a").expect("a path").folded(3);
    let first = lock.acquire().await.expect("free");
    let other = client(&bed.memory).await.mutex("/a").expect("a path");
    let other = tokio::spawn(async move { other.acquire().await });
    bed.until_nodes("/a", 2).await;
    let tasks: Vec<_> = (0..3)
        .map(|_| {
            let lock = lock.clone();
            tokio::spawn(async move { lock.acquire().await })
        })
        .collect();
    eventually(|| lock.waiting() == 3).await;
    let token = first.fencing_token();
    let mut guard = first;
    let mut tasks = tasks.into_iter();
    for turn in 1..3 {
        guard.release().await.expect("passed on");
        guard = soon(tasks.next().expect("a task")).await.expect("no panic").expect("granted");
        assert_eq!((guard.fencing_token(), guard.turn()), (token, turn));
        assert!(!other.is_finished());
    }
    guard.release().await.expect("released");
    let other = soon(other).await.expect("no panic").expect("its turn has come");
    assert!(other.fencing_token() > token);
    let last = tasks.next().expect("a task");
    bed.until_nodes("/a", 2).await;
    assert!(!last.is_finished(), "it is behind the other process now");
    other.release().await.expect("released");
    let last = soon(last).await.expect("no panic").expect("granted");
    assert_eq!(last.turn(), 0);
}

#[tokio::test]
async fn whoever_stops_waiting_keeps_nobody_waiting() {
    let bed = Bed::new().await;
    let lock = bed.locks.mutex("/a").expect("a path").folded(100);
    let first = lock.acquire().await.expect("free");
    let mut tasks: Vec<_> = (0..5)
        .map(|_| {
            let lock = lock.clone();
            tokio::spawn(async move { lock.acquire().await })
        })
        .collect();
    eventually(|| lock.waiting() == 5).await;
    // All but the last, and that one after its turn was sent to it.
    let last = tasks.pop().expect("five");
    for task in tasks {
        task.abort();
    }
    first.release().await.expect("passed on");
    last.abort();
    bed.until_nodes("/a", 0).await;
    let next = soon(lock.acquire()).await.expect("free");
    assert_eq!(next.turn(), 0);
}

#[tokio::test]
async fn the_one_in_the_queue_may_give_up_and_the_next_enters() {
    let bed = Bed::new().await;
    let blocker = client(&bed.memory).await.mutex("/a").expect("a path").acquire().await.expect("free");
    let lock = bed.locks.mutex("/a").expect("a path").folded(100);
    let (one, other) = (lock.clone(), lock.clone());
    let one = tokio::spawn(async move { one.acquire().await });
    bed.until_nodes("/a", 2).await;
    let other = tokio::spawn(async move { other.acquire().await });
    eventually(|| lock.waiting() == 1).await;
    one.abort();
    eventually(|| lock.waiting() == 0).await;
    bed.until_nodes("/a", 2).await;
    blocker.release().await.expect("released");
    drop(soon(other).await.expect("no panic").expect("granted"));
    bed.until_nodes("/a", 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_time_limit_gives_up_the_place_in_the_line() {
    let bed = Bed::new().await;
    let lock = bed.locks.mutex("/a").expect("a path").folded(100);
    let guard = lock.acquire().await.expect("free");
    let error = lock.acquire_timeout(Duration::from_secs(1)).await.expect_err("held");
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert_eq!(lock.waiting(), 0);
    guard.release().await.expect("released");
    assert_eq!(bed.nodes("/a"), 0);
}

#[tokio::test]
async fn a_turn_that_was_lost_is_not_passed_on() {
    let bed = Bed::new().await;
    let lock = bed.locks.mutex("/a").expect("a path").folded(100);
    let guard = lock.acquire().await.expect("free");
    let next = lock.clone();
    let next = tokio::spawn(async move { next.acquire().await });
    eventually(|| lock.waiting() == 1).await;
    bed.memory.expire(bed.memory.sessions()[0]);
    soon(guard.lost()).await;
    let token = guard.fencing_token();
    let error = guard.release().await.expect_err("lost");
    assert!(matches!(error, Error::LockLost { .. }), "{error}");
    let next = soon(next).await.expect("no panic").expect("granted anew");
    assert!(next.fencing_token() > token);
    assert_eq!(next.turn(), 0);
    assert!(next.is_valid());
}

#[tokio::test(start_paused = true)]
async fn a_line_that_everybody_leaves_does_not_grow() {
    let bed = Bed::new().await;
    let lock = bed.locks.mutex("/a").expect("a path").folded(100);
    let guard = lock.acquire().await.expect("free");
    for _ in 0..1_000 {
        let error = lock.acquire_timeout(Duration::from_millis(1)).await.expect_err("held");
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
    }
    assert!(format!("{lock:?}").contains("in_line: "), "{lock:?}");
    let in_line =
        format!("{lock:?}").split("in_line: ").nth(1).and_then(|rest| rest.split([',', ' ']).next()?.parse().ok());
    assert!(in_line.is_some_and(|in_line: usize| in_line <= 64), "{lock:?}");
    guard.release().await.expect("released");
}
