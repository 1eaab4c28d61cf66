//! Facts about real servers and the client crate that the protocol leans on, shown one by one.

use std::time::Duration;

use fairlock_testcontainers::{Close, EventKind, Server};
use tokio::time::timeout;
use zookeeper_client as zk;

use crate::bed::{self, PATIENCE, proxy, raw, soon, unused_path};

const ACLS: zk::Acls<'static> = zk::Acls::anyone_all();

async fn directory(client: &zk::Client) -> String {
    let path = unused_path();
    client.mkdir(&path, &zk::CreateMode::Persistent.with_acls(ACLS)).await.expect("made");
    path
}

async fn enter(client: &zk::Client, directory: &str) -> (String, zk::Stat) {
    let results = {
        let mut writer = client.new_multi_writer();
        let options = zk::CreateMode::EphemeralSequential.with_acls(ACLS);
        writer.add_create(&format!("{directory}/lock-"), b"ticket", &options).expect("a good path");
        writer.add_set_data(directory, b"mark", None).expect("a good path");
        writer.commit().await.expect("committed")
    };
    match &results[..] {
        [zk::MultiWriteResult::Create { path, .. }, zk::MultiWriteResult::SetData { stat }] => (path.clone(), *stat),
        other => panic!("{other:?}"),
    }
}

async fn release(client: &zk::Client, node: &str) {
    let committed = {
        let mut writer = client.new_multi_writer();
        writer.add_set_data(node, b"ticket", None).expect("a good path");
        writer.add_delete(node, None).expect("a good path");
        writer.commit().await
    };
    committed.expect("committed");
}

#[tokio::test]
async fn the_directorys_stat_is_that_inside_the_transaction() {
    let client = raw(&bed::server().await.address()).await;
    let directory = directory(&client).await;
    for expected in 1..=5 {
        let (node, stat) = enter(&client, &directory).await;
        assert_eq!(stat.num_children, expected, "the new node counts");
        let (_, node_stat) = client.get_data(&node).await.expect("the node");
        assert_eq!(stat.mzxid, node_stat.czxid, "the transaction's id is the node's creation");
        assert_eq!(node, format!("{directory}/lock-{:010}", expected - 1), "numbers count creations");
    }
}

#[tokio::test]
async fn a_release_fires_one_written_event_and_no_second() {
    let proxy = proxy().await;
    let (holder, waiter) = (raw(&bed::server().await.address()).await, raw(&proxy.address()).await);
    let directory = directory(&holder).await;
    let (node, _) = enter(&holder, &directory).await;
    let (_, _, watcher) = waiter.get_and_watch_data(&node).await.expect("watched");
    release(&holder, &node).await;
    assert_eq!(soon(watcher.changed()).await.event_type, zk::EventType::NodeDataChanged);
    // A request that is answered after all events that came before it.
    assert!(waiter.check_stat(&node).await.expect("a look").is_none());
    let counts = proxy.counts();
    assert_eq!((counts.events(), counts.event(EventKind::NodeDataChanged)), (1, 1), "{counts}");
}

#[tokio::test]
async fn a_release_while_disconnected_is_told_as_a_deletion() {
    let proxy = proxy().await;
    let (holder, waiter) = (raw(&bed::server().await.address()).await, raw(&proxy.address()).await);
    let directory = directory(&holder).await;
    let (node, _) = enter(&holder, &directory).await;
    let (_, _, watcher) = waiter.get_and_watch_data(&node).await.expect("watched");
    proxy.refuse(true);
    proxy.cut(Close::Fin);
    release(&holder, &node).await;
    proxy.refuse(false);
    assert_eq!(soon(watcher.changed()).await.event_type, zk::EventType::NodeDeleted);
}

#[tokio::test]
async fn a_node_made_anew_while_disconnected_is_told_as_a_write() {
    let proxy = proxy().await;
    let (holder, waiter) = (raw(&bed::server().await.address()).await, raw(&proxy.address()).await);
    let directory = directory(&holder).await;
    let (node, _) = enter(&holder, &directory).await;
    let (_, _, watcher) = waiter.get_and_watch_data(&node).await.expect("watched");
    proxy.refuse(true);
    proxy.cut(Close::Fin);
    holder.delete(&node, None).await.expect("deleted");
    holder.delete(&directory, None).await.expect("deleted");
    holder.mkdir(&directory, &zk::CreateMode::Persistent.with_acls(ACLS)).await.expect("made anew");
    assert_eq!(enter(&holder, &directory).await.0, node, "the numbers start again");
    proxy.refuse(false);
    // Which is why a written event counts as the baton only on an uninterrupted connection.
    assert_eq!(soon(watcher.changed()).await.event_type, zk::EventType::NodeDataChanged);
}

#[tokio::test]
async fn events_of_one_connection_come_in_the_order_of_the_changes() {
    let server = bed::server().await.address();
    let (holder, waiter, operator) = (raw(&server).await, raw(&server).await, raw(&server).await);
    let directory = directory(&holder).await;
    let ((first, _), (second, _)) = (enter(&holder, &directory).await, enter(&waiter, &directory).await);
    for _ in 0..50 {
        let (_, _, own) = waiter.get_and_watch_data(&second).await.expect("watched");
        let (_, _, predecessor) = waiter.get_and_watch_data(&first).await.expect("watched");
        operator.set_data(&second, b"by hand", None).await.expect("written");
        holder.set_data(&first, b"ticket", None).await.expect("written");
        tokio::pin! {
            let own = own.changed();
            let predecessor = predecessor.changed();
        }
        soon(async {
            tokio::select! {
                biased;
                _ = &mut own => {},
                _ = &mut predecessor => panic!("the later change was told first"),
            }
        })
        .await;
        soon(predecessor).await;
    }
}

#[tokio::test]
async fn a_lone_check_is_a_write_also_when_it_fails() {
    let server = bed::server().await;
    let client = raw(&server.address()).await;
    let zxid = async |client: &zk::Client| {
        let path = unused_path();
        client.mkdir(&path, &zk::CreateMode::Persistent.with_acls(ACLS)).await.expect("made");
        client.check_stat(&path).await.expect("a look").expect("there").czxid
    };
    let directory = directory(&client).await;
    let mut taken = Vec::new();
    for path in [directory.as_str(), "/no-such-node"] {
        let before = zxid(&client).await;
        for _ in 0..100 {
            let _ = {
                let mut writer = client.new_multi_writer();
                writer.add_check_version(path, -1).expect("a good path");
                writer.commit().await
            };
        }
        taken.push(zxid(&client).await - before);
    }
    assert!(taken.iter().all(|&zxids| zxids >= 100), "each took a zxid of the quorum's log: {taken:?}");
}

#[tokio::test]
async fn an_empty_container_is_removed_and_numbers_start_again_but_zxids_rise() {
    let flag = "-Dznode.container.checkIntervalMs=100";
    let server =
        Server::builder().tick_time(Duration::from_millis(200)).jvm_flag(flag).start().await.expect("a server");
    let client = raw(&server.address()).await;
    let path = unused_path();
    client
        .mkdir(path.rsplit_once('/').expect("absolute").0, &zk::CreateMode::Persistent.with_acls(ACLS))
        .await
        .expect("made");
    let options = zk::CreateMode::Container.with_acls(ACLS);
    client.create(&path, b"", &options).await.expect("made");
    let (first, before) = enter(&client, &path).await;
    client.delete(&first, None).await.expect("deleted");
    soon(async {
        while client.check_stat(&path).await.expect("a look").is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    client.create(&path, b"", &options).await.expect("made anew");
    let (second, after) = enter(&client, &path).await;
    assert_eq!(first, second);
    assert!(after.mzxid > before.mzxid);
}

/// How much a session may watch: the client restores its watches in frames of 128 KiB, and survives one of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_beyond_one_frame_do_not_survive_a_reconnect() {
    assert!(reconnects_with_watched_bytes(110 * 1_024).await, "what fits one frame is restored");
    assert!(!reconnects_with_watched_bytes(140 * 1_024).await, "if this holds one day, the limit can go");
}

async fn reconnects_with_watched_bytes(bytes: usize) -> bool {
    let proxy = proxy().await;
    let client = zk::Client::connector()
        .with_session_timeout(Duration::from_secs(2))
        .connect(&proxy.address())
        .await
        .expect("a session");
    let directory = directory(&client).await;
    let filler = "x".repeat(200);
    let mut watchers = Vec::new();
    let mut watched = 0;
    while watched < bytes {
        let path = format!("{directory}/{filler}-{}", watchers.len());
        watched += path.len();
        watchers.push(client.check_and_watch_stat(&path).await.expect("watched").1);
    }
    proxy.cut(Close::Fin);
    let alive = async {
        loop {
            match client.check_stat("/").await {
                Ok(_) if proxy.connections() > 0 => {
                    // Once more, to see that the connection stays.
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    if client.check_stat("/").await.is_ok() {
                        return true;
                    }
                }
                Err(zk::Error::SessionExpired) => return false,
                _ => {}
            }
        }
    };
    timeout(PATIENCE, alive).await.unwrap_or(false)
}
