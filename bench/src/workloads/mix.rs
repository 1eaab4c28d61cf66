//! One lock that most share and some take alone. Which of them, and when, is the same for all contenders.

use crate::plan::Plan;
use crate::results::{Results, Shot, Work};
use crate::stage::{Entrant, Observer, Stage};

pub(super) async fn run(stage: &mut Stage, plan: &Plan, results: &mut Results) {
    let (tasks, cycles) = plan.mix;
    let work = Work::Mix { tasks, cycles };
    for link in plan.links.iter().copied() {
        let shoot = async |entrant: &mut Entrant, _: &Observer| {
            let lock = entrant.lock("mix");
            let (took, cost) =
                entrant.counted(link, async |contender| contender.mix(&lock, tasks, cycles).await).await?;
            let each = took.map(|took| took / u32::try_from(work.operations()).unwrap_or(u32::MAX));
            Ok(each.map(|time| Shot::new(time, vec![("cycle", cost)])))
        };
        stage.rounds((work, link), plan.crowd_rounds, true, results, shoot).await;
    }
}
