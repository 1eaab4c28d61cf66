//! Many locks that have nothing to do with each other, each taken and given back all the time.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use crate::contenders::Independent;
use crate::plan::Plan;
use crate::results::{Results, Shot, Work};
use crate::stage::{Entrant, Observer, Stage};

/// A figure takes about so long, as far as it can be had with fewer than so many times as many cycles as are planned: a tenth of a
/// second has more of the beginning and the end in it than of what is in between.
const FIGURE: Duration = Duration::from_millis(400);
const MORE_MAX: usize = 20;

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
                (true, _) => 1,
                (false, false) => plan.cycles.div_ceil(2),
                (false, true) => plan.cycles.div_ceil(4),
            };
            // Found out in the first round, which is not counted.
            let suitable = RefCell::new(HashMap::new());
            let shoot = async |entrant: &mut Entrant, _: &Observer| {
                let lock = entrant.lock(&format!("i{locks}-{sessions}"));
                let known = suitable.borrow().get(&entrant.name).copied();
                let cycles = known.unwrap_or(cycles);
                let took = entrant.contender.independent(&lock, of, cycles).await?;
                if known.is_none() {
                    let more = FIGURE.as_nanos().div_ceil(took.as_nanos().max(1));
                    let more = usize::try_from(more).map_or(MORE_MAX, |more| more.min(MORE_MAX));
                    suitable.borrow_mut().insert(entrant.name, if plan.warm_up > 0 { cycles * more } else { cycles });
                }
                Ok(Some(Shot::new(took / u32::try_from(locks * cycles).unwrap_or(u32::MAX), vec![])))
            };
            stage.rounds((Work::Independent(of), link), plan.rounds, true, results, shoot).await;
        }
    }
}
