//! What the library itself takes, without a server: locks on the embedded store, and what is parsed. `cargo bench --package
//! fairlock-benchmarks` runs it. Nothing is judged here: what must not grow is counted in instructions (evidence/instructions).

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use fairlock::queue::{Sequence, read_children};
use fairlock::store::memory::Memory;
use fairlock::{Fairlock, Guard, Mutex, Ticket};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

criterion_main!(in_process);

criterion_group! {
    name = in_process;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_secs(1));
    targets = cycle, hand_over, drain, held, parsing
}

/// A lock on the embedded store, and the runtime that serves it.
struct World {
    runtime: Runtime,
    memory: Memory,
    lock: Mutex,
}

const NO_FAULTS: &str = "the embedded store has no faults of its own";

impl World {
    fn new() -> Self {
        let runtime =
            Builder::new_current_thread().enable_time().build().expect("a runtime of one thread needs nothing");
        let (memory, lock) = runtime.block_on(async {
            let memory = Memory::new();
            let locks = Fairlock::builder().open(memory.clone()).await.expect(NO_FAULTS);
            (memory, locks.mutex("/bench").expect("a good path"))
        });
        Self { runtime, memory, lock }
    }

    async fn acquire(&self) -> Guard {
        self.lock.acquire().await.expect(NO_FAULTS)
    }

    /// Until the holder and so many waiters have their watches: one for the own node, and waiters one for their predecessor.
    async fn until_waiting(&self, waiters: usize) {
        while self.memory.watches() < 1 + 2 * waiters {
            tokio::task::yield_now().await;
        }
    }
}

fn cycle(criterion: &mut Criterion) {
    let world = World::new();
    let cycle = || async { world.acquire().await.release().await.expect(NO_FAULTS) };
    criterion.bench_function("acquire and release", |bencher| bencher.iter(|| world.runtime.block_on(cycle())));
}

/// From the release to the next grant, without the waiter's way into the queue.
fn hand_over(criterion: &mut Criterion) {
    let world = &World::new();
    let hand_overs = |times| async move {
        let (mut taken, mut guard) = (Duration::ZERO, world.acquire().await);
        for _ in 0..times {
            let lock = world.lock.clone();
            let waiter = tokio::spawn(async move { lock.acquire().await });
            world.until_waiting(1).await;
            let started = Instant::now();
            guard.release().await.expect(NO_FAULTS);
            guard = waiter.await.expect("it does not panic").expect(NO_FAULTS);
            taken += started.elapsed();
        }
        guard.release().await.expect(NO_FAULTS);
        taken
    };
    criterion
        .bench_function("hand-over", |bencher| bencher.iter_custom(|times| world.runtime.block_on(hand_overs(times))));
}

fn drain(criterion: &mut Criterion) {
    const WAITERS: usize = 1_000;
    let world = &World::new();
    let drains = |times| async move {
        let mut taken = Duration::ZERO;
        for _ in 0..times {
            let guard = world.acquire().await;
            let mut waiters = JoinSet::new();
            for _ in 0..WAITERS {
                let lock = world.lock.clone();
                waiters.spawn(async move { lock.acquire().await?.release().await });
            }
            world.until_waiting(WAITERS).await;
            let started = Instant::now();
            guard.release().await.expect(NO_FAULTS);
            while let Some(outcome) = waiters.join_next().await {
                outcome.expect("it does not panic").expect(NO_FAULTS);
            }
            taken += started.elapsed();
        }
        taken
    };
    let mut group = criterion.benchmark_group("drain");
    group.sample_size(10);
    group.bench_function("1,000 waiters", |bencher| bencher.iter_custom(|times| world.runtime.block_on(drains(times))));
    group.finish();
}

fn held(criterion: &mut Criterion) {
    let world = World::new();
    let guard = world.runtime.block_on(world.acquire());
    criterion.bench_function("is_valid", |bencher| bencher.iter(|| black_box(&guard).is_valid()));
    let attempt = || async { assert!(world.lock.try_acquire().await.expect(NO_FAULTS).is_none()) };
    criterion.bench_function("try_acquire, held", |bencher| bencher.iter(|| world.runtime.block_on(attempt())));
}

fn parsing(criterion: &mut Criterion) {
    const TICKET: &[u8] =
        br#"{"id":"4f1d2c3b4a5968778695a4b3c2d1e0f0","owner":"billing-7","host":"worker-12","pid":4711,"since_unix_ms":1767225600000}"#;
    let names: Vec<_> = (0..1_000).map(|number| Sequence::from(number * 7 % 1_000).node_name()).collect();
    criterion.bench_function("read a name", |bencher| bencher.iter(|| Sequence::of_node(black_box("lock-0000012345"))));
    criterion.bench_function("read a list of 1,000", |bencher| bencher.iter(|| read_children(black_box(&names))));
    criterion.bench_function("read a ticket", |bencher| bencher.iter(|| Ticket::parse(black_box(TICKET))));
}
