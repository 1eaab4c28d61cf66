//! Releasing, dropping, trying, and waiting for a limited time: nothing is left behind.

use std::time::Duration;

use fairlock::Error;
use tokio::time::{Instant, sleep};

use crate::recipe_contract::stage::{Holder, Stage, soon, until};

pub(crate) async fn a_hold_dropped_anywhere_is_released(stage: &Stage) {
    let mut holders = stage.fill(stage.kind).await;
    let mut waiters = stage.line_up(stage.kind.rival(), 1, holders.len()).await;
    let Holder { held, member } = holders.remove(0);
    // A thread without a runtime.
    std::thread::spawn(move || drop(held)).join().expect("no panic");
    let (next, _) = waiters.remove(0).granted().await;
    assert!(next.held.is_valid());
    drop((next, holders, member));
    stage.nothing_is_left().await;
}

pub(crate) async fn a_hold_may_be_released_by_another_task_and_runtime(stage: &Stage) {
    let mut holders = stage.fill(stage.kind).await;
    let next = stage.line_up(stage.kind.rival(), 1, holders.len()).await.remove(0);
    let Holder { held, member: _member } = holders.remove(0);
    let released = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(held.release())
    });
    soon(released).await.expect("no panic").expect("it was held");
    next.granted().await.0.releases().await;
    let handed_over = holders.into_iter().map(|holder| tokio::spawn(holder.releases()));
    for released in handed_over {
        soon(released).await.expect("no panic");
    }
    stage.nothing_is_left().await;
}

pub(crate) async fn a_wait_that_is_dropped_leaves_nothing_and_lets_those_behind_in(stage: &Stage) {
    let rivals = stage.kind.rival();
    let mut holders = stage.fill(rivals).await;
    let mut waiters = stage.line_up(stage.kind, 3, holders.len()).await;
    // In the middle, then in front.
    waiters.remove(1).gives_up();
    stage.until_contenders(holders.len() + 2).await;
    waiters.remove(0).gives_up();
    stage.until_contenders(holders.len() + 1).await;
    let released_at = Instant::now();
    holders.remove(0).releases().await;
    let (last, granted_at) = waiters.remove(0).granted().await;
    assert!(released_at <= granted_at, "granted while a rival held");
    last.releases().await;
    for holder in holders {
        holder.releases().await;
    }
    stage.nothing_is_left().await;
}

/// A future that was polled so often and no more, and then dropped.
async fn polled<T>(future: impl Future<Output = T>, times: usize) {
    let mut future = Box::pin(future);
    let mut polls = 0;
    std::future::poll_fn(|context| {
        polls += 1;
        let is_ready = future.as_mut().poll(context).is_ready();
        if is_ready || polls >= times { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

pub(crate) async fn an_acquisition_dropped_at_any_point_leaves_nothing(stage: &Stage) {
    let rivals = stage.kind.rival();
    let member = stage.newcomer(stage.kind).await;
    for is_blocked in [false, true] {
        for times in 1..=4 {
            let holders = if is_blocked { stage.fill(rivals).await } else { vec![] };
            let contenders = holders.len();
            tokio::select! {
                biased;
                () = polled(member.lock.acquire(), times) => {},
                // It waits, and nothing would poll it again.
                () = stage.until_contenders(contenders + 1) => {},
            }
            stage.until_contenders(contenders).await;
            for holder in holders {
                holder.releases().await;
            }
            stage.until_nodes(0).await;
        }
    }
    member.holds().await.releases().await;
    stage.nothing_is_left().await;
}

pub(crate) async fn a_try_does_not_wait_and_leaves_nothing(stage: &Stage) {
    let holders = stage.fill(stage.kind.rival()).await;
    let before = stage.nodes().await;
    let member = stage.newcomer(stage.kind).await;
    assert!(soon(member.lock.try_acquire()).await.expect("a server answers").is_none());
    assert_eq!(stage.nodes().await, before, "nothing was written");
    assert!(holders.iter().all(|holder| holder.held.is_valid()));
    for holder in holders {
        holder.releases().await;
    }
    stage.until_nodes(0).await;
    let held = soon(member.lock.try_acquire()).await.expect("a server answers").expect("free");
    assert!(held.is_valid());
    soon(held.release()).await.expect("it was held");
    stage.nothing_is_left().await;
}

pub(crate) async fn a_timed_wait_ends_in_time_and_leaves_nothing(stage: &Stage) {
    let limit = Duration::from_millis(50);
    let holders = stage.fill(stage.kind.rival()).await;
    let before = stage.nodes().await;
    let member = stage.newcomer(stage.kind).await;
    let Err(error) = soon(member.lock.acquire_timeout(limit)).await else { panic!("it was not free") };
    assert!(matches!(&error, Error::Timeout { path, waited } if *path == stage.path && *waited == limit), "{error:?}");
    until(async || stage.nodes().await == before).await;
    assert!(holders.iter().all(|holder| holder.held.is_valid()));
    for holder in holders {
        holder.releases().await;
    }
    let held = soon(member.lock.acquire_timeout(Duration::from_secs(30))).await.expect("free");
    soon(held.release()).await.expect("it was held");
    stage.nothing_is_left().await;
}

/// Those ahead come and go, and each wakes it.
pub(crate) async fn one_time_limit_covers_the_whole_wait(stage: &Stage) {
    let rivals = stage.kind.rival();
    let limit = Duration::from_millis(1_500);
    let mut holders = stage.fill(rivals).await;
    let ahead = stage.line_up(rivals, 2, holders.len()).await;
    let member = stage.newcomer(stage.kind).await;
    let waiting = tokio::spawn(async move {
        let started = Instant::now();
        let outcome = member.lock.acquire_timeout(limit).await;
        (outcome.map(drop), started.elapsed())
    });
    stage.until_contenders(holders.len() + 3).await;
    for next in ahead {
        sleep(limit * 2 / 5).await;
        holders.remove(0).releases().await;
        holders.push(next.granted().await.0);
    }
    let (outcome, took) = soon(waiting).await.expect("no panic");
    assert!(matches!(outcome, Err(Error::Timeout { .. })), "{outcome:?}");
    // Begun again when it was first woken, it would be 7/5 of the limit.
    assert!((limit..limit * 13 / 10).contains(&took), "{took:?}");
    for holder in holders {
        holder.releases().await;
    }
    stage.nothing_is_left().await;
}

pub(crate) async fn a_bad_path_is_refused_at_once(stage: &Stage) {
    let locks = &stage.newcomer(stage.kind).await.process.locks;
    for path in ["a", "a/b", "/a/", "/a//b", "/a/../b", "/a\0b", "/a\u{1f600}", "/zookeeper/a", "/a/_fairlock/b"] {
        let Err(error) = (stage.kind.lock)(locks, path) else { panic!("{path:?} is a bad path") };
        assert!(matches!(error, Error::InvalidPath { .. }), "{path:?}: {error}");
    }
}
