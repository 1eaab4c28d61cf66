//! The semaphore.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use fairlock::queue::Limits;
use fairlock::store::memory::{Loss, Memory, Request};
use fairlock::{AcquireOptions, Error, Fairlock, LossReason, Permit, QueuePath, Role, Semaphore};
use tokio::task::JoinHandle;

use crate::bed::{Bed, client, eventually, soon};

const ROOM: &str = "/a/_fairlock_permits";
const TURNS: &str = "/a/_fairlock_turns";

async fn semaphore(memory: &Memory, permits: u32) -> Semaphore {
    client(memory).await.semaphore("/a", permits).expect("a semaphore")
}

fn acquire_aside(semaphore: &Semaphore, count: u32) -> JoinHandle<Result<Permit, Error>> {
    let semaphore = semaphore.clone();
    tokio::spawn(async move { semaphore.acquire_many(count).await })
}

async fn granted(waiting: JoinHandle<Result<Permit, Error>>) -> Permit {
    soon(waiting).await.expect("no panic").expect("granted")
}

fn room(memory: &Memory) -> usize {
    memory.children(ROOM).len()
}

fn turns(memory: &Memory) -> usize {
    memory.children(TURNS).len()
}

/// Waits until so many wait, of whom one has its turn and a place among those who have permits.
async fn until_waiting(memory: &Memory, holders: usize, waiters: usize) {
    eventually(|| turns(memory) == waiters && room(memory) == holders + waiters.min(1)).await;
}

#[tokio::test]
async fn as_many_hold_as_there_are_permits_and_the_others_in_their_order() {
    let bed = Bed::new().await;
    let semaphore = semaphore(&bed.memory, 3).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(semaphore.acquire().await.expect("free"));
    }
    assert!(semaphore.try_acquire().await.expect("no error").is_none());
    let mut waiting = Vec::new();
    for count in 1..=4 {
        waiting.push(acquire_aside(&semaphore, 1));
        until_waiting(&bed.memory, 3, count).await;
    }
    assert!(held.iter().all(Permit::is_valid));
    let mut highest = held[2].fencing_token();
    // Whichever is given back, the first in line is next.
    for (at, waiter) in [2, 0, 0, 1].into_iter().zip(waiting) {
        assert!(!waiter.is_finished());
        held.remove(at).release().await.expect("released");
        let permit = granted(waiter).await;
        assert!(permit.fencing_token() > highest);
        highest = permit.fencing_token();
        held.push(permit);
    }
    for permit in held {
        permit.release().await.expect("released");
    }
    assert_eq!((room(&bed.memory), turns(&bed.memory)), (0, 0));
}

#[tokio::test]
async fn whoever_wants_many_is_not_overtaken_by_those_who_want_few() {
    let bed = Bed::new().await;
    let semaphore = semaphore(&bed.memory, 5).await;
    let (one, three) = (semaphore.acquire().await.expect("free"), semaphore.acquire_many(3).await.expect("free"));
    assert_eq!((one.count(), three.count()), (1, 3));
    let many = acquire_aside(&semaphore, 4);
    until_waiting(&bed.memory, 2, 1).await;
    let few = acquire_aside(&semaphore, 1);
    until_waiting(&bed.memory, 2, 2).await;
    // One permit is free, and there is somebody ahead who waits for more.
    assert!(semaphore.try_acquire().await.expect("no error").is_none());
    assert_eq!(semaphore.available_permits().await.expect("known"), 0);
    one.release().await.expect("released");
    eventually(|| room(&bed.memory) == 2).await;
    assert!(!many.is_finished() && !few.is_finished());
    three.release().await.expect("released");
    let (many, few) = (granted(many).await, granted(few).await);
    assert!(few.fencing_token() > many.fencing_token());
    assert!(semaphore.try_acquire().await.expect("no error").is_none());
    many.release().await.expect("released");
    assert_eq!(semaphore.available_permits().await.expect("known"), 4);
    let four = semaphore.try_acquire_many(4).await.expect("no error").expect("free");
    assert_eq!(four.count(), 4);
    assert!(few.is_valid());
}

#[tokio::test(start_paused = true)]
async fn never_more_are_held_than_there_are_by_many_clients() {
    let memory = Memory::new();
    let (held, most, grants) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)), Arc::new(AtomicU32::new(0)));
    let mut workers = Vec::new();
    for worker in 0..8_u64 {
        let semaphore = semaphore(&memory, 4).await;
        let (held, most, grants) = (held.clone(), most.clone(), grants.clone());
        workers.push(tokio::spawn(async move {
            let mut rng = fastrand::Rng::with_seed(worker);
            for _ in 0..50 {
                let count = rng.u32(1..=4);
                let permit = match rng.u8(..4) {
                    0 => semaphore.try_acquire_many(count).await.expect("no error"),
                    1 => {
                        let limit = Duration::from_millis(rng.u64(1..20));
                        match semaphore.acquire_timeout(count, limit).await {
                            Ok(permit) => Some(permit),
                            Err(error) => {
                                assert!(matches!(error, Error::Timeout { .. }), "{error}");
                                None
                            }
                        }
                    }
                    _ => Some(semaphore.acquire_many(count).await.expect("granted")),
                };
                let Some(permit) = permit else { continue };
                grants.fetch_add(1, Ordering::SeqCst);
                let now = held.fetch_add(count.into(), Ordering::SeqCst) + i64::from(count);
                most.fetch_max(now, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(rng.u64(..10))).await;
                held.fetch_sub(count.into(), Ordering::SeqCst);
                if rng.bool() {
                    permit.release().await.expect("released");
                }
            }
        }));
    }
    for worker in workers {
        worker.await.expect("no panic");
    }
    eventually(|| room(&memory) == 0 && turns(&memory) == 0).await;
    assert_eq!(most.load(Ordering::SeqCst), 4, "all of them at some time, and never more");
    assert!(grants.load(Ordering::SeqCst) > 200);
}

/// A release wakes the one whose turn it is, which hands the turn on: two events, besides those of own watches.
#[tokio::test]
async fn a_release_tells_one_waiter_and_that_one_the_next() {
    let bed = Bed::new().await;
    let semaphore = semaphore(&bed.memory, 2).await;
    let held = [semaphore.acquire().await.expect("free"), semaphore.acquire().await.expect("free")];
    let waiting: Vec<_> = (0..200).map(|_| acquire_aside(&semaphore, 1)).collect();
    until_waiting(&bed.memory, 2, 200).await;
    // Of waiters: two in the queue of turns each but the first's one, and three of the first for permits. Of holders: one.
    eventually(|| bed.memory.watches() == 2 * 199 + 1 + 3 + 2).await;
    let [first, second] = held;
    let before = bed.memory.events_delivered();
    first.release().await.expect("released");
    until_waiting(&bed.memory, 2, 199).await;
    eventually(|| bed.memory.watches() == 2 * 198 + 1 + 3 + 2).await;
    // The released node's own watch; the directory's; the turn's own watch and its successor's.
    assert_eq!(bed.memory.events_delivered() - before, 4);
    drop((second, waiting));
}

#[tokio::test]
async fn a_waiter_that_gives_up_leaves_nothing_and_holds_nobody_up() {
    let bed = Bed::new().await;
    let semaphore = semaphore(&bed.memory, 2).await;
    let held = semaphore.acquire_many(2).await.expect("free");
    let mut waiting: Vec<_> = Vec::new();
    for count in 1..=4 {
        waiting.push(acquire_aside(&semaphore, 1));
        until_waiting(&bed.memory, 1, count).await;
    }
    // The one whose turn it is, and one that waits for its turn.
    waiting.remove(2).abort();
    waiting.remove(0).abort();
    until_waiting(&bed.memory, 1, 2).await;
    held.release().await.expect("released");
    for waiter in waiting {
        assert!(granted(waiter).await.is_valid());
    }
    eventually(|| room(&bed.memory) == 0 && turns(&bed.memory) == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_timed_out_wait_leaves_nothing() {
    let bed = Bed::new().await;
    let semaphore = semaphore(&bed.memory, 2).await;
    let held = semaphore.acquire().await.expect("free");
    let error = semaphore.acquire_timeout(2, Duration::from_secs(3)).await.expect_err("one is missing");
    assert!(matches!(error, Error::Timeout { waited, .. } if waited == Duration::from_secs(3)), "{error}");
    eventually(|| room(&bed.memory) == 1 && turns(&bed.memory) == 0).await;
    assert!(semaphore.try_acquire().await.expect("no error").is_some(), "one is free");
    assert!(held.is_valid());
}

#[tokio::test]
async fn all_must_mean_the_same_number_of_permits() {
    let bed = Bed::new().await;
    let (five, six) = (semaphore(&bed.memory, 5).await, semaphore(&bed.memory, 6).await);
    let _held = five.acquire().await.expect("free");
    let declared_otherwise = |error: Error| matches!(error, Error::PermitsMismatch { declared: 6, found: 5, .. });
    assert!(declared_otherwise(six.acquire().await.expect_err("another number")));
    assert!(declared_otherwise(six.try_acquire().await.expect_err("another number")));
    assert!(declared_otherwise(six.permits().await.expect_err("another number")));
    assert!(declared_otherwise(six.contenders().await.expect_err("another number")));
    assert_eq!(room(&bed.memory), 1, "nothing of those was left");
    assert_eq!(five.permits().await.expect("known"), 5);
    // It is changed by saying so, also by those who declared another number.
    assert_eq!(six.resize(6).await.expect("changed"), 5);
    assert_eq!(six.permits().await.expect("known"), 6);
    // Those who were not told go on.
    assert_eq!(five.acquire().await.expect("free").count(), 1);
    assert_eq!(five.permits().await.expect("known"), 6);
    let seven = semaphore(&bed.memory, 7).await;
    let error = seven.acquire().await.expect_err("neither");
    assert!(matches!(error, Error::PermitsMismatch { declared: 7, found: 6, .. }), "{error}");
}

#[tokio::test]
async fn more_permits_than_there_are_is_an_error_at_once() {
    let bed = Bed::new().await;
    let semaphore = semaphore(&bed.memory, 2).await;
    let too_many = |error: Error| matches!(error, Error::TooManyPermits { asked: 3, permits: 2, .. });
    assert!(too_many(semaphore.acquire_many(3).await.expect_err("too many")));
    assert!(too_many(semaphore.try_acquire_many(3).await.expect_err("too many")));
    assert!(matches!(semaphore.acquire_many(0).await, Err(Error::InvalidConfig { .. })));
    assert!(matches!(semaphore.try_acquire_many(0).await, Err(Error::InvalidConfig { .. })));
    assert!(matches!(semaphore.resize(0).await, Err(Error::InvalidConfig { .. })));
    assert!(matches!(bed.locks.semaphore("/a", 0), Err(Error::InvalidConfig { .. })));
    assert!(matches!(bed.locks.semaphore("a", 1), Err(Error::InvalidPath { .. })));
    let no_time = AcquireOptions::default().hold_at_most(Duration::ZERO);
    assert!(matches!(semaphore.acquire_with(1, no_time).await, Err(Error::InvalidConfig { .. })));
    assert_eq!((room(&bed.memory), turns(&bed.memory)), (0, 0));
}

#[tokio::test]
async fn more_permits_let_the_next_in_at_once() {
    let bed = Bed::new().await;
    let semaphore = semaphore(&bed.memory, 1).await;
    let held = semaphore.acquire().await.expect("free");
    let waiting: Vec<_> = (0..3).map(|_| acquire_aside(&semaphore, 1)).collect();
    until_waiting(&bed.memory, 1, 3).await;
    assert_eq!(semaphore.resize(3).await.expect("changed"), 1);
    until_waiting(&bed.memory, 3, 1).await;
    assert_eq!(waiting.iter().filter(|waiter| waiter.is_finished()).count(), 2);
    assert_eq!(semaphore.resize(3).await.expect("as it is"), 3);
    held.release().await.expect("released");
    for waiter in waiting {
        assert!(granted(waiter).await.is_valid());
    }
}

#[tokio::test]
async fn fewer_permits_take_nothing_away_and_are_given_out_no_more() {
    let bed = Bed::new().await;
    let semaphore = semaphore(&bed.memory, 3).await;
    let (one, two) = (semaphore.acquire().await.expect("free"), semaphore.acquire_many(2).await.expect("free"));
    let (many, single) = (acquire_aside(&semaphore, 2), acquire_aside(&semaphore, 1));
    until_waiting(&bed.memory, 2, 2).await;
    assert_eq!(semaphore.resize(1).await.expect("changed"), 3);
    assert!(one.is_valid() && two.is_valid());
    // Whoever waits for more than there are now would hold up all others.
    let error = soon(many).await.expect("no panic").expect_err("too many");
    assert!(matches!(error, Error::TooManyPermits { asked: 2, permits: 1, .. }), "{error}");
    until_waiting(&bed.memory, 2, 1).await;
    two.release().await.expect("released");
    eventually(|| room(&bed.memory) == 2).await;
    assert!(!single.is_finished());
    one.release().await.expect("released");
    assert!(granted(single).await.is_valid());
}

#[tokio::test(start_paused = true)]
async fn a_place_in_line_survives_an_interruption_and_permits_that_were_not_confirmed_do_not() {
    let bed = Bed::new().await;
    let (mine, others) = (semaphore(&bed.memory, 1).await, semaphore(&bed.memory, 1).await);
    let session = bed.memory.sessions()[1];
    let held = others.acquire().await.expect("free");
    let waiting = acquire_aside(&mine, 1);
    until_waiting(&bed.memory, 1, 1).await;
    let behind = acquire_aside(&others, 1);
    until_waiting(&bed.memory, 1, 2).await;
    // Longer than a guard would be valid.
    bed.memory.disconnect(session);
    tokio::time::sleep(Duration::from_secs(9)).await;
    bed.memory.reconnect(session);
    held.release().await.expect("released");
    let permit = granted(waiting).await;
    assert!(!behind.is_finished());
    bed.memory.disconnect(session);
    assert_eq!(permit.lost().await, LossReason::DeadlinePassed);
    bed.memory.reconnect(session);
    assert!(granted(behind).await.is_valid());
}

#[tokio::test]
async fn contenders_are_listed_with_what_they_have_and_can_be_removed() {
    let bed = Bed::new().await;
    let semaphore = semaphore(&bed.memory, 3).await;
    let held = semaphore.acquire_many(2).await.expect("free");
    let (first, second) = (acquire_aside(&semaphore, 2), acquire_aside(&semaphore, 1));
    until_waiting(&bed.memory, 1, 2).await;
    bed.memory.create(&format!("{ROOM}/config"), "somebody else's");
    let listed = semaphore.contenders().await.expect("a list");
    let told: Vec<_> =
        listed.iter().map(|contender| (contender.position, contender.role, contender.permits())).collect();
    // What the second wants is known once it has its turn.
    assert_eq!(told, [(0, Role::Holder, Some(2)), (1, Role::Waiter, Some(2)), (2, Role::Waiter, None)]);
    assert!(listed.iter().all(|contender| contender.identity.as_ref() == Some(bed.locks.identity())));
    assert_eq!(listed[0].token, held.fencing_token());
    // The one whose turn it is; what it waits for goes to the next.
    assert!(semaphore.break_contender(&listed[1]).await.expect("no error"));
    assert!(matches!(soon(first).await.expect("no panic"), Err(Error::Removed { .. })));
    let second = granted(second).await;
    assert!(!semaphore.break_contender(&listed[1]).await.expect("no error"), "gone already");
    assert!(semaphore.break_contender(&listed[0]).await.expect("no error"));
    assert_eq!(soon(held.lost()).await, LossReason::NodeDeleted);
    let third = acquire_aside(&semaphore, 3);
    let fourth = acquire_aside(&semaphore, 1);
    eventually(|| turns(&bed.memory) == 2).await;
    let listed = semaphore.contenders().await.expect("a list");
    // One that waits for its turn.
    assert!(semaphore.break_contender(&listed[2]).await.expect("no error"));
    assert!(matches!(soon(fourth).await.expect("no panic"), Err(Error::Removed { .. })));
    second.release().await.expect("released");
    assert_eq!(granted(third).await.count(), 3);
}

#[tokio::test]
async fn a_number_of_permits_that_was_overwritten_is_a_typed_error() {
    let bed = Bed::new().await;
    let semaphore = semaphore(&bed.memory, 1).await;
    let held = semaphore.acquire().await.expect("free");
    let waiting = acquire_aside(&semaphore, 1);
    until_waiting(&bed.memory, 1, 1).await;
    bed.memory.write(ROOM, "seven");
    let no_number = |error: Error| matches!(&error, Error::NoAgreement { path } if path == ROOM);
    assert!(no_number(soon(waiting).await.expect("no panic").expect_err("no number")));
    assert!(no_number(semaphore.acquire().await.expect_err("no number")));
    assert!(no_number(semaphore.resize(2).await.expect_err("no number")));
    assert!(held.is_valid());
    held.release().await.expect("released");
    eventually(|| room(&bed.memory) == 0 && turns(&bed.memory) == 0).await;
    bed.memory.delete_all(ROOM);
    assert!(semaphore.acquire().await.expect("agreed anew").is_valid());
}

#[tokio::test]
async fn a_directory_that_was_removed_is_made_anew_by_whoever_comes_or_waits_for_its_turn() {
    let bed = Bed::new().await;
    let semaphore = semaphore(&bed.memory, 1).await;
    let held = semaphore.acquire().await.expect("free");
    let waiting: Vec<_> = (0..2).map(|_| acquire_aside(&semaphore, 1)).collect();
    until_waiting(&bed.memory, 1, 2).await;
    bed.memory.delete_all(ROOM);
    assert_eq!(soon(held.lost()).await, LossReason::NodeDeleted);
    let mut outcomes = Vec::new();
    for waiter in waiting {
        outcomes.push(soon(waiter).await.expect("no panic"));
    }
    // Its place was among what was removed; the other came after that.
    assert!(matches!(outcomes[0], Err(Error::Removed { .. })), "{:?}", outcomes[0]);
    assert!(outcomes[1].as_ref().expect("granted").is_valid());
}

#[tokio::test]
async fn numbers_start_again_once_they_are_used_up() {
    let bed = Bed::new().await;
    let limits = Limits { refuse_from: 1_000.into(), ..Limits::default() };
    let locks = Fairlock::builder().limits(limits).open(bed.memory.clone()).await.expect("a session");
    let semaphore = locks.semaphore("/a", 2).expect("a semaphore");
    semaphore.resize(3).await.expect("changed");
    let directory = QueuePath::of_permits(&"/a".parse().expect("a path"));
    assert_eq!(directory.as_str(), ROOM);
    let held = semaphore.acquire().await.expect("free");
    bed.memory.set_next_sequence(&directory, 1_000);
    let waiting = acquire_aside(&semaphore, 1);
    // It waits until all have given back theirs.
    eventually(|| turns(&bed.memory) == 1 && room(&bed.memory) == 1 && bed.memory.watches() >= 3).await;
    assert!(!waiting.is_finished());
    held.release().await.expect("released");
    let permit = granted(waiting).await;
    assert_eq!(bed.memory.children(ROOM), ["permits-1-0000000000"]);
    assert_eq!(semaphore.permits().await.expect("known"), 3, "the number of permits is kept");
    permit.release().await.expect("released");
}

#[tokio::test(start_paused = true)]
async fn lost_replies_at_each_step_leave_nothing_and_grant_once() {
    for request in [
        Request::Enter,
        Request::Survey,
        Request::WatchMembers,
        Request::WatchValue,
        Request::ReadValue,
        Request::WriteValue,
        Request::Leave,
        Request::MakeQueue,
        Request::Watch,
    ] {
        for loss in [Loss::Request, Loss::Reply] {
            let bed = Bed::new().await;
            let (mine, others) = (semaphore(&bed.memory, 1).await, semaphore(&bed.memory, 1).await);
            let session = bed.memory.sessions()[1];
            if request == Request::WriteValue {
                bed.memory.lose_next(session, request, loss);
                let permit = mine.acquire().await.unwrap_or_else(|error| panic!("{request:?}, {loss:?}: {error}"));
                permit.release().await.expect("released");
                continue;
            }
            let held = others.acquire().await.expect("free");
            // The one of the turn, then the one of the room.
            bed.memory.lose_next(session, request, loss);
            bed.memory.lose_next(session, request, loss);
            let waiting = acquire_aside(&mine, 1);
            until_waiting(&bed.memory, 1, 1).await;
            held.release().await.expect("released");
            let permit = soon(waiting).await.expect("no panic");
            let permit = permit.unwrap_or_else(|error| panic!("{request:?}, {loss:?}: {error}"));
            assert!(permit.is_valid());
            permit.release().await.expect("released");
            eventually(|| room(&bed.memory) == 0 && turns(&bed.memory) == 0).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiter_is_told_its_place_in_line() {
    let bed = Bed::new().await;
    let semaphore = semaphore(&bed.memory, 1).await;
    let held = semaphore.acquire().await.expect("free");
    let first = acquire_aside(&semaphore, 1);
    until_waiting(&bed.memory, 1, 1).await;
    let (options, mut progress) = AcquireOptions::default().progress();
    let waiting = {
        let semaphore = semaphore.clone();
        tokio::spawn(async move { semaphore.acquire_with(1, options).await })
    };
    assert_eq!(soon(progress.changed()).await.and_then(|place| place.ahead), Some(1));
    held.release().await.expect("released");
    let first = granted(first).await;
    assert_eq!(soon(progress.changed()).await.and_then(|place| place.ahead), Some(0));
    first.release().await.expect("released");
    assert!(soon(progress.changed()).await.is_none(), "granted");
    assert!(granted(waiting).await.is_valid());
}
