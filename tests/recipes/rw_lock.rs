//! The read-write lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::time::Duration;

use fairlock::queue::{Limits, Mode};
use fairlock::store::memory::{Loss, Memory, Request};
use fairlock::{Fairlock, Role};

use crate::aside::{granted, lock, read_aside, write_aside};
use crate::bed::{Bed, eventually};

#[tokio::test]
async fn readers_share_and_a_writer_is_alone() {
    let bed = Bed::new().await;
    let (one, other) = (lock(&bed.memory).await, lock(&bed.memory).await);
    let first = one.read().await.expect("free");
    let second = other.read().await.expect("shared");
    assert!(first.is_valid() && second.is_valid());
    assert!(one.try_write().await.expect("no error").is_none());
    let third = one.try_read().await.expect("no error").expect("shared");
    let writer = write_aside(&other);
    bed.until_nodes("/a", 4).await;
    for reader in [first, second, third] {
        assert!(!writer.is_finished());
        reader.release().await.expect("released");
    }
    let writer = granted(writer).await;
    assert!(one.try_read().await.expect("no error").is_none());
    assert!(one.try_write().await.expect("no error").is_none());
    writer.release().await.expect("released");
    assert_eq!(bed.nodes("/a"), 0);
}

#[tokio::test]
async fn a_writer_that_waits_is_not_overtaken_by_later_readers() {
    let bed = Bed::new().await;
    let lock = lock(&bed.memory).await;
    let reader = lock.read().await.expect("free");
    let writer = write_aside(&lock);
    bed.until_nodes("/a", 2).await;
    assert!(lock.try_read().await.expect("no error").is_none(), "a writer waits");
    let later: Vec<_> = (3..6).map(|_| read_aside(&lock)).collect();
    bed.until_nodes("/a", 5).await;
    reader.release().await.expect("released");
    let writer = granted(writer).await;
    assert!(later.iter().all(|reader| !reader.is_finished()));
    let token = writer.fencing_token();
    writer.release().await.expect("released");
    // All at once.
    let mut guards = Vec::new();
    for reader in later {
        guards.push(granted(reader).await);
    }
    assert!(guards.iter().all(|guard| guard.is_valid() && guard.fencing_token() > token));
}

#[tokio::test]
async fn a_writer_that_gives_up_lets_the_readers_behind_it_in() {
    let bed = Bed::new().await;
    let lock = lock(&bed.memory).await;
    let first = lock.read().await.expect("free");
    let writer = write_aside(&lock);
    bed.until_nodes("/a", 2).await;
    let behind = read_aside(&lock);
    bed.until_nodes("/a", 3).await;
    writer.abort();
    let behind = granted(behind).await;
    assert!(first.is_valid() && behind.is_valid());
}

/// A reader that releases wakes the writer that waits for it and nobody else; a writer that releases wakes those who wait
/// for it.
#[tokio::test]
async fn nobody_is_told_who_does_not_wait_for_it() {
    let bed = Bed::new().await;
    let lock = lock(&bed.memory).await;
    let readers = [lock.read().await.expect("free"), lock.read().await.expect("shared")];
    let writers = [write_aside(&lock), write_aside(&lock)];
    bed.until_nodes("/a", 4).await;
    let late: Vec<_> = (0..10).map(|_| read_aside(&lock)).collect();
    bed.until_nodes("/a", 14).await;
    // Two watches of each that waits, one of each reader that holds.
    eventually(|| bed.memory.watches() == 2 * 12 + 2).await;
    let [one, two] = readers;
    let before = bed.memory.events_delivered();
    one.release().await.expect("released");
    // The first reader's own watch; the writer waits for the second reader.
    assert_eq!(bed.memory.events_delivered() - before, 1);
    two.release().await.expect("released");
    let [first, second] = writers;
    let first = granted(first).await;
    // The second reader's own watch, and the writer that waited for it.
    assert_eq!(bed.memory.events_delivered() - before, 3);
    first.release().await.expect("released");
    let second = granted(second).await;
    assert_eq!(bed.memory.events_delivered() - before, 5);
    second.release().await.expect("released");
    for reader in late {
        drop(granted(reader).await);
    }
}

#[tokio::test]
async fn a_mutex_of_the_same_path_is_the_writers_side() {
    let bed = Bed::new().await;
    let lock = lock(&bed.memory).await;
    let mutex = bed.locks.mutex("/a").expect("a path");
    let reader = lock.read().await.expect("free");
    assert!(mutex.try_acquire().await.expect("no error").is_none());
    let waiting = tokio::spawn({
        let mutex = mutex.clone();
        async move { mutex.acquire().await }
    });
    bed.until_nodes("/a", 2).await;
    let listed = lock.contenders().await.expect("a list");
    let told: Vec<_> = listed.iter().map(|contender| (contender.sequence.mode(), contender.role)).collect();
    assert_eq!(told, [(Mode::Shared, Role::Holder), (Mode::Exclusive, Role::Waiter)]);
    reader.release().await.expect("released");
    let guard = granted(waiting).await;
    assert!(lock.try_read().await.expect("no error").is_none());
    guard.release().await.expect("released");
}

#[tokio::test]
async fn all_readers_at_the_front_are_listed_as_holders() {
    let bed = Bed::new().await;
    let lock = lock(&bed.memory).await;
    let _readers = [lock.read().await.expect("free"), lock.read().await.expect("shared")];
    let writer = write_aside(&lock);
    bed.until_nodes("/a", 3).await;
    let reader = read_aside(&lock);
    bed.until_nodes("/a", 4).await;
    let roles: Vec<_> = lock.contenders().await.expect("a list").iter().map(|contender| contender.role).collect();
    assert_eq!(roles, [Role::Holder, Role::Holder, Role::Waiter, Role::Waiter]);
    writer.abort();
    drop(granted(reader).await);
}

#[tokio::test(start_paused = true)]
async fn lost_replies_leave_no_second_share() {
    let bed = Bed::new().await;
    let lock = bed.locks.rw_lock("/a").expect("a path");
    let session = bed.memory.sessions()[0];
    for loss in [Loss::Request, Loss::Reply] {
        bed.memory.lose_next(session, Request::Enter, loss);
        let reader = lock.read().await.expect("granted");
        assert_eq!(bed.nodes("/a"), 1);
        assert!(lock.try_read().await.expect("no error").is_some());
        bed.until_nodes("/a", 1).await;
        bed.memory.lose_next(session, Request::Leave, loss);
        reader.release().await.expect("released");
        assert_eq!(bed.nodes("/a"), 0);
    }
}

#[tokio::test]
async fn near_the_end_of_the_numbers_the_last_one_out_closes_the_queue() {
    let memory = Memory::new();
    let limits = Limits { heal_from: 2.into(), ..Limits::default() };
    let locks = Fairlock::builder().limits(limits).open(memory.clone()).await.expect("a session");
    let lock = locks.rw_lock("/a").expect("a path");
    let readers =
        [lock.read().await.expect("free"), lock.read().await.expect("shared"), lock.read().await.expect("shared")];
    for reader in readers {
        reader.release().await.expect("released");
    }
    assert_eq!(memory.data("/a/_fairlock"), None, "the queue was closed");
    let reader = lock.read().await.expect("free");
    assert_eq!(lock.contenders().await.expect("a list")[0].sequence.as_i32(), 0, "numbers start again");
    reader.release().await.expect("released");
}

/// Many readers and writers on many sessions: never a writer beside anybody, tokens of writers rise, everybody is granted.
#[tokio::test(start_paused = true)]
async fn a_writer_is_never_beside_anybody_whatever_the_order() {
    for seed in 0..20 {
        let memory = Memory::new();
        let (readers, writers) = (Arc::new(AtomicI32::new(0)), Arc::new(AtomicI32::new(0)));
        let shared_at_once = Arc::new(AtomicUsize::new(0));
        let tokens = Arc::new(std::sync::Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for task in 0..8_u64 {
            let lock = lock(&memory).await;
            let (readers, writers, tokens) = (readers.clone(), writers.clone(), tokens.clone());
            let shared_at_once = shared_at_once.clone();
            tasks.push(tokio::spawn(async move {
                let mut random = fastrand::Rng::with_seed(1_000 * seed + task);
                for _ in 0..25 {
                    tokio::time::sleep(Duration::from_micros(random.u64(..3_000))).await;
                    if random.u8(..3) == 0 {
                        let guard = lock.write().await.expect("granted");
                        assert_eq!(writers.fetch_add(1, Ordering::SeqCst), 0, "two writers");
                        assert_eq!(readers.load(Ordering::SeqCst), 0, "a writer beside a reader");
                        tokens.lock().expect("no panic").push(guard.fencing_token());
                        tokio::time::sleep(Duration::from_micros(random.u64(..2_000))).await;
                        writers.fetch_sub(1, Ordering::SeqCst);
                        guard.release().await.expect("released");
                    } else {
                        let guard = lock.read().await.expect("granted");
                        assert_eq!(writers.load(Ordering::SeqCst), 0, "a reader beside a writer");
                        let now = readers.fetch_add(1, Ordering::SeqCst) + 1;
                        shared_at_once.fetch_max(usize::try_from(now).expect("positive"), Ordering::SeqCst);
                        tokio::time::sleep(Duration::from_micros(random.u64(..2_000))).await;
                        readers.fetch_sub(1, Ordering::SeqCst);
                        guard.release().await.expect("released");
                    }
                }
            }));
        }
        for task in tasks {
            task.await.expect("no panic");
        }
        assert!(tokens.lock().expect("no panic").is_sorted(), "tokens of writers rise");
        assert!(shared_at_once.load(Ordering::SeqCst) > 1, "readers share");
    }
}
