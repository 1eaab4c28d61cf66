//! The plain lock: acquire, work as long as the lock is held, release.
//!
//! `cargo run --example plain_lock` runs in this process;
//! `ZOOKEEPER=localhost:2181 cargo run --example plain_lock` uses a server.

use std::error::Error;

use fairlock::{Fairlock, store::memory::Memory};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let locks = match std::env::var("ZOOKEEPER") {
        Ok(servers) => Fairlock::connect(&servers).await?,
        Err(_) => Fairlock::builder().open(Memory::new()).await?,
    };
    // A new path for each run. An application names what the lock protects, for example /orders/42.
    let lock = locks.mutex(&format!("/examples/plain_lock/{:016x}", fastrand::u64(..)))?;

    let guard = lock.acquire().await?;
    let token = guard.fencing_token();
    println!("held, with fencing token {token}");
    assert!(lock.try_acquire().await?.is_none(), "nobody else gets it meanwhile");

    // If the lock were lost, the work would be dropped where it waits, and protect would return an error.
    let report = guard.protect(write_report()).await?;
    println!("{report}");

    guard.release().await?;
    println!("released");

    let guard = lock.try_acquire().await?.ok_or("a released lock is free")?;
    println!("held again, with fencing token {}", guard.fencing_token());
    assert!(guard.fencing_token() > token, "tokens rise with every grant");
    guard.release().await?;
    locks.close().await;
    Ok(())
}

async fn write_report() -> &'static str {
    tokio::task::yield_now().await;
    "the report is written"
}
