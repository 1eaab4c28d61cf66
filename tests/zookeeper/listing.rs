//! Finding locks on a real server: what it costs, and what may not be read.

use std::time::Duration;

use fairlock::{Error, LockKind};
use fairlock_testcontainers::{Operation, What};
use zookeeper_client as zk;

use crate::bed::{QUIET, connect, proxy, raw, server, soon, unused_path};

const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_subtree_that_may_not_be_read_is_told_and_the_rest_is_listed() {
    let address = server().await.address();
    let (client, locks, path) = (raw(&address).await, connect(&address, SESSION_TIMEOUT).await, unused_path());
    let _guard = locks.mutex(&format!("{path}/open")).expect("a path").acquire().await.expect("free");
    let nobody = [zk::Acl::new(zk::Permission::CREATE, zk::AuthId::anyone())];
    let closed = zk::CreateMode::Persistent.with_acls(zk::Acls::new(&nobody));
    let open = zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all());
    client.create(&format!("{path}/closed"), b"", &closed).await.expect("made");
    client.create(&format!("{path}/half"), b"", &open).await.expect("made");
    client.create(&format!("{path}/half/_fairlock"), b"", &closed).await.expect("made");

    let list = soon(locks.locks_below(&path)).await.expect("a list");
    assert_eq!(list.locks.len(), 1);
    assert_eq!(list.locks[0].path.as_str(), format!("{path}/open"));
    let unreadable: Vec<_> = list.unreadable.iter().map(|unreadable| unreadable.path.as_str()).collect();
    assert_eq!(unreadable, [format!("{path}/closed"), format!("{path}/half/_fairlock")]);
    assert!(list.unreadable.iter().all(|unreadable| matches!(unreadable.error, Error::NoPermission { .. })));
    let error = soon(locks.locks_at(&format!("{path}/closed"))).await.expect_err("denied");
    assert!(matches!(error, Error::NoPermission { .. }), "{error}");
}

#[tokio::test]
async fn a_list_costs_a_request_for_each_node_each_queue_and_each_holder() {
    let (proxy, locks) = (proxy().await, connect(&server().await.address(), QUIET).await);
    let looking = connect(&proxy.address(), QUIET).await;
    let path = unused_path();
    let mut held = vec![];
    for name in ["a", "b"] {
        held.push(locks.mutex(&format!("{path}/{name}")).expect("a path").acquire().await.expect("free"));
    }
    let semaphore = locks.semaphore(&format!("{path}/c"), 3).expect("a path");
    let permit = semaphore.acquire().await.expect("room");
    let before = proxy.log().len();
    let list = soon(looking.locks_below(&path)).await.expect("a list");
    assert_eq!(list.locks.len(), 3);
    assert_eq!(list.locks[2].kind, LockKind::Semaphore { permits: Some(3) });
    let sent = proxy.log().split_off(before);
    let requests = sent.iter().filter_map(|entry| match &entry.what {
        What::Request { operation, .. } if *operation != Operation::Ping => Some(*operation),
        _ => None,
    });
    // The directory and three locks; then a queue and a holder each, and two more for the semaphore.
    assert_eq!(requests.count(), 4 + 2 * 3 + 2, "{sent:?}");
    drop((held, permit));
}
