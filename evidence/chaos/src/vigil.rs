//! Tells who is in a lock's queue when it has not been granted for a while: the log then says what it was stuck on.

use std::time::Duration;

use fairlock::{Contender, Fairlock};
use tokio::time::{Instant, interval, timeout};

use crate::config::lock_path;
use crate::desk::Desk;
use crate::log::Log;

/// Longer than what a fault costs by itself, in most cases.
const QUIET: Duration = Duration::from_secs(6);

/// How long the servers may take to tell.
const PATIENCE: Duration = Duration::from_secs(3);

/// Goes on for ever.
pub(crate) async fn watch(observer: &Fairlock, desk: &Desk, log: &Log) {
    let mut ticks = interval(Duration::from_millis(500));
    let mut last: Vec<_> = desk.ledgers().map(|ledger| (ledger.grant_count(), Instant::now())).collect();
    loop {
        ticks.tick().await;
        let counts: Vec<_> = desk.ledgers().map(|ledger| ledger.grant_count()).collect();
        for (lock, (count, last)) in counts.into_iter().zip(&mut last).enumerate() {
            if count != last.0 {
                *last = (count, Instant::now());
            } else if last.1.elapsed() >= QUIET {
                log.line(format_args!(
                    "lock {lock} was granted to nobody for {QUIET:?}: {}",
                    queue(observer, lock).await
                ));
                last.1 = Instant::now();
            }
        }
    }
}

async fn queue(observer: &Fairlock, lock: usize) -> String {
    let Ok(mutex) = observer.mutex(&lock_path(lock)) else { return "bad path".to_owned() };
    match timeout(PATIENCE, mutex.contenders()).await {
        Ok(Ok(contenders)) if contenders.is_empty() => "nobody is there".to_owned(),
        Ok(Ok(contenders)) => contenders.iter().map(name).collect::<Vec<_>>().join(", "),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the servers do not tell".to_owned(),
    }
}

fn name(contender: &Contender) -> String {
    let owner = contender.identity.as_ref().map_or("unknown", |identity| identity.owner());
    format!("{owner} as {}", contender.sequence.as_i32())
}
