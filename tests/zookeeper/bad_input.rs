//! What the outside can get wrong, each with an error that says so, and nothing left behind.

use std::time::{Duration, Instant};

use fairlock::store::zookeeper::Access;
use fairlock::{Error, Fairlock, Retry};
use fairlock_testcontainers::{Operation, Proxy, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use zookeeper_client as zk;

use crate::bed::{self, mutex, nodes, queue_of, raw, soon, unused_path, wait_for_nodes};

const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes a lock's queue with these permissions for everybody; its nodes have all.
async fn queue_with(client: &zk::Client, permissions: zk::Permission) -> String {
    let path = unused_path();
    client.mkdir(&path, &zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all())).await.expect("made");
    let acl = [zk::Acl::new(permissions, zk::AuthId::anyone())];
    let options = zk::CreateMode::Persistent.with_acls(zk::Acls::new(&acl));
    client.create(&queue_of(&path), b"", &options).await.expect("made");
    path
}

async fn make_parent(client: &zk::Client, path: &str) {
    let (parent, _) = path.rsplit_once('/').expect("absolute");
    client.mkdir(parent, &zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all())).await.expect("made");
}

#[tokio::test]
async fn a_lock_below_an_ephemeral_node() {
    let server = bed::server().await.address();
    let client = raw(&server).await;
    let path = unused_path();
    make_parent(&client, &path).await;
    client.create(&path, b"", &zk::CreateMode::Ephemeral.with_acls(zk::Acls::anyone_all())).await.expect("made");
    for path in [path.clone(), format!("{path}/below")] {
        let error = soon(mutex(&server, &path, SESSION_TIMEOUT).await.acquire()).await.expect_err("impossible");
        assert!(matches!(error, Error::UnderEphemeral { .. }), "{error:?}");
        assert_eq!(error.retry(), Retry::No);
    }
}

#[tokio::test]
async fn a_root_that_does_not_exist() {
    let servers = format!("{}{}", bed::server().await.address(), unused_path());
    let error = Fairlock::connect(&servers).await.expect_err("no such root");
    assert!(matches!(&error, Error::MissingChroot { chroot, .. } if servers.ends_with(chroot)), "{error:?}");
}

#[tokio::test]
async fn no_permission_to_make_the_directories() {
    let server = bed::server().await.address();
    let client = raw(&server).await;
    let path = unused_path();
    make_parent(&client, &path).await;
    let acl = [zk::Acl::new(zk::Permission::READ, zk::AuthId::anyone())];
    client.create(&path, b"", &zk::CreateMode::Persistent.with_acls(zk::Acls::new(&acl))).await.expect("made");
    let error = soon(mutex(&server, &path, SESSION_TIMEOUT).await.acquire()).await.expect_err("denied");
    assert!(matches!(&error, Error::NoPermission { operation, .. } if operation.contains("directories")), "{error:?}");
}

#[tokio::test]
async fn no_permission_to_create_in_the_queue() {
    let server = bed::server().await.address();
    let client = raw(&server).await;
    let path = queue_with(&client, zk::Permission::READ | zk::Permission::WRITE | zk::Permission::DELETE).await;
    let error = soon(mutex(&server, &path, SESSION_TIMEOUT).await.acquire()).await.expect_err("denied");
    assert!(matches!(&error, Error::NoPermission { operation, .. } if operation.contains("create")), "{error:?}");
    assert!(nodes(&client, &path).await.is_empty());
}

#[tokio::test]
async fn no_permission_to_write_the_queue_is_made_up_for_by_a_survey() {
    let server = bed::server().await.address();
    let client = raw(&server).await;
    let path = queue_with(&client, zk::Permission::READ | zk::Permission::CREATE | zk::Permission::DELETE).await;
    let (one, two) = (mutex(&server, &path, SESSION_TIMEOUT).await, mutex(&server, &path, SESSION_TIMEOUT).await);
    let guard = soon(one.acquire()).await.expect("free");
    let waiter = tokio::spawn(async move { two.acquire().await });
    wait_for_nodes(&client, &path, 2).await;
    let token = guard.fencing_token();
    guard.release().await.expect("released");
    let next = soon(waiter).await.expect("no panic").expect("granted");
    assert!(next.fencing_token() > token);
    next.release().await.expect("released");
    assert!(nodes(&client, &path).await.is_empty());
}

#[tokio::test]
async fn no_permission_to_read_the_queue() {
    let server = bed::server().await.address();
    let client = raw(&server).await;
    let path = queue_with(&client, zk::Permission::WRITE | zk::Permission::CREATE | zk::Permission::DELETE).await;
    let lock = mutex(&server, &path, SESSION_TIMEOUT).await;
    // Whoever is alone needs to read nothing, and a baton needs no list.
    let guard = soon(lock.acquire()).await.expect("free");
    let error = soon(lock.try_acquire()).await.expect_err("denied");
    assert!(matches!(&error, Error::NoPermission { operation, .. } if operation.contains("list")), "{error:?}");
    let error = soon(lock.contenders()).await.expect_err("denied");
    assert!(matches!(error, Error::NoPermission { .. }), "{error:?}");
    // A waiter that has to look is refused, and takes its node along.
    let node = guard.node_path().to_owned();
    let waiter = tokio::spawn({
        let lock = lock.clone();
        async move { lock.acquire().await }
    });
    soon(async {
        while client.check_stat(&queue_of(&path)).await.expect("a look").expect("there").num_children < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    client.delete(&node, None).await.expect("deleted by hand");
    let error = soon(waiter).await.expect("no panic").expect_err("denied");
    assert!(matches!(error, Error::NoPermission { .. }), "{error:?}");
    assert_eq!(client.check_stat(&queue_of(&path)).await.expect("a look").expect("there").num_children, 0);
}

#[tokio::test]
async fn no_permission_to_delete_from_the_queue() {
    let server = bed::server().await.address();
    let client = raw(&server).await;
    let path = queue_with(&client, zk::Permission::READ | zk::Permission::WRITE | zk::Permission::CREATE).await;
    let locks = bed::connect(&server, SESSION_TIMEOUT).await;
    let guard = soon(locks.mutex(&path).expect("a good path").acquire()).await.expect("free");
    let error = soon(guard.release()).await.expect_err("denied");
    assert!(matches!(&error, Error::NoPermission { operation, .. } if operation.contains("delete")), "{error:?}");
    // The end of the session takes it along.
    locks.close().await;
    wait_for_nodes(&client, &path, 0).await;
}

#[tokio::test]
async fn nodes_that_only_their_creator_may_read_are_waited_for_all_the_same() {
    let server = bed::server().await.address();
    let client = raw(&server).await;
    let path = queue_with(&client, zk::Permission::ALL).await;
    let private = bed::builder(SESSION_TIMEOUT)
        .credentials("digest", "user:secret")
        .access(Access::CreatorOnly)
        .connect(&server)
        .await
        .expect("a session");
    let guard = private.mutex(&path).expect("a good path").acquire().await.expect("free");
    assert!(matches!(client.get_data(guard.node_path()).await, Err(zk::Error::NoAuth)));
    let lock = mutex(&server, &path, SESSION_TIMEOUT).await;
    let waiter = tokio::spawn(async move { lock.acquire().await });
    wait_for_nodes(&client, &path, 2).await;
    guard.release().await.expect("released");
    // Newer servers withhold the event; then the waiter finds out by itself within half a minute.
    let next = tokio::time::timeout(Duration::from_secs(45), waiter).await.expect("in time");
    next.expect("no panic").expect("granted").release().await.expect("released");
}

#[tokio::test]
async fn a_queue_that_only_its_creator_may_use() {
    let server = bed::server().await.address();
    let path = unused_path();
    let builder = || bed::builder(SESSION_TIMEOUT).access(Access::CreatorOnly);
    let owner = builder().credentials("digest", "user:secret").connect(&server).await.expect("a session");
    let guard = owner.mutex(&path).expect("a good path").acquire().await.expect("free");
    let error = mutex(&server, &path, SESSION_TIMEOUT).await.acquire().await.expect_err("another user");
    assert!(matches!(error, Error::NoPermission { .. }), "{error:?}");
    let same = builder().credentials("digest", "user:secret").connect(&server).await.expect("a session");
    let waiter = tokio::spawn(async move { same.mutex(&path).expect("a good path").acquire().await });
    guard.release().await.expect("released");
    drop(soon(waiter).await.expect("no panic").expect("the same user"));
    // Without credentials there is no creator to grant anything to.
    let error = builder().connect(&server).await.expect_err("no creator");
    assert!(matches!(&error, Error::InvalidConfig { reason } if reason.contains("credentials")), "{error}");
}

#[tokio::test]
async fn refused_credentials() {
    let error = bed::builder(SESSION_TIMEOUT)
        .credentials("no-such-scheme", "user:s3cr3t")
        .connect(&bed::server().await.address())
        .await
        .expect_err("refused");
    assert!(matches!(error, Error::AuthenticationFailed { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("s3cr3t"));
}

#[tokio::test]
async fn nobody_listening() {
    let started = Instant::now();
    let error = Fairlock::builder()
        .connect_timeout(Duration::from_secs(1))
        .connect("127.0.0.1:1,127.0.0.1:2/root")
        .await
        .expect_err("nobody listens");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("127.0.0.1:1: cannot connect") && text.contains("127.0.0.1:2: cannot connect"), "{text}");
    assert_eq!(error.retry(), Retry::Yes);
}

#[tokio::test]
async fn an_unknown_host() {
    let error = Fairlock::builder()
        .connect_timeout(Duration::from_secs(1))
        .connect("no-such-host.invalid:2181")
        .await
        .expect_err("no such host");
    assert!(error.to_string().contains("host name is unknown"), "{error}");
}

/// Listens, and answers to whatever comes, if at all.
async fn listener(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            if answer.is_empty() {
                open.push(stream);
            } else {
                let _ = stream.read(&mut [0; 1_024]).await;
                let _ = stream.write_all(answer).await;
            }
        }
    });
    address
}

#[tokio::test]
async fn a_server_that_is_no_zookeeper() {
    let address = listener(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    let error = Fairlock::builder()
        .connect_timeout(Duration::from_secs(1))
        .connect(&address)
        .await
        .expect_err("it speaks another language");
    assert!(matches!(&error, Error::NotZooKeeper { server, .. } if *server == address), "{error:?}");
    assert_eq!(error.retry(), Retry::No);
}

#[tokio::test]
async fn a_server_that_says_nothing() {
    let error = Fairlock::builder()
        .connect_timeout(Duration::from_secs(1))
        .connect(&listener(b"").await)
        .await
        .expect_err("it is silent");
    assert!(error.to_string().contains("does not answer"), "{error}");
}

const LIMITS: &str = "/zookeeper/quota/limited/zookeeper_limits";

/// A server that enforces a quota of `/limited`, where the queue of a lock `a` exists, and a client of it.
async fn with_quota(limits: &[u8]) -> (Server, zk::Client) {
    let server = Server::builder().jvm_flag("-Dzookeeper.enforceQuota=true").start().await.expect("a server");
    let client = raw(&server.address()).await;
    let options = zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all());
    client.mkdir("/limited/a/_fairlock", &options).await.expect("made");
    client.mkdir("/zookeeper/quota/limited", &options).await.expect("made");
    client.create(LIMITS, limits, &options).await.expect("made");
    client.create("/zookeeper/quota/limited/zookeeper_stats", b"count=3,bytes=0", &options).await.expect("made");
    (server, client)
}

#[tokio::test]
async fn an_exhausted_quota() {
    let (server, _client) = with_quota(b"count=-1,bytes=-1,byteHardLimit=-1,countHardLimit=4").await;
    let lock = mutex(&server.address(), "/limited/a", SESSION_TIMEOUT).await;
    let guard = soon(lock.acquire()).await.expect("one fits");
    let error = soon(lock.acquire()).await.expect_err("a second does not");
    assert!(matches!(error, Error::QuotaExceeded { .. }), "{error:?}");
    soon(guard.release()).await.expect("released");
}

/// A release writes less than what is there, which servers refuse then all the same.
#[tokio::test]
async fn a_byte_quota_below_what_is_used_already() {
    let (server, client) = with_quota(b"count=-1,bytes=-1,byteHardLimit=10000,countHardLimit=-1").await;
    let proxy = Proxy::start(server.address()).await.expect("a proxy");
    let lock = mutex(&proxy.address(), "/limited/a", SESSION_TIMEOUT).await;
    let guard = soon(lock.acquire()).await.expect("it fits");
    let waiter = tokio::spawn({
        let lock = lock.clone();
        async move { lock.acquire().await }
    });
    wait_for_nodes(&client, "/limited/a", 2).await;
    client.set_data(LIMITS, b"count=-1,bytes=-1,byteHardLimit=10,countHardLimit=-1", None).await.expect("lowered");
    let node = guard.node_path().to_owned();
    let shorter = client.set_data(&node, b"", None).await.expect_err("refused");
    assert_eq!(shorter, zk::Error::QuotaExceeded);
    soon(guard.release()).await.expect("released");
    soon(soon(waiter).await.expect("no panic").expect("the next one is granted").release()).await.expect("released");
    let passed = proxy.counts();
    assert_eq!(passed.request(Operation::Delete), 2, "plain deletions follow: {passed}");
    assert_eq!(passed.request(Operation::GetChildren), 1, "the next one looks whether it is its turn: {passed}");
    let error = soon(lock.acquire()).await.expect_err("it does not fit any more");
    assert!(matches!(error, Error::QuotaExceeded { .. }), "{error:?}");
    assert_eq!(nodes(&client, "/limited/a").await, Vec::<String>::new(), "nothing is left behind");
}

#[tokio::test]
async fn the_whole_lock_deleted_by_hand_under_holder_and_waiters() {
    let (server, path) = (bed::server().await.address(), unused_path());
    let client = raw(&server).await;
    let lock = mutex(&server, &path, SESSION_TIMEOUT).await;
    let guard = lock.acquire().await.expect("free");
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let lock = lock.clone();
            tokio::spawn(async move { lock.acquire().await })
        })
        .collect();
    wait_for_nodes(&client, &path, 4).await;
    for name in nodes(&client, &path).await {
        client.delete(&format!("{}/{name}", queue_of(&path)), None).await.expect("deleted");
    }
    client.delete(&queue_of(&path), None).await.expect("deleted");
    soon(guard.lost()).await;
    for waiter in waiters {
        match soon(waiter).await.expect("no panic") {
            Err(error) => {
                assert!(matches!(error, Error::Removed { .. }), "{error:?}");
                assert_eq!(error.retry(), Retry::Yes);
            }
            // The nodes went one by one, so it may have been first for a moment.
            Ok(guard) => {
                soon(guard.lost()).await;
            }
        }
    }
    let next = soon(lock.acquire()).await.expect("free");
    assert!(next.is_valid() && !guard.is_valid());
    assert_eq!(nodes(&client, &path).await.len(), 1);
}

#[tokio::test]
async fn foreign_nodes_in_the_queue_are_ignored() {
    let (server, path) = (bed::server().await.address(), unused_path());
    let client = raw(&server).await;
    let lock = mutex(&server, &path, SESSION_TIMEOUT).await;
    lock.acquire().await.expect("free").release().await.expect("released");
    let options = zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all());
    for name in
        ["config", "0-foo", "lock-abc", "lock-12", "_c_0-lock-0000000000", "x-1-0000000000", "aa__lock__0000000000"]
    {
        client.create(&format!("{}/{name}", queue_of(&path)), b"", &options).await.expect("made");
    }
    let guard = soon(lock.acquire()).await.expect("nobody else contends");
    let waiter = tokio::spawn({
        let lock = lock.clone();
        async move { lock.acquire().await }
    });
    wait_for_nodes(&client, &path, 9).await;
    guard.release().await.expect("released");
    soon(waiter).await.expect("no panic").expect("granted").release().await.expect("released");
}
