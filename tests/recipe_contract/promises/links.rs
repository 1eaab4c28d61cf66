//! Connections that break for a moment, and replies that get lost on the way.

use std::time::Duration;

use fairlock::{Error, Retry};
use tokio::time::Instant;

use crate::recipe_contract::stage::{Holder, Member, Stage, Step, soon, until};

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

/// What it held before is no right to what it wants now, whether it comes back with the same session or with another.
pub(crate) async fn whoever_has_lost_it_waits_anew_behind_the_others(stage: &Stage) {
    let mut others = stage.fill_with(stage.kind, stage.ground.short_session()).await;
    let Holder { member, held } = others.remove(0);
    let next = stage.line_up(stage.kind.rival(), 1, others.len() + 1).await.remove(0);
    member.process.link.cut_off();
    soon(held.lost()).await;
    member.process.link.reconnect();
    let lock = (stage.kind.lock)(&member.process.locks, &stage.path).expect("a good path");
    let again = tokio::spawn(async move {
        loop {
            match lock.acquire().await {
                Ok(held) => break (held, Instant::now()),
                // The session may end now.
                Err(error) => assert_eq!(error.retry(), Retry::Yes, "{error}"),
            }
        }
    });
    let (next, _) = next.granted().await;
    stage.until_contenders(others.len() + 2).await;
    assert!(!again.is_finished() && next.held.is_valid() && !held.is_valid());
    let (tokens, released_at) = (next.held.tokens(), Instant::now());
    next.releases().await;
    let (again, granted_at) = soon(again).await.expect("no panic");
    assert!(released_at <= granted_at, "granted while another held");
    assert!(again.tokens() > tokens && again.is_valid() && !held.is_valid());
    soon(again.release()).await.expect("it was held");
    for other in others {
        other.releases().await;
    }
    stage.nothing_is_left().await;
}

/// Its turn would have come while it was cut off, and somebody else has had it.
pub(crate) async fn a_waiter_cut_off_past_its_session_is_never_granted(stage: &Stage) {
    let mut holders = stage.fill(stage.kind.rival()).await;
    let waiter = stage.newcomer_with(stage.kind, stage.ground.short_session()).await.waits();
    stage.until_contenders(holders.len() + 1).await;
    let behind = stage.line_up(stage.kind, 1, holders.len() + 1).await.remove(0);
    let member = waiter.member.clone();
    member.process.link.cut_off();
    stage.until_contenders(holders.len() + 1).await;
    holders.remove(0).releases().await;
    let (behind, _) = behind.granted().await;
    member.process.link.reconnect();
    let error = waiter.fails().await;
    assert!(matches!(error, Error::SessionLost { .. }), "{error:?}");
    assert!(behind.held.is_valid());
    behind.releases().await;
    for holder in holders {
        holder.releases().await;
    }
    member.holds().await.releases().await;
    stage.nothing_is_left().await;
}

pub(crate) async fn a_release_while_cut_off_is_carried_out_after_the_reconnect(stage: &Stage) {
    let mut others = stage.fill(stage.kind).await;
    let Holder { member, held } = others.remove(0);
    let next = stage.line_up(stage.kind.rival(), 1, others.len() + 1).await.remove(0);
    member.process.link.cut_off();
    let mut release = held.release();
    assert!(futures::poll!(&mut release).is_pending());
    assert!(next.is_waiting());
    member.process.link.reconnect();
    soon(release).await.expect("it was held");
    next.granted().await.0.releases().await;
    for other in others {
        other.releases().await;
    }
    stage.nothing_is_left().await;
}

pub(crate) async fn a_time_limit_holds_while_no_server_answers(stage: &Stage) {
    let limit = Duration::from_millis(300);
    let member = stage.newcomer(stage.kind).await;
    member.process.link.cut_off();
    let started = Instant::now();
    let outcome = soon(member.lock.acquire_timeout(limit)).await;
    assert!(matches!(outcome, Err(Error::Timeout { .. })), "{:?}", outcome.err());
    // Far less than what a connection or a session may take.
    assert!((limit..10 * limit).contains(&started.elapsed()), "{:?}", started.elapsed());
    member.process.link.reconnect();
    stage.nothing_is_left().await;
    member.holds().await.releases().await;
}
