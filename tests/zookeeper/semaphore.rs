//! The semaphore on a real server: what a release costs, and what a crash and a cut-off do.

use std::time::{Duration, Instant};

use fairlock::{Error, Fairlock, LossReason, Permit, Semaphore};
use fairlock_testcontainers::{Close, Direction, Entry, EventKind, Operation, Proxy, What};
use tokio::task::{JoinHandle, JoinSet};
use zookeeper_client as zk;

use crate::bed::{self, QUIET, connect, proxy, raw, soon, unused_path};

const SESSION_TIMEOUT: Duration = Duration::from_secs(3);

fn semaphore(locks: &Fairlock, path: &str, permits: u32) -> Semaphore {
    locks.semaphore(path, permits).expect("a good path")
}

fn room_of(path: &str) -> String {
    format!("{path}/_fairlock_permits")
}

fn turns_of(path: &str) -> String {
    format!("{path}/_fairlock_turns")
}

async fn wait_for(client: &zk::Client, directory: &str, count: usize) {
    soon(async {
        while client.list_children(directory).await.is_ok_and(|names| names.len() != count) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

fn acquire_aside(semaphore: Semaphore, count: u32) -> Waiting {
    tokio::spawn(async move { (semaphore.acquire_many(count).await, Instant::now()) })
}

type Waiting = JoinHandle<(Result<Permit, Error>, Instant)>;

/// Three wait for the one permit that somebody has: one whose turn it is, and two that wait for their turn.
async fn line_up(observer: &zk::Client, path: &str, of: [&Fairlock; 3]) -> [Waiting; 3] {
    let [first, second, third] = of.map(|locks| semaphore(locks, path, 1));
    let first = acquire_aside(first, 1);
    wait_for(observer, &room_of(path), 2).await;
    let second = acquire_aside(second, 1);
    wait_for(observer, &turns_of(path), 2).await;
    let third = acquire_aside(third, 1);
    wait_for(observer, &turns_of(path), 3).await;
    [first, second, third]
}

fn requests(log: &[Entry], is_counted: impl Fn(Operation, &str) -> bool) -> usize {
    let is_one = |entry: &&Entry| match &entry.what {
        What::Request { operation, path } => is_counted(*operation, path.as_deref().unwrap_or_default()),
        _ => false,
    };
    log.iter().filter(is_one).count()
}

fn events(log: &[Entry], is_counted: impl Fn(EventKind, &str) -> bool) -> usize {
    let is_one = |entry: &&Entry| matches!(&entry.what, What::Event { kind, path } if is_counted(*kind, path));
    log.iter().filter(is_one).count()
}

struct Crowd {
    path: String,
    proxy: Proxy,
    observer: zk::Client,
    waiting: JoinSet<Result<Permit, Error>>,
    held: Vec<Permit>,
    _handles: Vec<Fairlock>,
}

const WAITERS: usize = 1_000;
const HANDLES: usize = 4;
const PERMITS: u32 = 3;
const HAND_OVERS: usize = 20;

impl Crowd {
    async fn gather() -> Self {
        let (path, proxy) = (unused_path(), proxy().await);
        let observer = raw(&bed::server().await.address()).await;
        let mut handles = Vec::new();
        for _ in 0..HANDLES {
            handles.push(connect(&proxy.address(), QUIET).await);
        }
        let mut held = Vec::new();
        for _ in 0..PERMITS {
            held.push(semaphore(&handles[0], &path, PERMITS).acquire().await.expect("free"));
        }
        let mut waiting = JoinSet::new();
        for number in 0..WAITERS {
            let semaphore = semaphore(&handles[number % HANDLES], &path, PERMITS);
            waiting.spawn(async move { semaphore.acquire().await });
        }
        wait_for(&observer, &turns_of(&path), WAITERS).await;
        wait_for(&observer, &room_of(&path), PERMITS as usize + 1).await;
        let crowd = Self { path, proxy, observer, waiting, held, _handles: handles };
        crowd.come_to_rest().await;
        crowd
    }

    /// All replies are there, and none comes any more.
    async fn come_to_rest(&self) {
        let mut before = self.proxy.counts();
        soon(async {
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let now = self.proxy.counts();
                if (now.clone() - before).requests() == 0 {
                    return;
                }
                before = now;
            }
        })
        .await;
    }
}

/// With a thousand waiters, a release is told to the one whose turn it is, and that one tells the next that it is its turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_with_a_thousand_waiters_wakes_one_and_that_one_the_next() {
    let mut crowd = Crowd::gather().await;
    let (room, turns) = (room_of(&crowd.path), turns_of(&crowd.path));
    crowd.proxy.clear_log();
    let mut highest = crowd.held.last().expect("all are held").fencing_token();
    for hand_over in 0..HAND_OVERS {
        // Not always the oldest.
        let permit = crowd.held.remove(hand_over % PERMITS as usize);
        permit.release().await.expect("released");
        let next = soon(crowd.waiting.join_next()).await.expect("a waiter is left").expect("no panic");
        let next = next.expect("granted");
        assert!(next.fencing_token() > highest, "first come, first served");
        highest = next.fencing_token();
        crowd.held.push(next);
        assert!(crowd.waiting.try_join_next().is_none(), "one at a time");
        // The next one has its turn, and looks for permits before anything else happens.
        wait_for(&crowd.observer, &turns, WAITERS - hand_over - 1).await;
        wait_for(&crowd.observer, &room, PERMITS as usize + 1).await;
        crowd.come_to_rest().await;
    }
    let log = crowd.proxy.log();
    let permits = events(&log, |kind, path| kind == EventKind::NodeChildrenChanged && path == room);
    let turns_told = events(&log, |kind, path| kind == EventKind::NodeDataChanged && path.starts_with(&turns));
    let own = events(&log, |kind, path| kind == EventKind::NodeDeleted && path.starts_with(&room));
    let all = events(&log, |_, _| true);
    let lists = requests(&log, |operation, _| matches!(operation, Operation::GetChildren | Operation::GetChildren2));
    let writes = requests(&log, |operation, path| {
        matches!(operation, Operation::Multi | Operation::Create | Operation::Create2 | Operation::Delete)
            && path != "/"
    });
    let about = requests(&log, |_, path| path.starts_with(&crowd.path));
    eprintln!(
        "{WAITERS} waiters, {PERMITS} permits, {HAND_OVERS} hand-overs: {all} events ({permits} of permits, {turns_told} of turns, \
         {own} of own nodes), {about} requests ({writes} writes, {lists} lists)"
    );
    assert_eq!(permits, HAND_OVERS, "one waiter each is told of a release");
    // Whoever hands its turn on is told by its own watch, too.
    assert!((HAND_OVERS..=2 * HAND_OVERS).contains(&turns_told), "{turns_told}");
    assert!(all <= permits + turns_told + own && own <= HAND_OVERS, "nobody else is told: {all}");
    // A release, a turn that is handed on, and a node of the next one.
    assert_eq!(writes, 3 * HAND_OVERS);
    assert_eq!(lists, 3 * HAND_OVERS, "of those who have permits, by the one that is granted and twice by the next");
    assert!(about <= 12 * HAND_OVERS, "whoever waits asks for nothing: {about}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_is_cut_off_knows_before_its_permits_go_to_the_next() {
    let (server, path) = (bed::server().await.address(), unused_path());
    let proxy = proxy().await;
    let (cut, whole) = (connect(&proxy.address(), SESSION_TIMEOUT).await, connect(&server, SESSION_TIMEOUT).await);
    let held = semaphore(&cut, &path, 3).acquire_many(2).await.expect("free");
    let beside = semaphore(&whole, &path, 3).acquire().await.expect("free");
    let next = acquire_aside(semaphore(&whole, &path, 3), 2);
    wait_for(&raw(&server).await, &room_of(&path), 3).await;
    proxy.hold_connections();
    proxy.cut(Close::Rst);
    assert_eq!(soon(held.lost()).await, LossReason::DeadlinePassed);
    let lost_at = Instant::now();
    let (next, granted_at) = soon(next).await.expect("no panic");
    assert!(lost_at < granted_at, "the holder knew first");
    assert!(next.expect("granted").is_valid() && beside.is_valid());
    proxy.release_connections();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiter_keeps_its_place_over_connections_that_break() {
    let (server, path) = (bed::server().await.address(), unused_path());
    let proxy = proxy().await;
    let (cut, whole) = (connect(&proxy.address(), QUIET).await, connect(&server, QUIET).await);
    let mut held = semaphore(&whole, &path, 1).acquire().await.expect("free");
    let observer = raw(&server).await;
    for close in [Close::Fin, Close::Rst] {
        let [first, second, third] = line_up(&observer, &path, [&cut, &cut, &whole]).await;
        proxy.hold_connections();
        proxy.cut(close);
        // What happens meanwhile is told after the reconnect.
        held.release().await.expect("released");
        proxy.release_connections();
        let (first, first_at) = soon(first).await.expect("no panic");
        first.expect("granted").release().await.expect("released");
        let (second, second_at) = soon(second).await.expect("no panic");
        second.expect("granted").release().await.expect("released");
        let (third, third_at) = soon(third).await.expect("no panic");
        assert!(first_at < second_at && second_at < third_at);
        held = third.expect("granted");
    }
    held.release().await.expect("released");
    wait_for(&observer, &room_of(&path), 0).await;
    wait_for(&observer, &turns_of(&path), 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiter_whose_session_expires_fails_and_holds_nobody_up() {
    let (server, path) = (bed::server().await.address(), unused_path());
    let proxy = proxy().await;
    let (cut, whole) = (connect(&proxy.address(), SESSION_TIMEOUT).await, connect(&server, SESSION_TIMEOUT).await);
    let held = semaphore(&whole, &path, 1).acquire().await.expect("free");
    let observer = raw(&server).await;
    let [first, second, third] = line_up(&observer, &path, [&cut, &cut, &whole]).await;
    proxy.swallow(Direction::Both);
    held.release().await.expect("released");
    let (third, _) = soon(third).await.expect("no panic");
    assert!(third.expect("granted").is_valid());
    proxy.pass();
    proxy.cut(Close::Fin);
    for waiter in [first, second] {
        let (outcome, _) = soon(waiter).await.expect("no panic");
        let error = outcome.expect_err("its session is over");
        assert!(matches!(error, Error::SessionLost { .. } | Error::Removed { .. }), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_number_of_permits_is_agreed_on_and_changed_for_all() {
    let (server, path) = (bed::server().await.address(), unused_path());
    let (one, other) = (connect(&server, SESSION_TIMEOUT).await, connect(&server, SESSION_TIMEOUT).await);
    let held = semaphore(&one, &path, 2).acquire_many(2).await.expect("free");
    let error = semaphore(&other, &path, 3).acquire().await.expect_err("another number");
    assert!(matches!(error, Error::PermitsMismatch { declared: 3, found: 2, .. }), "{error}");
    let error = semaphore(&other, &path, 2).acquire_many(3).await.expect_err("too many");
    assert!(matches!(error, Error::TooManyPermits { asked: 3, permits: 2, .. }), "{error}");
    let waiting = acquire_aside(semaphore(&one, &path, 2), 1);
    wait_for(&raw(&server).await, &room_of(&path), 2).await;
    assert_eq!(semaphore(&other, &path, 3).resize(3).await.expect("changed"), 2);
    let (third, _) = soon(waiting).await.expect("no panic");
    let third = third.expect("granted by the new number");
    assert!(third.is_valid() && held.is_valid());
    assert!(semaphore(&other, &path, 3).try_acquire().await.expect("a server answers").is_none());
    assert_eq!(semaphore(&one, &path, 2).permits().await.expect("known"), 3);
}

/// Where nobody waits, this is what permits cost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn free_permits_cost_few_requests() {
    let path = unused_path();
    let proxy = proxy().await;
    let locks = connect(&proxy.address(), QUIET).await;
    let semaphore = semaphore(&locks, &path, 2);
    // The first makes the directories.
    semaphore.acquire().await.expect("free").release().await.expect("released");
    proxy.clear_log();
    let permit = semaphore.acquire().await.expect("free");
    let log = proxy.log();
    permit.release().await.expect("released");
    let writes = requests(&log, |operation, _| matches!(operation, Operation::Multi | Operation::Create2));
    let reads = requests(&log, |operation, _| {
        matches!(operation, Operation::GetData | Operation::GetChildren | Operation::GetChildren2)
    });
    eprintln!("free permits: {writes} writes, {reads} reads");
    // Entering the queue of turns and the directory, and perhaps the turn that is handed on by now.
    assert!((2..=3).contains(&writes), "{log:?}");
    // The number twice, the list, the own node's watch.
    assert_eq!(reads, 4, "{log:?}");
    proxy.clear_log();
    let held = semaphore.try_acquire_many(2).await.expect("a server answers").expect("free");
    proxy.clear_log();
    assert!(semaphore.try_acquire().await.expect("a server answers").is_none());
    assert_eq!(proxy.log().iter().filter(|entry| matches!(entry.what, What::Request { .. })).count(), 2);
    held.release().await.expect("released");
}
