//! The formulae of docs/SCALE.md, compared with a real server behind a proxy that counts.

use std::time::Duration;

use fairlock::{Fairlock, Guard};
use fairlock_growth::{Cost, Size, formula, wire};
use fairlock_testcontainers::{Counts, Operation, Proxy, Server};
use tokio::task::JoinHandle;
use zookeeper_client as zk;

/// So long that no keeper sends anything meanwhile.
const QUIET: Duration = Duration::from_secs(600);

const LOCK: &str = "/growth/lock";
const QUEUE: &str = "/growth/lock/_fairlock";

const WRITES: [Operation; 6] = [
    Operation::Create,
    Operation::Create2,
    Operation::CreateContainer,
    Operation::Delete,
    Operation::Multi,
    Operation::SetData,
];

struct Stage {
    server: Server,
    proxy: Proxy,
    sessions: Vec<Fairlock>,
    observer: zk::Client,
    seen: Counts,
}

impl Stage {
    async fn set(sessions: usize) -> Self {
        let server = Server::builder()
            .max_session_timeout(QUIET * 2)
            .jvm_flag("-Dznode.container.checkIntervalMs=86400000")
            .start()
            .await
            .expect("a server");
        let proxy = Proxy::start(server.address()).await.expect("a proxy");
        let observer = zk::Client::connector().with_session_timeout(QUIET).connect(&server.address()).await;
        let mut open = Vec::new();
        for _ in 0..sessions {
            let session = Fairlock::builder().session_timeout(QUIET).connect(&proxy.address()).await;
            open.push(session.expect("a session"));
        }
        let lock = open[0].mutex(LOCK).expect("a good path");
        lock.acquire().await.expect("free").release().await.expect("held");
        let seen = proxy.counts();
        Self { server, proxy, sessions: open, observer: observer.expect("a session"), seen }
    }

    /// What has passed since the last time, once so many requests and events have.
    async fn passed(&mut self, expected: Cost) -> Counts {
        let seen = self.seen.clone();
        let met = self.proxy.wait_until(|now| {
            let passed = now.clone() - seen.clone();
            passed.replies() >= expected.writes + expected.reads && passed.events() >= expected.events
        });
        soon(met).await;
        let now = self.proxy.counts();
        now.clone() - std::mem::replace(&mut self.seen, now)
    }

    /// Compares requests and notifications.
    async fn count(&mut self, what: &str, expected: Cost) -> Counts {
        let counts = self.passed(expected).await;
        let writes = WRITES.iter().map(|operation| counts.request(*operation)).sum::<u64>();
        let seen = (writes, counts.requests() - writes, counts.events());
        assert_eq!(seen, (expected.writes, expected.reads, expected.events), "{what}: {counts}");
        counts
    }

    /// Compares requests, notifications and bytes.
    async fn compare(&mut self, what: &str, expected: Cost, bytes: u64) {
        let counts = self.count(what, expected).await;
        assert_eq!(counts.bytes_to_server() + counts.bytes_to_client(), bytes, "bytes, {what}: {counts}");
    }

    /// A figure of `mntr`.
    async fn monitored(&self, key: &str) -> u64 {
        let told = self.server.four_letter("mntr").await.expect("told");
        let line = told.lines().find_map(|line| line.strip_prefix(key)).expect("a line of it");
        line.trim().parse().expect("a number")
    }

    /// Waiters come in this order, so that neighbours are of different sessions.
    async fn gather(&self, waiters: u64) -> Vec<JoinHandle<Guard>> {
        let mut line = Vec::new();
        for place in 1..=waiters {
            line.push(self.come(place));
            let replies = self.seen.replies() + 3 * place;
            soon(self.proxy.wait_until(|counts| counts.replies() >= replies)).await;
        }
        line
    }

    /// Everybody in the line is granted, and the last one releases.
    async fn drain(&self, mut guard: Guard, line: Vec<JoinHandle<Guard>>) {
        for waiting in line {
            guard.release().await.expect("held");
            guard = soon(waiting).await.expect("no panic");
        }
        guard.release().await.expect("held");
    }

    fn come(&self, place: u64) -> JoinHandle<Guard> {
        let session = &self.sessions[place as usize % self.sessions.len()];
        let mutex = session.mutex(LOCK).expect("a good path");
        tokio::spawn(async move { mutex.acquire().await.expect("granted") })
    }
}

/// So that a formula that says too much fails, and does not hang.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("as much as the formula says, in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_server_sees_the_requests_events_watches_and_bytes_of_the_formulae() {
    const WAITERS: u64 = 40;
    let queue = QUEUE.len() as u64;
    for sessions in [1, 2] {
        let size = Size { locks: 1, waiters: WAITERS, sessions };
        let mut stage = Stage::set(sessions as usize).await;
        let watches_before = stage.monitored("zk_watch_count").await;
        let nodes_before = stage.monitored("zk_ephemerals_count").await;

        let guard = soon(stage.come(0)).await.expect("no panic");
        let node = stage.observer.get_data(guard.node_path()).await.expect("it is there");
        let ticket = node.0.len() as u64;
        let expected = formula::acquire() + formula::hold();
        stage.compare("acquire and hold", expected, wire::enter(queue, ticket) + wire::read(queue, ticket)).await;

        let line = stage.gather(WAITERS).await;
        let bytes = WAITERS * (wire::enter(queue, ticket) + 2 * wire::read(queue, ticket));
        stage.compare("waiters come", formula::gather(size), bytes).await;
        let figures = (
            stage.monitored("zk_watch_count").await - watches_before,
            stage.monitored("zk_ephemerals_count").await - nodes_before,
        );
        assert_eq!(figures, (formula::watches(size), formula::ephemerals(size)), "watches and znodes");

        stage.drain(guard, line).await;
        let drained = formula::drain(size);
        let bytes = drained.writes * wire::release(queue) + drained.events * wire::event(queue);
        stage.compare("drain", drained, bytes).await;
        assert_eq!(stage.monitored("zk_watch_count").await, watches_before);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_use_costs_on_a_real_server_what_is_said_for_each_number_of_missing_directories() {
    let mut stage = Stage::set(1).await;
    // What each makes is there for those behind it.
    let paths =
        [("/growth", 1), ("/growth/1", 2), ("/growth/2/lock", 3), ("/growth/3/2/1/lock", 5), ("/growth/3/2", 1)];
    for (path, missing) in paths {
        let lock = stage.sessions[0].mutex(path).expect("a good path");
        lock.acquire().await.expect("free").release().await.expect("held");
        stage.count(path, formula::first_use(missing) + formula::release(false)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconnect_gives_all_watches_back_in_one_request_of_each_session() {
    const WAITERS: u64 = 40;
    let queue = QUEUE.len() as u64;
    let size = Size { locks: 1, waiters: WAITERS, sessions: 1 };
    let mut stage = Stage::set(1).await;
    let guard = soon(stage.come(0)).await.expect("no panic");
    let ticket = stage.observer.get_data(guard.node_path()).await.expect("it is there").0.len() as u64;
    stage.passed(formula::acquire() + formula::hold()).await;
    let line = stage.gather(WAITERS).await;
    stage.passed(formula::gather(size)).await;

    // Replies come in order: with this one, the client has all before it. One that was lost would be asked for again.
    assert!(stage.sessions[0].mutex(LOCK).expect("a good path").try_acquire().await.expect("no error").is_none());
    stage.passed(formula::try_held(size)).await;

    stage.proxy.cut(fairlock_testcontainers::Close::Fin);
    // The watches, and the keeper's look whether a server answers.
    let counts = stage.passed(Cost::of(1, 1, 0)).await;
    let set = counts.request(Operation::SetWatches) + counts.request(Operation::SetWatches2);
    assert_eq!((counts.requests(), set, counts.events()), (2, 1, 0), "{counts}");
    // And the handshake.
    let bytes = wire::set_watches(queue, formula::watches(size)) + wire::barrier();
    let passed = counts.bytes_to_server() + counts.bytes_to_client();
    assert!((bytes..bytes + 150).contains(&passed), "{passed}, {bytes} without the handshake: {counts}");

    stage.drain(guard, line).await;
    let drained = formula::drain_after_reconnect(size);
    let lists = (1..=WAITERS).map(|names| wire::list(queue, names)).sum::<u64>();
    let bytes = (WAITERS + 1) * (wire::release(queue) + wire::barrier() + wire::read(queue, ticket))
        + drained.events * wire::event(queue)
        + lists;
    stage.compare("drain after a reconnect", drained, bytes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_and_leaders_cost_the_same_on_a_real_server() {
    const READERS: u64 = 12;
    let size = Size { locks: 1, waiters: READERS, sessions: 2 };
    let mut stage = Stage::set(2).await;
    let lock = |stage: &Stage, place: u64| stage.sessions[place as usize % 2].rw_lock(LOCK).expect("a good path");
    let writer = lock(&stage, 0).write().await.expect("free");
    stage.count("a writer", formula::acquire() + formula::hold()).await;
    let mut line = Vec::new();
    for place in 1..=READERS {
        let reading = lock(&stage, place);
        line.push(tokio::spawn(async move { reading.read().await.expect("granted") }));
        let replies = stage.seen.replies() + 4 * place;
        soon(stage.proxy.wait_until(|counts| counts.replies() >= replies)).await;
    }
    stage.count("readers come", formula::readers_one_by_one(size)).await;
    writer.release().await.expect("held");
    let mut guards = Vec::new();
    for reading in line {
        guards.push(soon(reading).await.expect("no panic"));
    }
    stage.count("readers are granted", formula::readers_granted(size)).await;
    let writing = lock(&stage, 1);
    let behind = tokio::spawn(async move { writing.write().await });
    stage.count("a writer comes to readers", formula::writer_comes()).await;
    behind.abort();
    drop(guards);

    let election = stage.sessions[0].election("/growth/election").expect("a good path");
    election.campaign("first").await.expect("elected").resign().await.expect("leads");
    stage.seen = stage.proxy.counts();
    let leadership = election.campaign("again").await.expect("elected");
    stage.count("a campaign", formula::campaign() + formula::hold()).await;
    leadership.resign().await.expect("leads");
}
