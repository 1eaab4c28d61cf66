//! From the holder's call of release to the moment in which the next one goes on.

use crate::plan::Plan;
use crate::results::{Link, Results, Shot, Work};
use crate::stage::{Entrant, Observer, Stage};
use crate::statistics::median_time;

/// Two sessions may each have to hear of a node that one of them has deleted; one session hears of it once.
pub(crate) const BETWEEN: &str = "between two sessions";
pub(crate) const WITHIN: &str = "within one session";

pub(super) async fn run(stage: &mut Stage, plan: &Plan, results: &mut Results) {
    for waiters in plan.waiters.iter().copied() {
        // A thousand take minutes over each link, and those between tell nothing new.
        let slowest = plan.links.iter().copied().max();
        let is_measured = |link: &Link| waiters < 1_000 || !link.is_slow() || Some(*link) == slowest;
        for link in plan.links.iter().copied().filter(is_measured) {
            let shoot = async |entrant: &mut Entrant, observer: &Observer| {
                let lock = entrant.gather(link, waiters, observer).await?;
                let mut times = Vec::new();
                let mut costs = Vec::new();
                for number in 0..plan.hand_overs {
                    let (time, cost) = entrant.counted(link, async |contender| contender.hand_over().await).await?;
                    times.push(time);
                    costs.push((if number == 0 { BETWEEN } else { WITHIN }, cost));
                    // Somebody else comes, so that as many wait at the next one.
                    entrant.join(link, &lock, waiters + 1, observer).await?;
                }
                entrant.contender.disperse().await?;
                Ok(Some(Shot::new(median_time(&times).unwrap_or_default(), costs)))
            };
            stage.rounds((Work::HandOver { waiters }, link), plan.crowd_rounds, waiters < 100, results, shoot).await;
        }
    }
}
