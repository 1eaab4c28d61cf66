//! The optimistic lock's promises on the in-process store, with faults at the worst moments.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use fairlock::recipes::{Snapshot, UpdateOptions, Versioned};
use fairlock::store::memory::{Loss, Memory, Request};
use fairlock::store::{Expected, OpenOptions, Store};
use fairlock::{Error, Fairlock, LockPath, Retry};
use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const PATH: &str = "/counters/a";
const QUEUE: &str = "/counters/a/_fairlock";
const PATIENCE: Duration = Duration::from_secs(600);

async fn open(memory: &Memory) -> Fairlock {
    Fairlock::builder().open(memory.clone()).await.expect("a session")
}

async fn counter(memory: &Memory) -> Versioned {
    open(memory).await.value(PATH).expect("a good path")
}

fn number(data: Option<&[u8]>) -> u32 {
    data.map_or(0, |data| std::str::from_utf8(data).expect("text").parse().expect("a number"))
}

fn plus_one(data: Option<&[u8]>) -> Vec<u8> {
    (number(data) + 1).to_string().into_bytes()
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("in time")
}

async fn until(mut met: impl FnMut() -> bool) {
    soon(async {
        while !met() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// Adds 1 on a task of its own; counts how often that was computed.
fn adding(counter: &Versioned) -> (JoinHandle<Result<Snapshot, Error>>, Arc<AtomicU32>) {
    let (counter, calls) = (counter.clone(), Arc::new(AtomicU32::new(0)));
    let counted = calls.clone();
    let update = async move {
        counter
            .update(UpdateOptions::default(), |data| {
                counted.fetch_add(1, Ordering::SeqCst);
                plus_one(data)
            })
            .await
    };
    (tokio::spawn(update), calls)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn concurrent_updates_of_a_counter_lose_nothing() {
    const TASKS: u32 = 8;
    const UPDATES: u32 = 50;
    let memory = Memory::new();
    let (calls, all_have_read) = (Arc::new(AtomicU32::new(0)), Arc::new(Barrier::new(TASKS as usize)));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..TASKS {
        let counter = counter(&memory).await;
        let (calls, all_have_read) = (calls.clone(), all_have_read.clone());
        tasks.spawn(async move {
            let mut is_first = true;
            for _ in 0..UPDATES {
                let update = counter.update(UpdateOptions::default(), |data| {
                    calls.fetch_add(1, Ordering::Relaxed);
                    // So that at least the first round is contended.
                    if std::mem::take(&mut is_first) {
                        all_have_read.wait();
                    }
                    plus_one(data)
                });
                update.await.expect("updated");
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(number(memory.data(PATH).as_deref()), TASKS * UPDATES);
    assert!(calls.load(Ordering::Relaxed) >= TASKS * UPDATES + TASKS - 1, "all but one had a conflict");
}

/// Updates while somebody writes in between as often as this.
async fn update_with_conflicts(memory: &Memory, counter: &Versioned, conflicts: u32, lock_after: u32) -> u32 {
    let mut calls = 0;
    let update = counter.update(UpdateOptions::default().lock_after(lock_after), |_| {
        calls += 1;
        if calls <= conflicts {
            memory.write(PATH, "by hand");
        }
        b"updated".to_vec()
    });
    soon(update).await.expect("updated");
    calls
}

#[tokio::test(start_paused = true)]
async fn the_lock_is_taken_after_so_many_conflicts_and_not_before() {
    let memory = Memory::new();
    let counter = counter(&memory).await;
    counter.create("0").await.expect("made");
    let guard = open(&memory).await.mutex(PATH).expect("a good path").acquire().await.expect("free");
    assert_eq!(update_with_conflicts(&memory, &counter, 3, 4).await, 4, "who has the lock is in nobody's way");

    let updating = tokio::spawn({
        let (memory, counter) = (memory.clone(), counter.clone());
        async move { update_with_conflicts(&memory, &counter, 3, 3).await }
    });
    until(|| memory.children(QUEUE).len() == 2).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!updating.is_finished(), "it waits for the lock");
    guard.release().await.expect("released");
    assert_eq!(soon(updating).await.expect("no panic"), 4);
    until(|| memory.children(QUEUE).is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn conflicts_under_the_lock_are_tried_again() {
    let memory = Memory::new();
    let counter = counter(&memory).await;
    counter.create("0").await.expect("made");
    assert_eq!(update_with_conflicts(&memory, &counter, 20, 2).await, 21);
    assert_eq!(memory.data(PATH).as_deref(), Some(&b"updated"[..]));
}

#[tokio::test(start_paused = true)]
async fn an_update_that_takes_the_lock_at_once_makes_the_value_and_it_stays() {
    let memory = Memory::new();
    let counter = counter(&memory).await;
    let made = counter.update(UpdateOptions::default().lock_after(0), plus_one).await.expect("made");
    assert_eq!(made.data(), b"1");
    until(|| memory.children(QUEUE).is_empty()).await;
    memory.reap_empty_queues();
    assert_eq!(memory.data(QUEUE), None, "the queue is removed");
    assert_eq!(counter.read().await.expect("a look").expect("the value").data(), b"1");
}

fn assert_conflict(result: Result<Snapshot, Error>) {
    let error = result.expect_err("somebody else has written");
    assert!(matches!(&error, Error::Conflict { path } if path == PATH), "{error}");
    assert_eq!(error.retry(), Retry::Yes);
}

#[tokio::test(start_paused = true)]
async fn a_value_that_has_changed_is_not_written() {
    let memory = Memory::new();
    let (one, two) = (counter(&memory).await, counter(&memory).await);
    assert_eq!(one.read().await.expect("a look"), None);
    let first = one.create("1").await.expect("made");
    assert_conflict(two.create("2").await);
    let read = two.read().await.expect("a look").expect("the value");
    assert_eq!((read.data(), read.version()), (first.data(), first.version()));
    assert!(read.created().is_some());
    let second = two.write(&read, "2").await.expect("unchanged");
    assert_eq!(second.created(), read.created());
    assert_conflict(one.write(&first, "3").await);
    let third = two.write(&second, "3").await.expect("without reading again");
    memory.delete_all(PATH);
    assert_conflict(two.write(&third, "4").await);
    assert_eq!(memory.data(PATH), None);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_writes_nothing() {
    let memory = Memory::new();
    let counter = counter(&memory).await;
    counter.create("1").await.expect("made");
    let refused = counter.try_update(UpdateOptions::default(), |_| Err("no")).await.expect("asked");
    assert_eq!(refused, Err("no"));
    assert_eq!(memory.data(PATH).as_deref(), Some(&b"1"[..]));
}

#[tokio::test(start_paused = true)]
async fn data_that_no_request_can_carry_is_not_sent() {
    let memory = Memory::new();
    let counter = counter(&memory).await;
    let (fits, too_large) = (vec![b'x'; 1_000_000], vec![b'x'; 1_000_001]);
    let assert_refused = |result: Result<Snapshot, Error>| {
        let error = result.expect_err("too large");
        assert!(matches!(error, Error::TooLarge { bytes: 1_000_001, bytes_max: 1_000_000, .. }), "{error}");
    };
    assert_refused(counter.create(too_large.clone()).await);
    let made = counter.create(fits.clone()).await.expect("it fits");
    assert_refused(counter.write(&made, too_large.clone()).await);
    assert_refused(counter.update(UpdateOptions::default(), |_| too_large.clone()).await);
    assert_eq!(memory.data(PATH), Some(fits));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_of_another_value_is_a_mistake() {
    let locks = open(&Memory::new()).await;
    let (one, two) = (locks.value("/one").expect("a good path"), locks.value("/two").expect("a good path"));
    let of_one = one.create("1").await.expect("made");
    two.create("2").await.expect("made");
    let writing = tokio::spawn(async move { two.write(&of_one, "3").await });
    assert!(writing.await.expect_err("it panics").is_panic());
}

/// A counter at 1 that was updated once, so that its note is there; and another client of the same store.
struct Scene {
    memory: Memory,
    counter: Versioned,
    other: Versioned,
}

impl Scene {
    async fn new() -> Self {
        let memory = Memory::new();
        let (counter, other) = (counter(&memory).await, counter(&memory).await);
        counter.create("0").await.expect("made");
        counter.update(UpdateOptions::default(), plus_one).await.expect("updated");
        Self { memory, counter, other }
    }

    /// Loses the next update, and the barrier after it, so that others have time before it is read back.
    fn lose_update(&self, loss: Loss) {
        let session = self.memory.sessions()[0];
        self.memory.lose_next(session, Request::Commit, loss);
        self.memory.lose_next(session, Request::WriteBarrier, Loss::Request);
    }

    fn number(&self) -> u32 {
        number(self.memory.data(PATH).as_deref())
    }
}

fn assert_unknown(result: Result<Snapshot, Error>) {
    let error = result.expect_err("it cannot be told");
    assert!(matches!(error, Error::UnknownOutcome { .. }), "{error}");
    assert_eq!(error.retry(), Retry::No);
}

#[tokio::test(start_paused = true)]
async fn an_update_whose_reply_was_lost_is_found_and_not_repeated() {
    let scene = Scene::new().await;
    scene.lose_update(Loss::Reply);
    let (update, calls) = adding(&scene.counter);
    let snapshot = soon(update).await.expect("no panic").expect("found");
    assert_eq!((snapshot.data(), scene.number(), calls.load(Ordering::SeqCst)), (&b"2"[..], 2, 1));
    scene.counter.write(&snapshot, "7").await.expect("its version is known");
}

#[tokio::test(start_paused = true)]
async fn an_update_that_never_arrived_is_made_again() {
    let scene = Scene::new().await;
    scene.lose_update(Loss::Request);
    let (update, calls) = adding(&scene.counter);
    soon(update).await.expect("no panic").expect("updated");
    assert_eq!((scene.number(), calls.load(Ordering::SeqCst)), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn anothers_equal_data_is_not_taken_for_ones_own() {
    let scene = Scene::new().await;
    for is_plain in [false, true] {
        let before = scene.number();
        scene.lose_update(Loss::Request);
        let (update, calls) = adding(&scene.counter);
        until(|| calls.load(Ordering::SeqCst) == 1).await;
        if is_plain {
            let read = scene.other.read().await.expect("a look").expect("the value");
            scene.other.write(&read, plus_one(Some(read.data()))).await.expect("written");
        } else {
            scene.other.update(UpdateOptions::default(), plus_one).await.expect("updated");
        }
        assert!(!update.is_finished(), "it has yet to be read back");
        soon(update).await.expect("no panic").expect("updated");
        assert_eq!(scene.number(), before + 2);
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_that_was_overwritten_by_a_plain_write_is_found() {
    let scene = Scene::new().await;
    scene.lose_update(Loss::Reply);
    let (update, _) = adding(&scene.counter);
    until(|| scene.number() == 2).await;
    scene.memory.write(PATH, "9");
    soon(update).await.expect("no panic").expect("found");
    assert_eq!(scene.number(), 9);
}

#[tokio::test(start_paused = true)]
async fn an_update_that_was_followed_by_anothers_has_an_unknown_outcome() {
    for loss in [Loss::Reply, Loss::Request] {
        let scene = Scene::new().await;
        scene.lose_update(loss);
        let (update, calls) = adding(&scene.counter);
        until(|| calls.load(Ordering::SeqCst) == 1).await;
        for _ in 0..2 {
            scene.other.update(UpdateOptions::default(), plus_one).await.expect("updated");
        }
        assert_unknown(soon(update).await.expect("no panic"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_made_anew_meanwhile_leaves_the_outcome_unknown() {
    let scene = Scene::new().await;
    scene.lose_update(Loss::Request);
    let (update, calls) = adding(&scene.counter);
    until(|| calls.load(Ordering::SeqCst) == 1).await;
    let version = scene.other.read().await.expect("a look").expect("the value").version();
    scene.memory.delete_all(PATH);
    scene.memory.create(PATH, "1");
    scene.memory.write(PATH, "1");
    let again = scene.other.read().await.expect("a look").expect("the value");
    assert_eq!((again.data(), again.version()), (&b"1"[..], version), "it looks as before");
    assert_unknown(soon(update).await.expect("no panic"));
}

#[tokio::test(start_paused = true)]
async fn an_update_whose_session_ended_is_found_if_it_was_executed_and_else_unknown() {
    for loss in [Loss::Reply, Loss::Request] {
        let scene = Scene::new().await;
        scene.lose_update(loss);
        let (update, calls) = adding(&scene.counter);
        until(|| calls.load(Ordering::SeqCst) == 1).await;
        scene.memory.expire(scene.memory.sessions()[0]);
        let updated = soon(update).await.expect("no panic");
        match loss {
            Loss::Reply => assert_eq!(updated.expect("found").data(), b"2"),
            Loss::Request => assert_unknown(updated),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_creation_is_unknown_if_the_value_is_there_and_else_made_again() {
    for loss in [Loss::Reply, Loss::Request] {
        let memory = Memory::new();
        let counter = counter(&memory).await;
        memory.lose_next(memory.sessions()[0], Request::WriteValue, loss);
        let updated = soon(counter.update(UpdateOptions::default(), plus_one)).await;
        match loss {
            Loss::Reply => assert_unknown(updated),
            Loss::Request => assert_eq!(updated.expect("made").data(), b"1"),
        }
        assert_eq!(memory.data(PATH).as_deref(), Some(&b"1"[..]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_creation_before_anothers_is_an_update_of_that_one() {
    let memory = Memory::new();
    let (counter, other) = (counter(&memory).await, counter(&memory).await);
    memory.lose_next(memory.sessions()[0], Request::WriteValue, Loss::Request);
    memory.lose_next(memory.sessions()[0], Request::WriteBarrier, Loss::Request);
    let (update, calls) = adding(&counter);
    until(|| calls.load(Ordering::SeqCst) == 1).await;
    other.create("10").await.expect("made");
    assert_eq!(soon(update).await.expect("no panic").expect("updated").data(), b"11");
}

#[tokio::test(start_paused = true)]
async fn a_lost_plain_write_is_unknown_and_not_repeated() {
    let scene = Scene::new().await;
    let read = scene.counter.read().await.expect("a look").expect("the value");
    for (loss, left) in [(Loss::Request, 1), (Loss::Reply, 5)] {
        scene.memory.lose_next(scene.memory.sessions()[0], Request::WriteValue, loss);
        assert_unknown(scene.counter.write(&read, "5").await);
        assert_eq!(scene.number(), left);
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_handle_says_so() {
    let locks = open(&Memory::new()).await;
    let counter = locks.value(PATH).expect("a good path");
    locks.close().await;
    assert!(matches!(counter.read().await, Err(Error::Closed)));
    assert!(matches!(counter.create("1").await, Err(Error::Closed)));
    assert!(matches!(counter.update(UpdateOptions::default(), plus_one).await, Err(Error::Closed)));
}

#[tokio::test(start_paused = true)]
async fn what_happens_to_a_watched_value_while_cut_off_is_told_after_the_reconnect() {
    let memory = Memory::new();
    let options = OpenOptions::default();
    let session = memory.open(&options).await.expect("a session");
    let other = memory.open(&options).await.expect("a session");
    let [written, deleted, made, still, absent] =
        ["/written", "/deleted", "/made", "/still", "/absent"].map(|path| LockPath::new(path).expect("a good path"));
    for path in [&written, &deleted, &still] {
        other.write_value(path, b"1", Expected::Absent).await.expect("made");
    }
    let mut watches = Vec::new();
    for path in [&written, &deleted, &made, &still, &absent] {
        watches.push(session.watch_value(path).await.expect("watched").event);
    }
    memory.disconnect(session.id());
    other.write_value(&written, b"2", Expected::Any).await.expect("written");
    memory.delete_all(deleted.as_str());
    other.write_value(&made, b"1", Expected::Absent).await.expect("made");
    other.write_value(&absent, b"1", Expected::Absent).await.expect("made");
    memory.delete_all(absent.as_str());
    assert!(!watches.iter_mut().any(is_told), "nothing is told while cut off");
    memory.reconnect(session.id());
    assert!(!is_told(&mut watches[3]), "nothing has happened");
    assert!(!is_told(&mut watches[4]), "it is as absent as before");
    assert!(watches[..3].iter_mut().all(is_told));
    other.write_value(&absent, b"1", Expected::Absent).await.expect("made");
    assert!(is_told(&mut watches[4]), "the watch is still in place");
}

fn is_told(event: &mut std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) -> bool {
    event.now_or_never().is_some()
}
