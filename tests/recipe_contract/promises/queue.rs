//! What others see of the queue, and what they can do to it.

use fairlock::{Error, Identity, Role};
use tokio::time::Instant;

use crate::recipe_contract::kinds::Company;
use crate::recipe_contract::stage::{Stage, soon};

pub(crate) async fn contenders_are_listed_in_their_order_with_who_they_are(stage: &Stage) {
    let holders = stage.fill(stage.kind.rival()).await;
    let waiters = stage.line_up(stage.kind, 3, holders.len()).await;
    let listed = stage.contenders().await;
    assert_eq!(listed.len(), holders.len() + waiters.len());
    let names =
        holders.iter().map(|holder| &holder.member.name).chain(waiters.iter().map(|waiter| &waiter.member.name));
    for ((place, contender), name) in listed.iter().enumerate().zip(names) {
        assert_eq!(contender.position, place);
        assert_eq!(contender.identity.as_ref().map(Identity::owner), Some(name.as_str()), "in place {place}");
        assert_eq!(contender.role, if place < holders.len() { Role::Holder } else { Role::Waiter }, "{name}");
        assert!(contender.session.is_some() && contender.since_unix_ms.is_some());
    }
    for (contender, holder) in listed.iter().zip(&holders) {
        assert_eq!(contender.token, holder.held.tokens()[0]);
    }
}

pub(crate) async fn a_waiter_that_is_removed_is_told_and_the_others_keep_their_places(stage: &Stage) {
    let mut holders = stage.fill(stage.kind.rival()).await;
    let mut waiters = stage.line_up(stage.kind, 2, holders.len()).await;
    let listed = stage.contenders().await;
    assert!(stage.remove(&listed[holders.len()]).await);
    let error = waiters.remove(0).fails().await;
    assert!(matches!(&error, Error::Removed { path } if *path == stage.path), "{error:?}");
    assert!(holders.iter().all(|holder| holder.held.is_valid()));
    let released_at = Instant::now();
    holders.remove(0).releases().await;
    let (last, granted_at) = waiters.remove(0).granted().await;
    assert!(released_at <= granted_at, "granted while a rival held");
    // Permits are granted to another node than that which waits for its turn.
    if !matches!(stage.kind.company, Company::Permits(_)) {
        assert_eq!(last.held.tokens()[0], listed[holders.len() + 2].token, "with the node that it had");
    }
    last.releases().await;
    for holder in holders {
        holder.releases().await;
    }
    stage.nothing_is_left().await;
}

/// It neither leads nor waits any more, and keeps nobody waiting.
pub(crate) async fn a_waiter_whose_session_ends_is_told_and_those_behind_are_granted(stage: &Stage) {
    let mut holders = stage.fill(stage.kind.rival()).await;
    let mut waiters = stage.line_up(stage.kind, 2, holders.len()).await;
    let (first, last) = (waiters.remove(0), waiters.remove(0));
    let member = first.member.clone();
    member.process.link.end_session().await;
    let error = first.fails().await;
    let is_told_otherwise = matches!(error, Error::Removed { .. }) && !stage.ground.tells_ends_from_deletions();
    assert!(matches!(error, Error::SessionLost { .. }) || is_told_otherwise, "{error:?}");
    stage.until_contenders(holders.len() + 1).await;
    assert!(last.is_waiting());
    holders.remove(0).releases().await;
    last.granted().await.0.releases().await;
    for holder in holders {
        holder.releases().await;
    }
    // With another session.
    member.holds().await.releases().await;
    stage.nothing_is_left().await;
}

/// Names of other locks' nodes, and such as look almost like those of this one.
const FOREIGN: [&str; 12] = [
    "config",
    "0",
    "!x",
    "lock-",
    "lock-12",
    "lock--0000000000",
    "lock-\u{e9}000000001",
    "permits-0000000000",
    "_c_00000000-0000-0000-0000-000000000000-lock-0000000000",
    "00000000000000000000000000000000__lock__0000000000",
    "x-1-0000000000",
    "n_0000000000",
];

pub(crate) async fn foreign_nodes_block_nobody_and_are_left_alone(stage: &Stage) {
    stage.newcomer(stage.kind).await.holds().await.releases().await;
    stage.until_nodes(0).await;
    for directory in stage.kind.directories(&stage.path) {
        for name in FOREIGN {
            stage.ground.create(&format!("{directory}/{name}")).await;
        }
    }
    let foreign = stage.nodes().await;
    assert_eq!(foreign.len(), FOREIGN.len() * stage.kind.directories(&stage.path).len());
    let mut holders = Vec::new();
    for _ in 0..stage.kind.company.at_once().unwrap_or(1) {
        holders.push(stage.newcomer(stage.kind).await.holds().await);
    }
    let rival = stage.line_up(stage.kind.rival(), 1, holders.len()).await.remove(0);
    holders.remove(0).releases().await;
    rival.granted().await.0.releases().await;
    for holder in holders {
        soon(holder.held.release()).await.expect("it was held");
    }
    stage.until_nodes(foreign.len()).await;
    assert_eq!(stage.nodes().await, foreign);
}
