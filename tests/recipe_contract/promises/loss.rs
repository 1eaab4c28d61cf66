//! A holder learns that it holds no more, whatever the reason, and the next is granted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fairlock::{Error, LossReason};
use futures::FutureExt;
use tokio::time::Instant;

use crate::recipe_contract::kinds::Held;
use crate::recipe_contract::stage::{Holder, LONG_SESSION, Member, Stage, Waiter, soon};

/// One who holds, the others who hold with it, and a rival who waits.
async fn scene(stage: &Stage, session_timeout: Duration) -> (Holder, Vec<Holder>, Waiter) {
    let mut others = stage.fill_with(stage.kind, session_timeout).await;
    let one = others.remove(0);
    let next = stage.line_up(stage.kind.rival(), 1, others.len() + 1).await.remove(0);
    (one, others, next)
}

#[track_caller]
fn is_lost(held: &dyn Held, reason: LossReason) {
    assert!(!held.is_valid());
    assert_eq!(held.loss(), Some(reason));
    assert_eq!(held.valid_for(), Duration::ZERO);
    // No task has to run for it.
    assert_eq!(held.lost().now_or_never(), Some(reason));
}

pub(crate) async fn the_end_of_the_session_is_told_and_the_next_is_granted(stage: &Stage) {
    let (one, others, next) = scene(stage, LONG_SESSION).await;
    one.member.process.link.end_session().await;
    let reason = soon(one.held.lost()).await;
    let is_told_otherwise = reason == LossReason::NodeDeleted && !stage.ground.tells_ends_from_deletions();
    assert!(reason == LossReason::SessionExpired || is_told_otherwise, "{reason:?}");
    is_lost(&*one.held, reason);
    let (next, _) = next.granted().await;
    assert!(next.held.is_valid() && others.iter().all(|other| other.held.is_valid()));
    assert!(next.held.tokens() > one.held.tokens());
    // The process goes on with another session, and what is lost stays lost.
    let again = one.member.clone();
    next.releases().await;
    for other in others {
        other.releases().await;
    }
    drop(one.held);
    again.holds().await.releases().await;
    stage.nothing_is_left().await;
}

pub(crate) async fn a_holder_that_is_cut_off_knows_before_the_next_is_granted(stage: &Stage) {
    let (one, others, next) = scene(stage, stage.ground.short_session()).await;
    one.member.process.link.cut_off();
    let reason = soon(one.held.lost()).await;
    let lost_at = Instant::now();
    assert_eq!(reason, LossReason::DeadlinePassed);
    is_lost(&*one.held, reason);
    let (next, granted_at) = next.granted().await;
    assert!(lost_at < granted_at, "the next was granted first");
    one.member.process.link.reconnect();
    assert!(next.held.is_valid() && others.iter().all(|other| other.held.is_valid()));
    is_lost(&*one.held, reason);
    let late = soon(one.held.release()).await;
    assert!(matches!(late, Err(Error::LockLost { .. })), "{late:?}");
    assert!(next.held.is_valid(), "the late release concerns nobody else");
    next.releases().await;
    for other in others {
        other.releases().await;
    }
    stage.nothing_is_left().await;
}

pub(crate) async fn a_holder_that_is_removed_is_told_and_the_next_is_granted(stage: &Stage) {
    let (Holder { held, member: _member }, others, next) = scene(stage, LONG_SESSION).await;
    let (listed, tokens) = (stage.contenders().await.remove(0), held.tokens());
    assert_eq!(listed.token, tokens[0]);
    assert!(stage.remove(&listed).await);
    let reason = soon(held.lost()).await;
    assert_eq!(reason, LossReason::NodeDeleted);
    is_lost(&*held, reason);
    // Several locks of which one was removed: the others go with the guard.
    let _lost = (stage.kind.nodes_held == 1).then_some(held);
    let (next, _) = next.granted().await;
    assert!(next.held.tokens() > tokens);
    assert!(!stage.remove(&listed).await, "it is gone");
    assert!(next.held.is_valid() && others.iter().all(|other| other.held.is_valid()));
}

pub(crate) async fn a_release_after_the_loss_says_so_and_harms_nobody(stage: &Stage) {
    let (Holder { held, member: _member }, others, next) = scene(stage, LONG_SESSION).await;
    assert!(stage.remove(&stage.contenders().await[0]).await);
    soon(held.lost()).await;
    let release = async {
        let error = soon(held.release()).await.expect_err("it was lost");
        let is_told =
            matches!(&error, Error::LockLost { path, reason: LossReason::NodeDeleted } if *path == stage.path);
        assert!(is_told, "{error:?}");
    };
    let next = if stage.kind.nodes_held == 1 {
        let (next, _) = next.granted().await;
        release.await;
        next
    } else {
        // Only one of several locks was removed; the others are given back now.
        release.await;
        next.granted().await.0
    };
    stage.until_nodes(others.len() * stage.kind.nodes_held + stage.kind.rival().nodes_held).await;
    assert!(next.held.is_valid());
    for other in others {
        other.releases().await;
    }
    next.releases().await;
    stage.nothing_is_left().await;
}

pub(crate) async fn a_closed_handle_loses_what_it_holds_and_fails_what_waits(stage: &Stage) {
    let mut others = stage.fill(stage.kind).await;
    let Holder { member, held } = others.remove(0);
    let rivals = stage.kind.rival();
    let waiting = {
        let lock = (rivals.lock)(&member.process.locks, &stage.path).expect("a good path");
        Member { lock, ..member.clone() }.waits()
    };
    stage.until_contenders(others.len() + 2).await;
    let behind = stage.line_up(rivals, 1, others.len() + 2).await.remove(0);
    soon(member.process.locks.close()).await;
    is_lost(&*held, LossReason::Closed);
    let error = waiting.fails().await;
    assert!(matches!(error, Error::Closed), "{error}");
    let (behind, _) = behind.granted().await;
    assert!(behind.held.is_valid());
    // One that has lost it is told that first, where one handle is one owner.
    drop(held);
    let late = soon(member.lock.acquire()).await;
    assert!(matches!(late, Err(Error::Closed)), "{:?}", late.err());
    behind.releases().await;
    for other in others {
        other.releases().await;
    }
    stage.nothing_is_left().await;
}

struct UnderWay(Arc<AtomicBool>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

pub(crate) async fn work_under_protection_is_dropped_with_the_loss(stage: &Stage) {
    let holder = stage.newcomer(stage.kind).await.holds().await;
    let done = Arc::new(AtomicBool::new(false));
    let work = done.clone();
    let protected = holder.held.protect(Box::pin(async move { work.store(true, Ordering::SeqCst) }));
    soon(protected).await.expect("it holds");
    assert!(done.load(Ordering::SeqCst));

    let is_under_way = Arc::new(AtomicBool::new(true));
    let work = UnderWay(is_under_way.clone());
    let protected = holder.held.protect(Box::pin(async move {
        let _work = work;
        std::future::pending().await
    }));
    let removed = async {
        assert!(stage.remove(&stage.contenders().await[0]).await);
        // Until then it is at work.
        is_under_way.load(Ordering::SeqCst)
    };
    let (outcome, _) = soon(async { tokio::join!(protected, removed) }).await;
    assert!(matches!(outcome, Err(Error::LockLost { reason: LossReason::NodeDeleted, .. })), "{outcome:?}");
    assert!(!is_under_way.load(Ordering::SeqCst), "dropped");
    // What is begun too late is not done.
    done.store(false, Ordering::SeqCst);
    let work = done.clone();
    let late = soon(holder.held.protect(Box::pin(async move { work.store(true, Ordering::SeqCst) }))).await;
    assert!(matches!(late, Err(Error::LockLost { .. })), "{late:?}");
    assert!(!done.load(Ordering::SeqCst));
}

pub(crate) async fn a_hold_ends_when_its_time_has_passed(stage: &Stage) {
    let limit = Duration::from_millis(400);
    let mut others = stage.fill(stage.kind).await;
    others.remove(0).releases().await;
    let member = stage.newcomer(stage.kind).await;
    let none = soon(member.lock.hold_at_most(Duration::ZERO)).await;
    assert!(matches!(none, Err(Error::InvalidConfig { .. })), "no time at all: {:?}", none.err());
    let held = soon(member.lock.hold_at_most(limit)).await.expect("free");
    assert!(held.valid_for() <= limit);
    let next = stage.newcomer(stage.kind.rival()).await.waits();
    let reason = soon(held.lost()).await;
    let lost_at = Instant::now();
    assert_eq!(reason, LossReason::HoldLimitReached);
    is_lost(&*held, reason);
    let (next, granted_at) = next.granted().await;
    assert!(lost_at <= granted_at, "the next was granted first");
    let late = soon(held.release()).await;
    assert!(matches!(late, Err(Error::LockLost { reason: LossReason::HoldLimitReached, .. })), "{late:?}");
    assert!(next.held.is_valid());
    next.releases().await;
    for other in others {
        other.releases().await;
    }
    stage.nothing_is_left().await;
}
