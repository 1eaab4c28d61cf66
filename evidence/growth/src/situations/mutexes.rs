//! Mutexes: entering, waiting, handing over, giving up, and what an interruption costs.

use fairlock::Guard;

use super::Book;
use super::stage::{Line, Stage, path};
use crate::formula::{self, Size};

pub(super) async fn all(book: &mut Book) {
    alone(book).await;
    contended(book).await;
    giving_up(book).await;
    expiring(book).await;
    reconnecting(book).await;
    keeping(book).await;
}

async fn alone(book: &mut Book) {
    let mut stage = Stage::set(book.size).await;
    for lock in 0..book.size.locks {
        let guard = acquire(&stage, lock, 0).await;
        // The directory of all locks, the lock's, and the queue's.
        let missing = if lock == 0 { 3 } else { 2 };
        drop(guard.release().await);
        book.cost("first use and release", formula::first_use(missing) + formula::release(false), stage.cost().await);
    }
    let mut guards = Vec::new();
    let before = stage.store.cost();
    for lock in 0..book.size.locks {
        guards.push(acquire(&stage, lock, 0).await);
    }
    book.cost("acquire, nobody there", book.size.locks * formula::acquire(), stage.store.cost() - before);
    book.cost("hold for more than 50 ms", book.size.locks * (formula::acquire() + formula::hold()), stage.cost().await);
    for guard in guards {
        guard.release().await.expect("held");
    }
    book.cost("release, nobody waits", book.size.locks * formula::release(true), stage.cost().await);
    book.note("watches when nobody is there", vec![0], vec![stage.store.watches()]);
}

async fn acquire(stage: &Stage, lock: u64, place: u64) -> Guard {
    stage.session(lock, place).mutex(&path(lock)).expect("a good path").acquire().await.expect("granted")
}

/// Each lock with a holder and its line. The costs of that are told.
async fn gathered(stage: &mut Stage, size: Size) -> Vec<(Guard, Line<Guard>)> {
    let mut lines = Vec::new();
    for lock in 0..size.locks {
        lines.push((acquire(stage, lock, 0).await, Line::new()));
    }
    stage.cost().await;
    for (lock, (_, line)) in (0..).zip(&mut lines) {
        for place in 1..=size.waiters {
            let mutex = stage.session(lock, place).mutex(&path(lock)).expect("a good path");
            line.come(async move { mutex.acquire().await });
        }
    }
    lines
}

async fn drain(lines: Vec<(Guard, Line<Guard>)>) {
    for (mut guard, mut line) in lines {
        while line.len() > 0 {
            guard.release().await.expect("held");
            guard = line.next().await;
        }
        guard.release().await.expect("held");
    }
}

async fn contended(book: &mut Book) {
    let size = book.size;
    let mut stage = Stage::set(size).await;
    let lines = gathered(&mut stage, size).await;
    book.cost("all waiters come at once", formula::gather(size), stage.cost().await);
    book.note("watches", vec![formula::watches(size)], vec![stage.store.watches()]);
    book.note("znodes of contenders", vec![formula::ephemerals(size)], vec![stage.store.ephemerals()]);
    book.note("znodes that stay", vec![1 + 2 * size.locks], vec![stage.store.directories()]);
    // No look comes before 22.5 s, the first before 30 s, the second not before 45 s.
    tokio::time::sleep(std::time::Duration::from_secs(22)).await;
    book.cost("looks for missed events within 22 s", formula::looks(size, 0), stage.cost().await);
    tokio::time::sleep(std::time::Duration::from_secs(8)).await;
    book.cost("looks for missed events within 30 s", formula::looks(size, 1), stage.cost().await);
    drain(lines).await;
    book.cost("drain", formula::drain(size), stage.cost().await);
    book.note("watches after a drain", vec![0], vec![stage.store.watches()]);
}

async fn giving_up(book: &mut Book) {
    let size = book.size;
    let mut stage = Stage::set(size).await;
    let mut lines = gathered(&mut stage, size).await;
    stage.cost().await;
    for _ in 0..size.waiters {
        for (_, line) in &mut lines {
            line.give_up(0);
        }
        // One after the other: each is gone before the next goes.
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    book.cost("all waiters give up, the foremost first", formula::give_up_from_the_front(size), stage.cost().await);
}

async fn expiring(book: &mut Book) {
    let size = Size { locks: 1, ..book.size };
    if size.sessions == 1 || size.waiters == 0 || size.sessions <= size.waiters {
        // With others of the same session, they would end as well.
        return;
    }
    let mut stage = Stage::set(size).await;
    let mut lines = gathered(&mut stage, size).await;
    stage.cost().await;
    stage.store.expire(stage.store.sessions()[0]);
    let next = lines[0].1.next().await;
    book.cost("the holder's session ends", formula::expiry(size), stage.cost().await);
    drop(next);
}

async fn reconnecting(book: &mut Book) {
    let size = book.size;
    let mut stage = Stage::set(size).await;
    let lines = gathered(&mut stage, size).await;
    stage.cost().await;
    stage.store.reconnect_all();
    // The keeper looks at once whether a server answers.
    let mut contending: Vec<_> = vec![false; size.sessions as usize];
    for lock in 0..size.locks {
        for place in 0..=size.waiters {
            contending[((lock + place) % size.sessions) as usize] = true;
        }
    }
    let writing = contending.iter().filter(|is_contending| **is_contending).count() as u64;
    let expected = crate::meter::Cost::of(writing, size.sessions - writing, 0);
    book.cost("all sessions reconnect", expected, stage.cost().await);
    drain(lines).await;
    book.cost("drain after a reconnect", formula::drain_after_reconnect(size), stage.cost().await);
}

async fn keeping(book: &mut Book) {
    const TIMEOUT: std::time::Duration = std::time::Duration::from_millis(10_010);
    const BEATS: u64 = 14;
    let size = book.size;
    for is_contending in [false, true] {
        let mut stage = Stage::with(size.sessions, std::time::Duration::ZERO, TIMEOUT).await;
        let mut guards = Vec::new();
        for session in 0..size.sessions {
            if is_contending {
                guards.push(acquire(&stage, 1_000_000 + session, size.sessions * 1_000_000 - 1_000_000).await);
            }
        }
        stage.cost().await;
        // Past the last beat, before the next.
        tokio::time::sleep(TIMEOUT / 7 * BEATS as u32).await;
        let situation = if is_contending { "14 beats with contenders" } else { "14 beats of idle sessions" };
        book.cost(situation, formula::keeping(size, BEATS, is_contending), stage.cost().await);
    }
}
