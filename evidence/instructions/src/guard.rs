//! What a holder asks its guard, again and again.

use std::hint::black_box;
use std::sync::Arc;

use async_trait::async_trait;
use fairlock::clock::{Clock, Timestamp};
use fairlock::store::memory::Memory;
use fairlock::{Fairlock, Guard};
use tokio::runtime::{Builder, Runtime};

use crate::operations::{REPETITIONS, Work};

pub(crate) fn is_valid() -> Work {
    let (runtime, guard) = held();
    Box::new(move || {
        for _ in 0..REPETITIONS {
            assert!(black_box(&guard).is_valid());
        }
        // The session lives in it.
        black_box(&runtime);
    })
}

fn held() -> (Runtime, Guard) {
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime of one thread needs nothing");
    let guard = runtime.block_on(async {
        let locks = Fairlock::builder().open(Memory::with_clock(Arc::new(StoppedClock))).await?;
        locks.mutex("/counted")?.acquire().await
    });
    (runtime, guard.expect("the embedded store has no faults of its own"))
}

/// The system's clock is not counted: under valgrind it is another, and with some versions of valgrind there is none.
#[derive(Debug)]
struct StoppedClock;

#[async_trait]
impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }

    async fn sleep_until(&self, _point: Timestamp) {
        std::future::pending().await
    }

    fn unix_millis(&self) -> u64 {
        0
    }
}
