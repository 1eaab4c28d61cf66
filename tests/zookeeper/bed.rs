//! What the tests share: a server, proxies, clients, and patience.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fairlock::{Builder, Fairlock, Mutex};
use fairlock_testcontainers::{Proxy, Server};
use tokio::sync::OnceCell;
use tokio::time::timeout;
use zookeeper_client as zk;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Long enough that the keeper of an idle session sends nothing during a test that counts requests.
pub(crate) const QUIET: Duration = Duration::from_secs(60);

/// The server that all tests share. It ends with this process; what that leaves is removed by the next start.
pub(crate) async fn server() -> &'static Server {
    static SERVER: OnceCell<Server> = OnceCell::const_new();
    SERVER
        .get_or_init(|| async {
            // The server must outlive the runtime of the test that happens to come first.
            let started = std::thread::spawn(|| {
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
                let runtime = Box::leak(Box::new(runtime.expect("a runtime")));
                runtime.block_on(
                    Server::builder()
                        .tick_time(Duration::from_millis(200))
                        .max_session_timeout(Duration::from_secs(120))
                        .start(),
                )
            });
            let server = tokio::task::spawn_blocking(|| started.join()).await.expect("no panic").expect("no panic");
            let server = server.expect("a server can be started");
            eprintln!("ZooKeeper runs {}", server.runtime());
            server
        })
        .await
}

pub(crate) async fn proxy() -> Proxy {
    Proxy::start(server().await.address()).await.expect("a proxy")
}

/// A path that no other test uses.
pub(crate) fn unused_path() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("/test-{}/{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn queue_of(path: &str) -> String {
    format!("{path}/_fairlock")
}

pub(crate) fn builder(session_timeout: Duration) -> Builder {
    Fairlock::builder().session_timeout(session_timeout)
}

pub(crate) async fn connect(address: &str, session_timeout: Duration) -> Fairlock {
    builder(session_timeout).connect(address).await.expect("a session")
}

pub(crate) async fn mutex(address: &str, path: &str, session_timeout: Duration) -> Mutex {
    connect(address, session_timeout).await.mutex(path).expect("a good path")
}

/// A client that is not this library, to look and to interfere with.
pub(crate) async fn raw(address: &str) -> zk::Client {
    zk::Client::connector().with_session_timeout(Duration::from_secs(20)).connect(address).await.expect("a session")
}

/// The names of the nodes in a lock's queue.
pub(crate) async fn nodes(client: &zk::Client, path: &str) -> Vec<String> {
    match client.list_children(&queue_of(path)).await {
        Ok(names) => names,
        Err(zk::Error::NoNode) => vec![],
        Err(error) => panic!("listing the queue of {path}: {error}"),
    }
}

pub(crate) async fn wait_for_nodes(client: &zk::Client, path: &str, count: usize) {
    let mut last = vec![];
    let met = timeout(PATIENCE, async {
        loop {
            last = nodes(client, path).await;
            if last.len() == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    if met.await.is_err() {
        panic!("{path} should have {count} nodes, has {last:?}");
    }
}

/// Builds a program that is one of the tests' processes, which cargo does by itself only when it builds everything, and
/// says where it is.
pub(crate) async fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this program has a path");
    // Cargo puts examples beside the folder of the tests, in a folder of the profile.
    let folder = test.parent().and_then(|deps| deps.parent()).expect("a target folder");
    let profile = match folder.file_name().and_then(|name| name.to_str()).expect("a profile") {
        "debug" => "dev",
        other => other,
    };
    let built = tokio::process::Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "fairlock", "--profile", profile, "--example", name])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .await
        .expect("cargo runs");
    assert!(built.success(), "{name} cannot be built");
    folder.join("examples").join(name)
}

#[track_caller]
pub(crate) fn soon<T>(future: impl Future<Output = T>) -> impl Future<Output = T> {
    let location = std::panic::Location::caller();
    async move {
        match timeout(PATIENCE, future).await {
            Ok(output) => output,
            Err(_) => panic!("not done in time: {location}"),
        }
    }
}
