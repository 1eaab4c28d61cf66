//! Values on a real server: many writers, lost replies, watches across reconnects, and a lock that was there first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fairlock::recipes::{Snapshot, UpdateOptions, Versioned};
use fairlock::store::zookeeper::{Access, ZooKeeper};
use fairlock::store::{Expected, OpenOptions, Store};
use fairlock::{Error, LockPath};
use fairlock_testcontainers::{Close, Operation, Proxy, Server, Trap};
use futures::FutureExt;
use tokio::task::{JoinHandle, JoinSet};
use zookeeper_client as zk;

use crate::bed::{self, QUIET, builder, connect, proxy, queue_of, raw, soon, unused_path};

fn plus_one(data: Option<&[u8]>) -> Vec<u8> {
    let number: u32 = data.map_or(0, |data| std::str::from_utf8(data).expect("text").parse().expect("a number"));
    (number + 1).to_string().into_bytes()
}

async fn counter(address: &str, path: &str) -> Versioned {
    connect(address, QUIET).await.value(path).expect("a good path")
}

async fn data(client: &zk::Client, path: &str) -> String {
    String::from_utf8(client.get_data(path).await.expect("the value").0).expect("text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_increments_by_four_sessions_lose_nothing() {
    const SESSIONS: u32 = 4;
    const UPDATES: u32 = 25;
    let (address, path) = (bed::server().await.address(), unused_path());
    let (mut tasks, calls) = (JoinSet::new(), Arc::new(AtomicU32::new(0)));
    for _ in 0..SESSIONS {
        let (counter, calls) = (counter(&address, &path).await, calls.clone());
        tasks.spawn(async move {
            for _ in 0..UPDATES {
                let update = counter.update(UpdateOptions::default().lock_after(2), |data| {
                    calls.fetch_add(1, Ordering::Relaxed);
                    plus_one(data)
                });
                update.await.expect("updated");
            }
        });
    }
    soon(tasks.join_all()).await;
    assert_eq!(data(&raw(&address).await, &path).await, (SESSIONS * UPDATES).to_string());
    let calls = calls.load(Ordering::Relaxed);
    eprintln!("{} updates took {calls} tries", SESSIONS * UPDATES);
}

#[tokio::test]
async fn a_new_value_is_made_together_with_what_is_missing_above_it() {
    let proxy = proxy().await;
    let (locks, root) = (connect(&proxy.address(), QUIET).await, unused_path());
    locks.value(&root).expect("a good path").create("").await.expect("made");
    // It is tried alone, and then with one directory more each time. One without data is written to when it is made.
    for (path, data, requests) in
        [("a", "1", 1), ("b/c", "2", 2), ("d/e/f/g", "3", 4), ("d/e/h/i", "", 2), ("d/j", "", 1)]
    {
        let path = format!("{root}/{path}");
        proxy.reset_counts();
        let made = locks.value(&path).expect("a good path").create(data).await.expect("made");
        let counts = proxy.counts();
        assert_eq!(counts.requests(), requests, "{path}: {counts}");
        assert_eq!(self::data(&raw(&bed::server().await.address()).await, &path).await, data);
        // The version is the server's.
        locks.value(&path).expect("a good path").write(&made, "next").await.expect("nobody has written since");
    }
}

/// A counter at 1 behind a proxy, whose note is there, and the same on an undisturbed connection.
struct Scene {
    proxy: Proxy,
    path: String,
    counter: Versioned,
    other: Versioned,
    observer: zk::Client,
}

impl Scene {
    async fn new() -> Self {
        let (proxy, path, address) = (proxy().await, unused_path(), bed::server().await.address());
        // A reply that is swallowed counts as lost after this.
        let counter = connect(&proxy.address(), Duration::from_secs(6)).await.value(&path).expect("a good path");
        counter.create("0").await.expect("made");
        counter.update(UpdateOptions::default(), plus_one).await.expect("updated");
        let (other, observer) = (self::counter(&address, &path).await, raw(&address).await);
        Self { proxy, path, counter, other, observer }
    }

    fn add(&self) -> (JoinHandle<Result<Snapshot, Error>>, Arc<AtomicU32>) {
        let (counter, calls) = (self.counter.clone(), Arc::new(AtomicU32::new(0)));
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
}

#[tokio::test]
async fn an_update_is_one_read_and_one_transaction() {
    let scene = Scene::new().await;
    let proxy = proxy().await;
    let counter = counter(&proxy.address(), &scene.path).await;
    proxy.reset_counts();
    counter.update(UpdateOptions::default(), plus_one).await.expect("updated");
    let counts = proxy.counts();
    assert_eq!((counts.request(Operation::GetData), counts.request(Operation::Multi)), (1, 1), "{counts}");
    assert_eq!(counts.requests(), 2, "{counts}");
}

/// Updates while the connection breaks; the update is applied once, computed so many times.
async fn updating_survives(trap: impl Fn(&Proxy) -> Trap, computed: u32) {
    let scene = Scene::new().await;
    let sprung = trap(&scene.proxy);
    let (update, calls) = scene.add();
    let snapshot = soon(update).await.expect("no panic").expect("updated");
    assert!(sprung.is_sprung());
    assert_eq!(snapshot.data(), b"2");
    assert_eq!(data(&scene.observer, &scene.path).await, "2");
    assert_eq!(calls.load(Ordering::SeqCst), computed);
    // What it is said to be, it is.
    soon(scene.other.write(&snapshot, "7")).await.expect("unchanged since");
}

#[tokio::test]
async fn reply_to_updating_lost_with_a_fin() {
    updating_survives(|proxy| proxy.drop_reply(Operation::Multi, Close::Fin), 1).await;
}

#[tokio::test]
async fn reply_to_updating_lost_with_a_reset() {
    updating_survives(|proxy| proxy.drop_reply(Operation::Multi, Close::Rst), 1).await;
}

#[tokio::test]
async fn request_to_update_lost_with_a_fin() {
    updating_survives(|proxy| proxy.drop_request(Operation::Multi, Close::Fin), 2).await;
}

#[tokio::test]
async fn request_to_update_lost_with_a_reset() {
    updating_survives(|proxy| proxy.drop_request(Operation::Multi, Close::Rst), 2).await;
}

#[tokio::test]
async fn request_to_update_lost_while_another_writes_the_same() {
    let scene = Scene::new().await;
    let sprung = scene.proxy.drop_request(Operation::Multi, Close::Rst);
    scene.proxy.hold_connections();
    let (update, _) = scene.add();
    soon(sprung.sprung()).await;
    soon(scene.other.update(UpdateOptions::default(), plus_one)).await.expect("updated");
    assert_eq!(data(&scene.observer, &scene.path).await, "2", "what the lost one would have written");
    scene.proxy.release_connections();
    soon(update).await.expect("no panic").expect("updated");
    assert_eq!(data(&scene.observer, &scene.path).await, "3");
}

#[tokio::test]
async fn reply_to_updating_lost_while_others_update_is_told_as_unknown() {
    let scene = Scene::new().await;
    let sprung = scene.proxy.drop_reply(Operation::Multi, Close::Rst);
    scene.proxy.hold_connections();
    let (update, _) = scene.add();
    soon(sprung.sprung()).await;
    soon(scene.other.update(UpdateOptions::default(), plus_one)).await.expect("updated");
    scene.proxy.release_connections();
    let error = soon(update).await.expect("no panic").expect_err("it cannot be told");
    assert!(matches!(error, Error::UnknownOutcome { .. }), "{error}");
    assert_eq!(data(&scene.observer, &scene.path).await, "3", "it was not repeated");
}

#[tokio::test]
async fn a_plain_write_whose_reply_was_lost_is_unknown() {
    let scene = Scene::new().await;
    let read = scene.counter.read().await.expect("a look").expect("the value");
    let lost = scene.proxy.drop_reply(Operation::SetData, Close::Fin);
    let error = soon(scene.counter.write(&read, "9")).await.expect_err("its reply was lost");
    assert!(lost.is_sprung());
    assert!(matches!(error, Error::UnknownOutcome { .. }), "{error}");
    assert_eq!(data(&scene.observer, &scene.path).await, "9");
    let error = soon(scene.counter.write(&read, "10")).await.expect_err("it was written");
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
}

#[tokio::test]
async fn what_happens_to_a_watched_value_while_cut_off_is_told_after_the_reconnect() {
    let (proxy, server) = (proxy().await, bed::server().await.address());
    let open = async |address: &str| {
        let store = ZooKeeper::new(address, vec![], Access::Everyone).expect("a good connect string");
        store.open(&OpenOptions::default()).await.expect("a session")
    };
    let (session, other) = (open(&proxy.address()).await, open(&server).await);
    let root = unused_path();
    let [written, deleted, made, still, absent] = ["written", "deleted", "made", "still", "absent"]
        .map(|name| LockPath::new(&format!("{root}/{name}")).expect("a good path"));
    for path in [&written, &deleted, &still] {
        other.write_value(path, b"1", Expected::Absent).await.expect("made");
    }
    let mut watches = Vec::new();
    for path in [&written, &deleted, &made, &still, &absent] {
        watches.push(session.watch_value(path).await.expect("watched").event);
    }
    proxy.hold_connections();
    proxy.cut(Close::Rst);
    other.write_value(&written, b"2", Expected::Version(0)).await.expect("written");
    let delete = fairlock::store::Operation::Delete { path: deleted.to_string(), version: None };
    other.commit(deleted.as_str(), &[delete]).await.expect("deleted");
    other.write_value(&made, b"1", Expected::Absent).await.expect("made");
    proxy.release_connections();
    let mut rest = watches.split_off(3);
    for event in watches {
        soon(event).await;
    }
    session.write_barrier().await.expect("a barrier");
    assert!(rest.iter_mut().all(|event| event.now_or_never().is_none()), "nothing has happened to these");
    // The watches are still in place.
    other.write_value(&still, b"2", Expected::Version(0)).await.expect("written");
    other.write_value(&absent, b"1", Expected::Absent).await.expect("made");
    for event in rest {
        soon(event).await;
    }
}

#[tokio::test]
async fn a_value_made_where_a_lock_was_first_is_not_removed_with_the_queue() {
    let flag = "-Dznode.container.checkIntervalMs=100";
    let server = Server::builder().tick_time(Duration::from_millis(200)).jvm_flag(flag).start().await;
    let server = server.expect("a server");
    let (path, plain) = (unused_path(), unused_path());
    let locks = connect(&server.address(), QUIET).await;
    let value = locks.value(&path).expect("a good path");
    let guard = locks.mutex(&path).expect("a good path").acquire().await.expect("free");
    assert_eq!(value.read().await.expect("a look"), None, "the lock's directory is no value");
    value.update(UpdateOptions::default(), plus_one).await.expect("made");
    guard.release().await.expect("released");
    let observer = raw(&server.address()).await;
    // Another lock, whose path is nothing else, shows that the server has removed what it removes.
    locks.mutex(&plain).expect("a good path").acquire().await.expect("free").release().await.expect("released");
    soon(async {
        for gone in [queue_of(&path), plain] {
            while observer.check_stat(&gone).await.expect("a look").is_some() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    })
    .await;
    assert_eq!(data(&observer, &path).await, "1");
    value.update(UpdateOptions::default(), plus_one).await.expect("updated");
    assert_eq!(data(&observer, &path).await, "2");
}

#[tokio::test]
async fn values_and_what_is_above_them_are_made_with_the_sessions_access() {
    let (address, path) = (bed::server().await.address(), format!("{}/below", unused_path()));
    let owner = builder(QUIET).credentials("digest", "me:secret").access(Access::CreatorElseRead);
    let value = owner.connect(&address).await.expect("a session").value(&path).expect("a good path");
    value.create("1").await.expect("made");
    value.update(UpdateOptions::default(), plus_one).await.expect("updated");
    let stranger = counter(&address, &path).await;
    let read = stranger.read().await.expect("everybody may read").expect("the value");
    let error = stranger.write(&read, "3").await.expect_err("not a stranger's");
    assert!(matches!(error, Error::NoPermission { .. }), "{error}");
    let error = stranger.update(UpdateOptions::default(), plus_one).await.expect_err("not a stranger's");
    assert!(matches!(error, Error::NoPermission { .. }), "{error}");
    let beside = counter(&address, &format!("{}-2", path)).await;
    let error = beside.create("1").await.expect_err("not below the owner's directory");
    assert!(matches!(error, Error::NoPermission { .. }), "{error}");
    value.update(UpdateOptions::default(), plus_one).await.expect("its owner's");
}
