//! The lock's promises on the in-process store, where every fault happens on demand and time can be paused.

use std::sync::Arc;
use std::time::Duration;

use fairlock::queue::Limits;
use fairlock::store::SessionId;
use fairlock::store::memory::{Loss, Memory, Request};
use fairlock::{
    AcquireOptions, Error, Fairlock, FencingToken, Guard, LossReason, Mutex, QueuePath, Retry, Role, Validity,
};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const QUEUE: &str = "/a/_fairlock";
const PATIENCE: Duration = Duration::from_secs(5);

struct Bed {
    memory: Memory,
    locks: Fairlock,
    lock: Mutex,
}

impl Bed {
    async fn new() -> Self {
        let memory = Memory::new();
        let locks = client(&memory).await;
        let lock = locks.mutex("/a").expect("a good path");
        Self { memory, locks, lock }
    }

    /// The session of the bed's own client, which was the first.
    fn session(&self) -> SessionId {
        self.memory.sessions()[0]
    }

    /// Acquires on a task of its own.
    fn acquire_aside(&self) -> JoinHandle<Result<Guard, Error>> {
        let lock = self.lock.clone();
        tokio::spawn(async move { lock.acquire().await })
    }

    async fn wait_for_nodes(&self, count: usize) {
        eventually(|| self.memory.children(QUEUE).len() == count).await;
    }
}

async fn client(memory: &Memory) -> Fairlock {
    Fairlock::builder().open(memory.clone()).await.expect("a session")
}

async fn eventually(condition: impl Fn() -> bool) {
    timeout(PATIENCE, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .expect("the condition is met in time");
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("in time")
}

#[tokio::test]
async fn waiters_are_granted_in_the_order_in_which_they_entered() {
    let bed = Bed::new().await;
    let guard = bed.lock.acquire().await.expect("free");
    let granted = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut waiters = Vec::new();
    for number in 0..20 {
        let (lock, granted) = (bed.lock.clone(), granted.clone());
        waiters.push(tokio::spawn(async move {
            let guard = lock.acquire().await.expect("granted");
            granted.lock().expect("no panic").push((number, guard.fencing_token()));
            guard.release().await.expect("released");
        }));
        bed.wait_for_nodes(number + 2).await;
    }
    guard.release().await.expect("released");
    for waiter in waiters {
        soon(waiter).await.expect("no panic");
    }
    let granted = granted.lock().expect("no panic").clone();
    assert_eq!(granted.iter().map(|grant| grant.0).collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
    assert!(granted.is_sorted_by(|one, two| one.1 < two.1), "tokens rise: {granted:?}");
    bed.wait_for_nodes(0).await;
}

#[tokio::test]
async fn a_release_notifies_the_successor_and_nobody_else() {
    let bed = Bed::new().await;
    let holder = client(&bed.memory).await.mutex("/a").expect("a good path");
    let guard = holder.acquire().await.expect("free");
    let waiters: Vec<_> = (0..10).map(|_| bed.acquire_aside()).collect();
    // Each of them watches its predecessor and itself.
    eventually(|| bed.memory.watches() >= 20).await;
    let before = bed.memory.events_delivered();
    guard.release().await.expect("released");
    eventually(|| waiters.iter().any(tokio::task::JoinHandle::is_finished)).await;
    // The holder's own watch, if it was placed by now, tells the holder itself.
    assert!(bed.memory.events_delivered() - before <= 2, "one event to the successor");
    assert_eq!(waiters.iter().filter(|waiter| waiter.is_finished()).count(), 1);
    for waiter in waiters {
        waiter.abort();
    }
}

#[tokio::test]
async fn a_waiter_that_gives_up_in_the_middle_leaves_the_order_intact() {
    let bed = Bed::new().await;
    let guard = bed.lock.acquire().await.expect("free");
    let quitter = bed.acquire_aside();
    bed.wait_for_nodes(2).await;
    let patient = bed.acquire_aside();
    bed.wait_for_nodes(3).await;
    quitter.abort();
    bed.wait_for_nodes(2).await;
    assert!(!patient.is_finished());
    guard.release().await.expect("released");
    let guard = soon(patient).await.expect("no panic").expect("granted");
    guard.release().await.expect("released");
}

#[tokio::test]
async fn try_on_a_held_lock_writes_nothing_and_on_a_free_one_takes_it() {
    let bed = Bed::new().await;
    let guard = bed.lock.try_acquire().await.expect("no error").expect("free");
    assert!(bed.lock.try_acquire().await.expect("no error").is_none());
    assert_eq!(bed.memory.children(QUEUE).len(), 1);
    guard.release().await.expect("released");
    drop(bed.lock.try_acquire().await.expect("no error").expect("free again"));
    bed.wait_for_nodes(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_timed_wait_ends_in_time_while_predecessors_churn_and_leaves_nothing() {
    let bed = Bed::new().await;
    let guard = bed.lock.acquire().await.expect("free");
    let lock = bed.lock.clone();
    let churn = tokio::spawn(async move {
        loop {
            let _ = lock.acquire_timeout(Duration::from_millis(30)).await;
        }
    });
    let started = tokio::time::Instant::now();
    let error = bed.lock.acquire_timeout(Duration::from_secs(2)).await.expect_err("held");
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert_eq!(error.retry(), Retry::Yes);
    assert!(started.elapsed() < Duration::from_millis(2_100));
    churn.abort();
    bed.wait_for_nodes(1).await;
    assert!(guard.is_valid());
}

#[tokio::test]
async fn a_guard_dropped_on_a_thread_without_runtime_releases() {
    let bed = Bed::new().await;
    let guard = bed.lock.acquire().await.expect("free");
    std::thread::spawn(move || drop(guard)).join().expect("no panic");
    drop(soon(bed.lock.acquire()).await.expect("free again"));
}

#[tokio::test]
async fn a_guard_released_on_another_runtime_releases() {
    let bed = Bed::new().await;
    let guard = bed.lock.acquire().await.expect("free");
    let released = std::thread::spawn(move || {
        let other = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        other.block_on(guard.release())
    });
    eventually(|| released.is_finished()).await;
    released.join().expect("no panic").expect("released");
    bed.wait_for_nodes(0).await;
}

#[tokio::test]
async fn a_panic_in_the_critical_section_releases() {
    let bed = Bed::new().await;
    let lock = bed.lock.clone();
    let panicked = tokio::spawn(async move {
        let _guard = lock.acquire().await.expect("free");
        std::panic::resume_unwind(Box::new("in the critical section"));
    });
    assert!(panicked.await.is_err());
    drop(soon(bed.lock.acquire()).await.expect("free again"));
}

#[test]
fn a_guard_that_outlives_its_runtime_is_lost_and_panics_nowhere() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let memory = Memory::with_clock(Arc::new(fairlock::clock::HostClock));
    let guard = runtime
        .block_on(async { client(&memory).await.mutex("/a").expect("a good path").acquire().await.expect("free") });
    drop(runtime);
    assert!(!guard.is_valid());
    let other = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    assert_eq!(other.block_on(guard.lost()), LossReason::Closed);
    let error = other.block_on(guard.release()).expect_err("lost");
    assert!(matches!(error, Error::LockLost { reason: LossReason::Closed, .. }), "{error}");
}

/// Closing tells the servers, and another contender may be granted before the closed handle's own tasks have run: the
/// guard must not depend on them.
#[tokio::test]
async fn a_guard_knows_of_the_end_of_its_session_before_any_task_has_run() {
    let bed = Bed::new().await;
    let guard = bed.lock.acquire().await.expect("free");
    bed.memory.expire(bed.session());
    assert!(!guard.is_valid());
    assert_eq!(guard.validity(), Validity::Lost(LossReason::SessionExpired));
}

#[tokio::test]
async fn expiry_while_holding_is_told_and_the_guard_never_comes_back() {
    let bed = Bed::new().await;
    let guard = bed.lock.acquire().await.expect("free");
    bed.memory.expire(bed.session());
    assert_eq!(soon(guard.lost()).await, LossReason::SessionExpired);
    assert!(!guard.is_valid());
    assert_eq!(guard.validity(), Validity::Lost(LossReason::SessionExpired));
    assert_eq!(guard.valid_for(), Duration::ZERO);
    let next = soon(bed.lock.acquire()).await.expect("a new session was made by itself");
    assert!(next.fencing_token() > guard.fencing_token());
    let error = guard.release().await.expect_err("lost before");
    assert!(matches!(error, Error::LockLost { reason: LossReason::SessionExpired, .. }), "{error}");
    assert!(next.is_valid(), "the late release touched nobody else's node");
    next.release().await.expect("released");
}

#[tokio::test]
async fn expiry_while_waiting_fails_the_waiter_and_a_new_attempt_works() {
    let bed = Bed::new().await;
    let other = client(&bed.memory).await;
    let guard = other.mutex("/a").expect("a good path").acquire().await.expect("free");
    let waiter = bed.acquire_aside();
    bed.wait_for_nodes(2).await;
    bed.memory.expire(bed.session());
    let error = soon(waiter).await.expect("no panic").expect_err("its node is gone");
    assert!(matches!(error, Error::SessionLost { reason: LossReason::SessionExpired, .. }), "{error}");
    assert_eq!(error.retry(), Retry::Yes);
    guard.release().await.expect("released");
    drop(soon(bed.lock.acquire()).await.expect("with a new session"));
}

#[tokio::test]
async fn holder_and_waiter_of_one_session_that_expires_are_both_told_and_nobody_is_granted() {
    let bed = Bed::new().await;
    let guard = bed.lock.acquire().await.expect("free");
    let waiter = bed.acquire_aside();
    eventually(|| bed.memory.watches() >= 2).await;
    bed.memory.expire(bed.session());
    assert!(matches!(soon(waiter).await.expect("no panic"), Err(Error::SessionLost { .. })));
    assert!(!guard.is_valid());
}

#[tokio::test]
async fn a_holders_node_deleted_by_hand_is_a_loss() {
    let bed = Bed::new().await;
    let guard = bed.lock.acquire().await.expect("free");
    bed.memory.delete_all(guard.node_path());
    assert_eq!(soon(guard.lost()).await, LossReason::NodeDeleted);
    assert!(!guard.is_valid());
}

#[tokio::test]
async fn a_waiters_node_deleted_by_hand_fails_it_and_it_is_never_granted() {
    let bed = Bed::new().await;
    let guard = bed.lock.acquire().await.expect("free");
    let waiter = bed.acquire_aside();
    bed.wait_for_nodes(2).await;
    let own = bed.memory.children(QUEUE).into_iter().max().expect("two nodes");
    bed.memory.delete_all(&format!("{QUEUE}/{own}"));
    let error = soon(waiter).await.expect("no panic").expect_err("removed");
    assert!(matches!(error, Error::Removed { .. }), "{error}");
    assert!(guard.is_valid());
}

#[tokio::test]
async fn the_whole_lock_deleted_under_holder_and_waiters_ends_them_all_and_one_may_hold_afterwards() {
    let bed = Bed::new().await;
    let guard = bed.lock.acquire().await.expect("free");
    let waiters: Vec<_> = (0..3).map(|_| bed.acquire_aside()).collect();
    bed.wait_for_nodes(4).await;
    bed.memory.delete_all("/a");
    assert_eq!(soon(guard.lost()).await, LossReason::NodeDeleted);
    for waiter in waiters {
        assert!(matches!(soon(waiter).await.expect("no panic"), Err(Error::Removed { .. })));
    }
    let next = soon(bed.lock.acquire()).await.expect("free");
    assert!(next.fencing_token() > guard.fencing_token(), "though the numbers have started again");
    assert!(bed.lock.try_acquire().await.expect("no error").is_none());
}

#[tokio::test]
async fn a_write_to_a_waited_for_node_by_somebody_is_followed_by_a_look_where_the_connection_was_cut() {
    let bed = Bed::new().await;
    let other = client(&bed.memory).await;
    let guard = other.mutex("/a").expect("a good path").acquire().await.expect("free");
    let waiter = bed.acquire_aside();
    eventually(|| bed.memory.watches() >= 2).await;
    bed.memory.disconnect(bed.session());
    bed.memory.write(guard.node_path(), b"by hand".to_vec());
    bed.memory.reconnect(bed.session());
    assert!(
        timeout(Duration::from_millis(50), async {
            while !waiter.is_finished() {
                tokio::task::yield_now().await
            }
        })
        .await
        .is_err()
    );
    guard.release().await.expect("released");
    drop(soon(waiter).await.expect("no panic").expect("granted"));
}

#[tokio::test]
async fn a_release_while_the_waiter_is_cut_off_is_noticed_after_the_reconnect() {
    let bed = Bed::new().await;
    let other = client(&bed.memory).await;
    let guard = other.mutex("/a").expect("a good path").acquire().await.expect("free");
    let waiter = bed.acquire_aside();
    eventually(|| bed.memory.watches() >= 2).await;
    bed.memory.disconnect(bed.session());
    guard.release().await.expect("released");
    bed.memory.reconnect(bed.session());
    drop(soon(waiter).await.expect("no panic").expect("granted"));
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_is_cut_off_is_lost_before_the_store_gives_its_lock_away() {
    let bed = Bed::new().await;
    let guard = bed.lock.acquire().await.expect("free");
    let other = client(&bed.memory).await.mutex("/a").expect("a good path");
    let successor = tokio::spawn(async move { other.acquire().await.expect("granted") });
    // Long enough for the keeper to have renewed it many times.
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(guard.is_valid() && guard.valid_for() > Duration::from_secs(3));
    bed.memory.disconnect(bed.session());
    eventually(|| guard.validity() == Validity::Suspended).await;
    assert_eq!(guard.lost().await, LossReason::DeadlinePassed);
    assert!(!successor.is_finished(), "the holder knew first");
    let next = successor.await.expect("no panic");
    assert!(next.is_valid() && !guard.is_valid());
}

#[tokio::test(start_paused = true)]
async fn a_holder_cut_off_past_its_deadline_gives_the_lock_back_when_it_returns_and_stays_lost() {
    let bed = Bed::new().await;
    let guard = bed.lock.acquire().await.expect("free");
    bed.memory.disconnect(bed.session());
    let valid_until = guard.valid_until();
    assert_eq!(guard.lost().await, LossReason::DeadlinePassed);
    assert!(valid_until <= guard.valid_until());
    bed.memory.reconnect(bed.session());
    bed.wait_for_nodes(0).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(!guard.is_valid(), "once lost, always lost");
    drop(bed.lock.acquire().await.expect("the session itself lives"));
}

#[tokio::test(start_paused = true)]
async fn an_idle_client_grants_with_a_fresh_deadline_after_an_hour() {
    let bed = Bed::new().await;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let guard = bed.lock.acquire().await.expect("free");
    assert!(guard.valid_for() > Duration::from_secs(4), "{:?}", guard.valid_for());
}

#[tokio::test]
async fn protect_returns_the_works_output_or_drops_the_work_on_loss() {
    let bed = Bed::new().await;
    let guard = bed.lock.acquire().await.expect("free");
    assert_eq!(guard.protect(async { 7 }).await.expect("held"), 7);
    let (dropped, mut was_dropped) = tokio::sync::oneshot::channel::<()>();
    let session = bed.session();
    let (protected, ()) = tokio::join!(
        guard.protect(async move {
            let _dropped = dropped;
            std::future::pending::<()>().await;
        }),
        async { bed.memory.expire(session) }
    );
    assert!(matches!(protected, Err(Error::LockLost { reason: LossReason::SessionExpired, .. })));
    assert!(was_dropped.try_recv().is_err(), "the work was dropped");
    let error = guard.protect(async { 8 }).await.expect_err("lost already");
    assert!(matches!(error, Error::LockLost { .. }));
}

#[tokio::test]
async fn a_transaction_writes_only_while_the_lock_is_held() {
    let bed = Bed::new().await;
    let guard = bed.lock.acquire().await.expect("free");
    guard.transaction().create("/state", b"1").commit().await.expect("held");
    guard.transaction().set_data("/state", b"2", Some(0)).check("/state", 1).commit().await.expect("held");
    let error = guard.transaction().set_data("/state", b"3", Some(0)).commit().await.expect_err("another version");
    assert!(matches!(error, Error::TransactionRefused { index: 0, .. }), "{error}");
    let error = guard.transaction().set_data("/state", vec![0; 1_000_001], None).commit().await.expect_err("too large");
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    bed.memory.lose_next(bed.session(), Request::Commit, Loss::Reply);
    let error = guard.transaction().set_data("/state", b"4", None).commit().await.expect_err("no reply");
    assert!(matches!(error, Error::UnknownOutcome { .. }), "{error}");
    bed.memory.delete_all(guard.node_path());
    let error = guard.transaction().set_data("/state", b"5", None).commit().await.expect_err("the node is gone");
    assert!(matches!(error, Error::LockLost { reason: LossReason::NodeDeleted, .. }), "{error}");
    assert_eq!(bed.memory.data("/state").as_deref(), Some(&b"4"[..]));
}

#[tokio::test(start_paused = true)]
async fn a_transaction_under_way_when_the_session_ends_may_have_been_executed() {
    let bed = Bed::new().await;
    let guard = bed.lock.acquire().await.expect("free");
    bed.memory.disconnect(bed.session());
    // It waits for the connection; the guard is in doubt, and not lost.
    let (outcome, ()) = tokio::join!(guard.transaction().create("/state", b"1").commit(), async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        bed.memory.expire(bed.session());
    });
    assert!(matches!(outcome, Err(Error::UnknownOutcome { .. })), "{outcome:?}");
    let again = guard.transaction().create("/state", b"1").commit().await;
    assert!(matches!(again, Err(Error::LockLost { reason: LossReason::SessionExpired, .. })), "{again:?}");
}

#[tokio::test]
async fn each_request_of_a_cycle_may_be_lost_before_or_after_it_was_executed() {
    for loss in [Loss::Request, Loss::Reply] {
        for request in
            [Request::Enter, Request::MakeQueue, Request::Leave, Request::Survey, Request::Watch, Request::FindOwn]
        {
            let bed = Bed::new().await;
            bed.memory.lose_next(bed.session(), Request::Enter, loss);
            bed.memory.lose_next(bed.session(), request, loss);
            let guard = soon(bed.lock.acquire()).await.expect("granted");
            assert_eq!(bed.memory.children(QUEUE).len(), 1, "{request:?} {loss:?}");
            let lock = bed.lock.clone();
            let waiter = tokio::spawn(async move { lock.acquire().await });
            bed.wait_for_nodes(2).await;
            soon(guard.release()).await.expect("released");
            soon(soon(waiter).await.expect("no panic").expect("granted").release()).await.expect("released");
            assert!(bed.memory.children(QUEUE).is_empty(), "{request:?} {loss:?}");
        }
    }
}

#[tokio::test]
async fn a_release_whose_reply_was_lost_never_deletes_the_node_of_a_later_holder_with_the_same_name() {
    let bed = Bed::new().await;
    let guard = bed.lock.acquire().await.expect("free");
    let name = guard.node_path().to_owned();
    bed.memory.lose_next(bed.session(), Request::Leave, Loss::Reply);
    bed.memory.lose_next(bed.session(), Request::WriteBarrier, Loss::Request);
    let releasing = tokio::spawn(guard.release());
    bed.wait_for_nodes(0).await;
    // The queue is removed and made anew, so that its numbers start again, before the first client can look.
    bed.memory.reap_empty_queues();
    let other = client(&bed.memory).await;
    let next = soon(other.mutex("/a").expect("a good path").acquire()).await.expect("free");
    assert_eq!(next.node_path(), name, "the same name");
    soon(releasing).await.expect("no panic").expect("released");
    assert!(next.is_valid());
    assert_eq!(bed.memory.children(QUEUE).len(), 1);
}

#[tokio::test]
async fn foreign_nodes_are_ignored() {
    let bed = Bed::new().await;
    for name in ["config", "0", "!x", "lock-", "lock-é000000001", "_c_1-lock-0000000000", "n_0000000000"] {
        bed.memory.create(&format!("{QUEUE}/{name}"), b"foreign".to_vec());
    }
    let guard = soon(bed.lock.acquire()).await.expect("nobody else contends");
    assert_eq!(bed.lock.contenders().await.expect("a list").len(), 1);
    assert!(bed.lock.try_acquire().await.expect("no error").is_none());
    guard.release().await.expect("released");
    drop(bed.lock.try_acquire().await.expect("no error").expect("free"));
}

/// Somebody made a node in the queue whose name reads as the number 0 with a sign. It parsed as a contender with the
/// lowest number of all, so it was waited for, under the name `lock-0000000000`, which does not exist: the list, the
/// look at that name, the list again, without an end and without a grant.
#[tokio::test]
async fn a_foreign_node_named_as_negative_zero_blocks_nobody() {
    let bed = Bed::new().await;
    let guard = soon(bed.lock.acquire()).await.expect("free");
    guard.release().await.expect("released");
    bed.memory.create(&format!("{QUEUE}/lock--0000000000"), b"foreign".to_vec());
    let guard = soon(bed.lock.acquire()).await.expect("nobody else contends");
    assert_eq!(bed.lock.contenders().await.expect("a list").len(), 1);
    guard.release().await.expect("released");
}

#[tokio::test]
async fn a_lock_may_lie_below_another_and_on_a_node_with_data() {
    let bed = Bed::new().await;
    bed.memory.create("/a", b"precious".to_vec());
    let outer = bed.lock.acquire().await.expect("free");
    let inner = bed.locks.mutex("/a/b").expect("a good path").acquire().await.expect("another lock");
    assert_eq!(bed.memory.data("/a").as_deref(), Some(&b"precious"[..]));
    drop((outer, inner));
}

#[tokio::test]
async fn contenders_are_listed_in_order_with_who_they_are() {
    let bed = Bed::new().await;
    assert_eq!(bed.lock.contenders().await.expect("a list"), []);
    let guard = bed.lock.acquire().await.expect("free");
    let identity = fairlock::Identity::new("billing-7").expect("a good name");
    let other = Fairlock::builder().identity(identity.clone()).open(bed.memory.clone()).await.expect("a session");
    let lock = other.mutex("/a").expect("a good path");
    let waiter = tokio::spawn(async move { lock.acquire().await });
    bed.wait_for_nodes(2).await;
    let contenders = bed.lock.contenders().await.expect("a list");
    assert_eq!(
        contenders.iter().map(|c| (c.position, c.role)).collect::<Vec<_>>(),
        [(0, Role::Holder), (1, Role::Waiter)]
    );
    assert_eq!(contenders[0].token, guard.fencing_token());
    assert_eq!(contenders[0].identity.as_ref(), Some(bed.locks.identity()));
    assert_eq!(contenders[1].identity, Some(identity));
    assert!(contenders[1].since_unix_ms.is_some());
    waiter.abort();
}

#[tokio::test]
async fn reads_whose_replies_are_lost_are_made_again() {
    let bed = Bed::new().await;
    let _guard = bed.lock.acquire().await.expect("free");
    for request in [Request::Survey, Request::Inspect] {
        bed.memory.lose_next(bed.session(), request, Loss::Reply);
        assert_eq!(soon(bed.lock.contenders()).await.expect("a list").len(), 1);
    }
    bed.memory.lose_next(bed.session(), Request::Survey, Loss::Reply);
    assert!(soon(bed.lock.try_acquire()).await.expect("no error").is_none());
}

#[tokio::test]
async fn a_waiter_can_see_where_it_stands() {
    let bed = Bed::new().await;
    let guard = bed.lock.acquire().await.expect("free");
    let between = bed.acquire_aside();
    bed.wait_for_nodes(2).await;
    let (options, mut progress) = AcquireOptions::default().progress_interval(Duration::from_millis(5)).progress();
    let lock = bed.lock.clone();
    let waiter = tokio::spawn(async move { lock.acquire_with(options).await });
    let first = soon(progress.changed()).await.expect("news");
    assert_eq!((first.ahead, first.holder.as_ref()), (Some(2), Some(bed.locks.identity())));
    between.abort();
    let second = soon(progress.changed()).await.expect("news");
    assert_eq!(second.ahead, Some(1));
    guard.release().await.expect("released");
    drop(soon(waiter).await.expect("no panic").expect("granted"));
    soon(async { while progress.changed().await.is_some() {} }).await;
}

#[tokio::test]
async fn close_loses_guards_fails_waiters_and_every_later_call() {
    let bed = Bed::new().await;
    let guard = bed.lock.acquire().await.expect("free");
    let waiter = bed.acquire_aside();
    bed.wait_for_nodes(2).await;
    bed.locks.close().await;
    assert_eq!(soon(guard.lost()).await, LossReason::Closed);
    assert!(matches!(soon(waiter).await.expect("no panic"), Err(Error::Closed)));
    assert!(matches!(bed.lock.acquire().await, Err(Error::Closed)));
    assert!(matches!(bed.lock.try_acquire().await, Err(Error::Closed)));
    assert!(bed.memory.children(QUEUE).is_empty());
}

#[tokio::test]
async fn dropping_the_last_handle_closes_the_session_but_a_guard_keeps_it() {
    let Bed { memory, locks, lock } = Bed::new().await;
    let guard = lock.acquire().await.expect("free");
    drop((locks, lock));
    assert!(guard.is_valid());
    assert_eq!(memory.sessions().len(), 1);
    guard.release().await.expect("released");
    eventually(|| memory.sessions().is_empty()).await;
}

#[tokio::test]
async fn numbers_near_the_end_are_refused_and_the_last_one_out_starts_them_again() {
    let memory = Memory::new();
    let limits = Limits { heal_from: 5.into(), refuse_from: 8.into(), ..Limits::default() };
    let locks = Fairlock::builder().limits(limits).open(memory.clone()).await.expect("a session");
    let lock = locks.mutex("/a").expect("a good path");
    let mut tokens: Vec<FencingToken> = Vec::new();
    for _ in 0..20 {
        let guard = soon(lock.acquire()).await.expect("healed in time");
        tokens.push(guard.fencing_token());
        soon(guard.release()).await.expect("released");
    }
    assert!(tokens.is_sorted_by(|one, two| one < two), "{tokens:?}");
    // With somebody always in the queue it cannot be healed, and ends with a clear error.
    let mut held = vec![soon(lock.acquire()).await.expect("free")];
    let error = loop {
        let waiting = tokio::spawn({
            let lock = lock.clone();
            async move { lock.acquire().await }
        });
        let next = memory.children(QUEUE).len();
        eventually(|| waiting.is_finished() || memory.children(QUEUE).len() > next).await;
        if waiting.is_finished() {
            break waiting.await.expect("no panic").expect_err("the numbers are used up");
        }
        held.pop().expect("a holder").release().await.expect("released");
        held.push(soon(waiting).await.expect("no panic").expect("granted"));
    };
    assert!(matches!(error, Error::QueueExhausted { .. }), "{error}");
    assert_eq!(error.retry(), Retry::No);
    held.pop().expect("a holder").release().await.expect("released");
    drop(soon(lock.acquire()).await.expect("the queue ran empty"));
}

#[tokio::test]
async fn order_holds_across_the_digits_and_the_end_of_the_range_is_refused() {
    let bed = Bed::new().await;
    drop(bed.lock.acquire().await.expect("free"));
    bed.wait_for_nodes(0).await;
    let queue = QueuePath::of(bed.lock.path());
    bed.memory.set_next_sequence(&queue, i32::MAX - 1_000_001);
    let guard = soon(bed.lock.acquire()).await.expect("the last good number");
    let error = soon(bed.lock.acquire()).await.expect_err("beyond");
    assert!(matches!(error, Error::QueueExhausted { .. }), "{error}");
    drop(guard);
}

#[tokio::test]
async fn a_node_with_the_next_number_made_by_hand_is_a_clear_error() {
    let bed = Bed::new().await;
    drop(bed.lock.acquire().await.expect("free"));
    bed.wait_for_nodes(0).await;
    bed.memory.create(&format!("{QUEUE}/lock-0000000002"), b"by hand".to_vec());
    bed.memory.set_next_sequence(&QueuePath::of(bed.lock.path()), 2);
    let error = soon(bed.lock.acquire()).await.expect_err("taken");
    assert!(error.to_string().contains("made by hand"), "{error}");
}

#[tokio::test]
async fn thousands_of_locks_share_one_session() {
    let bed = Bed::new().await;
    let mut guards = Vec::new();
    for number in 0..3_000 {
        let lock = bed.locks.mutex(&format!("/many/{number}")).expect("a good path");
        guards.push(lock.acquire().await.expect("free"));
    }
    assert_eq!(bed.memory.sessions().len(), 1);
    assert!(guards.iter().all(fairlock::Guard::is_valid));
}

#[tokio::test]
async fn impossible_options_are_refused_before_anything_is_sent() {
    let memory = Memory::new();
    for builder in [
        Fairlock::builder().session_timeout(Duration::ZERO),
        Fairlock::builder().session_timeout(Duration::from_secs(100_000)),
        Fairlock::builder().connect_timeout(Duration::ZERO),
    ] {
        let error = builder.open(memory.clone()).await.expect_err("impossible");
        assert!(matches!(error, Error::InvalidConfig { .. }), "{error}");
    }
    assert!(memory.sessions().is_empty());
}

#[tokio::test]
async fn futures_dropped_at_every_point_leave_nothing() {
    // Polling a future n times and dropping it visits every await point of acquire, try and release.
    for polls in 0..12 {
        for what in ["acquire", "try", "release"] {
            let bed = Bed::new().await;
            let held = if what == "acquire" { Some(bed.lock.acquire().await.expect("free")) } else { None };
            let guard = if what == "release" { Some(bed.lock.acquire().await.expect("free")) } else { None };
            let lock = bed.lock.clone();
            let mut future: std::pin::Pin<Box<dyn Future<Output = ()>>> = match what {
                "acquire" => Box::pin(async move { drop(lock.acquire().await) }),
                "try" => Box::pin(async move { drop(lock.try_acquire().await) }),
                _ => Box::pin(async move {
                    let _ = guard.expect("acquired above").release().await;
                }),
            };
            for _ in 0..polls {
                if poll_once(&mut future).await.is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(future);
            bed.wait_for_nodes(usize::from(held.is_some())).await;
            drop(held);
            drop(soon(bed.lock.acquire()).await.expect("free"));
        }
    }
}

async fn poll_once(future: &mut std::pin::Pin<Box<dyn Future<Output = ()>>>) -> std::task::Poll<()> {
    std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context))).await
}
