//! What a watch and a contender's znode take of a server's heap, by the Java machine's own account of what lives.

use std::time::Duration;

use fairlock_testcontainers::{RuntimeChoice, Server};
use tokio::process::Command;
use zookeeper_client as zk;

use super::{Result, connect, everybody};

const SESSIONS: usize = 50;
const WATCHES: usize = 100_000;
const NODES: usize = 20_000;
const IN_FLIGHT: usize = 500;
const OPTIMIZED: &str = "-Dzookeeper.watchManagerName=org.apache.zookeeper.server.watch.WatchManagerOptimized";

pub(crate) async fn memory() -> Result<()> {
    nodes().await?;
    for (manager, flag) in [("WatchManager", None), ("WatchManagerOptimized", Some(OPTIMIZED))] {
        // Each path watched by one session, or by two, as the nodes of a queue are.
        for of_each in [1, 2] {
            let (server, clients) = serve(flag).await?;
            let before = live_bytes().await?;
            let mut watchers = Vec::new();
            for start in (0..WATCHES).step_by(IN_FLIGHT) {
                let asked: Vec<_> = (start..start + IN_FLIGHT)
                    .map(|number| {
                        let path = format!("/orders/42/_fairlock/lock-{:010}", number / of_each);
                        clients[number % SESSIONS].check_and_watch_stat(&path)
                    })
                    .collect();
                for asked in asked {
                    watchers.push(asked.await?);
                }
            }
            let each = (live_bytes().await? as f64 - before as f64) / WATCHES as f64;
            println!("{manager}, {of_each} watches a path: {each:.0} bytes of heap for each of {WATCHES} watches");
            drop((watchers, clients, server));
        }
    }
    Ok(())
}

/// A server with that flag, and many sessions.
async fn serve(flag: Option<&str>) -> Result<(Server, Vec<zk::Client>)> {
    let mut builder = Server::builder().runtime(RuntimeChoice::Process).property("maxClientCnxns", "0");
    builder = builder.jvm_flag("-Xmx1g").max_session_timeout(Duration::from_secs(600));
    if let Some(flag) = flag {
        builder = builder.jvm_flag(flag);
    }
    let server = builder.start().await?;
    let mut clients = Vec::new();
    for _ in 0..SESSIONS {
        clients.push(connect(&server.address()).await?);
    }
    Ok((server, clients))
}

async fn nodes() -> Result<()> {
    let (_server, clients) = serve(None).await?;
    clients[0].mkdir("/orders/42/_fairlock", &everybody(zk::CreateMode::Persistent)).await?;
    let options = everybody(zk::CreateMode::Ephemeral);
    let before = live_bytes().await?;
    for start in (0..NODES).step_by(IN_FLIGHT) {
        let paths: Vec<_> =
            (start..start + IN_FLIGHT).map(|number| format!("/orders/42/_fairlock/lock-{number:010}")).collect();
        let asked: Vec<_> = paths
            .iter()
            .enumerate()
            .map(|(at, path)| clients[at % clients.len()].create(path, &[b'x'; 140], &options))
            .collect();
        for asked in asked {
            asked.await?;
        }
    }
    let each = (live_bytes().await? as f64 - before as f64) / NODES as f64;
    println!("{each:.0} bytes of heap for each of {NODES} contenders' znodes with 140 bytes of ticket");
    Ok(())
}

/// What lives in the heap of the server that this process has started.
async fn live_bytes() -> Result<u64> {
    let own = std::process::id().to_string();
    let servers = Command::new("pgrep").args(["-P", &own, "java"]).output().await?;
    let server = String::from_utf8(servers.stdout)?;
    let server = server.lines().last().ok_or("no Java machine of this process was found")?.to_owned();
    let jcmd = Command::new("jcmd").args([&server, "GC.class_histogram"]).output().await;
    let told =
        jcmd.map_err(|error| format!("MISSING: jcmd ({error}); install a JDK, of Debian default-jdk-headless"))?;
    let told = String::from_utf8(told.stdout)?;
    let total = told.lines().find(|line| line.starts_with("Total")).ok_or("jcmd told no total")?;
    Ok(total.split_whitespace().nth(2).ok_or("jcmd told no total")?.parse()?)
}
