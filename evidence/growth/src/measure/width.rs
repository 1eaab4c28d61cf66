//! Directories: how many contenders one can list, and how fast those of locks that are not used any more go away.

use std::time::{Duration, Instant};

use fairlock::Fairlock;
use fairlock_testcontainers::Server;
use zookeeper_client as zk;

use super::{Result, SESSION_TIMEOUT, connect, everybody};
use crate::names_max;

const IN_FLIGHT: usize = 500;

/// The default of `jute.maxbuffer`.
const PACKET: u64 = 0xf_ffff;

/// A queue with more contenders than a packet has room for.
pub(crate) async fn width() -> Result<()> {
    let server = Server::builder().max_session_timeout(Duration::from_secs(600)).start().await?;
    let client = connect(&server.address()).await?;
    client.mkdir("/wide/_fairlock", &everybody(zk::CreateMode::Persistent)).await?;
    let count = names_max(PACKET) as usize / IN_FLIGHT * IN_FLIGHT + 2 * IN_FLIGHT;
    // Those of a session that dies are deleted in one transaction, which must fit a packet as well.
    let options = everybody(zk::CreateMode::Persistent);
    let paths: Vec<_> = (0..count).map(|number| format!("/wide/_fairlock/lock-{number:010}")).collect();
    for paths in paths.chunks(IN_FLIGHT) {
        let asked: Vec<_> = paths.iter().map(|path| client.create(path, b"", &options)).collect();
        for asked in asked {
            asked.await?;
        }
    }
    println!("a packet of {PACKET} bytes has room for {} contenders; there are {count}", names_max(PACKET));
    let listed = client.list_children("/wide/_fairlock").await.map(|names| names.len());
    println!("the client crate lists: {listed:?}");
    let locks = Fairlock::builder().session_timeout(SESSION_TIMEOUT).connect(&server.address()).await?;
    let started = Instant::now();
    let tried = locks.mutex("/wide")?.try_acquire().await.map(|guard| guard.is_some());
    println!("fairlock tries the lock, in {:?}: {tried:?}", started.elapsed());
    Ok(())
}

/// The directories of locks that were used once.
pub(crate) async fn clean_up() -> Result<()> {
    const LOCKS: u32 = 1_000;
    let server = Server::builder().jvm_flag("-Dznode.container.checkIntervalMs=1000").start().await?;
    let client = connect(&server.address()).await?;
    let locks = Fairlock::builder().session_timeout(SESSION_TIMEOUT).connect(&server.address()).await?;
    // One that stays keeps the directory of all.
    let _kept = locks.mutex("/short/kept")?.acquire().await?;
    let used = Instant::now();
    for lock in 0..LOCKS {
        locks.mutex(&format!("/short/{lock}"))?.acquire().await?.release().await?;
    }
    println!("{LOCKS} locks used once, in {:?}", used.elapsed());
    let started = Instant::now();
    loop {
        let left = client.list_children("/short").await?.len() - 1;
        if left == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("their {} directories are gone {:?} after, looked for each second", 2 * LOCKS, started.elapsed());
    Ok(())
}
