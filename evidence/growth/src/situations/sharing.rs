//! Read-write locks: readers who come to a writer, and go.

use std::time::Duration;

use fairlock::{ReadGuard, WriteGuard};

use super::Book;
use super::stage::{Line, Stage, path};
use crate::formula::{self, Size};

pub(super) async fn all(book: &mut Book) {
    for is_at_once in [false, true] {
        readers(book, is_at_once).await;
    }
}

async fn write(stage: &Stage, lock: u64) -> WriteGuard {
    stage.session(lock, 0).rw_lock(&path(lock)).expect("a good path").write().await.expect("granted")
}

async fn readers(book: &mut Book, is_at_once: bool) {
    let size = book.size;
    // With requests that take time, all have entered before the first one lists.
    let latency = if is_at_once { Duration::from_millis(1) } else { Duration::ZERO };
    let mut stage = Stage::with(size.sessions, latency, Duration::from_secs(24 * 60 * 60)).await;
    let mut lines: Vec<(WriteGuard, Line<ReadGuard>)> = Vec::new();
    for lock in 0..size.locks {
        lines.push((write(&stage, lock).await, Line::new()));
    }
    stage.cost().await;
    for (lock, (_, line)) in (0..).zip(&mut lines) {
        for place in 1..=size.waiters {
            let rw_lock = stage.session(lock, place).rw_lock(&path(lock)).expect("a good path");
            line.come(async move { rw_lock.read().await });
            if !is_at_once {
                tokio::task::yield_now().await;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
    let (situation, expected) = match is_at_once {
        false => ("readers come to a writer, one by one", formula::readers_one_by_one(size)),
        true => ("readers come to a writer, all at once", formula::readers_at_once(size)),
    };
    book.cost(situation, expected, stage.cost().await);
    let mut guards = Vec::new();
    for (writer, mut line) in lines {
        writer.release().await.expect("held");
        while line.len() > 0 {
            guards.push(line.next().await);
        }
    }
    book.cost("the writer leaves, all readers are granted", formula::readers_granted(size), stage.cost().await);
    if size.waiters > 0 {
        behind(book, &mut stage, size).await;
    }
    for guard in guards {
        guard.release().await.expect("held");
    }
    book.cost("the readers leave", formula::readers_leave(size), stage.cost().await);
}

/// Writers come, and give up again so that they are not there when the readers leave.
async fn behind(book: &mut Book, stage: &mut Stage, size: Size) {
    let rw_lock = stage.session(0, size.waiters + 1).rw_lock(&path(0)).expect("a good path");
    let mut line = Line::new();
    for situation in ["a writer comes to the readers", "a writer comes to that writer"] {
        let rw_lock = rw_lock.clone();
        line.come(async move { rw_lock.write().await });
        book.cost(situation, formula::writer_comes(), stage.cost().await);
    }
    line.give_up(1);
    line.give_up(0);
    stage.cost().await;
}
