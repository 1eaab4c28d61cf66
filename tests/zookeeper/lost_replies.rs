//! A connection that breaks while a request is under way: one node per acquire, its place kept, nothing left behind.

use fairlock::{Guard, Mutex};
use fairlock_testcontainers::{Close, Operation, Proxy};
use tokio::task::JoinHandle;
use zookeeper_client as zk;

use crate::bed::{self, mutex, nodes, proxy, raw, soon, unused_path, wait_for_nodes};

struct Scene {
    proxy: Proxy,
    path: String,
    /// The lock behind the proxy.
    lock: Mutex,
    /// The same lock on an undisturbed connection.
    other: Mutex,
    observer: zk::Client,
}

impl Scene {
    async fn new() -> Self {
        let (proxy, path) = (proxy().await, unused_path());
        let server = bed::server().await.address();
        let timeout = std::time::Duration::from_secs(6);
        let lock = mutex(&proxy.address(), &path, timeout).await;
        let other = mutex(&server, &path, timeout).await;
        other.acquire().await.expect("free").release().await.expect("released");
        Self { lock, other, observer: raw(&server).await, proxy, path }
    }

    fn acquire(lock: &Mutex) -> JoinHandle<Guard> {
        let lock = lock.clone();
        tokio::spawn(async move { lock.acquire().await.expect("granted") })
    }
}

/// Enters behind a holder while the connection breaks, then checks that there is one node and that it is in front of
/// one that entered later.
async fn entering_survives(trap: impl Fn(&Proxy) -> fairlock_testcontainers::Trap) {
    let scene = Scene::new().await;
    let holder = scene.other.acquire().await.expect("free");
    let sprung = trap(&scene.proxy);
    let first = Scene::acquire(&scene.lock);
    soon(sprung.sprung()).await;
    // Recovered: the node of the lost request, or of the request that was made again.
    wait_for_nodes(&scene.observer, &scene.path, 2).await;
    let second = Scene::acquire(&scene.other);
    wait_for_nodes(&scene.observer, &scene.path, 3).await;
    holder.release().await.expect("released");
    let guard = soon(first).await.expect("no panic");
    assert!(!second.is_finished(), "its place is kept");
    assert_eq!(nodes(&scene.observer, &scene.path).await.len(), 2);
    soon(guard.release()).await.expect("released");
    soon(soon(second).await.expect("no panic").release()).await.expect("released");
    assert!(nodes(&scene.observer, &scene.path).await.is_empty());
}

#[tokio::test]
async fn reply_to_entering_lost_with_a_fin() {
    entering_survives(|proxy| proxy.drop_reply(Operation::Multi, Close::Fin)).await;
}

#[tokio::test]
async fn reply_to_entering_lost_with_a_reset() {
    entering_survives(|proxy| proxy.drop_reply(Operation::Multi, Close::Rst)).await;
}

#[tokio::test]
async fn request_to_enter_lost_with_a_fin() {
    entering_survives(|proxy| proxy.drop_request(Operation::Multi, Close::Fin)).await;
}

#[tokio::test]
async fn request_to_enter_lost_with_a_reset() {
    entering_survives(|proxy| proxy.drop_request(Operation::Multi, Close::Rst)).await;
}

#[tokio::test]
async fn replies_to_entering_and_to_the_barrier_lost() {
    let scene = Scene::new().await;
    let first = scene.proxy.drop_reply(Operation::Multi, Close::Rst);
    let guard = Scene::acquire(&scene.lock);
    soon(first.sprung()).await;
    let second = scene.proxy.drop_reply(Operation::Multi, Close::Fin);
    let guard = soon(guard).await.expect("no panic");
    assert_eq!(nodes(&scene.observer, &scene.path).await.len(), 1);
    second.disarm();
    soon(guard.release()).await.expect("released");
    assert!(nodes(&scene.observer, &scene.path).await.is_empty());
}

#[tokio::test]
async fn reply_to_listing_own_nodes_lost_during_recovery() {
    let scene = Scene::new().await;
    // The client asks for its own nodes (opcode 103) after a lost reply to entering.
    let lost = scene.proxy.drop_reply(Operation::Multi, Close::Rst);
    let listing = scene.proxy.drop_reply(Operation::from_code(103), Close::Fin);
    let guard = Scene::acquire(&scene.lock);
    soon(lost.sprung()).await;
    soon(listing.sprung()).await;
    let guard = soon(guard).await.expect("no panic");
    assert_eq!(nodes(&scene.observer, &scene.path).await.len(), 1);
    soon(guard.release()).await.expect("released");
    assert!(nodes(&scene.observer, &scene.path).await.is_empty());
}

/// Releases while the connection breaks; another client is granted meanwhile or afterwards, and keeps its lock.
async fn releasing_survives(trap: impl Fn(&Proxy) -> fairlock_testcontainers::Trap) {
    let scene = Scene::new().await;
    let guard = scene.lock.acquire().await.expect("free");
    let next = Scene::acquire(&scene.other);
    wait_for_nodes(&scene.observer, &scene.path, 2).await;
    let sprung = trap(&scene.proxy);
    soon(guard.release()).await.expect("released");
    assert!(sprung.is_sprung());
    let next = soon(next).await.expect("no panic");
    assert!(next.is_valid());
    assert_eq!(nodes(&scene.observer, &scene.path).await.len(), 1, "the next holder's node, and no other");
    soon(next.release()).await.expect("released");
    assert!(nodes(&scene.observer, &scene.path).await.is_empty());
}

#[tokio::test]
async fn reply_to_releasing_lost_with_a_fin() {
    releasing_survives(|proxy| proxy.drop_reply(Operation::Multi, Close::Fin)).await;
}

#[tokio::test]
async fn reply_to_releasing_lost_with_a_reset() {
    releasing_survives(|proxy| proxy.drop_reply(Operation::Multi, Close::Rst)).await;
}

#[tokio::test]
async fn request_to_release_lost_with_a_fin() {
    releasing_survives(|proxy| proxy.drop_request(Operation::Multi, Close::Fin)).await;
}

#[tokio::test]
async fn request_to_release_lost_with_a_reset() {
    releasing_survives(|proxy| proxy.drop_request(Operation::Multi, Close::Rst)).await;
}

#[tokio::test]
async fn connection_cut_while_waiting_and_the_lock_released_meanwhile() {
    let scene = Scene::new().await;
    let holder = scene.other.acquire().await.expect("free");
    let waiter = Scene::acquire(&scene.lock);
    soon(scene.proxy.wait_until(|counts| counts.reply(Operation::GetData) >= 2)).await;
    scene.proxy.refuse(true);
    scene.proxy.cut(Close::Rst);
    holder.release().await.expect("released");
    scene.proxy.refuse(false);
    soon(soon(waiter).await.expect("no panic").release()).await.expect("released");
}

#[tokio::test]
async fn connection_cut_while_waiting_asks_for_no_list_and_makes_no_node() {
    let scene = Scene::new().await;
    let holder = scene.other.acquire().await.expect("free");
    let waiter = Scene::acquire(&scene.lock);
    soon(scene.proxy.wait_until(|counts| counts.reply(Operation::GetData) >= 2)).await;
    scene.proxy.reset_counts();
    scene.proxy.cut(Close::Fin);
    soon(scene.proxy.wait_until(|counts| counts.reply(Operation::SetWatches) >= 1)).await;
    let counts = scene.proxy.counts();
    assert_eq!((counts.request(Operation::GetChildren), counts.request(Operation::GetChildren2)), (0, 0), "{counts}");
    assert_eq!(nodes(&scene.observer, &scene.path).await.len(), 2);
    holder.release().await.expect("released");
    soon(soon(waiter).await.expect("no panic").release()).await.expect("released");
}

#[tokio::test]
async fn predecessor_watch_lost_in_a_reset_is_placed_again() {
    let scene = Scene::new().await;
    let holder = scene.other.acquire().await.expect("free");
    let sprung = scene.proxy.drop_reply(Operation::GetData, Close::Rst);
    let waiter = Scene::acquire(&scene.lock);
    soon(sprung.sprung()).await;
    wait_for_nodes(&scene.observer, &scene.path, 2).await;
    holder.release().await.expect("released");
    soon(soon(waiter).await.expect("no panic").release()).await.expect("released");
    assert!(nodes(&scene.observer, &scene.path).await.is_empty());
}

#[tokio::test]
async fn events_held_back_delay_the_grant_and_repeated_events_grant_once() {
    let scene = Scene::new().await;
    let holder = scene.other.acquire().await.expect("free");
    let waiter = Scene::acquire(&scene.lock);
    soon(scene.proxy.wait_until(|counts| counts.reply(Operation::GetData) >= 2)).await;
    scene.proxy.repeat_events(true);
    scene.proxy.hold_events();
    holder.release().await.expect("released");
    wait_for_nodes(&scene.observer, &scene.path, 1).await;
    assert!(!waiter.is_finished());
    scene.proxy.release_events();
    let guard = soon(waiter).await.expect("no panic");
    assert!(guard.is_valid());
    soon(guard.release()).await.expect("released");
}

#[tokio::test]
async fn a_node_named_anew_in_a_queue_made_anew_is_not_deleted_by_a_late_release() {
    let scene = Scene::new().await;
    let guard = scene.lock.acquire().await.expect("free");
    let name = guard.node_path().to_owned();
    let queue = bed::queue_of(&scene.path);
    // The release is executed, its reply is lost, and the client cannot come back for a while.
    let sprung = scene.proxy.drop_reply(Operation::Multi, Close::Rst);
    scene.proxy.refuse(true);
    let releasing = tokio::spawn(guard.release());
    soon(sprung.sprung()).await;
    wait_for_nodes(&scene.observer, &scene.path, 0).await;
    scene.observer.delete(&queue, None).await.expect("an empty queue, as if reaped");
    // As many as it takes until the numbers have come to the same name.
    let next = loop {
        let guard = scene.other.acquire().await.expect("free");
        if guard.node_path() == name {
            break guard;
        }
        guard.release().await.expect("released");
    };
    scene.proxy.refuse(false);
    soon(releasing).await.expect("no panic").expect("released");
    assert!(next.is_valid());
    assert_eq!(nodes(&scene.observer, &scene.path).await.len(), 1);
    next.release().await.expect("released");
}
