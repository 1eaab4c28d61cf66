//! What it costs to restart the servers of an ensemble in turn, while locks are held, waited for and handed over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use fairlock::Fairlock;
use fairlock_testcontainers::{Counts, Ensemble, Operation, join_addresses};
use tokio::task::JoinSet;

use super::Result;

const SESSIONS: usize = 20;
const LOCKS: usize = 10;
const WAITERS: usize = 20;
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);
const HELD: Duration = Duration::from_millis(20);
const BETWEEN: Duration = Duration::from_secs(6);

#[derive(Debug, Default)]
struct Book {
    grants: Mutex<Vec<Instant>>,
    failures: Mutex<Vec<String>>,
    lost: AtomicU64,
}

pub(crate) async fn restart() -> Result<()> {
    let ensemble = Ensemble::builder().tick_time(Duration::from_secs(1)).start().await?;
    let proxies = ensemble.proxies().await?;
    let servers = join_addresses(proxies.iter().map(|proxy| proxy.address()));
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(Fairlock::builder().session_timeout(SESSION_TIMEOUT).connect(&servers).await?);
    }
    // One lock of each session is held all the time.
    let mut held = Vec::new();
    for (at, session) in sessions.iter().enumerate() {
        held.push(session.mutex(&format!("/held/{at}"))?.acquire().await?);
    }
    let (book, mut tasks) = (Arc::new(Book::default()), JoinSet::new());
    for number in 0..LOCKS * (WAITERS + 1) {
        let mutex = sessions[(number / LOCKS + number) % SESSIONS].mutex(&format!("/busy/{}", number % LOCKS))?;
        let book = book.clone();
        tasks.spawn(async move {
            loop {
                match mutex.acquire().await {
                    Ok(guard) => {
                        note(&book.grants, Instant::now());
                        tokio::time::sleep(HELD).await;
                        let was_valid = guard.is_valid();
                        if !was_valid || guard.release().await.is_err() {
                            book.lost.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    Err(error) => note(&book.failures, error.to_string()),
                }
            }
        });
    }
    println!("{SESSIONS} sessions, {LOCKS} locks with {WAITERS} waiters each, held {HELD:?}; {SESSIONS} held for good");
    let started = Instant::now();
    tokio::time::sleep(BETWEEN).await;
    tell("before", &book, started, &proxies, &[]);
    let leader = ensemble.leader().await?;
    // The leader last, as one should.
    for index in (0..3).filter(|index| *index != leader).chain([leader]) {
        let before: Vec<_> = proxies.iter().map(|proxy| proxy.counts()).collect();
        let started = Instant::now();
        ensemble.servers()[index].restart().await?;
        ensemble.wait_until_serving().await?;
        let took = started.elapsed();
        tokio::time::sleep(BETWEEN.saturating_sub(took)).await;
        let what = if index == leader { "the leader" } else { "a follower" };
        tell(&format!("{what} is restarted in {took:.1?}"), &book, started, &proxies, &before);
    }
    let lost = held.iter().filter(|guard| !guard.is_valid()).count();
    let failures = book.failures.lock().unwrap_or_else(PoisonError::into_inner);
    println!("losses: {lost} of {SESSIONS} held for good, {} of the others", book.lost.load(Ordering::Relaxed));
    println!("failed acquisitions: {}, {:?}", failures.len(), failures.first());
    tasks.abort_all();
    Ok(())
}

fn note<T>(list: &Mutex<Vec<T>>, entry: T) {
    list.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
}

fn tell(what: &str, book: &Book, since: Instant, proxies: &[fairlock_testcontainers::Proxy], before: &[Counts]) {
    let grants = book.grants.lock().unwrap_or_else(PoisonError::into_inner);
    let mut at: Vec<_> = grants.iter().copied().filter(|at| *at >= since).collect();
    at.push(Instant::now());
    let gap = at.windows(2).map(|pair| pair[1] - pair[0]).chain([at[0] - since]).max().unwrap_or_default();
    let (mut requests, mut set, mut lists, mut bytes) = (0, 0, 0, 0);
    for (index, proxy) in proxies.iter().enumerate() {
        let counts = before.get(index).map_or_else(|| proxy.counts(), |before| proxy.counts() - before.clone());
        requests += counts.requests();
        set += counts.request(Operation::SetWatches) + counts.request(Operation::SetWatches2);
        lists += counts.request(Operation::GetChildren) + counts.request(Operation::GetChildren2);
        bytes += counts.bytes_to_server() + counts.bytes_to_client();
    }
    println!(
        "{what}: {} grants in {:.1?}, longest time without any {gap:.2?}; {requests} requests ({set} SetWatches, {lists} lists), {bytes} bytes",
        at.len() - 1,
        since.elapsed()
    );
}
