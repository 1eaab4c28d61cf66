//! Ten thousand waiters on one lock, over many sessions: what a hand-over costs, and that connections that are cut
//! lose nobody.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use fairlock::{Fairlock, Guard};
use fairlock_testcontainers::{Close, Counts, Entry, EventKind, Operation, Proxy, What};
use tokio::task::JoinSet;
use tokio::time::timeout;
use zookeeper_client as zk;

use crate::bed::{self, QUIET, builder, nodes, proxy, queue_of, raw, soon, unused_path};

const WAITERS: usize = 10_000;
const HANDLES: usize = 2;
const HAND_OVERS: usize = 200;

/// Each lists ten thousand nodes.
const HAND_OVERS_AFTER_A_CUT: usize = 50;

/// For what all waiters do at once, on a slow machine.
const GATHERING: Duration = Duration::from_secs(120);

/// How soon all sessions are back after their connections were cut.
const RECONNECT: Duration = Duration::from_secs(10);

/// What happened at the hand-over from one node to the next, as a proxy saw it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Cost {
    /// Requests about one of the two nodes, and lists. Those about neither are not caused by it: they keep the
    /// sessions, or are a waiter's look at its predecessor, once in half a minute.
    requests: usize,
    lists: usize,
    /// Notifications to the next one.
    events: usize,
    /// Notifications to the one who released, on its own watch.
    echoes: usize,
    /// Notifications to anybody else.
    strays: usize,
}

/// The costs of all hand-overs between `released` nodes, each of which was released, in this order.
fn costs(log: &[Entry], queue: &str, released: &[String]) -> Vec<Cost> {
    let releases: Vec<(usize, u64)> = released
        .iter()
        .map(|node| {
            let is_release = |entry: &Entry| {
                matches!(&entry.what, What::Request { operation: Operation::Multi, path: Some(path) } if path == node)
            };
            let at = log.iter().position(is_release).unwrap_or_else(|| panic!("{node} was not released"));
            (at, log[at].connection)
        })
        .collect();
    let releasers: HashMap<&str, (usize, u64)> =
        released.iter().map(String::as_str).zip(releases.iter().copied()).collect();
    let mut costs = Vec::new();
    for (pair, nodes) in releases.windows(2).zip(released.windows(2)) {
        let [(from, releaser), (to, next)] = [pair[0], pair[1]];
        let mut cost = Cost::default();
        for (at, entry) in log.iter().enumerate().skip(from) {
            match &entry.what {
                // Notifications of other connections than the next one's may come whenever they like.
                What::Event { path, .. } if *path == nodes[0] => match entry.connection {
                    connection if connection == next => cost.events += 1,
                    connection if connection == releaser => cost.echoes += 1,
                    _ => cost.strays += 1,
                },
                _ if at >= to => {}
                What::Event { path, .. } => {
                    let is_echo = releasers
                        .get(path.as_str())
                        .is_some_and(|&(released, releaser)| released < at && releaser == entry.connection);
                    cost.strays += usize::from(!is_echo);
                }
                What::Request { operation: Operation::GetChildren | Operation::GetChildren2, path } => {
                    let is_of_queue = path.as_deref() == Some(queue);
                    cost.lists += usize::from(is_of_queue);
                    cost.requests += usize::from(is_of_queue);
                }
                What::Request { path: Some(path), .. } => cost.requests += usize::from(nodes.contains(path)),
                _ => {}
            }
        }
        costs.push(cost);
    }
    costs
}

#[test]
fn costs_are_read_from_the_log() {
    let at = Instant::now();
    let request = |connection, operation, path: &str| Entry {
        at,
        connection,
        what: What::Request { operation, path: Some(path.to_owned()) },
    };
    let event = |connection, path: &str| Entry {
        at,
        connection,
        what: What::Event { kind: EventKind::NodeDataChanged, path: path.to_owned() },
    };
    let released = ["/q/1", "/q/2"].map(str::to_owned);
    let log = vec![
        event(9, "/q/0"),
        request(1, Operation::Multi, "/q/1"),
        event(2, "/q/1"),
        request(3, Operation::GetData, "/q/7"),
        request(2, Operation::Multi, "/"),
        request(2, Operation::Multi, "/q/2"),
        event(1, "/q/1"),
    ];
    let right = Cost { requests: 1, lists: 0, events: 1, echoes: 1, strays: 0 };
    assert_eq!(costs(&log, "/q", &released), [right]);
    let with = |entry: Entry| {
        let mut log = log.clone();
        log.insert(3, entry);
        costs(&log, "/q", &released).remove(0)
    };
    assert_eq!(with(request(2, Operation::GetChildren, "/q")).lists, 1);
    assert_eq!(with(request(2, Operation::GetData, "/q/2")).requests, 2);
    assert_eq!(with(event(2, "/q/1")).events, 2);
    assert_eq!(with(event(4, "/q/1")).strays, 1);
    assert_eq!(with(event(2, "/q/2")).strays, 1);
}

struct Crowd {
    path: String,
    proxy: Proxy,
    observer: zk::Client,
    _handles: Vec<Fairlock>,
    waiting: JoinSet<Guard>,
    /// The one who holds.
    guard: Option<Guard>,
    /// All who have not released, by the names of their nodes.
    remaining: BTreeSet<String>,
    sessions: usize,
}

impl Crowd {
    async fn gather() -> Self {
        let (path, proxy) = (unused_path(), proxy().await);
        let mut handles = Vec::new();
        for _ in 0..HANDLES {
            // All ten thousand wait for the sessions that are opened for them, on a machine that they keep busy.
            let handle = builder(QUIET).connect_timeout(GATHERING).connect(&proxy.address()).await;
            handles.push(handle.expect("a session"));
        }
        let lock = |handle: &Fairlock| handle.mutex(&path).expect("a good path");
        let guard = lock(&handles[0]).acquire().await.expect("free");
        let started = Instant::now();
        let mut waiting = JoinSet::new();
        for number in 0..WAITERS {
            let lock = lock(&handles[number % HANDLES]);
            waiting.spawn(async move { lock.acquire().await.expect("granted") });
        }
        // Each places two watches, and the holder one.
        let watches = 2 * WAITERS as u64 + 1;
        let all = proxy.wait_until(|counts| counts.reply(Operation::GetData) >= watches);
        timeout(GATHERING, all).await.expect("all wait");
        let observer = raw(&bed::server().await.address()).await;
        let remaining: BTreeSet<String> = nodes(&observer, &path).await.into_iter().collect();
        assert_eq!(remaining.len(), WAITERS + 1);
        let sessions = proxy.connections();
        assert!(sessions > HANDLES, "one session cannot carry so many watches");
        eprintln!("{WAITERS} waiters on {sessions} sessions of {HANDLES} handles, in {:?}", started.elapsed());
        Self { path, proxy, observer, _handles: handles, waiting, guard: Some(guard), remaining, sessions }
    }

    /// So many hand-overs, each to the next in line; returns what they cost.
    async fn hand_over(&mut self, times: usize) -> Vec<Cost> {
        self.proxy.clear_log();
        let mut released = Vec::new();
        for _ in 0..=times {
            let guard = self.guard.take().expect("somebody holds");
            let (token, node) = (guard.fencing_token(), guard.node_path().to_owned());
            assert_eq!(self.remaining.pop_first().as_deref(), node.rsplit('/').next(), "the head of the queue holds");
            assert!(guard.is_valid());
            guard.release().await.expect("released");
            released.push(node);
            let next = soon(self.waiting.join_next()).await.expect("a waiter is left").expect("no panic");
            assert!(next.fencing_token() > token);
            self.guard = Some(next);
        }
        assert!(self.waiting.try_join_next().is_none(), "one at a time");
        costs(&self.proxy.log(), &queue_of(&self.path), &released)
    }

    /// Cuts all connections at once, and waits until all sessions are back with their watches.
    async fn cut(&self, close: Close) {
        let before = self.proxy.counts();
        let is_back = |counts: &Counts| {
            counts.reply(Operation::SetWatches) >= before.reply(Operation::SetWatches) + self.sessions as u64
        };
        let started = Instant::now();
        self.proxy.cut(close);
        timeout(GATHERING, self.proxy.wait_until(is_back)).await.expect("all come back");
        let took = started.elapsed();
        let counts = self.proxy.counts() - before.clone();
        eprintln!("all connections cut with {close:?}, all back after {took:?}:\n{counts}");
        assert_eq!(self.proxy.connections(), self.sessions);
        assert!(took <= RECONNECT, "{took:?}");
        let lists = counts.request(Operation::GetChildren) + counts.request(Operation::GetChildren2);
        assert_eq!((lists, counts.events()), (0, 0), "nothing has changed: {counts}");
        // A second frame of watches would break the connection again.
        assert_eq!(counts.request(Operation::SetWatches), self.sessions as u64);
    }

    /// All who have not released are still there, and nobody else.
    async fn check_queue(&self) {
        let present: BTreeSet<String> = nodes(&self.observer, &self.path).await.into_iter().collect();
        assert!(present == self.remaining, "{} nodes, should be {}", present.len(), self.remaining.len());
        assert_eq!(self.waiting.len() + 1, self.remaining.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_waiters_are_served_in_order_also_after_all_connections_are_cut() {
    let mut crowd = Crowd::gather().await;
    let started = Instant::now();
    let costs = crowd.hand_over(HAND_OVERS).await;
    eprintln!("{HAND_OVERS} hand-overs in {:?}: {}", started.elapsed(), summary(&costs));
    for cost in &costs {
        assert_eq!((cost.lists, cost.events, cost.strays), (0, 1, 0), "{cost:?}");
        assert!(cost.requests <= 2 && cost.echoes <= 1, "{cost:?}");
    }
    // The request is the release.
    assert_requests(&costs, 1);
    crowd.check_queue().await;
    for close in [Close::Fin, Close::Rst] {
        crowd.cut(close).await;
        crowd.check_queue().await;
        let started = Instant::now();
        let costs = crowd.hand_over(HAND_OVERS_AFTER_A_CUT).await;
        eprintln!("{HAND_OVERS_AFTER_A_CUT} hand-overs in {:?}: {}", started.elapsed(), summary(&costs));
        for cost in &costs {
            assert_eq!((cost.events, cost.strays), (1, 0), "{cost:?}");
            assert!(cost.lists <= 1 && cost.echoes <= 1, "{cost:?}");
        }
        // A watch of before the cut proves nothing more: the next one lists the queue, and the releaser looked at its
        // node before.
        assert_requests(&costs, 3);
        crowd.check_queue().await;
    }
}

/// Each has so many requests. Some waiter may have looked at its predecessor, which happened to be one of the two, as
/// each does once in half a minute: one in five, if a hand-over took as long as two seconds.
fn assert_requests(costs: &[Cost], each: usize) {
    let requests: usize = costs.iter().map(|cost| cost.requests).sum();
    assert!(requests <= costs.len() * each + costs.len() / 5, "{}", summary(costs));
}

fn summary(costs: &[Cost]) -> String {
    let sum = |of: fn(&Cost) -> usize| costs.iter().map(of).sum::<usize>();
    format!(
        "{} requests ({} lists), {} events to the next, {} echoes of a release, {} others",
        sum(|cost| cost.requests),
        sum(|cost| cost.lists),
        sum(|cost| cost.events),
        sum(|cost| cost.echoes),
        sum(|cost| cost.strays)
    )
}
