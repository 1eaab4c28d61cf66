//! Finding the locks below a path.

use std::num::NonZeroU32;

use fairlock::queue::Mode;
use fairlock::{Error, Fairlock, LockInfo, LockKind, LockList, Role};
use futures_util::FutureExt as _;

use crate::bed::{Bed, client, eventually, soon};

async fn found(locks: &Fairlock, path: &str) -> LockList {
    soon(locks.locks_below(path)).await.expect("a list")
}

fn paths(list: &LockList) -> Vec<&str> {
    list.locks.iter().map(|lock| lock.path.as_str()).collect()
}

fn the<'a>(list: &'a LockList, path: &str) -> &'a LockInfo {
    list.locks.iter().find(|lock| lock.path.as_str() == path).unwrap_or_else(|| panic!("{path}: {list:?}"))
}

#[tokio::test]
async fn each_kind_is_told_with_its_holders_and_how_many_wait() {
    let bed = Bed::new().await;
    let other = client(&bed.memory).await;
    let alone = bed.locks.mutex("/a/alone").expect("a path");
    let _alone = alone.acquire().await.expect("free");
    let waiting = tokio::spawn({
        let alone = other.mutex("/a/alone").expect("a path");
        async move { alone.acquire().await }
    });
    bed.until_nodes("/a/alone", 2).await;
    let shared = bed.locks.rw_lock("/a/shared").expect("a path");
    let _shares = (shared.read().await.expect("free"), shared.read().await.expect("shared"));
    let semaphore = bed.locks.semaphore("/b", 5).expect("a path");
    let _permits = (semaphore.acquire_many(2).await.expect("room"), semaphore.acquire().await.expect("room"));
    let leadership = bed.locks.election("/a/b/leader").expect("a path").campaign("here").await.expect("nobody leads");

    let list = found(&bed.locks, "/").await;
    assert_eq!(paths(&list), ["/a/alone", "/a/b/leader", "/a/shared", "/b"]);
    assert!(list.unreadable.is_empty() && !list.is_cut);
    let lock = the(&list, "/a/alone");
    assert_eq!((&lock.kind, lock.holders.len(), lock.waiting), (&LockKind::Exclusive, 1, 1));
    assert_eq!(lock.holders[0].identity.as_ref(), Some(bed.locks.identity()));
    let lock = the(&list, "/a/shared");
    assert_eq!((&lock.kind, lock.holders.len(), lock.waiting), (&LockKind::Shared, 2, 0));
    let lock = the(&list, "/b");
    assert_eq!((&lock.kind, lock.holders.len()), (&LockKind::Semaphore { permits: Some(5) }, 2));
    assert_eq!(lock.holders[0].permits(), Some(2));
    let LockKind::Election { leader: Some(leader) } = &the(&list, "/a/b/leader").kind else {
        panic!("{list:?}");
    };
    assert_eq!((leader.payload(), leader.fencing_token()), (&b"here"[..], leadership.fencing_token()));
    waiting.abort();
}

#[tokio::test]
async fn only_what_is_below_is_listed_and_what_is_there_itself() {
    let bed = Bed::new().await;
    let mut guards = vec![];
    for path in ["/a", "/a/b", "/a/b/c", "/ab", "/zookeepers"] {
        guards.push(bed.locks.mutex(path).expect("a path").acquire().await.expect("free"));
    }
    bed.memory.create("/zookeeper/quota/_fairlock", "");
    bed.memory.create("/a/data/more", "x");
    assert_eq!(paths(&found(&bed.locks, "/a").await), ["/a", "/a/b", "/a/b/c"]);
    assert_eq!(paths(&found(&bed.locks, "/a/b/c").await), ["/a/b/c"]);
    assert_eq!(paths(&found(&bed.locks, "/").await), ["/a", "/a/b", "/a/b/c", "/ab", "/zookeepers"]);
    assert!(found(&bed.locks, "/nothing").await.locks.is_empty());
    let error = bed.locks.locks_below("a").await.expect_err("relative");
    assert!(matches!(error, Error::InvalidPath { .. }), "{error}");
}

#[tokio::test]
async fn a_leader_that_is_gone_does_not_lead() {
    let bed = Bed::new().await;
    let election = bed.locks.election("/a").expect("a path");
    let leadership = election.campaign("x").await.expect("nobody leads");
    drop(leadership);
    bed.until_nodes("/a", 0).await;
    let list = found(&bed.locks, "/a").await;
    let lock = the(&list, "/a");
    assert_eq!(lock.kind, LockKind::Election { leader: None });
    assert_eq!((lock.holders.len(), lock.waiting), (0, 0));
}

#[tokio::test]
async fn who_waits_for_permits_is_counted_once() {
    let bed = Bed::new().await;
    let semaphore = bed.locks.semaphore("/a", 1).expect("a path");
    let permit = semaphore.acquire().await.expect("room");
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let semaphore = semaphore.clone();
            tokio::spawn(async move { semaphore.acquire().await })
        })
        .collect();
    let in_turns = || bed.memory.children("/a/_fairlock_turns").len();
    let in_room = || bed.memory.children("/a/_fairlock_permits").len();
    eventually(|| in_turns() == 3 && in_room() == 2).await;
    let list = found(&bed.locks, "/").await;
    let lock = the(&list, "/a");
    assert_eq!((lock.holders.len(), lock.waiting), (1, 3));
    let contenders = bed.locks.contenders_of(lock).await.expect("a list");
    assert_eq!(contenders.len(), 4);
    assert_eq!(contenders.iter().filter(|contender| contender.role == Role::Holder).count(), 1);
    assert_eq!(contenders[0].sequence.mode(), Mode::Permits(NonZeroU32::MIN));
    drop((permit, waiting));
}

#[tokio::test]
async fn permits_are_held_on_when_there_are_fewer() {
    let bed = Bed::new().await;
    let semaphore = bed.locks.semaphore("/a", 3).expect("a path");
    let (_two, _one) = (semaphore.acquire_many(2).await.expect("room"), semaphore.acquire().await.expect("room"));
    let waiting = tokio::spawn({
        let semaphore = semaphore.clone();
        async move { semaphore.acquire().await }
    });
    semaphore.resize(1).await.expect("a number");
    eventually(|| bed.memory.children("/a/_fairlock_permits").len() == 3).await;
    eventually(|| bed.memory.children("/a/_fairlock_turns").len() == 1).await;
    for has_waiter in [true, false] {
        if !has_waiter {
            waiting.abort();
            eventually(|| bed.memory.children("/a/_fairlock_turns").is_empty()).await;
            eventually(|| bed.memory.children("/a/_fairlock_permits").len() == 2).await;
        }
        let list = found(&bed.locks, "/a").await;
        let lock = the(&list, "/a");
        assert_eq!(lock.kind, LockKind::Semaphore { permits: Some(1) });
        assert_eq!((lock.holders.len(), lock.waiting), (2, usize::from(has_waiter)));
        let roles: Vec<_> = bed.locks.contenders_of(lock).await.expect("a list").iter().map(|each| each.role).collect();
        let expected = [Role::Holder, Role::Holder, Role::Waiter];
        assert_eq!(roles, expected[..if has_waiter { 3 } else { 2 }]);
    }
}

#[tokio::test]
async fn an_election_stays_when_its_queue_is_gone() {
    let bed = Bed::new().await;
    let leadership = bed.locks.election("/a").expect("a path").campaign("x").await.expect("nobody leads");
    leadership.resign().await.expect("resigned");
    bed.memory.delete_all("/a/_fairlock");
    let list = found(&bed.locks, "/").await;
    let lock = the(&list, "/a");
    assert_eq!((&lock.kind, lock.holders.len(), lock.waiting), (&LockKind::Election { leader: None }, 0, 0));
    assert!(bed.locks.contenders_of(lock).await.expect("a list").is_empty());
}

#[tokio::test]
async fn all_who_share_a_lock_are_listed_in_their_order() {
    let bed = Bed::new().await;
    let lock = bed.locks.rw_lock("/a").expect("a path");
    let mut guards = vec![];
    for _ in 0..50 {
        guards.push(lock.read().await.expect("shared"));
    }
    let list = found(&bed.locks, "/").await;
    let positions: Vec<_> = the(&list, "/a").holders.iter().map(|holder| holder.position).collect();
    assert_eq!(positions, (0..50).collect::<Vec<_>>());
    assert!(the(&list, "/a").holders.is_sorted_by_key(|holder| holder.sequence));
}

#[tokio::test]
async fn looking_at_a_semaphore_that_is_gone_does_not_make_it() {
    let bed = Bed::new().await;
    let permits = bed.locks.semaphore("/a", 2).expect("a path").permits().await.expect("made");
    assert_eq!(permits, 2);
    let lock = bed.locks.locks_at("/a").await.expect("a look").remove(0);
    bed.memory.delete_all("/a");
    assert!(bed.locks.contenders_of(&lock).await.expect("a list").is_empty());
    assert!(bed.memory.children("/a").is_empty());
    assert!(bed.locks.locks_at("/a").await.expect("a look").is_empty());
}

#[tokio::test]
async fn what_others_have_put_there_is_told_and_disturbs_nothing() {
    let bed = Bed::new().await;
    let _guard = bed.locks.mutex("/a").expect("a path").acquire().await.expect("free");
    bed.memory.create("/a/_fairlock/config\u{1b}", "x");
    bed.memory.create("/b/_fairlock_permits", "garbage");
    bed.memory.create("/c/_fairlock_leader", "garbage");
    bed.memory.create("/c/_fairlock/lock-0000000007", "no ticket");
    let list = found(&bed.locks, "/").await;
    assert_eq!(paths(&list), ["/a", "/b", "/c"]);
    let lock = the(&list, "/a");
    assert_eq!((lock.holders.len(), lock.foreign, lock.foreign_example.as_deref()), (1, 1, Some("config\u{1b}")));
    assert_eq!(the(&list, "/b").kind, LockKind::Semaphore { permits: None });
    assert!(bed.locks.contenders_of(the(&list, "/b")).await.expect("a list").is_empty());
    let lock = the(&list, "/c");
    assert_eq!((&lock.kind, lock.holders.len()), (&LockKind::Election { leader: None }, 1));
    assert_eq!(lock.holders[0].identity, None);
}

#[tokio::test]
async fn a_name_that_no_lock_can_have_is_told() {
    let bed = Bed::new().await;
    let long = format!("/{}", "x".repeat(2_000));
    bed.memory.create(&long, "x");
    let list = found(&bed.locks, "/").await;
    assert_eq!(list.unreadable.len(), 1);
    assert_eq!(list.unreadable[0].path, long);
    assert!(matches!(list.unreadable[0].error, Error::InvalidPath { .. }), "{list:?}");
}

#[tokio::test]
async fn a_wide_and_deep_tree_is_walked_to_its_end() {
    let bed = Bed::new().await;
    for number in 0..300 {
        bed.memory.create(&format!("/wide/{number}/_fairlock"), "");
    }
    let deep = "/d".repeat(500);
    bed.memory.create(&format!("{deep}/_fairlock"), "");
    let list = found(&bed.locks, "/").await;
    assert_eq!(list.locks.len(), 301);
    assert_eq!(list.locks[0].path.as_str(), deep);
}

#[tokio::test]
async fn a_watched_lock_tells_of_who_comes_and_who_goes() {
    let bed = Bed::new().await;
    let lock = bed.locks.mutex("/a").expect("a path");
    let guard = lock.acquire().await.expect("free");
    let semaphore = bed.locks.semaphore("/a", 2).expect("a path");
    let permit = semaphore.acquire().await.expect("room");
    // It gives its turn up in the background.
    eventually(|| bed.memory.children("/a/_fairlock_turns").is_empty()).await;
    let found = bed.locks.locks_at("/a").await.expect("a look");
    let watch = async |at: usize| bed.locks.watch_lock(&found[at]).await.expect("a watch");

    let (of_lock, of_semaphore) = (watch(0).await, watch(1).await);
    guard.release().await.expect("released");
    soon(of_lock.happened()).await;
    assert!(of_semaphore.happened().now_or_never().is_none(), "nothing has happened there");
    let of_semaphore = watch(1).await;
    permit.release().await.expect("released");
    soon(of_semaphore.happened()).await;
    let of_lock = watch(0).await;
    let guard = lock.acquire().await.expect("free");
    soon(of_lock.happened()).await;
    drop(guard);
}

#[tokio::test]
async fn of_a_lock_that_is_gone_its_return_is_told_and_the_end_of_the_session_ends_a_watch() {
    let bed = Bed::new().await;
    drop(bed.locks.mutex("/a").expect("a path").acquire().await.expect("free"));
    let found = bed.locks.locks_at("/a").await.expect("a look").remove(0);
    let change = bed.locks.watch_lock(&found).await.expect("a watch");
    bed.memory.expire(bed.memory.sessions()[0]);
    soon(change.happened()).await;
    bed.memory.delete_all("/a");
    fn is_send(_: &impl Send) {}
    is_send(&bed.locks.watch_lock(&found));
    is_send(&bed.locks.locks_below("/a"));
    let change = bed.locks.watch_lock(&found).await.expect("nobody there is no error");
    let mut happened = Box::pin(change.happened());
    assert!(happened.as_mut().now_or_never().is_none());
    drop(bed.locks.mutex("/a").expect("a path").acquire().await.expect("free"));
    soon(happened).await;
}

#[tokio::test]
async fn a_tree_that_is_too_large_is_listed_in_part_and_says_so() {
    let bed = Bed::new().await;
    for number in 0..100_000 {
        bed.memory.create(&format!("/wide/{number}"), "");
    }
    let list = bed.locks.locks_below("/wide").await.expect("a list");
    assert!(list.is_cut);
    assert!(!found(&bed.locks, "/wide/1").await.is_cut);
}
