//! Leader election.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fairlock::recipes::{Election, Leader, Observer};
use fairlock::store::memory::{Loss, Memory, Request};
use fairlock::{AcquireOptions, Error, LossReason, Role};
use tokio::sync::mpsc;

use crate::bed::{Bed, client, eventually, soon};

const RECORD: &str = "/a/_fairlock_leader";

async fn candidate(memory: &Memory) -> Election {
    client(memory).await.election("/a").expect("a path")
}

async fn told(observer: &mut Observer) -> Option<Leader> {
    soon(observer.next()).await.expect("a server answers")
}

fn payload(leader: Option<Leader>) -> Option<String> {
    leader.map(|leader| String::from_utf8(leader.payload().to_vec()).expect("text"))
}

#[tokio::test]
async fn candidates_lead_in_the_order_in_which_they_came() {
    let bed = Bed::new().await;
    let first = candidate(&bed.memory).await.campaign("first").await.expect("nobody leads");
    let mut others = Vec::new();
    for number in 2..5 {
        let election = candidate(&bed.memory).await;
        others.push(tokio::spawn(async move { election.campaign(format!("number {number}")).await }));
        bed.until_nodes("/a", number).await;
    }
    let election = bed.locks.election("/a").expect("a path");
    let roles: Vec<_> = election.candidates().await.expect("a list").iter().map(|candidate| candidate.role).collect();
    assert_eq!(roles, [Role::Holder, Role::Waiter, Role::Waiter, Role::Waiter]);
    let mut token = first.fencing_token();
    let mut leading = first;
    for (number, other) in (2..5).zip(others) {
        leading.resign().await.expect("it leads");
        leading = soon(other).await.expect("no panic").expect("elected");
        assert!(leading.fencing_token() > token);
        token = leading.fencing_token();
        let leader = election.leader().await.expect("a server answers").expect("somebody leads");
        assert_eq!(leader.payload(), format!("number {number}").as_bytes());
        assert_eq!(leader.fencing_token(), token);
    }
}

#[tokio::test]
async fn observers_see_leaders_payloads_and_that_nobody_leads() {
    let bed = Bed::new().await;
    let mut observer = bed.locks.election("/a").expect("a path").observe();
    assert_eq!(told(&mut observer).await, None, "nobody ever led");
    let election = candidate(&bed.memory).await;
    let leadership = election.campaign("one").await.expect("nobody leads");
    assert_eq!(payload(told(&mut observer).await).as_deref(), Some("one"));
    leadership.proclaim("two").await.expect("it leads");
    let leader = told(&mut observer).await.expect("the same leads");
    assert_eq!((leader.payload(), leader.fencing_token()), (&b"two"[..], leadership.fencing_token()));
    assert_eq!(leader.identity(), bed.locks.identity(), "all are of this process");
    leadership.resign().await.expect("it leads");
    assert_eq!(told(&mut observer).await, None);
    let again = election.campaign("three").await.expect("nobody leads");
    assert_eq!(payload(told(&mut observer).await).as_deref(), Some("three"));
    bed.memory.expire(session_of(&bed.memory, 1));
    assert_eq!(told(&mut observer).await, None, "no phantom after expiry");
    drop(again);
}

/// The session that was opened as this one, counted from 0.
fn session_of(memory: &Memory, number: usize) -> fairlock::store::SessionId {
    memory.sessions()[number]
}

#[tokio::test]
async fn the_last_state_is_never_missed() {
    let bed = Bed::new().await;
    let mut observer = bed.locks.election("/a").expect("a path").observe();
    told(&mut observer).await;
    let election = candidate(&bed.memory).await;
    for round in 0..50 {
        let leadership = election.campaign(format!("{round}")).await.expect("nobody leads");
        for change in 0..round % 4 {
            leadership.proclaim(format!("{round}.{change}")).await.expect("it leads");
        }
        let last = election.leader().await.expect("a server answers");
        // Whatever was folded on the way, it arrives at the last state.
        loop {
            if told(&mut observer).await == last {
                break;
            }
        }
        leadership.resign().await.expect("it leads");
        assert_eq!(told(&mut observer).await, None);
    }
}

#[tokio::test]
async fn an_observer_that_is_dropped_while_it_waits_misses_nothing() {
    let bed = Bed::new().await;
    let mut observer = bed.locks.election("/a").expect("a path").observe();
    told(&mut observer).await;
    let waited = tokio::time::timeout(Duration::from_millis(5), observer.next()).await;
    assert!(waited.is_err(), "nothing has changed");
    let _leadership = candidate(&bed.memory).await.campaign("one").await.expect("nobody leads");
    assert_eq!(payload(told(&mut observer).await).as_deref(), Some("one"));
}

#[tokio::test]
async fn an_observer_goes_on_over_reconnects_and_with_another_session() {
    let bed = Bed::new().await;
    let mut observer = bed.locks.election("/a").expect("a path").observe();
    told(&mut observer).await;
    let own = session_of(&bed.memory, 0);
    bed.memory.disconnect(own);
    let election = candidate(&bed.memory).await;
    let leadership = election.campaign("while it was cut off").await.expect("nobody leads");
    bed.memory.reconnect(own);
    assert_eq!(payload(told(&mut observer).await).as_deref(), Some("while it was cut off"));
    bed.memory.expire(own);
    leadership.proclaim("after its session ended").await.expect("it leads");
    assert_eq!(payload(told(&mut observer).await).as_deref(), Some("after its session ended"));
}

#[tokio::test]
async fn a_record_of_somebody_who_leads_no_more_names_nobody() {
    let bed = Bed::new().await;
    let election = candidate(&bed.memory).await;
    election.campaign("gone").await.expect("nobody leads").resign().await.expect("it leads");
    let stale = bed.memory.data(RECORD).expect("a record");
    assert!(String::from_utf8_lossy(&stale).ends_with("gone"));
    // A holder of the plain lock, with the name that the record has: its token is another.
    bed.memory.delete_all("/a/_fairlock");
    let guard = bed.locks.mutex("/a").expect("a path").acquire().await.expect("free");
    assert!(String::from_utf8_lossy(&stale).contains(guard.node_path().rsplit('/').next().expect("a name")));
    assert_eq!(election.leader().await.expect("a server answers"), None);
    bed.memory.write(RECORD, "garbage");
    assert_eq!(election.leader().await.expect("a server answers"), None);
    guard.release().await.expect("released");
    let leadership = election.campaign("again").await.expect("nobody leads");
    assert_eq!(payload(election.leader().await.expect("a server answers")).as_deref(), Some("again"));
    drop(leadership);
}

#[tokio::test]
async fn whoever_has_lost_the_leadership_cannot_proclaim() {
    let bed = Bed::new().await;
    let leadership = candidate(&bed.memory).await.campaign("old").await.expect("nobody leads");
    let next = candidate(&bed.memory).await;
    let next = tokio::spawn(async move { next.campaign("new").await });
    bed.until_nodes("/a", 2).await;
    bed.memory.expire(session_of(&bed.memory, 1));
    let next = soon(next).await.expect("no panic").expect("elected");
    let error = leadership.proclaim("late").await.expect_err("it leads no more");
    assert!(matches!(error, Error::LockLost { .. }), "{error}");
    let leader = bed.locks.election("/a").expect("a path").leader().await.expect("a server answers");
    assert_eq!(payload(leader).as_deref(), Some("new"));
    drop(next);
}

#[tokio::test(start_paused = true)]
async fn a_proclamation_whose_reply_is_lost_is_made_again() {
    let bed = Bed::new().await;
    let election = candidate(&bed.memory).await;
    let leadership = election.campaign("one").await.expect("nobody leads");
    for loss in [Loss::Request, Loss::Reply] {
        bed.memory.lose_next(session_of(&bed.memory, 1), Request::Commit, loss);
        leadership.proclaim(format!("{loss:?}")).await.expect("it leads");
        let leader = bed.locks.election("/a").expect("a path").leader().await.expect("a server answers");
        assert_eq!(payload(leader), Some(format!("{loss:?}")));
    }
}

#[tokio::test]
async fn a_candidate_that_gives_up_or_loses_its_session_leaves_no_candidacy() {
    let bed = Bed::new().await;
    let leadership = candidate(&bed.memory).await.campaign("first").await.expect("nobody leads");
    let (one, other) = (candidate(&bed.memory).await, candidate(&bed.memory).await);
    let one = tokio::spawn(async move { one.campaign("one").await });
    bed.until_nodes("/a", 2).await;
    let other = tokio::spawn(async move { other.campaign("other").await });
    bed.until_nodes("/a", 3).await;
    one.abort();
    bed.until_nodes("/a", 2).await;
    // The session of the one that gave up has gone with its handle.
    eventually(|| bed.memory.sessions().len() == 3).await;
    bed.memory.expire(session_of(&bed.memory, 2));
    let error = soon(other).await.expect("no panic").expect_err("its session ended");
    assert!(matches!(error, Error::SessionLost { .. }), "{error}");
    leadership.resign().await.expect("it leads");
    assert_eq!(bed.nodes("/a"), 0);
    assert_eq!(bed.locks.election("/a").expect("a path").leader().await.expect("a server answers"), None);
}

#[tokio::test]
async fn a_payload_that_cannot_be_stored_is_refused_before_anybody_waits() {
    let bed = Bed::new().await;
    let election = bed.locks.election("/a").expect("a path");
    let error = election.campaign(vec![0; 1_000_000]).await.expect_err("too large");
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    assert_eq!(bed.nodes("/a"), 0);
    let leadership = election.campaign(vec![7; 980_000]).await.expect("it fits");
    assert!(matches!(leadership.proclaim(vec![0; 1_000_000]).await, Err(Error::TooLarge { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_campaign_may_be_limited_in_time_and_a_leadership_too() {
    let bed = Bed::new().await;
    let election = candidate(&bed.memory).await;
    let options = AcquireOptions::default().hold_at_most(Duration::from_secs(60));
    let leadership = election.campaign_with(options, "for a minute").await.expect("nobody leads");
    let options = AcquireOptions::default().timeout(Duration::from_secs(1));
    let error = election.campaign_with(options, "at once").await.expect_err("somebody leads");
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert_eq!(leadership.lost().await, LossReason::HoldLimitReached);
    bed.until_nodes("/a", 0).await;
    assert_eq!(election.leader().await.expect("a server answers"), None);
}

#[tokio::test(start_paused = true)]
async fn a_run_begins_its_work_with_each_leadership_and_drops_it_with_its_loss() {
    let bed = Bed::new().await;
    let election = candidate(&bed.memory).await;
    let (begun, mut begins) = mpsc::unbounded_channel();
    let under_way = Arc::new(AtomicUsize::new(0));
    struct UnderWay(Arc<AtomicUsize>);
    impl Drop for UnderWay {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let counted = under_way.clone();
    let run = tokio::spawn(async move {
        let mut round = 0;
        election
            .run("worker", move |leadership| {
                round += 1;
                let (round, begun, counted) = (round, begun.clone(), counted.clone());
                async move {
                    counted.fetch_add(1, Ordering::SeqCst);
                    let _under_way = UnderWay(counted);
                    let _ = begun.send(leadership.fencing_token());
                    if round < 3 {
                        std::future::pending::<()>().await;
                    }
                    round
                }
            })
            .await
    });
    let first = begins.recv().await.expect("it begins");
    assert_eq!(under_way.load(Ordering::SeqCst), 1);
    // The candidate's session is the second: the bed's own was the first.
    bed.memory.expire(session_of(&bed.memory, 1));
    let second = begins.recv().await.expect("it begins again");
    assert_eq!(under_way.load(Ordering::SeqCst), 1, "the first was dropped");
    assert!(second > first);
    let election = bed.locks.election("/a").expect("a path");
    let leader = election.candidates().await.expect("a list").remove(0);
    assert!(bed.locks.mutex("/a").expect("a path").break_contender(&leader).await.expect("a server answers"));
    begins.recv().await.expect("it begins a third time");
    assert_eq!(run.await.expect("no panic").expect("the work ended"), 3);
    assert_eq!(under_way.load(Ordering::SeqCst), 0);
    eventually(|| bed.nodes("/a") == 0).await;
}

#[tokio::test]
async fn a_run_ends_with_its_handle() {
    let bed = Bed::new().await;
    let locks = client(&bed.memory).await;
    let election = locks.election("/a").expect("a path");
    let run = tokio::spawn(async move { election.run("worker", async |_| std::future::pending::<()>().await).await });
    bed.until_nodes("/a", 1).await;
    locks.close().await;
    let error = soon(run).await.expect("no panic").expect_err("closed");
    assert!(matches!(error, Error::Closed | Error::LockLost { reason: LossReason::Closed, .. }), "{error}");
}

#[tokio::test]
async fn what_the_work_returned_is_kept_though_the_leadership_is_lost_before_it_is_resigned() {
    let bed = Bed::new().await;
    let locks = client(&bed.memory).await;
    let election = locks.election("/a").expect("a path");
    bed.memory.lose_next(session_of(&bed.memory, 1), Request::Leave, Loss::Request);
    let memory = bed.memory.clone();
    let run = election.run("worker", async |_| {
        // The resignation's request is lost, and by the time it would be repeated the session has ended.
        let memory = memory.clone();
        tokio::spawn(async move {
            eventually(|| memory.children("/a/_fairlock").len() == 1).await;
            tokio::time::sleep(Duration::from_millis(3)).await;
            memory.expire(session_of(&memory, 1));
        });
        "done"
    });
    assert_eq!(soon(run).await.expect("the work was done"), "done");
}

#[tokio::test(start_paused = true)]
async fn a_time_limit_covers_the_proclamation() {
    let bed = Bed::new().await;
    let locks = client(&bed.memory).await;
    let election = locks.election("/a").expect("a path");
    election.campaign("makes the record").await.expect("nobody leads").resign().await.expect("it leads");
    let session = session_of(&bed.memory, 1);
    // Each proclamation's reply is lost, and made again after a pause.
    for _ in 0..1_000 {
        bed.memory.lose_next(session, Request::Commit, Loss::Request);
    }
    let started = tokio::time::Instant::now();
    let options = AcquireOptions::default().timeout(Duration::from_millis(300));
    let error = election.campaign_with(options, "late").await.expect_err("it was never proclaimed");
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_millis(400));
    bed.until_nodes("/a", 0).await;
}
