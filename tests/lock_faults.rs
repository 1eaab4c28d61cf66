//! Faults that the in-process store does not make by itself: a wrapper overloads it, slows it down, or takes it away.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fairlock::clock::{Clock, ManualClock};
use fairlock::queue::{Limits, Mode, Sequence};
use fairlock::store::memory::{Loss, Memory, Request};
use fairlock::store::{
    Departure, Entered, Expected, Node, OpenOptions, Operation, OwnNode, Session, SessionId, SessionState, Store,
    StoreError, StoreErrorKind, Value, WatchLimits, Watched, WatchedMembers, WatchedValue,
};
use fairlock::{AcquireOptions, Error, Fairlock, Guarantees, LockPath, LossReason, QueuePath, Retry};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

const QUEUE: &str = "/a/_fairlock";
const PATIENCE: Duration = Duration::from_secs(600);

/// What goes wrong; counters say how often.
#[derive(Debug, Default)]
struct Faults {
    barriers_overloaded: AtomicUsize,
    leaves_overloaded: AtomicUsize,
    leaves_denied: AtomicUsize,
    /// All departures but those that close the queue.
    plain_leaves_denied: AtomicUsize,
    searches_denied: AtomicUsize,
    watch_delay_ms: AtomicUsize,
    /// Of watches on the nodes of readers.
    reader_watch_delay_ms: AtomicUsize,
    is_down: AtomicUsize,
    /// Every request goes unanswered, and the client never says that the session has ended.
    is_mute: AtomicUsize,
    /// How many lists were asked for.
    surveys: AtomicUsize,
    /// The nodes on which watches were asked for, in this order.
    watched: Mutex<Vec<String>>,
}

fn take(fault: &AtomicUsize) -> bool {
    fault.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

fn refuse_if(is_refused: bool, kind: StoreErrorKind) -> Result<(), StoreError> {
    if is_refused { Err(kind.into()) } else { Ok(()) }
}

#[derive(Debug, Clone)]
struct Faulty {
    memory: Memory,
    faults: Arc<Faults>,
}

impl Faulty {
    fn new() -> Self {
        Self { memory: Memory::new(), faults: Arc::default() }
    }

    async fn client(&self) -> Fairlock {
        Fairlock::builder().open(self.clone()).await.expect("a session")
    }

    /// A client of the same store without faults.
    async fn other(&self) -> Fairlock {
        Fairlock::builder().open(self.memory.clone()).await.expect("a session")
    }
}

#[async_trait]
impl Store for Faulty {
    async fn open(&self, options: &OpenOptions) -> Result<Arc<dyn Session>, Error> {
        if self.faults.is_down.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(options.connect_timeout).await;
            let (servers, diagnosis) = ("nowhere".to_owned(), "down".to_owned());
            return Err(Error::Unreachable { servers, waited: options.connect_timeout, diagnosis, source: None });
        }
        Ok(Arc::new(FaultySession { session: self.memory.open(options).await?, faults: self.faults.clone() }))
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.memory.clock()
    }

    fn guarantees(&self) -> Guarantees {
        self.memory.guarantees()
    }
}

#[derive(Debug)]
struct FaultySession {
    session: Arc<dyn Session>,
    faults: Arc<Faults>,
}

impl FaultySession {
    fn hear(&self) -> Result<(), StoreError> {
        refuse_if(self.faults.is_mute.load(Ordering::SeqCst) > 0, StoreErrorKind::Unknown)
    }
}

#[async_trait]
impl Session for FaultySession {
    fn id(&self) -> SessionId {
        self.session.id()
    }

    fn timeout(&self) -> Duration {
        self.session.timeout()
    }

    fn watch_limits(&self) -> WatchLimits {
        self.session.watch_limits()
    }

    fn states(&self) -> watch::Receiver<SessionState> {
        self.session.states()
    }

    async fn enter(&self, queue: &QueuePath, mode: Mode, ticket: &[u8]) -> Result<Entered, StoreError> {
        self.hear()?;
        self.session.enter(queue, mode, ticket).await
    }

    async fn make_queue(&self, queue: &QueuePath) -> Result<(), StoreError> {
        self.session.make_queue(queue).await
    }

    async fn survey(&self, queue: &QueuePath) -> Result<Vec<String>, StoreError> {
        self.hear()?;
        self.faults.surveys.fetch_add(1, Ordering::SeqCst);
        self.session.survey(queue).await
    }

    async fn find_own(&self, queue: &QueuePath, ticket: &[u8]) -> Result<Vec<OwnNode>, StoreError> {
        refuse_if(take(&self.faults.searches_denied), StoreErrorKind::NoPermission)?;
        self.session.find_own(queue, ticket).await
    }

    async fn inspect(&self, queue: &QueuePath, name: &str) -> Result<Option<Node>, StoreError> {
        self.session.inspect(queue, name).await
    }

    async fn watch_members(&self, queue: &QueuePath) -> Result<WatchedMembers, StoreError> {
        self.session.watch_members(queue).await
    }

    async fn watch(&self, queue: &QueuePath, name: &str) -> Result<Option<Watched>, StoreError> {
        self.faults.watched.lock().expect("no panic").push(name.to_owned());
        let is_readers = Sequence::of_node(name).is_some_and(|sequence| sequence.mode() == Mode::Shared);
        let delay = match is_readers {
            true => &self.faults.reader_watch_delay_ms,
            false => &self.faults.watch_delay_ms,
        };
        tokio::time::sleep(Duration::from_millis(delay.load(Ordering::SeqCst) as u64)).await;
        self.session.watch(queue, name).await
    }

    async fn leave(&self, queue: &QueuePath, name: &str, departure: Departure) -> Result<(), StoreError> {
        refuse_if(take(&self.faults.leaves_overloaded), StoreErrorKind::Overloaded)?;
        refuse_if(take(&self.faults.leaves_denied), StoreErrorKind::NoPermission)?;
        if departure != Departure::CloseQueue {
            refuse_if(take(&self.faults.plain_leaves_denied), StoreErrorKind::NoPermission)?;
        }
        self.session.leave(queue, name, departure).await
    }

    async fn replace(
        &self,
        queue: &QueuePath,
        old: Sequence,
        mode: Mode,
        ticket: &[u8],
    ) -> Result<OwnNode, StoreError> {
        self.session.replace(queue, old, mode, ticket).await
    }

    async fn write_barrier(&self) -> Result<(), StoreError> {
        self.hear()?;
        refuse_if(take(&self.faults.barriers_overloaded), StoreErrorKind::Overloaded)?;
        self.session.write_barrier().await
    }

    async fn touch(&self) -> Result<(), StoreError> {
        self.hear()?;
        self.session.touch().await
    }

    async fn commit(&self, own: &str, operations: &[Operation]) -> Result<(), StoreError> {
        self.session.commit(own, operations).await
    }

    async fn read_value(&self, path: &LockPath) -> Result<Option<Value>, StoreError> {
        self.session.read_value(path).await
    }

    async fn watch_value(&self, path: &LockPath) -> Result<WatchedValue, StoreError> {
        self.session.watch_value(path).await
    }

    async fn write_value(&self, path: &LockPath, data: &[u8], expected: Expected) -> Result<i32, StoreError> {
        self.session.write_value(path, data, expected).await
    }

    async fn children(&self, path: Option<&LockPath>) -> Result<Vec<String>, StoreError> {
        self.session.children(path).await
    }

    fn give_up(&self, reason: LossReason) {
        self.session.give_up(reason);
    }

    async fn close(&self) {
        self.session.close().await;
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("in time")
}

/// Whoever comes next gets the lock, though the faulty client's session lives on.
async fn assert_free_for(other: &Fairlock) {
    drop(soon(other.mutex("/a").expect("a good path").acquire()).await.expect("nothing blocks the queue"));
}

#[tokio::test(start_paused = true)]
async fn an_overloaded_server_during_recovery_leaves_no_node() {
    let store = Faulty::new();
    let (locks, other) = (store.client().await, store.other().await);
    store.memory.lose_next(store.memory.sessions()[0], Request::Enter, Loss::Reply);
    let lock = locks.mutex("/a").expect("a good path");
    drop(lock.acquire().await.expect("free"));
    store.memory.lose_next(store.memory.sessions()[0], Request::Enter, Loss::Reply);
    store.faults.barriers_overloaded.store(3, Ordering::SeqCst);
    drop(soon(lock.acquire()).await.expect("granted in the end"));
    assert_free_for(&other).await;
    assert_eq!(store.faults.barriers_overloaded.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn an_overloaded_server_after_a_lost_release_leaves_no_node() {
    let store = Faulty::new();
    let (locks, other) = (store.client().await, store.other().await);
    let guard = locks.mutex("/a").expect("a good path").acquire().await.expect("free");
    store.memory.lose_next(store.memory.sessions()[0], Request::Leave, Loss::Request);
    store.faults.barriers_overloaded.store(3, Ordering::SeqCst);
    drop(guard);
    assert_free_for(&other).await;
    assert_eq!(store.faults.barriers_overloaded.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_overloaded_for_a_minute_is_released_to_all_the_same() {
    let store = Faulty::new();
    let (locks, other) = (store.client().await, store.other().await);
    let guard = locks.mutex("/a").expect("a good path").acquire().await.expect("free");
    store.faults.leaves_overloaded.store(30, Ordering::SeqCst);
    soon(guard.release()).await.expect("released in the end");
    assert_free_for(&other).await;
}

#[tokio::test(start_paused = true)]
async fn a_denied_release_is_told_at_once_and_tried_again_until_it_is_allowed() {
    let store = Faulty::new();
    let (locks, other) = (store.client().await, store.other().await);
    let guard = locks.mutex("/a").expect("a good path").acquire().await.expect("free");
    // The hand-over, the plain delete, and two more attempts in the background.
    store.faults.leaves_denied.store(4, Ordering::SeqCst);
    let started = Instant::now();
    let error = soon(guard.release()).await.expect_err("denied");
    assert!(matches!(error, Error::NoPermission { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_free_for(&other).await;
    assert_eq!(store.faults.leaves_denied.load(Ordering::SeqCst), 0);
}

/// Near the end of the numbers a release first tries to close the queue, and finds a waiter there; then it is denied. That
/// is what the holder has to hear of, not of the waiter.
#[tokio::test(start_paused = true)]
async fn a_denied_release_near_the_end_of_the_numbers_is_told_as_denied() {
    let store = Faulty::new();
    let limits = Limits { heal_from: 0.into(), ..Limits::default() };
    let locks = Fairlock::builder().limits(limits).open(store.clone()).await.expect("a session");
    let other = store.other().await;
    let guard = locks.mutex("/a").expect("a good path").acquire().await.expect("free");
    let waiting = other.mutex("/a").expect("a good path");
    let waiter = tokio::spawn(async move { waiting.acquire().await });
    soon(async {
        while store.memory.children(QUEUE).len() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    store.faults.plain_leaves_denied.store(2, Ordering::SeqCst);
    let error = soon(guard.release()).await.expect_err("denied");
    assert!(matches!(error, Error::NoPermission { .. }), "{error}");
    drop(soon(waiter).await.expect("no panic").expect("granted once it is allowed"));
}

#[tokio::test(start_paused = true)]
async fn a_release_that_is_denied_for_good_ends_with_the_session_once_nothing_uses_it() {
    let store = Faulty::new();
    let (locks, other) = (store.client().await, store.other().await);
    let session = store.memory.sessions()[0];
    let lock = locks.mutex("/a").expect("a good path");
    let guard = lock.acquire().await.expect("free");
    let unrelated = locks.mutex("/b").expect("a good path").acquire().await.expect("free");
    store.faults.leaves_denied.store(usize::MAX, Ordering::SeqCst);
    soon(guard.release()).await.expect_err("denied");
    drop((locks, lock));
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert!(unrelated.is_valid(), "whoever still holds something keeps the session");
    drop(unrelated);
    assert_free_for(&other).await;
    assert!(!store.memory.sessions().contains(&session));
}

#[tokio::test(start_paused = true)]
async fn an_overloaded_server_that_answers_is_not_given_up() {
    let store = Faulty::new();
    let (locks, other) = (store.client().await, store.other().await);
    let guard = other.mutex("/a").expect("a good path").acquire().await.expect("free");
    let waiter = tokio::spawn(async move { locks.mutex("/a").expect("a good path").acquire().await });
    store.faults.barriers_overloaded.store(100, Ordering::SeqCst);
    soon(async {
        while store.faults.barriers_overloaded.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    })
    .await;
    assert!(!waiter.is_finished(), "it has kept its place");
    guard.release().await.expect("released");
    drop(soon(waiter).await.expect("no panic").expect("granted"));
}

#[tokio::test(start_paused = true)]
async fn news_of_the_place_end_with_a_failure_even_if_the_clean_up_goes_on() {
    let store = Faulty::new();
    let locks = store.client().await;
    let lock = locks.mutex("/a").expect("a good path");
    drop(lock.acquire().await.expect("free"));
    store.memory.lose_next(store.memory.sessions()[0], Request::Enter, Loss::Reply);
    store.faults.searches_denied.store(usize::MAX, Ordering::SeqCst);
    let (options, mut progress) = AcquireOptions::default().progress();
    soon(lock.acquire_with(options)).await.expect_err("denied");
    assert_eq!(soon(progress.changed()).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_denied_search_after_a_lost_reply_is_told_at_once_and_tried_again_until_the_node_is_gone() {
    let store = Faulty::new();
    let (locks, other) = (store.client().await, store.other().await);
    let lock = locks.mutex("/a").expect("a good path");
    drop(lock.acquire().await.expect("free"));
    store.memory.lose_next(store.memory.sessions()[0], Request::Enter, Loss::Reply);
    store.faults.searches_denied.store(2, Ordering::SeqCst);
    let error = soon(lock.acquire()).await.expect_err("denied");
    assert!(matches!(error, Error::NoPermission { .. }), "{error}");
    assert_free_for(&other).await;
}

#[tokio::test(start_paused = true)]
async fn a_waiter_is_not_granted_for_a_namesake_in_a_queue_made_anew_while_it_was_cut_off() {
    let store = Faulty::new();
    let other = store.other().await;
    let locks = store.client().await;
    let session = store.memory.sessions()[1];
    let lock = other.mutex("/a").expect("a good path");
    let held = lock.acquire().await.expect("free");
    let waiting = locks.mutex("/a").expect("a good path");
    let waiter = tokio::spawn(async move { waiting.acquire().await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    store.memory.disconnect(session);
    store.memory.delete_all(QUEUE);
    drop(held);
    tokio::time::sleep(Duration::from_millis(100)).await;
    // The same numbers again: the second is the waiter's.
    lock.acquire().await.expect("free").release().await.expect("released");
    let holder = lock.acquire().await.expect("free");
    assert!(holder.node_path().ends_with("lock-0000000001"));
    // What would tell the waiter that its node is gone comes last.
    store.faults.watch_delay_ms.store(30, Ordering::SeqCst);
    store.memory.reconnect(session);
    let error = soon(waiter).await.expect("no panic").expect_err("its own node is gone");
    assert!(matches!(error, Error::Removed { .. }), "{error}");
    assert!(holder.is_valid());
}

#[tokio::test(start_paused = true)]
async fn a_release_while_cut_off_deletes_no_namesake_in_a_queue_made_anew() {
    let store = Faulty::new();
    let (locks, other) = (store.client().await, store.other().await);
    let session = store.memory.sessions()[0];
    for held_for in [Duration::ZERO, Duration::from_millis(200)] {
        let guard = locks.mutex("/a").expect("a good path").acquire().await.expect("free");
        tokio::time::sleep(held_for).await;
        store.memory.disconnect(session);
        store.memory.delete_all(QUEUE);
        let holder = other.mutex("/a").expect("a good path").acquire().await.expect("free");
        assert_eq!(holder.node_path(), guard.node_path(), "the same name");
        let releasing = tokio::spawn(guard.release());
        tokio::time::sleep(Duration::from_millis(500)).await;
        store.memory.reconnect(session);
        let error = soon(releasing).await.expect("no panic").expect_err("it was deleted before");
        assert!(matches!(error, Error::LockLost { reason: LossReason::NodeDeleted, .. }), "{error}");
        assert_eq!(store.memory.children(QUEUE).len(), 1);
        holder.release().await.expect("its own node");
        store.memory.delete_all(QUEUE);
    }
}

#[tokio::test(start_paused = true)]
async fn with_no_server_all_callers_are_told_after_the_time_to_connect() {
    let store = Faulty::new();
    let limit = Duration::from_secs(10);
    let locks = Fairlock::builder().connect_timeout(limit).open(store.clone()).await.expect("a session");
    store.faults.is_down.store(1, Ordering::SeqCst);
    store.memory.expire(store.memory.sessions()[0]);
    let started = Instant::now();
    let callers: Vec<_> = (0..20)
        .map(|number| {
            let lock = locks.mutex(&format!("/{number}")).expect("a good path");
            tokio::spawn(async move { lock.acquire().await })
        })
        .collect();
    for caller in callers {
        let error = soon(caller).await.expect("no panic").expect_err("nobody answers");
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    }
    assert!(started.elapsed() <= limit + Duration::from_secs(5), "{:?}", started.elapsed());
    // And once there is a server again, without any help.
    store.faults.is_down.store(0, Ordering::SeqCst);
    drop(soon(locks.mutex("/a").expect("a good path").acquire()).await.expect("a new session"));
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_client_has_died_without_a_word_is_replaced() {
    let store = Faulty::new();
    let locks = store.client().await;
    let guard = locks.mutex("/a").expect("a good path").acquire().await.expect("free");
    store.faults.is_mute.store(1, Ordering::SeqCst);
    assert_eq!(soon(guard.lost()).await, LossReason::DeadlinePassed);
    let first = store.memory.sessions()[0];
    soon(async {
        while store.memory.sessions().contains(&first) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    store.faults.is_mute.store(0, Ordering::SeqCst);
    drop(soon(locks.mutex("/a").expect("a good path").acquire()).await.expect("with a new session"));
}

#[tokio::test]
async fn releasing_a_guard_whose_deadline_has_passed_says_that_it_was_lost() {
    let clock = Arc::new(ManualClock::default());
    clock.advance(Duration::from_secs(100));
    let memory = Memory::with_clock(clock.clone());
    let locks = Fairlock::builder().open(memory.clone()).await.expect("a session");
    let guard = locks.mutex("/a").expect("a good path").acquire().await.expect("free");
    // As if the process had been stopped for that long.
    clock.advance(Duration::from_secs(30));
    assert!(!guard.is_valid());
    let error = guard.release().await.expect_err("it was lost");
    assert!(matches!(error, Error::LockLost { reason: LossReason::DeadlinePassed, .. }), "{error}");
}

#[tokio::test]
async fn looks_during_a_close_fail_as_closed() {
    let store = Faulty::new();
    let locks = store.client().await;
    let lock = locks.mutex("/a").expect("a good path");
    store.memory.disconnect(store.memory.sessions()[0]);
    let (listing, trying, ()) = tokio::join!(lock.contenders(), lock.try_acquire(), async {
        tokio::task::yield_now().await;
        locks.close().await;
    });
    assert!(matches!(listing, Err(Error::Closed)), "{listing:?}");
    assert!(matches!(trying, Err(Error::Closed)), "{trying:?}");
}

/// A host is suspended for more than twice the session timeout; when it resumes, its connection is gone. The keeper gives
/// the session up while it looks at the session's state, which giving up changes: it must not wait for itself.
#[test]
fn a_session_whose_connection_is_gone_after_a_long_suspension_is_given_up() {
    let (told, result) = std::sync::mpsc::channel();
    // On a thread of its own: a task that waits for itself cannot be timed out by its runtime.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let clock = Arc::new(ManualClock::default());
            let memory = Memory::with_clock(clock.clone());
            let locks = Fairlock::builder().open(memory.clone()).await.expect("a session");
            let guard = locks.mutex("/a").expect("a good path").acquire().await.expect("free");
            memory.disconnect(memory.sessions()[0]);
            clock.advance(Duration::from_secs(25));
            assert_eq!(guard.lost().await, LossReason::DeadlinePassed);
            let lock = locks.mutex("/b").expect("a good path");
            while let Err(error) = lock.acquire().await {
                assert_eq!(error.retry(), Retry::Yes, "{error}");
            }
            told.send(()).expect("awaited");
        });
    });
    result.recv_timeout(Duration::from_secs(20)).expect("a new session, and nobody waiting for itself");
}

/// The writer ahead becomes a reader after its node was watched, and before the reader's node of the same number is.
#[tokio::test(start_paused = true)]
async fn a_writer_that_sees_the_one_ahead_in_both_forms_waits_for_the_reader_without_a_list() {
    let store = Faulty::new();
    let (locks, other) = (store.client().await, store.other().await);
    let ahead = other.rw_lock("/a").expect("a good path").write().await.expect("free");
    store.faults.reader_watch_delay_ms.store(1_000, Ordering::SeqCst);
    let lock = locks.rw_lock("/a").expect("a good path");
    let waiting = tokio::spawn(async move { lock.write().await });
    // Three watches: the holder's, the waiter's on its own node, and on the holder's.
    soon(async {
        while store.memory.watches() < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let ahead = soon(ahead.downgrade()).await.expect("downgraded");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!waiting.is_finished());
    assert_eq!(store.faults.surveys.load(Ordering::SeqCst), 0);
    soon(ahead.release()).await.expect("released");
    drop(soon(waiting).await.expect("no panic").expect("granted"));
    assert_eq!(store.faults.surveys.load(Ordering::SeqCst), 1);
}

/// So a writer ahead that becomes a reader in between is seen.
#[tokio::test(start_paused = true)]
async fn a_writer_asks_for_the_writer_ahead_first_and_for_the_reader_without_waiting_for_the_answer() {
    let store = Faulty::new();
    let locks = store.client().await;
    let holder = locks.rw_lock("/a").expect("a good path").write().await.expect("free");
    store.faults.watched.lock().expect("no panic").clear();
    store.faults.watch_delay_ms.store(3_600_000, Ordering::SeqCst);
    let lock = locks.rw_lock("/a").expect("a good path");
    let waiting = tokio::spawn(async move { lock.write().await });
    let looked_for =
        |watched: &[String]| watched.iter().filter(|name| name.ends_with("-0000000000")).cloned().collect::<Vec<_>>();
    let asked = soon(async {
        loop {
            let asked = looked_for(&store.faults.watched.lock().expect("no panic"));
            if asked.len() == 2 {
                return asked;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    assert_eq!(asked, ["lock-0000000000", "read-0000000000"]);
    waiting.abort();
    drop(holder);
}
