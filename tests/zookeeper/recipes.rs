//! The recipes on a real server: what is peculiar to one of them, and what they cost. `on_server.rs` has what all have in common.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fairlock::recipes::Election;
use fairlock::{AcquireOptions, DistributedLock, Error, Failover, LossReason};
use fairlock_testcontainers::{Close, Direction, Operation, What};
use zookeeper_client as zk;

use crate::bed::{self, QUIET, connect, mutex, nodes, proxy, raw, soon, unused_path, wait_for_nodes};

const SESSION_TIMEOUT: Duration = Duration::from_secs(3);

async fn election(address: &str, path: &str) -> Election {
    connect(address, SESSION_TIMEOUT).await.election(path).expect("a good path")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_cut_off_knows_first_and_observers_see_the_next() {
    let (server, path) = (bed::server().await.address(), unused_path());
    let proxy = proxy().await;
    let mut observer = election(&server, &path).await.observe();
    assert_eq!(soon(observer.next()).await.expect("a server answers"), None);
    let old = election(&proxy.address(), &path).await.campaign("old").await.expect("nobody leads");
    let leader = soon(observer.next()).await.expect("a server answers").expect("somebody leads");
    assert_eq!((leader.payload(), leader.fencing_token()), (&b"old"[..], old.fencing_token()));
    let next = election(&server, &path).await;
    let next = tokio::spawn(async move { (next.campaign("new").await.expect("elected"), Instant::now()) });
    wait_for_nodes(&raw(&server).await, &path, 2).await;

    proxy.swallow(Direction::Both);
    assert_eq!(soon(old.lost()).await, LossReason::DeadlinePassed);
    let lost_at = Instant::now();
    let (next, elected_at) = soon(next).await.expect("no panic");
    assert!(lost_at < elected_at, "the old leader knew first");
    // That nobody leads may be folded into the next.
    loop {
        match soon(observer.next()).await.expect("a server answers") {
            Some(leader) if leader.payload() == b"new" => break,
            Some(leader) => panic!("{leader:?}"),
            None => {}
        }
    }
    proxy.pass();
    proxy.cut(Close::Fin);
    let error = soon(old.proclaim("late")).await.expect_err("it leads no more");
    assert!(matches!(error, Error::LockLost { .. }), "{error}");
    assert!(next.is_valid());
    soon(next.resign()).await.expect("it leads");
    assert_eq!(soon(observer.next()).await.expect("a server answers"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_observer_misses_nothing_while_it_is_cut_off() {
    let (server, path) = (bed::server().await.address(), unused_path());
    let proxy = proxy().await;
    // Longer than the interruption.
    let observing = connect(&proxy.address(), Duration::from_secs(20)).await;
    let mut observer = observing.election(&path).expect("a good path").observe();
    assert_eq!(soon(observer.next()).await.expect("a server answers"), None);
    let election = election(&server, &path).await;
    for cut in [Close::Fin, Close::Rst] {
        proxy.hold_connections();
        proxy.cut(cut);
        let first = election.campaign("first").await.expect("nobody leads");
        first.resign().await.expect("it leads");
        let second = election.campaign(format!("second after {cut:?}")).await.expect("nobody leads");
        proxy.release_connections();
        let last = format!("second after {cut:?}");
        loop {
            let leader = soon(observer.next()).await.expect("a server answers");
            if leader.is_some_and(|leader| leader.payload() == last.as_bytes()) {
                break;
            }
        }
        second.resign().await.expect("it leads");
        assert_eq!(soon(observer.next()).await.expect("a server answers"), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proclamation_whose_reply_is_lost_is_made_and_seen_once() {
    let (server, path) = (bed::server().await.address(), unused_path());
    let proxy = proxy().await;
    let leadership = election(&proxy.address(), &path).await.campaign("one").await.expect("nobody leads");
    let hold = proxy.hold_reply(fairlock_testcontainers::Which::at(Operation::Multi, leadership.node_path()));
    let leadership = Arc::new(leadership);
    let proclaiming = tokio::spawn({
        let leadership = leadership.clone();
        async move { leadership.proclaim("two").await }
    });
    soon(hold.held()).await;
    hold.lose(Close::Rst);
    soon(proclaiming).await.expect("no panic").expect("it leads");
    let leader = election(&server, &path).await.leader().await.expect("a server answers").expect("somebody leads");
    assert_eq!((leader.payload(), leader.fencing_token()), (&b"two"[..], leadership.fencing_token()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_multi_lock_that_is_cut_off_is_lost_as_a_whole_and_all_its_locks_pass_on() {
    let server = bed::server().await.address();
    let (one, other) = (unused_path(), unused_path());
    let proxy = proxy().await;
    let locks = connect(&proxy.address(), SESSION_TIMEOUT).await;
    let guard = locks.multi_lock([&one, &other]).expect("good paths").acquire().await.expect("free");
    let probe = format!("{one}-data");
    guard.transaction().create(&probe, b"1").commit().await.expect("both are held");
    let mut next = Vec::new();
    for path in [&one, &other] {
        let lock = mutex(&server, path, SESSION_TIMEOUT).await;
        next.push(tokio::spawn(async move { (lock.acquire().await.expect("granted"), Instant::now()) }));
        wait_for_nodes(&raw(&server).await, path, 2).await;
    }
    proxy.swallow(Direction::Both);
    let (_, reason) = soon(guard.lost()).await;
    let lost_at = Instant::now();
    assert_eq!(reason, LossReason::DeadlinePassed);
    for next in next {
        let (guard, granted_at) = soon(next).await.expect("no panic");
        assert!(lost_at < granted_at, "the holder knew first");
        guard.release().await.expect("released");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_lock_of_a_multi_lock_is_removed_and_the_server_refuses_its_writes() {
    let server = bed::server().await.address();
    let (one, other) = (unused_path(), unused_path());
    let locks = connect(&server, SESSION_TIMEOUT).await;
    let guard = locks.multi_lock([&one, &other]).expect("good paths").acquire().await.expect("free");
    let probe = format!("{one}-data");
    guard.transaction().create(&probe, b"1").commit().await.expect("both are held");
    let operator = raw(&server).await;
    operator.delete(guard.guards()[1].node_path(), None).await.expect("deleted by hand");
    let error = guard.transaction().set_data(&probe, b"2", None).commit().await.expect_err("one is gone");
    assert!(matches!(error, Error::TransactionRefused { index: 0, .. } | Error::LockLost { .. }), "{error}");
    assert_eq!(operator.get_data(&probe).await.expect("a node").0, b"1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_folded_tasks_are_one_znode_and_no_request_between_turns() {
    const TASKS: usize = 1_000;
    let (server, path) = (bed::server().await.address(), unused_path());
    let proxy = proxy().await;
    let lock = mutex(&proxy.address(), &path, QUIET).await.folded(u32::MAX);
    let first = lock.acquire().await.expect("free");
    let token = first.fencing_token();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let lock = lock.clone();
            tokio::spawn(async move {
                let guard = lock.acquire().await.expect("granted");
                let told = (guard.fencing_token(), guard.turn());
                guard.release().await.expect("passed on");
                told
            })
        })
        .collect();
    soon(async {
        while lock.waiting() < TASKS {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(nodes(&raw(&server).await, &path).await.len(), 1);
    proxy.clear_log();
    let mut turns = vec![0];
    first.release().await.expect("passed on");
    for task in tasks {
        let (its_token, turn) = soon(task).await.expect("no panic");
        assert_eq!(its_token, token);
        turns.push(turn);
    }
    turns.sort_unstable();
    assert_eq!(turns, (0..=TASKS as u32).collect::<Vec<_>>());
    assert_eq!(nodes(&raw(&server).await, &path).await.len(), 0, "the last one out released it");
    let writes = |operation| {
        proxy
            .log()
            .iter()
            .filter(|entry| matches!(&entry.what, What::Request { operation: o, .. } if *o == operation))
            .count()
    };
    assert_eq!(writes(Operation::Multi), 1, "the release");
    eprintln!("1,000 local tasks: 1 znode, 1 transaction for all their turns");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_whose_time_has_passed_gives_the_lock_back() {
    let (server, path) = (bed::server().await.address(), unused_path());
    let options = AcquireOptions::default().hold_at_most(Duration::from_millis(300));
    let lock = mutex(&server, &path, SESSION_TIMEOUT).await;
    let guard = lock.acquire_with(options).await.expect("free");
    let next = mutex(&server, &path, SESSION_TIMEOUT).await;
    let next = tokio::spawn(async move { (next.acquire().await.expect("granted"), Instant::now()) });
    assert_eq!(soon(guard.lost()).await, LossReason::HoldLimitReached);
    let lost_at = Instant::now();
    let (next, granted_at) = soon(next).await.expect("no panic");
    assert!(lost_at <= granted_at, "the holder knew first");
    let refused = guard.transaction().create(format!("{path}-data"), b"").commit().await.expect_err("lost");
    assert!(matches!(refused, Error::LockLost { reason: LossReason::HoldLimitReached, .. }), "{refused}");
    assert!(next.is_valid());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mutex_says_what_its_store_can_be_relied_upon_for() {
    let (server, path) = (bed::server().await.address(), unused_path());
    let lock: Arc<dyn DistributedLock> = Arc::new(mutex(&server, &path, SESSION_TIMEOUT).await);
    assert_eq!(lock.guarantees().failover, Failover::Remembers);
}

/// The leader is elected, and may not write that it leads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_that_fails_half_way_leaves_no_candidacy() {
    let (server, path) = (bed::server().await.address(), unused_path());
    let operator = raw(&server).await;
    let open = zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all());
    operator.mkdir(&path, &open).await.expect("made");
    let acl = [zk::Acl::new(zk::Permission::READ, zk::AuthId::anyone())];
    let closed = zk::CreateMode::Persistent.with_acls(zk::Acls::new(&acl));
    operator.create(&format!("{path}/_fairlock_leader"), b"", &closed).await.expect("made");
    let election = election(&server, &path).await;
    let error = soon(election.campaign("here")).await.expect_err("it cannot be proclaimed");
    assert!(matches!(error, Error::NoPermission { .. }), "{error:?}");
    wait_for_nodes(&operator, &path, 0).await;
    // Whoever comes next is not held up.
    let next = soon(mutex(&server, &path, SESSION_TIMEOUT).await.acquire()).await.expect("free");
    assert!(next.is_valid() && election.leader().await.expect("a server answers").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_is_cut_off_knows_before_the_writer_is_granted() {
    let (server, path) = (bed::server().await.address(), unused_path());
    let proxy = proxy().await;
    let lock = |locks: fairlock::Fairlock| locks.rw_lock(&path).expect("a good path");
    let cut = lock(connect(&proxy.address(), SESSION_TIMEOUT).await).read().await.expect("free");
    let beside = lock(connect(&server, SESSION_TIMEOUT).await);
    let shared = beside.read().await.expect("shared");
    let writer = lock(connect(&server, SESSION_TIMEOUT).await);
    let writer = tokio::spawn(async move { (writer.write().await.expect("granted"), Instant::now()) });
    wait_for_nodes(&raw(&server).await, &path, 3).await;
    proxy.swallow(Direction::Both);
    assert_eq!(soon(cut.lost()).await, LossReason::DeadlinePassed);
    let lost_at = Instant::now();
    assert!(shared.is_valid() && !writer.is_finished(), "the other reader holds it still");
    let released_at = Instant::now();
    shared.release().await.expect("released");
    let (writer, granted_at) = soon(writer).await.expect("no panic");
    assert!(lost_at < granted_at && released_at < granted_at);
    assert!(writer.is_valid());
    assert!(beside.try_read().await.expect("a server answers").is_none());
}

/// One transaction of the writer, one event for each reader behind it, and no request of theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_releases_lets_all_readers_in_without_a_request() {
    const READERS: usize = 100;
    let (server, path) = (bed::server().await.address(), unused_path());
    let proxy = proxy().await;
    let observer = raw(&server).await;
    let writer = connect(&server, QUIET).await.rw_lock(&path).expect("a good path").write().await.expect("free");
    let lock = connect(&proxy.address(), QUIET).await.rw_lock(&path).expect("a good path");
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let lock = lock.clone();
            tokio::spawn(async move { lock.read().await.expect("granted") })
        })
        .collect();
    wait_for_nodes(&observer, &path, READERS + 1).await;
    // Each has entered, listed the queue, and watches two nodes.
    soon(async {
        let is_watch = |what: &What| matches!(what, What::Reply { operation: Operation::GetData, .. });
        while proxy.log().iter().filter(|entry| is_watch(&entry.what)).count() < 2 * READERS {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    proxy.clear_log();
    writer.release().await.expect("released");
    let mut guards = Vec::new();
    for reader in readers {
        guards.push(soon(reader).await.expect("no panic"));
    }
    let log = proxy.log();
    let events = log.iter().filter(|entry| matches!(entry.what, What::Event { .. })).count();
    let requests: Vec<_> = log.iter().filter(|entry| matches!(entry.what, What::Request { .. })).collect();
    eprintln!("{READERS} readers of one session: {events} event, {} requests", requests.len());
    assert!(requests.is_empty(), "{requests:?}");
    assert_eq!(events, 1, "one for the session, whose readers all watch one node");
    assert!(guards.iter().all(fairlock::ReadGuard::is_valid));
}

type Told = std::pin::Pin<Box<dyn Future<Output = (LossReason, Instant)> + Send>>;

/// Each kind of holder, and what it is told of its loss.
async fn held(kind: &str, locks: &fairlock::Fairlock, path: &str) -> Told {
    macro_rules! told {
        ($guard:expr) => {{
            let guard = $guard;
            Box::pin(async move { (guard.lost().await, Instant::now()) })
        }};
    }
    let mutex = locks.mutex(path).expect("a good path");
    let rw_lock = locks.rw_lock(path).expect("a good path");
    match kind {
        "mutex" => told!(mutex.acquire().await.expect("free")),
        "reader" => told!(rw_lock.read().await.expect("free")),
        "writer" => told!(rw_lock.write().await.expect("free")),
        "leader" => told!(locks.election(path).expect("a good path").campaign("here").await.expect("nobody leads")),
        "owner twice" => {
            let lock = mutex.reentrant(2);
            let (outer, inner) = (lock.acquire().await.expect("free"), lock.acquire().await.expect("again"));
            Box::pin(async move {
                let lost = outer.lost().await;
                assert!(!inner.is_valid(), "all guards of one hold are lost together");
                (lost, Instant::now())
            })
        }
        "folded" => told!(mutex.folded(10).acquire().await.expect("free")),
        "several" => {
            let other = format!("{path}-other");
            let guard = locks.multi_lock([path, &other]).expect("good paths").acquire().await.expect("free");
            Box::pin(async move {
                let (_, reason) = guard.lost().await;
                (reason, Instant::now())
            })
        }
        kind => panic!("no such kind: {kind}"),
    }
}

/// Its connection is reset and no other is made, as when its host has crashed: it expires, and another follows; whoever is
/// left of it, as after a mere cut, knew before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_holder_that_is_gone_is_followed_and_each_that_is_only_cut_off_knew_before() {
    let server = bed::server().await.address();
    let mut runs = Vec::new();
    for kind in ["mutex", "reader", "writer", "leader", "owner twice", "folded", "several"] {
        let server = server.clone();
        runs.push(tokio::spawn(async move {
            let (path, proxy) = (unused_path(), proxy().await);
            let locks = connect(&proxy.address(), SESSION_TIMEOUT).await;
            let told = held(kind, &locks, &path).await;
            let next = mutex(&server, &path, SESSION_TIMEOUT).await;
            let next = tokio::spawn(async move { (next.acquire().await.expect("granted"), Instant::now()) });
            wait_for_nodes(&raw(&server).await, &path, 2).await;
            proxy.hold_connections();
            proxy.cut(Close::Rst);
            let (reason, lost_at) = soon(told).await;
            let (next, granted_at) = soon(next).await.expect("no panic");
            assert_eq!(reason, LossReason::DeadlinePassed, "{kind}");
            assert!(lost_at < granted_at, "{kind} knew first");
            assert!(next.is_valid(), "{kind}");
            proxy.release_connections();
        }));
    }
    for run in runs {
        soon(run).await.expect("no panic");
    }
}
