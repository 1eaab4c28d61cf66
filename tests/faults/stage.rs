//! What every case has: a server, the disturbed client behind its proxy, an undisturbed one, and an observer.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fairlock::{Error, Fairlock, Guard, Mutex};
use fairlock_testcontainers::{Operation, Proxy, Server, What};
use tokio::sync::{MutexGuard, OnceCell};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use zookeeper_client as zk;

use crate::fault::Fault;

/// How long anything may take at most. Far more than it takes on an idle machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long anything may take until the fault strikes: if it has not by then, the case is set up once more.
const SETTING_UP: Duration = Duration::from_secs(8);

/// The undisturbed session's timeout: it outlives everything here.
const UNDISTURBED: Duration = Duration::from_secs(30);

pub(crate) type Acquiring = JoinHandle<Result<Guard, Error>>;

/// A server for one case at a time, or for all.
pub(crate) enum Seat {
    Shared(&'static Server),
    Alone(MutexGuard<'static, Server>),
}

impl std::ops::Deref for Seat {
    type Target = Server;

    fn deref(&self) -> &Server {
        match self {
            Self::Shared(server) => server,
            Self::Alone(server) => server,
        }
    }
}

pub(crate) struct Stage {
    pub(crate) fault: Fault,
    pub(crate) patience: Duration,
    /// The disturbed session's timeout.
    pub(crate) session_timeout: Duration,
    has_struck: AtomicBool,
    pub(crate) server: Seat,
    /// In front of the disturbed client.
    pub(crate) proxy: Proxy,
    /// In front of the others.
    pub(crate) theirs: Proxy,
    pub(crate) path: String,
    /// The lock on an undisturbed connection.
    pub(crate) other: Mutex,
    other_session: Option<i64>,
    observer: zk::Client,
}

impl Stage {
    pub(crate) async fn set(fault: Fault) -> (Self, Instant) {
        Self::set_for(fault, fault.session_timeout()).await
    }

    pub(crate) async fn set_for(fault: Fault, session_timeout: Duration) -> (Self, Instant) {
        let server = if fault == Fault::ServerKilled { mortal().await } else { Seat::Shared(shared().await) };
        // Waiting for one's turn is no part of the case.
        let started = Instant::now();
        let proxy = Proxy::start(server.address()).await.expect("a proxy");
        let theirs = Proxy::start(server.address()).await.expect("a proxy");
        let path = unused_path();
        let connector = zk::Client::connector().with_session_timeout(UNDISTURBED);
        let observer = connector.connect(&theirs.address()).await.expect("a session");
        let other = connect(&theirs, UNDISTURBED).await.expect("a session").mutex(&path).expect("a good path");
        let other_session = theirs.session();
        let stage = Self {
            fault,
            patience: PATIENCE,
            session_timeout,
            has_struck: AtomicBool::new(false),
            server,
            proxy,
            theirs,
            path,
            other,
            other_session,
            observer,
        };
        (stage, started)
    }

    pub(crate) fn queue(&self) -> String {
        format!("{}/_fairlock", self.path)
    }

    /// The path of the contender with this number.
    pub(crate) fn node(&self, number: u32) -> String {
        format!("{}/lock-{number:010}", self.queue())
    }

    pub(crate) async fn connect(&self) -> Result<Fairlock, Error> {
        connect(&self.proxy, self.session_timeout).await
    }

    /// The disturbed lock, with its session open.
    pub(crate) async fn lock(&self) -> Mutex {
        self.connect().await.expect("a session").mutex(&self.path).expect("a good path")
    }

    pub(crate) fn acquire(&self, lock: &Mutex) -> Acquiring {
        let lock = lock.clone();
        tokio::spawn(async move { lock.acquire().await })
    }

    pub(crate) async fn granted(&self, acquiring: Acquiring) -> Guard {
        let granted = self.soon("the grant", acquiring).await.expect("no panic");
        granted.unwrap_or_else(|error| panic!("not granted: {error}"))
    }

    /// The undisturbed contender's entry.
    pub(crate) async fn second_enters(&self) -> Acquiring {
        let before = self.nodes_where(|owner| Some(owner) == self.other_session).await;
        let second = self.acquire(&self.other);
        self.until("the second contender to enter", async || {
            self.nodes_where(|owner| Some(owner) == self.other_session).await == before + 1
        })
        .await;
        second
    }

    /// The disturbed contender's nodes, of whichever session: those that are not the undisturbed one's.
    pub(crate) async fn own_nodes(&self) -> usize {
        self.nodes_where(|owner| Some(owner) != self.other_session).await
    }

    async fn nodes_where(&self, fits: impl Fn(i64) -> bool) -> usize {
        let mut count = 0;
        for name in self.nodes().await {
            let path = format!("{}/{name}", self.queue());
            if let Some(stat) = self.observer.check_stat(&path).await.expect("a stat") {
                count += usize::from(fits(stat.ephemeral_owner));
            }
        }
        count
    }

    pub(crate) async fn nodes(&self) -> Vec<String> {
        match self.observer.list_children(&self.queue()).await {
            Ok(names) => names,
            Err(zk::Error::NoNode) => vec![],
            Err(error) => panic!("listing the queue: {error}"),
        }
    }

    pub(crate) async fn exists(&self, path: &str) -> bool {
        self.observer.check_stat(path).await.expect("a stat").is_some()
    }

    /// How many such requests the disturbed client has sent since the log was cleared.
    pub(crate) fn requests(&self, operation: Operation, path: &str) -> usize {
        let sought = What::Request { operation, path: Some(path.to_owned()) };
        self.proxy.log().iter().filter(|entry| entry.what == sought).count()
    }

    /// Makes a persistent node, and those above it.
    pub(crate) async fn make(&self, path: &str) {
        let options = zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all());
        self.observer.mkdir(path, &options).await.expect("made");
    }

    /// Deletes a node by hand.
    pub(crate) async fn delete(&self, path: &str) {
        self.observer.delete(path, None).await.expect("deleted");
    }

    /// Waits until the server has ended the disturbed session.
    pub(crate) async fn until_session_is_over(&self) {
        let Some(session) = self.proxy.session() else { return };
        let session = format!("0x{session:x}");
        self.until("the session to expire", async || {
            let dump = self.server.four_letter("dump").await.expect("an answer");
            !dump.lines().any(|line| line.trim().trim_end_matches(':') == session)
        })
        .await;
    }

    pub(crate) async fn until(&self, what: &str, met: impl AsyncFn() -> bool) {
        self.soon(what, async {
            while !met().await {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }

    /// The fault has struck: from here on the oracle judges.
    pub(crate) fn has_struck_now(&self) {
        self.has_struck.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_struck(&self) -> bool {
        self.has_struck.load(Ordering::Relaxed)
    }

    pub(crate) async fn soon<T>(&self, what: &str, future: impl Future<Output = T>) -> T {
        let patience = if self.has_struck() { self.patience } else { self.patience.min(SETTING_UP) };
        match timeout(patience, future).await {
            Ok(output) => output,
            Err(_) => panic!("waited in vain for {what}; in the queue: {:?}", self.nodes().await),
        }
    }
}

async fn connect(proxy: &Proxy, session_timeout: Duration) -> Result<Fairlock, Error> {
    Fairlock::builder().session_timeout(session_timeout).connect(&proxy.address()).await
}

/// A path that no other case uses.
fn unused_path() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("/faults-{}/{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The server of all cases that leave it alive. It ends with this process.
async fn shared() -> &'static Server {
    static SERVER: OnceCell<Server> = OnceCell::const_new();
    SERVER.get_or_init(start).await
}

/// A server that may be killed: there are two, and a case has one for itself.
async fn mortal() -> Seat {
    static FIRST: OnceCell<tokio::sync::Mutex<Server>> = OnceCell::const_new();
    static SECOND: OnceCell<tokio::sync::Mutex<Server>> = OnceCell::const_new();
    let first = FIRST.get_or_init(async || tokio::sync::Mutex::new(start().await)).await;
    let server = match first.try_lock() {
        Ok(server) => server,
        Err(_) => SECOND.get_or_init(async || tokio::sync::Mutex::new(start().await)).await.lock().await,
    };
    // A case that failed may have left it down.
    if server.mode().await.is_none() {
        server.start_again().await.expect("started again");
    }
    Seat::Alone(server)
}

/// Servers must outlive the runtime of the case that happens to come first.
async fn start() -> Server {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        runtime.expect("a runtime")
    });
    let builder = Server::builder()
        .tick_time(Duration::from_millis(100))
        .max_session_timeout(Duration::from_secs(60))
        .jvm_flag("-XX:TieredStopAtLevel=1");
    let started = tokio::task::spawn_blocking(move || runtime.block_on(builder.start()));
    started.await.expect("no panic").expect("a server can be started")
}
