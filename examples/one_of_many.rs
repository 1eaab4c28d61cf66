//! Several instances of a job runner, of which one at a time works: each job is finished once.
//!
//! In this process, the first instance is cut off in the middle of a job: `protect` stops the job before another can
//! begin. On a server, with `ZOOKEEPER=localhost:2181`, nobody is cut off: pull the plug yourself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fairlock::{Fairlock, FencingToken, store::memory::Memory};
use tokio::sync::Notify;

const INSTANCES: usize = 4;
const JOBS: u32 = 6;

/// What the instances share, as they would a database: who finished which job, with which token.
#[derive(Default)]
struct Shared {
    finished: Mutex<BTreeMap<u32, (usize, FencingToken)>>,
    working: AtomicUsize,
    stuck: Notify,
}

/// Counts who works, also when the work is stopped.
struct Working<'a>(&'a AtomicUsize);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn work(shared: &Shared, is_stuck: bool) {
    assert_eq!(shared.working.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
    let _working = Working(&shared.working);
    if is_stuck {
        shared.stuck.notify_one();
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
}

async fn run(instance: usize, locks: Fairlock, path: String, shared: Arc<Shared>, is_stuck: bool) {
    let lock = locks.mutex(&path).expect("a good path");
    loop {
        let guard = lock.acquire().await.expect("a store that answers");
        let finished = || shared.finished.lock().expect("no panic");
        let Some(job) = (0..JOBS).find(|job| !finished().contains_key(job)) else { break };
        if let Err(error) = guard.protect(work(&shared, is_stuck)).await {
            println!("instance {instance}: job {job} stopped: {error}");
            return;
        }
        let token = guard.fencing_token();
        // The database would refuse a token lower than the last one's: see the example fenced_write.
        assert_eq!(finished().insert(job, (instance, token)), None, "job {job} is finished once");
        println!("instance {instance}: job {job} done, with fencing token {token}");
        guard.release().await.expect("a lock that is still held");
    }
    // A process that ends without a word keeps its place until its session expires.
    locks.close().await;
}

#[tokio::main]
async fn main() -> Result<(), fairlock::Error> {
    let (servers, memory) = (std::env::var("ZOOKEEPER").ok(), Memory::new());
    let path = format!("/examples/one_of_many/{:016x}", fastrand::u64(..));
    let shared = Arc::new(Shared::default());
    let mut instances = tokio::task::JoinSet::new();
    for instance in 0..INSTANCES {
        let builder = Fairlock::builder().session_timeout(Duration::from_secs(1));
        let locks = match &servers {
            Some(servers) => builder.connect(servers).await?,
            None => builder.open(memory.clone()).await?,
        };
        let is_cut_off = servers.is_none() && instance == 0;
        instances.spawn(run(instance, locks, path.clone(), shared.clone(), is_cut_off));
        if let (true, Some(session)) = (is_cut_off, memory.sessions().first()) {
            shared.stuck.notified().await;
            memory.disconnect(*session);
        }
    }
    instances.join_all().await;
    let finished = shared.finished.lock().expect("no panic");
    assert!(finished.keys().copied().eq(0..JOBS), "all jobs are finished: {finished:?}");
    assert!(finished.values().is_sorted_by(|(_, earlier), (_, later)| earlier < later), "tokens rise: {finished:?}");
    println!("{JOBS} jobs, each finished once");
    Ok(())
}
