//! Measuring under contention: everybody wants the lock again as soon as they have released it.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fairlock::Fairlock;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use super::counter::Count;
use super::plan::Plan;
use super::referee::Referee;
use super::tally::{Contended, Failures, Latencies};
use crate::exit::Failure;

/// How long a contender pauses that failed: an ensemble in trouble is not to be hammered.
const FAILURE_PAUSE: Duration = Duration::from_millis(200);

/// What all contenders saw: a histogram for each would be gigabytes.
#[derive(Default)]
struct Seen {
    wait: Latencies,
    hand_over: Latencies,
    failures: Failures,
    /// How much had been asked of the store at the first grant and at the last.
    calls: Option<(u64, u64)>,
    still_waiting: u64,
}

/// What contenders of one lock share.
struct Stage {
    referee: Referee,
    seen: Arc<Mutex<Seen>>,
    count: Count,
    hold: Duration,
}

impl Stage {
    fn note(&self, what: impl FnOnce(&mut Seen)) {
        what(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Lets everybody contend until `end` resolves, and waits until they have gone or `give_up` resolves.
pub(super) async fn measure(
    plan: &Plan,
    clients: &[Fairlock],
    count: &Count,
    end: impl Future<Output = ()>,
    give_up: impl Future<Output = ()>,
) -> Result<Contended, Failure> {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let stage = || Stage { referee: Referee::default(), seen: seen.clone(), count: count.clone(), hold: plan.hold };
    let stages: Vec<_> = (0..plan.locks).map(|_| Arc::new(stage())).collect();
    let (stop, stopped) = watch::channel(false);
    let mut contenders = JoinSet::new();
    let mut next_client = clients.iter().cycle();
    let began = Instant::now();
    for _ in 0..plan.contenders {
        for (index, stage) in (0..plan.locks).zip(&stages) {
            // There is one at least, or nothing was opened.
            let Some(client) = next_client.next() else { continue };
            let lock = client.mutex(&plan.lock(index))?;
            contenders.spawn(contend(lock, stage.clone(), stopped.clone()));
        }
    }
    end.await;
    let elapsed = began.elapsed();
    // Who has not seen it by then is gone, which is as good.
    let _ = stop.send(true);
    let mut contended = Contended { elapsed, ..Contended::default() };
    let mut give_up = pin!(give_up);
    loop {
        let grants = tokio::select! {
            biased;
            () = &mut give_up => break,
            ended = contenders.join_next() => match ended {
                Some(Ok(grants)) => grants,
                // One that has panicked was told already.
                Some(Err(_)) => continue,
                None => break,
            },
        };
        let (least, most) = contended.grants_of_one.unwrap_or((grants, grants));
        contended.grants_of_one = Some((least.min(grants), most.max(grants)));
    }
    let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    contended.grants = seen.wait.count();
    // Who waits at the end has asked for something as well, and so had who waited at the first grant.
    contended.calls_per_acquisition = seen
        .calls
        .filter(|_| contended.grants > 1)
        .map(|(first, last)| (last - first) as f64 / (contended.grants - 1) as f64);
    contended.still_waiting = seen.still_waiting;
    (contended.wait, contended.hand_over, contended.failures) = (seen.wait, seen.hand_over, seen.failures);
    for stage in &stages {
        contended.violations.add(stage.referee.violations());
    }
    Ok(contended)
}

/// Takes the lock until it is stopped; says how often it got it.
async fn contend(lock: fairlock::Mutex, stage: Arc<Stage>, mut stopped: watch::Receiver<bool>) -> u64 {
    let (referee, hold) = (&stage.referee, stage.hold);
    let mut grants = 0;
    while !*stopped.borrow() {
        let wished = Instant::now();
        let acquired = tokio::select! {
            biased;
            // Who waits gives up its place.
            _ = stopped.wait_for(|stop| *stop) => {
                stage.note(|seen| seen.still_waiting += 1);
                break;
            }
            acquired = lock.acquire() => acquired,
        };
        let outcome = match acquired {
            Err(error) => Err(error),
            Ok(guard) => {
                let now = Instant::now();
                grants += 1;
                let token = guard.fencing_token().as_i64();
                let hand_over = referee.granted(token, stage.count.take_entered(token), now);
                stage.note(|seen| {
                    let calls = stage.count.get();
                    seen.calls = Some((seen.calls.map_or(calls, |(first, _)| first), calls));
                    seen.wait.record(now - wished);
                    hand_over.into_iter().for_each(|hand_over| seen.hand_over.record(hand_over));
                });
                let is_lost = tokio::select! {
                    biased;
                    _ = guard.lost(), if !hold.is_zero() => true,
                    _ = stopped.wait_for(|stop| *stop), if !hold.is_zero() => false,
                    // Others that hold it as well, against all promises, must have their turn to be seen.
                    () = yield_now(), if hold.is_zero() => false,
                    () = sleep(hold), if !hold.is_zero() => false,
                };
                match is_lost || !guard.is_valid() {
                    true => referee.lost(),
                    false => referee.released(Instant::now()),
                }
                guard.release().await
            }
        };
        if let Err(error) = outcome {
            stage.note(|seen| seen.failures.record(error));
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stop| *stop) => {}
                () = sleep(FAILURE_PAUSE) => {}
            }
        }
    }
    grants
}

#[cfg(test)]
mod tests {
    use fairlock::store::memory::Memory;

    use super::super::counter::Counter;
    use super::*;

    /// Two stores, of which each grants the lock, are one store that grants it twice.
    #[tokio::test]
    async fn a_lock_that_two_hold_is_told_even_if_they_hold_it_for_no_time() {
        let seen = Arc::<Mutex<Seen>>::default();
        let (stop, stopped) = watch::channel(false);
        let count = Count::default();
        let stage = Arc::new(Stage { referee: Referee::default(), seen, count, hold: Duration::ZERO });
        let mut contenders = JoinSet::new();
        for _ in 0..2 {
            let client = Fairlock::builder().open(Counter::new(Memory::new())).await.expect("a store");
            let lock = client.mutex("/twice").expect("a path");
            contenders.spawn(contend(lock, stage.clone(), stopped.clone()));
        }
        let overlaps = async {
            while stage.referee.violations().overlaps == 0 {
                yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), overlaps).await.expect("they are seen");
        let _ = stop.send(true);
        assert_eq!(contenders.join_all().await.len(), 2);
    }
}
