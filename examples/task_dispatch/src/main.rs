//! Works off a pool of tasks while a worker is killed, another hangs, and a third comes back late.
//!
//! `cargo run -p fairlock-task-dispatch` has the locks in this process;
//! `ZOOKEEPER=localhost:2181 cargo run -p fairlock-task-dispatch` has them on a server. The tasks are in an SQLite file
//! either way. lib.rs tells how it works.

#![forbid(unsafe_code)]

use std::time::Duration;

use fairlock::store::memory::Memory;
use fairlock_task_dispatch::{Error, Place, STAGES, Settings, Trouble, What};

const ORDERS: usize = 20;
const WORKERS: usize = 6;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let troubles = vec![(0, Trouble::Dies), (1, Trouble::Hangs), (2, Trouble::ComesLate)];
    let settings = Settings {
        place: match std::env::var("ZOOKEEPER") {
            Ok(servers) => Place::Servers(servers),
            Err(_) => Place::Memory(Memory::new()),
        },
        // A new path for each run. An application names what is locked.
        path: format!("/examples/task_dispatch/{:016x}", fastrand::u64(..)),
        database: folder.path().join("tasks.sqlite"),
        orders: ORDERS,
        workers: WORKERS,
        limit: Duration::from_millis(500),
        troubles: troubles.clone(),
    };
    let tasks = ORDERS * STAGES.len();
    let report = fairlock_task_dispatch::run(settings).await?;
    report.check(tasks, &troubles)?;
    let (claimed, refused) = (report.count(What::Claimed), report.count(What::Refused));
    println!(
        "{tasks} tasks by {WORKERS} workers, each done once; claimed {claimed} times, {refused} late results refused"
    );
    Ok(())
}
