//! Many locks that have nothing to do with each other, each taken and given back all the time.

use crate::contenders::Independent;
use crate::plan::Plan;
use crate::results::{Results, Shot, Work};
use crate::stage::{Entrant, Observer, Stage};

/// From so many locks on it is a crowd, which takes its time.
const CROWD: usize = 1_000;

pub(super) async fn run(stage: &mut Stage, plan: &Plan, results: &mut Results) {
    let slowest = plan.links.iter().copied().max();
    for of in plan.independent.iter().copied() {
        let Independent { locks, sessions } = of;
        let is_crowd = locks >= CROWD;
        // A crowd keeps the processors busy whatever the link, so the links between tell nothing new.
        let links = plan.links.iter().copied().filter(|link| !is_crowd || !link.is_slow() || Some(*link) == slowest);
        for link in links {
            let cycles = match (is_crowd, link.is_slow()) {
                (true, _) => plan.cycles.div_ceil(10),
                (false, false) => plan.cycles.div_ceil(2),
                (false, true) => plan.cycles.div_ceil(4),
            };
            let shoot = async |entrant: &mut Entrant, _: &Observer| {
                let lock = entrant.lock(&format!("i{locks}-{sessions}"));
                let took = entrant.contender.independent(&lock, of, cycles).await?;
                Ok(Some(Shot::new(took / u32::try_from(locks * cycles).unwrap_or(u32::MAX), vec![])))
            };
            let rounds = if is_crowd { plan.crowd_rounds.min(3) } else { plan.crowd_rounds };
            stage.rounds((Work::Independent(of), link), rounds, true, results, shoot).await;
        }
    }
}
