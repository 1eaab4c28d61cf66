//! The processor time that the server spends on locks: the whole process, so that what it does besides is in it too.

use std::time::Duration;

use crate::plan::Plan;
use crate::results::{Busy, LOOPBACK, Results, Shot, Work};
use crate::stage::{Entrant, Observer, QUIET, Stage};

/// Of hand-overs: the largest crowd that enters quickly.
const WAITERS_MAX: usize = 64;

/// So many times as many cycles as make a figure of time: the clock of a process may tick a hundred times a second only.
const CYCLES: usize = 10;

pub(super) async fn run(stage: &mut Stage, plan: &Plan, results: &mut Results) {
    cycles(stage, plan, results).await;
    if let Some(waiters) = plan.waiters.iter().copied().filter(|waiters| *waiters <= WAITERS_MAX).max() {
        hand_overs(stage, plan, results, waiters).await;
    }
    for waiters in plan.drains.iter().copied() {
        let shoot = async |entrant: &mut Entrant, observer: &Observer| {
            if !entrant.name.is_on_zookeeper() {
                return Ok(None);
            }
            entrant.gather(LOOPBACK, waiters, observer).await?;
            let before = observer.server_time().await?;
            entrant.contender.drain().await?;
            entrant.settle(LOOPBACK, QUIET).await;
            let spent = observer.server_time().await?.saturating_sub(before);
            entrant.contender.disperse().await?;
            Ok(Some(each(spent, waiters)))
        };
        let of = (Work::Server(Busy::Drain { waiters }), LOOPBACK);
        stage.rounds(of, plan.crowd_rounds, false, results, shoot).await;
    }
}

async fn cycles(stage: &mut Stage, plan: &Plan, results: &mut Results) {
    let cycles = plan.cycles * CYCLES;
    let shoot = async |entrant: &mut Entrant, observer: &Observer| {
        if !entrant.name.is_on_zookeeper() {
            return Ok(None);
        }
        let lock = entrant.lock("uncontended");
        let before = observer.server_time().await?;
        for _ in 0..cycles {
            entrant.contender.acquire(&lock).await?;
            entrant.contender.release().await?;
        }
        Ok(Some(each(observer.server_time().await?.saturating_sub(before), cycles)))
    };
    let of = (Work::Server(Busy::Cycle), LOOPBACK);
    stage.rounds(of, plan.crowd_rounds, true, results, shoot).await;
}

/// From a quarter more than so many to a quarter less, since those who come anew would cost the server more than a hand-over does.
async fn hand_overs(stage: &mut Stage, plan: &Plan, results: &mut Results, waiters: usize) {
    let quarter = (waiters / 4).max(1);
    let shoot = async |entrant: &mut Entrant, observer: &Observer| {
        if !entrant.name.is_on_zookeeper() {
            return Ok(None);
        }
        entrant.gather(LOOPBACK, waiters + quarter, observer).await?;
        let before = observer.server_time().await?;
        for _ in 0..2 * quarter {
            entrant.contender.hand_over().await?;
        }
        entrant.settle(LOOPBACK, QUIET).await;
        let spent = observer.server_time().await?.saturating_sub(before);
        entrant.contender.disperse().await?;
        Ok(Some(each(spent, 2 * quarter)))
    };
    let of = (Work::Server(Busy::HandOver { waiters }), LOOPBACK);
    stage.rounds(of, plan.crowd_rounds, true, results, shoot).await;
}

fn each(spent: Duration, times: usize) -> Shot {
    Shot::new(spent / u32::try_from(times).unwrap_or(u32::MAX).max(1), vec![])
}
