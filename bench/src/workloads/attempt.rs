//! Trying to take a lock that somebody has.

use crate::plan::Plan;
use crate::results::{LOOPBACK, Results, Shot, Work};
use crate::stage::{Entrant, Observer, QUIET, Stage};

pub(super) async fn run(stage: &mut Stage, plan: &Plan, results: &mut Results) {
    let shoot = async |entrant: &mut Entrant, _: &Observer| {
        let lock = entrant.lock("attempt");
        entrant.contender.acquire(&lock).await?;
        entrant.settle(LOOPBACK, QUIET).await;
        let (time, cost) = entrant.counted(LOOPBACK, async |contender| contender.attempt(&lock).await).await?;
        entrant.contender.release().await?;
        Ok(time.map(|time| Shot::new(time, vec![("try", cost)])))
    };
    stage.rounds((Work::Attempt, LOOPBACK), plan.crowd_rounds, true, results, shoot).await;
}
