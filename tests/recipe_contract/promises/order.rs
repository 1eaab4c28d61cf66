//! First come, first served, and tokens that tell who came later.

use std::time::Duration;

use fairlock::FencingToken;
use tokio::time::Instant;

use crate::recipe_contract::kinds::{Held, Kind};
use crate::recipe_contract::stage::{Stage, soon};

pub(crate) async fn waiters_are_granted_in_the_order_in_which_they_came(stage: &Stage) {
    let mut held = stage.fill(stage.kind).await;
    let mut waiters = stage.line_up(stage.kind, 4, held.len()).await;
    while !waiters.is_empty() {
        let released_at = Instant::now();
        held.remove(0).releases().await;
        let (next, granted_at) = waiters.remove(0).granted().await;
        assert!(released_at <= granted_at, "granted while another held");
        assert!(waiters.iter().all(|waiter| waiter.is_waiting()), "overtaken");
        if let Some(last) = held.last() {
            assert!(next.held.tokens() > last.held.tokens(), "the later one has the lower token");
        }
        held.push(next);
    }
    for holder in held {
        holder.releases().await;
    }
    stage.nothing_is_left().await;
}

/// Higher than all before, in each of the locks of which it consists.
struct Rising(Vec<FencingToken>);

impl Rising {
    #[track_caller]
    fn check(&mut self, held: &dyn Held) {
        let tokens = held.tokens();
        assert!(!tokens.is_empty() && held.is_valid() && held.valid_for() > Duration::ZERO);
        assert!(self.0.iter().zip(&tokens).all(|(before, now)| before < now), "{tokens:?} after {:?}", self.0);
        self.0 = tokens;
    }
}

/// Whatever happens to the queue in between: the numbers in it start again when it is made anew, the tokens do not.
pub(crate) async fn tokens_rise_from_grant_to_grant(stage: &Stage) {
    let mut rising = Rising(vec![]);
    let members = [stage.newcomer(stage.kind).await, stage.newcomer(stage.kind).await];
    for round in 0..4 {
        let holder = members[round % 2].clone().holds().await;
        assert_eq!(holder.held.path(), stage.path);
        rising.check(&*holder.held);
        holder.releases().await;
    }
    for directory in stage.kind.directories(&stage.path) {
        stage.ground.delete_all(&directory).await;
    }
    let holder = members[0].clone().holds().await;
    rising.check(&*holder.held);
    // Removed together with whoever is in it.
    for directory in stage.kind.directories(&stage.path) {
        stage.ground.delete_all(&directory).await;
    }
    soon(holder.held.lost()).await;
    drop(holder);
    let holder = members[1].clone().holds().await;
    rising.check(&*holder.held);
    holder.member.process.link.end_session().await;
    soon(holder.held.lost()).await;
    drop(holder);
    let holder = members[0].clone().holds().await;
    rising.check(&*holder.held);
    holder.releases().await;
}

pub(crate) async fn a_waiting_writer_is_not_overtaken_by_later_readers(stage: &Stage) {
    let readers = Kind::named("reader");
    let first = stage.newcomer(readers).await.holds().await;
    let writer = stage.line_up(stage.kind, 1, 1).await.remove(0);
    let later = stage.line_up(readers, 2, 2).await;
    let tried = soon(stage.newcomer(readers).await.lock.try_acquire()).await.expect("a server answers");
    assert!(tried.is_none(), "a writer waits");
    let released_at = Instant::now();
    first.releases().await;
    let (writer, granted_at) = writer.granted().await;
    assert!(released_at <= granted_at, "granted beside a reader");
    assert!(later.iter().all(|reader| reader.is_waiting()), "overtaken");
    let released_at = Instant::now();
    writer.releases().await;
    let mut readers = Vec::new();
    for reader in later {
        let (reader, granted_at) = reader.granted().await;
        assert!(released_at <= granted_at, "granted beside a writer");
        readers.push(reader);
    }
    assert!(readers.iter().all(|reader| reader.held.is_valid()), "they share");
    for reader in readers {
        reader.releases().await;
    }
    stage.nothing_is_left().await;
}

pub(crate) async fn whoever_wants_several_is_not_overtaken_by_those_who_want_one(stage: &Stage) {
    let single = Kind::named("one_permit");
    // One permit is left, and two are wanted.
    let first = stage.newcomer(single).await.holds().await;
    let second = stage.newcomer(single).await.holds().await;
    let several = stage.line_up(stage.kind, 1, 2).await.remove(0);
    let later = stage.line_up(single, 1, 3).await.remove(0);
    let tried = soon(stage.newcomer(single).await.lock.try_acquire()).await.expect("a server answers");
    assert!(tried.is_none(), "somebody is ahead");
    let released_at = Instant::now();
    first.releases().await;
    let (several, granted_at) = several.granted().await;
    assert!(released_at <= granted_at, "more permits than there are");
    assert!(later.is_waiting(), "none is left");
    let released_at = Instant::now();
    several.releases().await;
    let (later, granted_at) = later.granted().await;
    assert!(released_at <= granted_at, "overtaken");
    later.releases().await;
    second.releases().await;
    stage.nothing_is_left().await;
}
