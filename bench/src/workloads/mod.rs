//! What is measured, a file each.

mod attempt;
mod cold_start;
mod drain;
pub(crate) mod hand_over;
mod independent;
mod server_time;
mod uncontended;

use crate::plan::Plan;
use crate::results::Results;
use crate::stage::Stage;

/// All of it.
pub(crate) async fn run(stage: &mut Stage, plan: &Plan, results: &mut Results) {
    uncontended::warm_up(stage, plan).await;
    uncontended::run(stage, plan, results).await;
    independent::run(stage, plan, results).await;
    attempt::run(stage, plan, results).await;
    cold_start::run(stage, plan, results).await;
    hand_over::run(stage, plan, results).await;
    drain::run(stage, plan, results).await;
    server_time::run(stage, plan, results).await;
}
