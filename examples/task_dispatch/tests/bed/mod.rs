//! One run, checked.

use std::time::Duration;

use fairlock_task_dispatch::{Place, Report, STAGES, Settings, Trouble};

pub(crate) const ORDERS: usize = 10;
const WORKERS: usize = 6;

/// How long a run may take.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) async fn run(place: Place, limit: Duration, troubles: &[(usize, Trouble)]) -> Report {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings {
        place,
        path: format!("/test/{:016x}", fastrand::u64(..)),
        database: folder.path().join("tasks.sqlite"),
        orders: ORDERS,
        workers: WORKERS,
        limit,
        troubles: troubles.to_vec(),
    };
    let running = tokio::time::timeout(PATIENCE, fairlock_task_dispatch::run(settings));
    let report = running.await.expect("in time").expect("a good run");
    report.check(ORDERS * STAGES.len(), troubles).expect("each task is done once");
    report
}
