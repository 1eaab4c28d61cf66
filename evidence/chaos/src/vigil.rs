//! Tells who is in a lock's queue when it has not been granted for a while: the log then says what it was stuck on. And
//! complains about a client that is granted nothing although it runs: it must have got stuck.

use std::time::Duration;

use fairlock::{Contender, Fairlock};
use tokio::time::{Instant, interval, timeout};

use crate::config::{Config, lock_path};
use crate::desk::Desk;
use crate::log::Log;

/// Longer than what a fault costs by itself, in most cases.
const QUIET: Duration = Duration::from_secs(6);

/// How long the servers may take to tell.
const PATIENCE: Duration = Duration::from_secs(3);

/// Counts of grants, and since when they are what they are.
struct Counts(Vec<(u64, Instant)>);

impl Counts {
    fn new(count: usize, now: Instant) -> Self {
        Self(vec![(0, now); count])
    }

    /// Which have not changed for so long; each is told again only after as long again.
    fn idle(&mut self, present: impl Iterator<Item = u64>, now: Instant, limit: Duration) -> Vec<usize> {
        let mut idle = Vec::new();
        for (index, (count, last)) in present.zip(&mut self.0).enumerate() {
            if count != last.0 {
                *last = (count, now);
            } else if now.duration_since(last.1) >= limit {
                idle.push(index);
                last.1 = now;
            }
        }
        idle
    }
}

/// Goes on for ever.
pub(crate) async fn watch(observer: &Fairlock, desk: &Desk, config: &Config, log: &Log) {
    let mut ticks = interval(Duration::from_millis(500));
    let begin = Instant::now();
    let (mut locks, mut clients) = (Counts::new(config.locks(), begin), Counts::new(config.clients(), begin));
    loop {
        let now = ticks.tick().await;
        let of_locks: Vec<_> = desk.ledgers().map(|ledger| ledger.grant_count() as u64).collect();
        for lock in locks.idle(of_locks.into_iter(), now, QUIET) {
            log.line(format_args!("lock {lock} was granted to nobody for {QUIET:?}: {}", queue(observer, lock).await));
        }
        let of_clients =
            (0..config.clients()).map(|client| desk.ledgers().map(|ledger| ledger.grants_of(client)).sum());
        // Faults of one client are shorter by far.
        for client in clients.idle(of_clients, now, Duration::from_secs(config.stall)) {
            let complaint = format!("client {client} was granted nothing for {} s", config.stall);
            log.line(&complaint);
            desk.complain(complaint);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_change_is_idle_and_what_changes_is_not() {
        let (begin, limit) = (Instant::now(), Duration::from_secs(6));
        let mut counts = Counts::new(2, begin);
        assert!(counts.idle([1, 1].into_iter(), begin, limit).is_empty());
        assert!(counts.idle([1, 2].into_iter(), begin + limit / 2, limit).is_empty());
        assert_eq!(counts.idle([1, 2].into_iter(), begin + limit, limit), [0]);
        assert!(counts.idle([1, 2].into_iter(), begin + limit, limit).is_empty(), "not told at once again");
        assert_eq!(counts.idle([1, 2].into_iter(), begin + 2 * limit, limit), [0, 1]);
    }
}
