//! From nothing to the first lock: a connection, a session, a grant. The lock's directory is there already.

use crate::plan::Plan;
use crate::results::{Results, Shot, Work};
use crate::stage::{Entrant, Observer, Stage};

pub(super) async fn run(stage: &mut Stage, plan: &Plan, results: &mut Results) {
    for link in plan.links.iter().copied() {
        let shoot = async |entrant: &mut Entrant, _: &Observer| {
            let lock = entrant.lock("cold");
            let time = entrant.contender.cold_start(&lock).await?;
            Ok(Some(Shot { time, costs: vec![] }))
        };
        stage.rounds((Work::ColdStart, link), plan.rounds, true, results, shoot).await;
    }
}
