//! Where a case plays: a store that can be meddled with, processes with links that can be harmed, and who waits and holds.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use fairlock::{Contender, Error, Fairlock};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::kinds::{Acquired, Held, Kind, Lock};

/// How long anything may take that should happen at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longer than any case, on a slow machine too.
pub(crate) const LONG_SESSION: Duration = Duration::from_secs(60);

/// A store, and a process for each that is asked for.
#[async_trait]
pub(crate) trait Ground: Send + Sync {
    /// A process of its own, by this name to others, as far as the store can tell.
    async fn process(&self, name: &str, session_timeout: Duration) -> Process;

    /// A path that no other case uses.
    fn unused_path(&self) -> String;

    /// The names of a node's children; none if there is no such node.
    async fn children(&self, path: &str) -> Vec<String>;

    /// Creates a persistent node, as an operator would.
    async fn create(&self, path: &str);

    /// Deletes a node and all below it, as an operator would.
    async fn delete_all(&self, path: &str);

    /// A session timeout that may be waited for.
    fn short_session(&self) -> Duration;

    /// Whether whoever is told of the end of a session is always told that, and never that its node was deleted.
    fn tells_ends_from_deletions(&self) -> bool;
}

pub(crate) struct Process {
    pub(crate) locks: Fairlock,
    pub(crate) link: Box<dyn Link>,
}

/// The connection of a process.
#[async_trait]
pub(crate) trait Link: Send + Sync {
    /// Ends the session, at once.
    async fn end_session(&self);

    /// Nothing gets through any more, in either direction.
    fn cut_off(&self);

    /// What is sent gets through again.
    fn reconnect(&self);

    /// Breaks the connection; the next is made at once.
    fn interrupt(&self);

    /// The next request of this kind is executed, and the connection breaks before its reply arrives.
    fn lose_next_reply(&self, step: Step) -> LostReply;
}

/// A request whose reply gets lost.
pub(crate) enum Step<'a> {
    /// Entering a queue below this path.
    Entering(&'a str),
    /// Deleting this node.
    Leaving(&'a str),
}

/// Whether it happened.
pub(crate) struct LostReply(pub(crate) Box<dyn Fn() -> bool + Send + Sync>);

/// One case.
pub(crate) struct Stage {
    pub(crate) ground: Box<dyn Ground>,
    pub(crate) kind: &'static Kind,
    pub(crate) path: String,
    observer: Process,
    /// Kept to the end: what is given up must go by itself, and not with its session, or for want of a link.
    processes: Mutex<Vec<Arc<Process>>>,
}

/// A process that contends.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) process: Arc<Process>,
    pub(crate) lock: Arc<dyn Lock>,
}

pub(crate) struct Holder {
    pub(crate) member: Member,
    pub(crate) held: Box<dyn Held>,
}

pub(crate) struct Waiter {
    pub(crate) member: Member,
    task: JoinHandle<(Acquired, Instant)>,
}

impl Stage {
    pub(crate) async fn new(ground: Box<dyn Ground>, kind: &'static Kind) -> Self {
        let (path, observer) = (ground.unused_path(), ground.process("observer", LONG_SESSION).await);
        Self { ground, kind, path, observer, processes: Mutex::default() }
    }

    fn processes(&self) -> MutexGuard<'_, Vec<Arc<Process>>> {
        self.processes.lock().expect("no panic")
    }

    /// A process that has not contended yet.
    pub(crate) async fn newcomer(&self, kind: &Kind) -> Member {
        self.newcomer_with(kind, LONG_SESSION).await
    }

    pub(crate) async fn newcomer_with(&self, kind: &Kind, session_timeout: Duration) -> Member {
        let name = format!("process-{}", self.processes().len());
        let process = Arc::new(self.ground.process(&name, session_timeout).await);
        self.processes().push(process.clone());
        let lock = (kind.lock)(&process.locks, &self.path).expect("a good path");
        Member { name, process, lock }
    }

    /// Lets as many hold as may at once, one of those who share, so that a rival has to wait.
    pub(crate) async fn fill(&self, kind: &Kind) -> Vec<Holder> {
        self.fill_with(kind, LONG_SESSION).await
    }

    /// The same, where the session of the first times out after this long.
    pub(crate) async fn fill_with(&self, kind: &Kind, session_timeout: Duration) -> Vec<Holder> {
        let mut holders = Vec::new();
        for number in 0..kind.company.at_once().unwrap_or(1) {
            let session_timeout = if number == 0 { session_timeout } else { LONG_SESSION };
            holders.push(self.newcomer_with(kind, session_timeout).await.holds().await);
        }
        // Whatever was needed on the way is gone, as the turns of a semaphore are.
        self.until_nodes(holders.len() * kind.nodes_held).await;
        holders
    }

    /// Lets newcomers wait, one behind the other, behind as many as contend already.
    pub(crate) async fn line_up(&self, kind: &Kind, count: usize, already: usize) -> Vec<Waiter> {
        let mut waiters = Vec::new();
        for number in 1..=count {
            waiters.push(self.newcomer(kind).await.waits());
            self.until_contenders(already + number).await;
        }
        waiters
    }

    /// Who contends, as an operator sees it.
    pub(crate) async fn contenders(&self) -> Vec<Contender> {
        let lock = (self.kind.lock)(&self.observer.locks, &self.path).expect("a good path");
        soon(lock.queue().contenders()).await.expect("a server answers")
    }

    pub(crate) async fn until_contenders(&self, count: usize) {
        until(async || self.contenders().await.len() == count).await;
    }

    /// Removes a contender, as an operator does.
    pub(crate) async fn remove(&self, contender: &Contender) -> bool {
        let lock = (self.kind.lock)(&self.observer.locks, &self.path).expect("a good path");
        soon(lock.queue().break_contender(contender)).await.expect("a server answers")
    }

    /// The nodes of all who contend, and of whoever else has made some there.
    pub(crate) async fn nodes(&self) -> Vec<String> {
        let mut nodes = Vec::new();
        for directory in self.kind.directories(&self.path) {
            let names = self.ground.children(&directory).await;
            nodes.extend(names.into_iter().map(|name| format!("{directory}/{name}")));
        }
        nodes.sort_unstable();
        nodes
    }

    pub(crate) async fn until_nodes(&self, count: usize) {
        until(async || self.nodes().await.len() == count).await;
    }

    /// Nobody has left anything, and whoever comes next gets what it wants.
    pub(crate) async fn nothing_is_left(&self) {
        self.until_nodes(0).await;
        let holder = self.newcomer(self.kind).await.holds().await;
        holder.releases().await;
        self.until_nodes(0).await;
    }
}

impl Member {
    pub(crate) async fn holds(self) -> Holder {
        let held = soon(self.lock.acquire()).await.expect("free");
        Holder { member: self, held }
    }

    /// Waits on a task of its own.
    pub(crate) fn waits(self) -> Waiter {
        let lock = self.lock.clone();
        let task = tokio::spawn(async move {
            let outcome = lock.acquire().await;
            (outcome, Instant::now())
        });
        Waiter { member: self, task }
    }
}

impl Holder {
    pub(crate) async fn releases(self) {
        soon(self.held.release()).await.expect("it was held");
    }
}

impl Waiter {
    pub(crate) fn is_waiting(&self) -> bool {
        !self.task.is_finished()
    }

    /// Waits until it is granted, and says when that was.
    pub(crate) async fn granted(self) -> (Holder, Instant) {
        let (outcome, at) = soon(self.task).await.expect("no panic");
        (Holder { member: self.member, held: outcome.expect("granted") }, at)
    }

    pub(crate) async fn fails(self) -> Error {
        match soon(self.task).await.expect("no panic") {
            (Ok(_), _) => panic!("it was granted"),
            (Err(error), _) => error,
        }
    }

    /// Drops the future that waits.
    pub(crate) fn gives_up(self) {
        self.task.abort();
    }
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

#[track_caller]
pub(crate) fn until(condition: impl AsyncFn() -> bool) -> impl Future<Output = ()> {
    soon(async move {
        let mut pause = Duration::from_millis(1);
        while !condition().await {
            sleep(pause).await;
            // What takes long, as the end of a session does, need not be looked at so often.
            pause = (pause * 5 / 4).min(Duration::from_millis(50));
        }
    })
}
