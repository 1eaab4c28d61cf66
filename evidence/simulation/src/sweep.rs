//! Many histories, on several threads, with an eye on those that never end.
//!
//! Seeds are handed out in order, and the first violation stops that. What was handed out before is still run, so that
//! the lowest failing seed is found, whatever the threads do. Paused time cannot hang, but a task that never waits can:
//! such a history is a violation as well.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::judge::Violation;
use crate::plan::{Plan, Sabotage};
use crate::{Outcome, Stats, run};

/// How often the running histories are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// What to run.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The seeds.
    pub seeds: Range<u64>,
    /// Begin no history after this point.
    pub until: Option<Instant>,
    /// How many run at the same time.
    pub threads: usize,
    /// The deliberate error, if there is one.
    pub sabotage: Option<Sabotage>,
    /// How long one history may take; ordinary ones take milliseconds.
    pub patience: Duration,
}

/// What became of a sweep.
#[derive(Debug, Default)]
pub struct Swept {
    /// What happened in all histories that ended.
    pub stats: Stats,
    /// The history with the lowest seed among those that broke a property.
    pub failure: Option<Failure>,
}

/// A history that broke a property.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// What it had.
    pub plan: Plan,
    /// Its deliberate error, if it had one.
    pub sabotage: Option<Sabotage>,
    /// The first property that was broken.
    pub violation: Violation,
    /// The hash of its trace; none if it never ended.
    pub hash: Option<u64>,
}

enum Message {
    Begun(usize, u64),
    Done(usize, Box<Outcome>),
}

#[derive(Debug)]
struct Queue {
    next: AtomicU64,
    is_over: AtomicBool,
}

impl Sweep {
    /// Seeds with the patience of a busy machine.
    pub fn new(seeds: Range<u64>) -> Self {
        Self { seeds, until: None, threads: 1, sabotage: None, patience: Duration::from_secs(30) }
    }

    /// Runs the seeds, and tells after each how many have ended.
    pub fn run(&self, mut progress: impl FnMut(u64)) -> Swept {
        self.run_with(run, &mut progress)
    }

    fn run_with(&self, history: fn(u64, Option<Sabotage>, bool) -> Outcome, progress: &mut dyn FnMut(u64)) -> Swept {
        let queue = Arc::new(Queue { next: AtomicU64::new(self.seeds.start), is_over: AtomicBool::new(false) });
        let (sender, receiver) = channel();
        for worker in 0..self.threads.max(1) {
            let (sweep, queue, sender) = (self.clone(), queue.clone(), sender.clone());
            // Not joined: one that never ends must not keep the verdict back.
            thread::spawn(move || sweep.work(worker, history, &queue, &sender));
        }
        drop(sender);
        let mut swept = Swept::default();
        let mut running: BTreeMap<usize, (u64, Duration)> = BTreeMap::new();
        let mut looked_at = Instant::now();
        loop {
            match receiver.recv_timeout(LOOK_INTERVAL) {
                Ok(Message::Begun(worker, seed)) => drop(running.insert(worker, (seed, Duration::ZERO))),
                Ok(Message::Done(worker, outcome)) => {
                    running.remove(&worker);
                    swept.stats.add(&outcome.stats);
                    progress(swept.stats.seeds);
                    if let Some(failure) = Failure::of(*outcome, self.sabotage) {
                        queue.is_over.store(true, Ordering::Relaxed);
                        swept.note(failure);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return swept,
            }
            if looked_at.elapsed() < LOOK_INTERVAL {
                continue;
            }
            looked_at = Instant::now();
            for (seed, taken) in running.values_mut() {
                // Not by the clock: time for which this whole process was stopped does not count.
                *taken += LOOK_INTERVAL;
                if *taken > self.patience {
                    swept.note(self.hung(*seed));
                    return swept;
                }
            }
        }
    }

    fn work(
        &self,
        worker: usize,
        history: fn(u64, Option<Sabotage>, bool) -> Outcome,
        queue: &Queue,
        sender: &Sender<Message>,
    ) {
        let is_late = || self.until.is_some_and(|until| Instant::now() >= until);
        while !queue.is_over.load(Ordering::Relaxed) && !is_late() {
            let seed = queue.next.fetch_add(1, Ordering::Relaxed);
            if seed >= self.seeds.end || sender.send(Message::Begun(worker, seed)).is_err() {
                return;
            }
            let outcome = history(seed, self.sabotage, false);
            if sender.send(Message::Done(worker, Box::new(outcome))).is_err() {
                return;
            }
        }
    }

    fn hung(&self, seed: u64) -> Failure {
        let seen = format!("the history did not end within {} s of real time", self.patience.as_secs());
        let violation = Violation { property: "no progress", seen, at_ms: 0 };
        let plan = Plan::of_seed(seed, self.sabotage);
        Failure { seed, plan, sabotage: self.sabotage, violation, hash: None }
    }
}

impl Swept {
    fn note(&mut self, failure: Failure) {
        if self.failure.as_ref().is_none_or(|known| failure.seed < known.seed) {
            self.failure = Some(failure);
        }
    }
}

impl Failure {
    /// The failure of a history, if it is one.
    pub fn of(outcome: Outcome, sabotage: Option<Sabotage>) -> Option<Self> {
        let Outcome { seed, plan, hash, violation, .. } = outcome;
        Some(Self { seed, plan, sabotage, violation: violation?, hash: Some(hash) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(seed: u64, violation: Option<Violation>) -> Outcome {
        let plan = Plan::of_seed(seed, None);
        Outcome { seed, plan, hash: 0, stats: Stats { seeds: 1, ..Stats::default() }, violation, trace: vec![] }
    }

    fn broken_from_the_eighth_on(seed: u64, _: Option<Sabotage>, _: bool) -> Outcome {
        let violation = Violation { property: "no panic", seen: String::new(), at_ms: 0 };
        outcome(seed, (seed >= 7).then_some(violation))
    }

    fn endless_at_three(seed: u64, _: Option<Sabotage>, _: bool) -> Outcome {
        if seed == 3 {
            loop {
                thread::park();
            }
        }
        outcome(seed, None)
    }

    #[test]
    fn the_lowest_failing_seed_is_found_on_any_number_of_threads() {
        for threads in [1, 2, 5] {
            let sweep = Sweep { threads, ..Sweep::new(0..1_000) };
            let swept = sweep.run_with(broken_from_the_eighth_on, &mut |_| {});
            assert_eq!(swept.failure.map(|failure| failure.seed), Some(7));
            assert!(swept.stats.seeds >= 8, "those before it are run: {:?}", swept.stats);
        }
    }

    #[test]
    fn all_seeds_are_run_if_none_fails() {
        let mut told = 0;
        let swept = Sweep { threads: 3, ..Sweep::new(10..17) }.run(|ended| told = ended);
        assert!(swept.failure.is_none(), "{:?}", swept.failure);
        assert_eq!((swept.stats.seeds, told), (7, 7));
    }

    #[test]
    fn a_history_that_never_ends_is_a_violation() {
        let sweep = Sweep { threads: 2, patience: Duration::from_millis(300), ..Sweep::new(0..1_000_000_000) };
        let failure = sweep.run_with(endless_at_three, &mut |_| {}).failure.expect("seed 3 never ends");
        assert_eq!((failure.seed, failure.violation.property, failure.hash), (3, "no progress", None));
    }

    #[test]
    fn no_history_begins_after_its_time() {
        let sweep = Sweep { until: Some(Instant::now()), ..Sweep::new(0..10) };
        assert_eq!(sweep.run(|_| {}).stats.seeds, 0);
    }
}
