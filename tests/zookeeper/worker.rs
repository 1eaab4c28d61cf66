//! One process of the test `ensemble::grants_follow_creation_across_processes`: several clients that take one lock
//! again and again, and print when they held it.
//!
//! Usage: `contention_worker SERVERS LOCK CLIENTS ACQUISITIONS`. Each line it prints is one hold: number of the node,
//! token, begin and end in nanoseconds on the host's clock. Both ends were taken while the guard was valid.

use std::time::Duration;

use fairlock::Fairlock;
use fairlock::clock::{Clock, HostClock};
use fairlock::queue::Sequence;
use tokio::task::JoinSet;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [servers, path, clients, acquisitions] = &arguments[..] else {
        return Err("usage: contention_worker SERVERS LOCK CLIENTS ACQUISITIONS".into());
    };
    let (clients, acquisitions): (usize, usize) = (clients.parse()?, acquisitions.parse()?);
    let mut running = JoinSet::new();
    for _ in 0..clients {
        let locks = Fairlock::builder().session_timeout(Duration::from_secs(15)).connect(servers).await?;
        let lock = locks.mutex(path)?;
        running.spawn(async move {
            let mut lines = Vec::with_capacity(acquisitions);
            for _ in 0..acquisitions {
                let guard = lock.acquire().await?;
                let begin = HostClock.now();
                let valid_at_begin = guard.is_valid();
                tokio::task::yield_now().await;
                let end = HostClock.now();
                let valid_at_end = guard.is_valid();
                if !valid_at_begin || !valid_at_end {
                    return Err(format!("{} was not valid while held", guard.node_path()).into());
                }
                let number = guard.node_path().rsplit('/').next().and_then(Sequence::of_node).ok_or("no number")?;
                lines.push(format!(
                    "{} {} {} {}",
                    number.as_i32(),
                    guard.fencing_token(),
                    begin.since_origin().as_nanos(),
                    end.since_origin().as_nanos()
                ));
                guard.release().await?;
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(lines)
        });
    }
    while let Some(lines) = running.join_next().await {
        for line in lines?.map_err(|error| error.to_string())? {
            println!("{line}");
        }
    }
    Ok(())
}
