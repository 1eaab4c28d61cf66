//! A pool of tasks in a database, and many workers: each task is held by one worker at a time, and done once.
//!
//! # Who does what
//!
//! * The **database** knows the tasks. A result counts if the database has accepted it, and nothing else does: it
//!   refuses the write of whoever has an older fencing token than the last one that has claimed the task.
//! * The **dispatch lock** is the queue of the free workers. Its holder alone looks for the next task, and waits for
//!   one if there is none; so tasks go to workers in the order in which these became free, no two try for the same
//!   task, and one of them polls the database instead of all.
//! * Each task's **own lock** says that somebody is at it. It is taken by the holder of the dispatch lock, with a limit
//!   to how long it is held, and kept for the work. A worker that dies loses it with its session, one that hangs by the
//!   limit.
//!
//! # Why not one lock for all of it, and how many tasks there may be
//!
//! One lock that is held during the work would let one worker work. One that is held only while a task is chosen says
//! nothing of a worker that has died since. So both are needed, and only the tasks' locks are for safety: if the
//! dispatch lock failed, two workers would try for the same task, and its lock would choose.
//!
//! A lock per task does not mean a node per task: ZooKeeper knows only the tasks that are being worked on, and the
//! empty directories of those of the last minute or so, which its servers remove. A million tasks that wait, or are
//! done, are the database's matter. A task costs about twelve requests, two of them for making its directories;
//! where the work is done sooner than that, let one row stand for a hundred pieces of it.

#![forbid(unsafe_code)]

mod database;
mod dispatch;
mod place;
mod report;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;

pub use self::place::Place;
pub use self::report::{Entry, Report, What};
pub use self::worker::Trouble;

use self::database::Database;
use self::worker::Worker;

/// Whatever fails here ends the run.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What is done for each order, as one task after the other: when one is done, the next is pushed.
pub const STAGES: [&str; 3] = ["charge", "pack", "ship"];

/// Between two looks at whether all workers have come.
const PAUSE: Duration = Duration::from_millis(2);

/// What is to be done, and by whom.
pub struct Settings {
    /// Where the locks are.
    pub place: Place,
    /// The path of the locks.
    pub path: String,
    /// The file of the database; it is made if it does not exist.
    pub database: PathBuf,
    /// How many orders there are, each of as many tasks as there are [stages](STAGES).
    pub orders: usize,
    /// How many workers there are, at most as many as orders.
    pub workers: usize,
    /// How long a worker may be at one task.
    pub limit: Duration,
    /// What happens to which worker, at its first task.
    pub troubles: Vec<(usize, Trouble)>,
}

/// What the workers have in common.
struct Shared {
    path: String,
    /// How many tasks there are in all, pushed or not.
    tasks: usize,
    limit: Duration,
    /// Wakes the worker that waits for a task. One in another process would find it by its next look.
    changed: Notify,
}

/// Works off all orders, and tells what the database has seen.
///
/// # Errors
///
/// Those of the database and of the locks.
///
/// # Panics
///
/// If there are more workers than orders, or all of them have trouble.
pub async fn run(settings: Settings) -> Result<Report, Error> {
    let Settings { place, path, database, orders, workers, limit, troubles } = settings;
    assert!(workers <= orders, "each worker gets a task");
    assert!(troubles.len() < workers, "somebody has to do the work");
    let main = Database::open(&database)?;
    let shared = Arc::new(Shared { path, tasks: orders * STAGES.len(), limit, changed: Notify::new() });
    let mut running = JoinSet::new();
    for number in 0..workers {
        // A session and a connection for each, as if it were a process of its own.
        let (process, database) = (place.open().await?, Database::open(&database)?);
        let trouble = troubles.iter().find(|(worker, _)| *worker == number).map(|(_, trouble)| *trouble);
        running.spawn(Worker::new(number, process, database, trouble, shared.clone()).run());
    }

    // First all workers are free, then there is work: so each of them gets a task.
    let process = place.open().await?;
    let dispatch = process.locks.mutex(&dispatch::lock_of(&shared.path))?;
    while dispatch.contenders().await?.len() < workers {
        if let Some(ended) = running.try_join_next() {
            ended??;
        }
        tokio::time::sleep(PAUSE).await;
    }
    main.push_orders(orders)?;
    shared.changed.notify_one();

    while let Some(ended) = running.join_next().await {
        ended??;
    }
    process.locks.close().await;
    main.report()
}
