//! Many locks that have nothing to do with each other, over one session, each taken and given back all the time.

use crate::plan::Plan;
use crate::results::{Results, Shot, Work};
use crate::stage::{Entrant, Observer, Stage};

pub(super) async fn run(stage: &mut Stage, plan: &Plan, results: &mut Results) {
    let locks = plan.locks;
    for link in plan.links.iter().copied() {
        let cycles = if link.is_slow() { plan.cycles.div_ceil(4) } else { plan.cycles };
        let shoot = async |entrant: &mut Entrant, _: &Observer| {
            let lock = entrant.lock("independent");
            let took = entrant.contender.independent(&lock, locks, cycles).await?;
            let each = took / u32::try_from(locks * cycles).unwrap_or(u32::MAX);
            Ok(Some(Shot { time: each, costs: vec![] }))
        };
        stage.rounds((Work::Independent { locks }, link), plan.rounds.div_ceil(2), true, results, shoot).await;
    }
}
