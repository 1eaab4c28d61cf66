//! What is measured, a file each.

mod attempt;
mod cold_start;
mod drain;
mod fail_over;
pub(crate) mod hand_over;
mod independent;
mod mix;
mod server_time;
mod uncontended;

use crate::contenders::Places;
use crate::plan::{Group, Plan};
use crate::results::Results;
use crate::stage::Stage;

/// All that is to be measured, but the largest queues.
pub(crate) async fn run(stage: &mut Stage, places: &Places<'_>, plan: &Plan, results: &mut Results) {
    uncontended::warm_up(stage, plan).await;
    if plan.measures(Group::Uncontended) {
        uncontended::run(stage, plan, results).await;
    }
    if plan.measures(Group::Independent) {
        independent::run(stage, plan, results).await;
    }
    if plan.measures(Group::Try) {
        attempt::run(stage, plan, results).await;
    }
    if plan.measures(Group::ColdStart) {
        cold_start::run(stage, plan, results).await;
    }
    if plan.measures(Group::HandOver) {
        hand_over::run(stage, plan, results).await;
    }
    if plan.measures(Group::Mix) {
        mix::run(stage, plan, results).await;
    }
    if plan.measures(Group::Drain) {
        drain::run(stage, plan, results).await;
    }
    if plan.measures(Group::ServerTime) {
        server_time::run(stage, plan, results).await;
    }
    if plan.measures(Group::FailOver)
        && let Err(error) = fail_over::run(places, plan, results).await
    {
        eprintln!("killing leaders came to no end: {error}");
        results.remarks.push(format!("killing leaders came to no end: {error}"));
    }
}

/// What other locks may not come to the end of; whoever does not is measured no more on this server.
pub(crate) async fn run_large(stage: &mut Stage, plan: &Plan, results: &mut Results) {
    if plan.measures(Group::Drain) {
        drain::run_large(stage, plan, results).await;
    }
}
