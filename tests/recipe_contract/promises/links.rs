//! Connections that break for a moment, and replies that get lost on the way.

use tokio::time::Instant;

use crate::recipe_contract::stage::{Holder, Member, Stage, Step, until};

pub(crate) async fn a_short_interruption_costs_no_hold_and_no_place(stage: &Stage) {
    let mut holders = stage.fill(stage.kind.rival()).await;
    let mut waiters = stage.line_up(stage.kind, 2, holders.len()).await;
    for member in holders.iter().map(|holder| &holder.member).chain(waiters.iter().map(|waiter| &waiter.member)) {
        member.process.link.interrupt();
    }
    assert!(holders.iter().all(|holder| holder.held.is_valid()));
    holders.remove(0).releases().await;
    let (first, _) = waiters.remove(0).granted().await;
    // Those who share are granted together.
    if stage.kind.company.at_once().is_some() {
        assert!(waiters[0].is_waiting(), "overtaken");
    }
    first.releases().await;
    waiters.remove(0).granted().await.0.releases().await;
    for holder in holders {
        assert!(holder.held.is_valid());
        holder.releases().await;
    }
    stage.nothing_is_left().await;
}

pub(crate) async fn a_lost_reply_to_entering_leaves_one_place(stage: &Stage) {
    let mut holders = stage.fill(stage.kind.rival()).await;
    let member = stage.newcomer(stage.kind).await;
    let lost = member.process.link.lose_next_reply(Step::Entering(&stage.path));
    let first = member.waits();
    until(async || lost.0()).await;
    stage.until_contenders(holders.len() + 1).await;
    let last = stage.line_up(stage.kind, 1, holders.len() + 1).await.remove(0);
    let released_at = Instant::now();
    holders.remove(0).releases().await;
    let (first, granted_at) = first.granted().await;
    assert!(released_at <= granted_at, "granted while a rival held");
    if stage.kind.company.at_once().is_some() {
        assert!(last.is_waiting(), "its place was lost");
    }
    first.releases().await;
    last.granted().await.0.releases().await;
    for holder in holders {
        holder.releases().await;
    }
    stage.nothing_is_left().await;
}

/// A release that is made again must not be one of a newer hold, of the same process or of another.
pub(crate) async fn a_release_whose_reply_is_lost_spares_the_newer_holds_of_its_process(stage: &Stage) {
    let mut others = stage.fill(stage.kind).await;
    let Holder { member, held } = others.remove(0);
    let rivals = stage.kind.rival();
    let lock = (rivals.lock)(&member.process.locks, &stage.path).expect("a good path");
    let newer = Member { lock, ..member.clone() }.waits();
    stage.until_contenders(others.len() + 2).await;
    let behind = stage.line_up(rivals, 1, others.len() + 2).await.remove(0);
    let listed = stage.contenders().await.remove(0);
    let node = format!("{}/{}", stage.kind.directories(&stage.path)[0], listed.sequence.node_name());
    let lost = member.process.link.lose_next_reply(Step::Leaving(&node));
    Holder { member, held }.releases().await;
    assert!(lost.0(), "the reply was lost");
    let (newer, _) = newer.granted().await;
    assert!(newer.held.is_valid() && behind.is_waiting());
    // Its node is there, and no other of that process.
    stage.until_contenders(others.len() + 2).await;
    assert!(newer.held.is_valid());
    newer.releases().await;
    behind.granted().await.0.releases().await;
    for other in others {
        other.releases().await;
    }
    stage.nothing_is_left().await;
}
