//! Semaphores: permits that are free, and permits that are waited for.

use fairlock::Permit;

use super::Book;
use super::stage::{Line, Stage, path};
use crate::formula;
use crate::meter::Cost;

const PERMITS: u32 = 3;

pub(super) async fn all(book: &mut Book) {
    let size = book.size;
    let mut stage = Stage::set(size).await;
    let semaphore =
        |stage: &Stage, lock, place| stage.session(lock, place).semaphore(&path(lock), PERMITS).expect("a good path");
    // The first use makes what is missing.
    for lock in 0..size.locks {
        semaphore(&stage, lock, 0).acquire().await.expect("free").release().await.expect("held");
    }
    stage.cost().await;
    let mut lines: Vec<(Vec<Permit>, Line<Permit>)> = Vec::new();
    for lock in 0..size.locks {
        let mut permits = Vec::new();
        for place in 0..u64::from(PERMITS) {
            permits.push(semaphore(&stage, lock, place).acquire().await.expect("free"));
            tokio::task::yield_now().await;
        }
        lines.push((permits, Line::new()));
    }
    let each = (0..u64::from(PERMITS)).fold(Cost::NONE, |sum, held| sum + formula::permit(held));
    book.cost("three free permits are taken", size.locks * each, stage.cost().await);
    for (lock, (_, line)) in (0..).zip(&mut lines) {
        for place in 1..=size.waiters {
            let semaphore = semaphore(&stage, lock, place);
            line.come(async move { semaphore.acquire().await });
        }
    }
    book.cost("waiters for permits come", formula::permits_gather(size, PERMITS.into()), stage.cost().await);
    if size.waiters < 2 {
        return;
    }
    let mut granted = Vec::new();
    for (permits, line) in &mut lines {
        permits.remove(0).release().await.expect("held");
        granted.push(line.next().await);
    }
    let expected = size.locks * formula::permit_hand_over(size, PERMITS.into());
    book.cost("a permit is handed over", expected, stage.cost().await);
}
