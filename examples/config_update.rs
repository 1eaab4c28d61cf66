//! Many writers update one shared value optimistically: nobody waits, and no update is lost.
//!
//! `cargo run --example config_update` runs in this process;
//! `ZOOKEEPER=localhost:2181 cargo run --example config_update` uses a server.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fairlock::{Fairlock, recipes::UpdateOptions, store::memory::Memory};
use tokio::task::JoinSet;

const WRITERS: usize = 6;
const CHANGES: usize = 10;

/// The shared value: lines of `name=number`.
fn parse(data: Option<&[u8]>) -> Result<BTreeMap<String, usize>, String> {
    let text = std::str::from_utf8(data.unwrap_or_default()).map_err(|error| error.to_string())?;
    let entry = |line: &str| {
        let (name, number) = line.split_once('=').ok_or(format!("no = in {line:?}"))?;
        Ok((name.to_owned(), number.parse().map_err(|error| format!("{line:?}: {error}"))?))
    };
    text.lines().map(entry).collect()
}

fn render(config: &BTreeMap<String, usize>) -> Vec<u8> {
    config.iter().map(|(name, number)| format!("{name}={number}\n")).collect::<String>().into_bytes()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let memory = Memory::new();
    let zookeeper = std::env::var("ZOOKEEPER").ok();
    // A new path for each run. An application names the value, for example /config/limits.
    let path = format!("/examples/config_update/{:016x}", fastrand::u64(..));
    let tries = Arc::new(AtomicUsize::new(0));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        // A session for each, as processes have.
        let locks = match &zookeeper {
            Some(servers) => Fairlock::connect(servers).await?,
            None => Fairlock::builder().open(memory.clone()).await?,
        };
        let (config, tries) = (locks.value(&path)?, tries.clone());
        writers.spawn(async move {
            for _ in 0..CHANGES {
                let change = |data: Option<&[u8]>| {
                    tries.fetch_add(1, Ordering::Relaxed);
                    let mut config = parse(data)?;
                    *config.entry("changes".to_owned()).or_default() += 1;
                    *config.entry(format!("writer-{writer}")).or_default() += 1;
                    Ok::<_, String>(render(&config))
                };
                // The outer error is the store's, the inner one that of a config that makes no sense.
                config.try_update(UpdateOptions::default(), change).await??;
            }
            let read = config.read().await?.ok_or("the value is there")?;
            locks.close().await;
            Ok::<_, Box<dyn Error + Send + Sync>>(read)
        });
    }
    let mut latest = None;
    for read in writers.join_all().await {
        let read = read.map_err(|error| error.to_string())?;
        latest = latest.max(Some((read.version(), read.into_data())));
    }
    let (version, data) = latest.ok_or("there are writers")?;
    let config = parse(Some(&data))?;
    assert_eq!(config["changes"], WRITERS * CHANGES, "no change is lost: {config:?}");
    println!(
        "{} changes in {} tries, the value is at version {version}",
        config["changes"],
        tries.load(Ordering::Relaxed)
    );
    Ok(())
}
