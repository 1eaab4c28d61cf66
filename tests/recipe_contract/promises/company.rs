//! Who holds together with whom, and who does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::{JoinSet, yield_now};
use tokio::time::Instant;

use crate::recipe_contract::kinds::ALL;
use crate::recipe_contract::stage::{Stage, soon, until};

/// Each other kind comes while one of this kind holds.
pub(crate) async fn a_holder_keeps_out_whom_it_should_and_nobody_else(stage: &Stage) {
    let holding = stage.newcomer(stage.kind).await;
    let process = stage.newcomer(stage.kind).await.process;
    for other in &ALL {
        let holder = holding.clone().holds().await;
        let lock = (other.lock)(&process.locks, &stage.path).expect("a good path");
        let contenders = async || soon(lock.queue().contenders()).await.expect("a server answers").len();
        let before = contenders().await;
        let coming = tokio::spawn({
            let lock = lock.clone();
            async move { (lock.acquire().await.expect("granted"), Instant::now()) }
        });
        if stage.kind.company.excludes(other.company) {
            until(async || coming.is_finished() || contenders().await > before).await;
            assert!(!coming.is_finished(), "{} beside it", other.name);
            let released_at = Instant::now();
            holder.releases().await;
            let (held, granted_at) = soon(coming).await.expect("no panic");
            assert!(released_at <= granted_at, "{} beside it", other.name);
            soon(held.release()).await.expect("it was held");
        } else {
            let (held, _) = soon(coming).await.expect("no panic");
            assert!(holder.held.is_valid() && held.is_valid(), "{} beside it", other.name);
            soon(held.release()).await.expect("it was held");
            holder.releases().await;
        }
        // Turns are handed on in the background.
        stage.until_nodes(0).await;
        until(async || contenders().await == 0).await;
    }
}

/// As many at once as may, and never one more, by a crowd that comes again and again.
pub(crate) async fn as_many_hold_at_once_as_may_and_no_more(stage: &Stage) {
    const ROUNDS: usize = 6;
    let at_once = stage.kind.company.at_once();
    let together = at_once.unwrap_or(3);
    let mut held = Vec::new();
    for _ in 0..together {
        held.push(stage.newcomer(stage.kind).await.holds().await);
    }
    assert!(held.iter().all(|holder| holder.held.is_valid()));
    for holder in held {
        holder.releases().await;
    }
    let inside = Arc::new(AtomicUsize::new(0));
    let mut crowd = JoinSet::new();
    for _ in 0..together + 2 {
        let (member, inside) = (stage.newcomer(stage.kind).await, inside.clone());
        crowd.spawn(async move {
            for round in 0..ROUNDS {
                let held = member.lock.acquire().await.expect("granted");
                let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
                assert!(at_once.is_none_or(|at_once| now <= at_once), "{now} hold at once");
                for _ in 0..3 {
                    yield_now().await;
                }
                assert!(held.is_valid());
                inside.fetch_sub(1, Ordering::SeqCst);
                // Both ways out.
                match round % 2 {
                    0 => held.release().await.expect("it was held"),
                    _ => drop(held),
                }
            }
        });
    }
    soon(async {
        while let Some(member) = crowd.join_next().await {
            member.expect("no panic");
        }
    })
    .await;
    stage.nothing_is_left().await;
}

/// Being of one process, or of one session, is no right to what is held.
pub(crate) async fn a_second_acquisition_by_the_same_handle_waits_for_the_first(stage: &Stage) {
    let member = stage.newcomer(stage.kind).await;
    let first = member.clone().holds().await;
    let second = member.waits();
    stage.until_contenders(2).await;
    let released_at = Instant::now();
    first.releases().await;
    let (second, granted_at) = second.granted().await;
    assert!(released_at <= granted_at, "granted while it held");
    assert!(second.held.is_valid());
    second.releases().await;
    stage.nothing_is_left().await;
}

/// Those who want several things at once get all of them or none, and keep none from others meanwhile for ever.
pub(crate) async fn all_are_held_or_none(stage: &Stage) {
    let member = stage.newcomer(stage.kind).await;
    let mut in_the_way = Vec::new();
    for lock in stage.newcomer(stage.kind).await.lock.leaving_a_part() {
        in_the_way.push(soon(lock.acquire()).await.expect("free"));
    }
    stage.until_nodes(in_the_way.len()).await;
    let before = stage.nodes().await;
    assert!(soon(member.lock.try_acquire()).await.expect("a server answers").is_none());
    until(async || stage.nodes().await == before).await;
    let limit = std::time::Duration::from_millis(50);
    let outcome = soon(member.lock.acquire_timeout(limit)).await;
    assert!(matches!(outcome, Err(fairlock::Error::Timeout { .. })), "{:?}", outcome.err());
    until(async || stage.nodes().await == before).await;
    let waiter = member.clone().waits();
    until(async || stage.nodes().await != before).await;
    waiter.gives_up();
    until(async || stage.nodes().await == before).await;
    let waiter = member.waits();
    until(async || stage.nodes().await != before).await;
    let released_at = Instant::now();
    for held in in_the_way {
        soon(held.release()).await.expect("it was held");
    }
    let (holder, granted_at) = waiter.granted().await;
    assert!(released_at <= granted_at, "granted with a part");
    holder.releases().await;
    stage.nothing_is_left().await;
}
