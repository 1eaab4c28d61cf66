//! Taking a lock that nobody has, and giving it back.

use crate::plan::Plan;
use crate::results::{Results, Shot, Work};
use crate::stage::Stage;
use crate::statistics::median_time;

/// A server and its clients that have just started compile themselves meanwhile, some of them.
pub(super) async fn warm_up(stage: &mut Stage, plan: &Plan) {
    for entrant in &mut stage.entrants {
        let lock = entrant.lock("warm");
        for _ in 0..plan.warm_up {
            // Whoever cannot do it will say so when it counts.
            if entrant.contender.acquire(&lock).await.is_err() || entrant.contender.release().await.is_err() {
                break;
            }
        }
    }
}

pub(super) async fn run(stage: &mut Stage, plan: &Plan, results: &mut Results) {
    for link in plan.links.iter().copied() {
        // Where the link takes most of the time, fewer do.
        let cycles = if link.is_slow() { plan.cycles.div_ceil(4) } else { plan.cycles };
        let shoot = async |entrant: &mut crate::stage::Entrant, _: &crate::stage::Observer| {
            let lock = entrant.lock("uncontended");
            let mut times = Vec::new();
            for _ in 0..cycles {
                let acquired = entrant.contender.acquire(&lock).await?;
                times.push(acquired + entrant.contender.release().await?);
            }
            entrant.settle(link, std::time::Duration::ZERO).await;
            let (_, acquire) = entrant.counted_so_far(async |contender| contender.acquire(&lock).await).await?;
            let (_, release) = entrant.counted(link, async |contender| contender.release().await).await?;
            let time = median_time(&times).unwrap_or_default();
            Ok(Some(Shot::new(time, vec![("acquire", acquire), ("release", release)])))
        };
        stage.rounds((Work::Uncontended, link), plan.rounds, true, results, shoot).await;
    }
}
