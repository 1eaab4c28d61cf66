//! How many create and delete cycles one server, and an ensemble of three, do in a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fairlock::Fairlock;
use fairlock_testcontainers::{Ensemble, Server};
use tokio::task::JoinSet;
use zookeeper_client as zk;

use super::{Result, SESSION_TIMEOUT, connect, everybody};

const SESSIONS: usize = 4;
const IN_FLIGHT: usize = 256;
const WARM_UP: Duration = Duration::from_secs(3);
const MEASURED: Duration = Duration::from_secs(4);

/// As large as a ticket.
const DATA: &[u8] = &[b'x'; 140];

pub(crate) async fn throughput() -> Result<()> {
    println!("cycles of two writes a second, {IN_FLIGHT} in flight over {SESSIONS} sessions");
    for fsync in [false, true] {
        let server = Server::builder().fsync(fsync).start().await?;
        measure(&format!("one server, forceSync {fsync}"), &server.address()).await?;
        drop(server);
        let ensemble = Ensemble::builder().fsync(fsync).start().await?;
        measure(&format!("three servers, forceSync {fsync}"), &ensemble.connect_string()).await?;
    }
    Ok(())
}

async fn measure(what: &str, servers: &str) -> Result<()> {
    let mut clients = Vec::new();
    for _ in 0..SESSIONS {
        clients.push(connect(servers).await?);
    }
    clients[0].mkdir("/raw", &everybody(zk::CreateMode::Persistent)).await?;
    let raw = rate(move |number| {
        let client = clients[number % SESSIONS].clone();
        async move {
            let path = format!("/raw/{number}");
            client.create(&path, DATA, &everybody(zk::CreateMode::Ephemeral)).await?;
            Ok(client.delete(&path, None).await?)
        }
    })
    .await?;
    let mut handles = Vec::new();
    for _ in 0..SESSIONS {
        handles.push(Fairlock::builder().session_timeout(SESSION_TIMEOUT).connect(servers).await?);
    }
    let locks = rate(move |number| {
        let mutex = handles[number % SESSIONS].mutex(&format!("/locks/{number}"));
        async move { Ok(mutex?.acquire().await?.release().await?) }
    })
    .await?;
    println!("{what}: create and delete {raw:.0}, acquire and release {locks:.0}");
    Ok(())
}

/// How many of these are done in a second.
async fn rate<F>(cycle: impl Fn(usize) -> F + Clone + Send + Sync + 'static) -> Result<f64>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (done, mut tasks) = (Arc::new(AtomicU64::new(0)), JoinSet::new());
    let until = Instant::now() + WARM_UP + MEASURED;
    for number in 0..IN_FLIGHT {
        let (cycle, done) = (cycle.clone(), done.clone());
        tasks.spawn(async move {
            while Instant::now() < until {
                cycle(number).await?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            Result::Ok(())
        });
    }
    tokio::time::sleep(WARM_UP).await;
    let (before, started) = (done.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(MEASURED).await;
    let rate = (done.load(Ordering::Relaxed) - before) as f64 / started.elapsed().as_secs_f64();
    for ended in tasks.join_all().await {
        ended?;
    }
    Ok(rate)
}
