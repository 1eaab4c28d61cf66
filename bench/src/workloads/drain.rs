//! A queue in which each releases as soon as it holds, until nobody is left.

use std::cell::RefCell;
use std::collections::HashSet;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::contenders::Name;
use crate::error::Error;
use crate::plan::Plan;
use crate::results::{Link, Results, Shot, Work};
use crate::stage::{Entrant, Observer, Stage};

/// For other locks with a large queue, which read a list of all when they come and at each hand-over: to gather it and to
/// drain it.
const PATIENCE: Duration = Duration::from_secs(300);

pub(super) async fn run(stage: &mut Stage, plan: &Plan, results: &mut Results) {
    let link = stage.loopback();
    for waiters in plan.drains.iter().copied() {
        let shoot =
            async |entrant: &mut Entrant, observer: &Observer| drain(entrant, link, waiters, observer).await.map(Some);
        stage.rounds((Work::Drain { waiters }, link), plan.crowd_rounds, waiters <= 100, results, shoot).await;
    }
}

pub(super) async fn run_large(stage: &mut Stage, plan: &Plan, results: &mut Results) {
    let link = stage.loopback();
    for waiters in plan.large_drains.iter().copied() {
        let had_a_turn = RefCell::new(HashSet::new());
        let shoot = async |entrant: &mut Entrant, observer: &Observer| {
            if matches!(entrant.name, Name::Floor | Name::Fairlock) {
                return drain(entrant, link, waiters, observer).await.map(Some);
            }
            if !plan.large_peers || !had_a_turn.borrow_mut().insert(entrant.name) {
                return Ok(None);
            }
            let started = Instant::now();
            match timeout(PATIENCE, drain(entrant, link, waiters, observer)).await {
                Ok(Ok(shot)) => Ok(Some(shot)),
                Ok(Err(error)) => Err(Error::Peer(format!("{error} (after {:.0} s)", started.elapsed().as_secs_f64()))),
                Err(_) => Err(Error::Peer(format!("no end after {:.0} s", started.elapsed().as_secs_f64()))),
            }
        };
        stage.rounds((Work::Drain { waiters }, link), plan.crowd_rounds, false, results, shoot).await;
    }
}

async fn drain(entrant: &mut Entrant, link: Link, waiters: usize, observer: &Observer) -> crate::error::Result<Shot> {
    entrant.gather(link, waiters, observer).await?;
    let (time, cost) = entrant.counted(link, async |contender| contender.drain().await).await?;
    entrant.contender.disperse().await?;
    Ok(Shot::new(time / u32::try_from(waiters).unwrap_or(u32::MAX), vec![("hand-over", cost)]))
}
