//! How soon a holder learns that its lock is lost, and that it never takes it for held afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fairlock::{Error, LossReason, Retry, Validity};
use fairlock_testcontainers::{Close, Direction};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::bed::{self, connect, mutex, proxy, raw, soon, unused_path, wait_for_nodes};

/// What a holder may take to learn of a loss that the server has decided.
const NOTICE: Duration = Duration::from_millis(200);

const SESSION_TIMEOUT: Duration = Duration::from_secs(4);

/// A relay that learns the session's id and password, as only the client and the server know them.
struct Eavesdropper {
    address: String,
    session: watch::Receiver<Option<(i64, Vec<u8>)>>,
    connections: Arc<AtomicUsize>,
}

impl Eavesdropper {
    async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let (sender, session) = watch::channel(None);
        let connections = Arc::new(AtomicUsize::new(0));
        let accepted = connections.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                let mut server = TcpStream::connect(&server).await.expect("a server");
                let sender = sender.clone();
                tokio::spawn(async move {
                    let mut hello = vec![0; 4_096];
                    let length = client.read(&mut hello).await.unwrap_or(0);
                    if server.write_all(&hello[..length]).await.is_err() {
                        return;
                    }
                    // length, protocol version, timeout, session id, length of the password, password
                    let length = server.read(&mut hello).await.unwrap_or(0);
                    if length >= 40 {
                        let id = i64::from_be_bytes(hello[12..20].try_into().expect("eight bytes"));
                        sender.send_replace(Some((id, hello[24..40].to_vec())));
                    }
                    if client.write_all(&hello[..length]).await.is_ok() {
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Self { address, session, connections }
    }

    /// Ends the session on the server, as its expiry does, while its client is connected: a second connection of the
    /// same session closes it. The server cuts the first connection for it, and the client may come back before.
    async fn end_session(&self, server: &str) {
        let (id, password) = self.session.borrow().clone().expect("a client has connected");
        let mut hello = Vec::new();
        hello.extend_from_slice(&0i32.to_be_bytes());
        hello.extend_from_slice(&0i64.to_be_bytes());
        hello.extend_from_slice(&4_000i32.to_be_bytes());
        hello.extend_from_slice(&id.to_be_bytes());
        hello.extend_from_slice(&16i32.to_be_bytes());
        hello.extend_from_slice(&password);
        hello.push(0);
        let mut close = 1i32.to_be_bytes().to_vec();
        close.extend_from_slice(&(-11i32).to_be_bytes());
        let mut stream = TcpStream::connect(server).await.expect("a server");
        // In one write, to be quicker than the client, whose connection the server closes for this one.
        stream.write_all(&[framed(&hello), framed(&close)].concat()).await.expect("written");
        let _ = timeout(NOTICE, stream.read_to_end(&mut Vec::new())).await;
    }
}

fn framed(body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(body.len()).expect("short");
    [&length.to_be_bytes()[..], body].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn session_ended_by_the_server_while_connected() {
    let server = bed::server().await.address();
    let relay = Eavesdropper::start(server.clone()).await;
    let observer = raw(&server).await;
    let path = unused_path();
    let locks = connect(&relay.address, SESSION_TIMEOUT).await;
    let lock = locks.mutex(&path).expect("a good path");
    // The way to end a session is a race with its client, which is cut off for it and comes back. Only where it came
    // back once, and found its session ended, it is like an expiry: else it has waited between its attempts.
    let (guard, reason, noticed) = loop {
        // The attempt before may have ended the session only now.
        let guard = match soon(lock.acquire()).await {
            Ok(guard) => guard,
            Err(error) if error.retry() == Retry::Yes => continue,
            Err(error) => panic!("{error}"),
        };
        let (_, watcher) = observer.check_and_watch_stat(guard.node_path()).await.expect("watched");
        let before = relay.connections.load(Ordering::SeqCst);
        relay.end_session(&server).await;
        if timeout(Duration::ZERO, watcher.changed()).await.is_err() {
            let _ = soon(guard.release()).await;
            continue;
        }
        let decided = Instant::now();
        let reason = soon(guard.lost()).await;
        let noticed = decided.elapsed();
        if relay.connections.load(Ordering::SeqCst) - before <= 1 {
            break (guard, reason, noticed);
        }
    };
    eprintln!("session ended by the server: {reason:?} within {noticed:?} after that was seen elsewhere");
    assert_eq!(reason, LossReason::SessionExpired);
    assert!(noticed <= NOTICE, "{noticed:?}");
    assert!(!guard.is_valid());
    // The handle makes a new session by itself.
    let next = loop {
        match soon(lock.acquire()).await {
            Ok(guard) => break guard,
            // What ended the session before may have met this one as well, which came back in its place.
            Err(error) if error.retry() == Retry::Yes => {}
            Err(error) => panic!("{error}"),
        }
    };
    assert!(next.fencing_token() > guard.fencing_token());
    assert!(!guard.is_valid() && next.is_valid());
    assert!(matches!(guard.release().await, Err(Error::LockLost { .. })));
    assert!(next.is_valid());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holders_node_deleted_by_hand() {
    let server = bed::server().await.address();
    let operator = raw(&server).await;
    // Right after the grant, before the own node is watched, and later.
    for held in [Duration::ZERO, Duration::from_millis(150)] {
        let guard = mutex(&server, &unused_path(), SESSION_TIMEOUT).await.acquire().await.expect("free");
        tokio::time::sleep(held).await;
        operator.delete(guard.node_path(), None).await.expect("deleted");
        let started = Instant::now();
        assert_eq!(soon(guard.lost()).await, LossReason::NodeDeleted);
        let noticed = started.elapsed();
        eprintln!("node deleted by hand after {held:?}: noticed after {noticed:?}");
        assert!(noticed <= NOTICE, "{noticed:?}");
        assert!(!guard.is_valid());
        assert!(matches!(guard.release().await, Err(Error::LockLost { reason: LossReason::NodeDeleted, .. })));
    }
}

/// Cuts the holder off and compares: when did the holder know, when did the server give the lock to another?
async fn cut_off(name: &str, cut: impl Fn(&fairlock_testcontainers::Proxy)) {
    let (proxy, path) = (proxy().await, unused_path());
    let server = bed::server().await.address();
    let guard = mutex(&proxy.address(), &path, SESSION_TIMEOUT).await.acquire().await.expect("free");
    let next = mutex(&server, &path, SESSION_TIMEOUT).await;
    let next = tokio::spawn(async move {
        let guard = next.acquire().await.expect("granted");
        (Instant::now(), guard)
    });
    wait_for_nodes(&raw(&server).await, &path, 2).await;
    // Well beyond a relay gap, so that the keeper has had its effect.
    tokio::time::sleep(SESSION_TIMEOUT).await;
    assert!(guard.valid_for() > SESSION_TIMEOUT.mul_f64(0.3), "kept: {:?}", guard.valid_for());
    let started = Instant::now();
    cut(&proxy);
    let reason = soon(guard.lost()).await;
    let lost_at = Instant::now();
    assert!(!guard.is_valid());
    let (granted_at, next) = soon(next).await.expect("no panic");
    eprintln!(
        "{name}: lost ({reason:?}) after {:?}, granted to the next after {:?}",
        lost_at - started,
        granted_at - started
    );
    assert_eq!(reason, LossReason::DeadlinePassed);
    assert!(lost_at < granted_at, "the holder knew first");
    assert!(lost_at - started < SESSION_TIMEOUT);
    assert!(next.is_valid() && !guard.is_valid());
    proxy.pass();
    proxy.cut(Close::Fin);
    assert!(matches!(soon(guard.release()).await, Err(Error::LockLost { .. })));
    assert!(next.is_valid());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holder_cut_off_both_ways() {
    cut_off("both ways", |proxy| proxy.swallow(Direction::Both)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holder_cut_off_towards_the_server() {
    cut_off("towards the server", |proxy| proxy.swallow(Direction::ToServer)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holder_cut_off_from_the_server() {
    cut_off("from the server", |proxy| {
        proxy.swallow(Direction::ToClient);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holder_behind_a_server_that_answers_pings_but_nothing_else() {
    cut_off("pings only", fairlock_testcontainers::Proxy::swallow_replies_except_pings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_interruptions_are_survived() {
    let (proxy, session_timeout) = (proxy().await, Duration::from_secs(6));
    let guard = mutex(&proxy.address(), &unused_path(), session_timeout).await.acquire().await.expect("free");
    for close in [Close::Fin, Close::Rst] {
        proxy.refuse(true);
        proxy.cut(close);
        until(|| guard.validity() == Validity::Suspended).await;
        assert!(guard.is_valid());
        proxy.refuse(false);
        until(|| guard.validity() == Validity::Held).await;
        // The keeper renews the validity.
        let before = guard.valid_until();
        until(|| guard.valid_until() > before).await;
    }
    assert_eq!(guard.validity(), Validity::Held);
    guard.release().await.expect("released");
}

async fn until(condition: impl Fn() -> bool) {
    soon(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}
