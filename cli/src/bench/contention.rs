//! Measuring under contention: everybody wants the lock again as soon as they have released it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fairlock::Fairlock;
use tokio::sync::watch;
use tokio::task::JoinSet;
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
}

/// What contenders of one lock share.
struct Stage {
    referee: Referee,
    seen: Arc<Mutex<Seen>>,
    hold: Duration,
}

impl Stage {
    fn note(&self, what: impl FnOnce(&mut Seen)) {
        what(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Lets everybody contend until `end` resolves.
pub(super) async fn measure(
    plan: &Plan,
    clients: &[Fairlock],
    count: &Count,
    end: impl Future<Output = ()>,
) -> Result<Contended, Failure> {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let stage = || Stage { referee: Referee::default(), seen: seen.clone(), hold: plan.hold };
    let stages: Vec<_> = (0..plan.locks).map(|_| Arc::new(stage())).collect();
    let (stop, stopped) = watch::channel(false);
    let mut contenders = JoinSet::new();
    let mut next_client = clients.iter().cycle();
    let (began, calls_before) = (Instant::now(), count.get());
    for _ in 0..plan.contenders {
        for (index, stage) in (0..plan.locks).zip(&stages) {
            // There is one at least, or nothing was opened.
            let Some(client) = next_client.next() else { continue };
            let lock = client.mutex(&plan.lock(index))?;
            contenders.spawn(contend(lock, stage.clone(), stopped.clone()));
        }
    }
    end.await;
    let (elapsed, calls) = (began.elapsed(), count.get() - calls_before);
    // Who has not seen it by then is gone, which is as good.
    let _ = stop.send(true);
    let mut contended = Contended { elapsed, ..Contended::default() };
    for grants in contenders.join_all().await {
        contended.grants += grants;
        let (least, most) = contended.grants_of_one.unwrap_or((grants, grants));
        contended.grants_of_one = Some((least.min(grants), most.max(grants)));
    }
    let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    (contended.wait, contended.hand_over, contended.failures) = (seen.wait, seen.hand_over, seen.failures);
    for stage in &stages {
        contended.violations.add(stage.referee.violations());
    }
    contended.calls_per_acquisition = (contended.grants > 0).then(|| calls as f64 / contended.grants as f64);
    Ok(contended)
}

/// Takes the lock until it is stopped; says how often it got it.
async fn contend(lock: fairlock::Mutex, stage: Arc<Stage>, mut stopped: watch::Receiver<bool>) -> u64 {
    let (referee, hold) = (&stage.referee, stage.hold);
    let mut grants = 0;
    while !*stopped.borrow() {
        let entered = Instant::now();
        let acquired = tokio::select! {
            biased;
            // Who waits gives up its place.
            _ = stopped.wait_for(|stop| *stop) => break,
            acquired = lock.acquire() => acquired,
        };
        let outcome = match acquired {
            Err(error) => Err(error),
            Ok(guard) => {
                let now = Instant::now();
                grants += 1;
                let hand_over = referee.granted(guard.fencing_token().as_i64(), entered, now);
                stage.note(|seen| {
                    seen.wait.record(now - entered);
                    hand_over.into_iter().for_each(|hand_over| seen.hand_over.record(hand_over));
                });
                let is_lost = !hold.is_zero()
                    && tokio::select! {
                        biased;
                        _ = guard.lost() => true,
                        _ = stopped.wait_for(|stop| *stop) => false,
                        () = sleep(hold) => false,
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
