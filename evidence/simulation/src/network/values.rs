//! Histories of a counter that all clients update optimistically, under the same faults as the locks: what is told as done is
//! done once.

use std::sync::Arc;
use std::time::Duration;

use fairlock::recipes::UpdateOptions;
use fairlock::store::{OpenOptions, SessionState, Store};
use fairlock::{Error, Fairlock, LockPath};
use fastrand::Rng;
use tokio::task::JoinSet;

use super::{Network, Stage};
use crate::judge::Judge;
use crate::plan::Plan;

const HISTORIES: u64 = 300;
const UPDATES: usize = 12;
const PATH: &str = "/counter";

/// How updates came out.
#[derive(Debug, Default)]
struct Tally {
    done: usize,
    unknown: usize,
    failed: usize,
    calls: usize,
}

fn number(data: Option<&[u8]>) -> usize {
    data.map_or(0, |data| std::str::from_utf8(data).expect("text").parse().expect("a number"))
}

async fn add(network: Arc<Network>, client: usize, mut rng: Rng) -> Tally {
    let mut tally = Tally::default();
    let timeout = Duration::from_millis(network.lock().plan.timeout_ms);
    let locks = loop {
        let builder = Fairlock::builder().session_timeout(timeout).connect_timeout(timeout);
        if let Ok(locks) = builder.open(network.store(client)).await {
            break locks;
        }
    };
    let counter = locks.value(PATH).expect("a good path");
    for _ in 0..UPDATES {
        tokio::time::sleep(Duration::from_millis(rng.u64(..200))).await;
        let options = UpdateOptions::default().lock_after(rng.u32(..4));
        let update = counter.update(options, |data| {
            tally.calls += 1;
            (number(data) + 1).to_string().into_bytes()
        });
        match update.await {
            Ok(_) => tally.done += 1,
            Err(Error::UnknownOutcome { .. }) => tally.unknown += 1,
            Err(_) => tally.failed += 1,
        }
    }
    locks.close().await;
    tally
}

fn run<T>(history: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().expect("a runtime without I/O").block_on(history)
}

async fn history(seed: u64) -> Tally {
    fastrand::seed(seed);
    let mut rng = Rng::with_seed(seed);
    let plan = Plan::draw(&mut rng, None);
    let network = Network::new(plan.clone(), rng.fork(), Judge::new(&plan, false));
    let agenda = tokio::spawn(tokio::task::unconstrained(network.clone().run()));
    let mut clients = JoinSet::new();
    for client in 0..plan.clients {
        clients.spawn(add(network.clone(), client, rng.fork()));
    }
    let mut sum = Tally::default();
    for tally in clients.join_all().await {
        sum.done += tally.done;
        sum.unknown += tally.unknown;
        sum.failed += tally.failed;
        sum.calls += tally.calls;
    }
    // What is still on its way arrives, or is lost with its session.
    tokio::time::sleep(Duration::from_secs(100)).await;
    agenda.abort();
    let world = network.lock();
    assert_ne!(world.stage.get(), Stage::Failed, "{:?}", world.judge.violation);
    let counted = number(world.memory.data(PATH).as_deref());
    assert!((sum.done..=sum.done + sum.unknown).contains(&counted), "seed {seed}: {counted} counted, {sum:?}");
    sum
}

#[test]
fn an_update_that_is_told_as_done_is_done_once() {
    let mut total = Tally::default();
    for seed in 0..HISTORIES {
        let tally = run(history(seed));
        total.done += tally.done;
        total.unknown += tally.unknown;
        total.failed += tally.failed;
        total.calls += tally.calls;
    }
    println!("{total:?}");
    assert!(
        total.unknown > 0 && total.failed > 0 && total.calls > total.done,
        "faults and conflicts happen: {total:?}"
    );
}

#[test]
fn a_change_of_a_watched_value_is_told_to_every_session_that_lives() {
    let mut told = 0;
    for seed in 0..HISTORIES {
        told += run(watching(seed));
    }
    assert!(told > 0, "some session lives");
}

/// Watches for a change that is made while faults happen; returns how many were told of it.
async fn watching(seed: u64) -> usize {
    let mut rng = Rng::with_seed(seed);
    let plan = Plan::draw(&mut rng, None);
    let network = Network::new(plan.clone(), rng.fork(), Judge::new(&plan, false));
    let agenda = tokio::spawn(tokio::task::unconstrained(network.clone().run()));
    let path = LockPath::new(PATH).expect("a good path");
    let mut options = OpenOptions::default();
    options.session_timeout = Duration::from_millis(plan.timeout_ms);
    let mut watches = Vec::new();
    for client in 0..plan.clients {
        let Ok(session) = network.store(client).open(&options).await else { continue };
        if let Ok(watched) = session.watch_value(&path).await {
            assert_eq!(watched.value, None);
            watches.push((session, watched.event));
        }
    }
    network.lock().memory.create(PATH, "1");
    network.lock().collect_fired();
    network.bell.notify_one();
    let mut told = 0;
    for (session, event) in watches {
        // Nothing keeps the session alive, so that it may end instead.
        tokio::time::timeout(Duration::from_secs(100), event).await.expect("told of the change, or of the end");
        told += usize::from(!matches!(*session.states().borrow(), SessionState::Ended(_)));
        drop(session);
    }
    agenda.abort();
    told
}
