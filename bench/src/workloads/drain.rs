//! A queue in which each releases as soon as it holds, until nobody is left.

use crate::contenders::Name;
use crate::plan::Plan;
use crate::results::{Results, Shot, Work};
use crate::stage::{Entrant, Observer, Stage};

pub(super) async fn run(stage: &mut Stage, plan: &Plan, results: &mut Results) {
    let link = stage.loopback();
    let drains = plan.drains.iter().map(|waiters| (*waiters, false));
    let large = plan.large_drains.iter().map(|waiters| (*waiters, true));
    for (waiters, is_large) in drains.chain(large) {
        let shoot = async |entrant: &mut Entrant, observer: &Observer| {
            // Lists of all, read by all, would take hours.
            if is_large && !matches!(entrant.name, Name::Floor | Name::Fairlock) {
                return Ok(None);
            }
            entrant.gather(link, waiters, observer).await?;
            let (time, cost) = entrant.counted(link, async |contender| contender.drain().await).await?;
            entrant.contender.disperse().await?;
            let each = time / u32::try_from(waiters).unwrap_or(u32::MAX);
            Ok(Some(Shot { time: each, costs: vec![("hand-over", cost)] }))
        };
        stage.rounds((Work::Drain { waiters }, link), plan.crowd_rounds, waiters <= 100, results, shoot).await;
    }
}
