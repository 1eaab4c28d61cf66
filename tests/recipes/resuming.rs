//! Leaders that are started again.

use fairlock::recipes::{Election, Leadership, ReleaseAnswer, Resumption};
use fairlock::store::memory::{Loss, Memory, Request};
use fairlock::{Error, LossReason};
use tokio::task::JoinHandle;

use crate::bed::{Bed, client, eventually, soon};

async fn election(memory: &Memory) -> Election {
    client(memory).await.election("/a").expect("a path")
}

fn campaign_aside(election: &Election) -> JoinHandle<Leadership> {
    let election = election.clone();
    tokio::spawn(async move { election.campaign("next").await.expect("elected") })
}

/// Writes it down and reads it again.
fn written(leadership: &Leadership) -> Resumption {
    leadership.resumption().to_string().parse().expect("a resumption")
}

#[tokio::test]
async fn a_leader_that_is_started_again_goes_on_leading_and_nobody_leads_in_between() {
    let bed = Bed::new().await;
    let earlier = election(&bed.memory).await.campaign("first run").await.expect("free");
    let (token, resumption) = (earlier.fencing_token(), written(&earlier));
    let next = campaign_aside(&election(&bed.memory).await);
    bed.until_nodes("/a", 2).await;
    let mut observer = bed.locks.election("/a").expect("a path").observe();
    assert_eq!(soon(observer.next()).await.expect("an answer").expect("a leader").payload(), b"first run");
    let restarted = election(&bed.memory).await;
    let leadership = soon(restarted.resume(&resumption, "second run")).await.expect("an answer").expect("its place");
    assert!(leadership.is_valid() && !next.is_finished());
    assert_eq!(leadership.fencing_token(), token);
    // That nobody leads may be told in between.
    let leader = loop {
        if let Some(leader) = soon(observer.next()).await.expect("an answer") {
            break leader;
        }
    };
    assert_eq!((leader.payload(), leader.fencing_token()), (&b"second run"[..], token));
    assert_eq!(bed.nodes("/a"), 2);
    // Should it go on against the rule, it is told.
    assert_eq!(soon(earlier.lost()).await, LossReason::NodeDeleted);
    leadership.proclaim("third").await.expect("it leads");
    leadership.resign().await.expect("it leads");
    let next = soon(next).await.expect("no panic");
    assert!(next.fencing_token() > token);
    next.resign().await.expect("it leads");
    bed.until_nodes("/a", 0).await;
}

#[tokio::test]
async fn a_leader_may_be_started_again_and_again() {
    let bed = Bed::new().await;
    let mut runs = vec![election(&bed.memory).await.campaign("run 0").await.expect("free")];
    let token = runs[0].fencing_token();
    for run in 1..4 {
        let resumption = written(&runs[run - 1]);
        let restarted = election(&bed.memory).await;
        let leadership = soon(restarted.resume(&resumption, format!("run {run}"))).await.expect("an answer");
        // The earlier ones are not dropped: that would be resigning.
        runs.push(leadership.expect("its place"));
        assert_eq!((runs[run].fencing_token(), bed.nodes("/a")), (token, 1));
        let leader = restarted.leader().await.expect("an answer").expect("a leader");
        assert_eq!(leader.payload(), format!("run {run}").as_bytes());
    }
    assert!(runs[3].is_valid());
}

#[tokio::test]
async fn a_place_that_is_gone_is_not_taken_over() {
    let ways: [fn(&Memory); 3] = [
        |memory| memory.expire(memory.sessions()[1]),
        |memory| memory.delete_all("/a/_fairlock"),
        |memory| memory.delete_all("/a/_fairlock/lock-0000000000"),
    ];
    for end in ways {
        let bed = Bed::new().await;
        let earlier = election(&bed.memory).await.campaign("first run").await.expect("free");
        let resumption = written(&earlier);
        end(&bed.memory);
        let restarted = election(&bed.memory).await;
        assert!(soon(restarted.resume(&resumption, "second run")).await.expect("an answer").is_none());
        assert_eq!(bed.nodes("/a"), 0);
        assert!(restarted.leader().await.expect("an answer").is_none());
        drop(soon(restarted.campaign("second run")).await.expect("free"));
    }
}

#[tokio::test]
async fn a_resigned_leadership_is_not_resumed() {
    let bed = Bed::new().await;
    let election = election(&bed.memory).await;
    let earlier = election.campaign("first run").await.expect("free");
    let resumption = written(&earlier);
    earlier.resign().await.expect("it leads");
    let next = election.campaign("another").await.expect("free");
    assert!(soon(election.resume(&resumption, "second run")).await.expect("an answer").is_none());
    assert!(next.is_valid());
    assert_eq!(bed.nodes("/a"), 1);
}

#[tokio::test]
async fn anothers_place_of_the_same_number_in_a_queue_made_anew_is_left_alone() {
    let bed = Bed::new().await;
    let earlier = election(&bed.memory).await.campaign("first run").await.expect("free");
    let resumption = written(&earlier);
    bed.memory.delete_all("/a/_fairlock");
    let another = election(&bed.memory).await.campaign("another").await.expect("free");
    assert!(another.node_path().ends_with("lock-0000000000"), "the same name");
    let restarted = election(&bed.memory).await;
    assert!(soon(restarted.resume(&resumption, "second run")).await.expect("an answer").is_none());
    assert!(another.is_valid());
    another.proclaim("still here").await.expect("it leads");
}

#[tokio::test]
async fn lost_requests_and_replies_to_taking_a_place_over_are_found_out() {
    for request in [Request::Replace, Request::Inspect, Request::Survey, Request::Commit] {
        for loss in [Loss::Request, Loss::Reply] {
            let bed = Bed::new().await;
            let earlier = election(&bed.memory).await.campaign("first run").await.expect("free");
            let resumption = written(&earlier);
            let restarted = election(&bed.memory).await;
            bed.memory.lose_next(*bed.memory.sessions().last().expect("its session"), request, loss);
            let leadership = soon(restarted.resume(&resumption, "second run")).await.expect("an answer");
            let leadership = leadership.unwrap_or_else(|| panic!("its place: {request:?} {loss:?}"));
            assert_eq!((leadership.fencing_token(), bed.nodes("/a")), (earlier.fencing_token(), 1));
            leadership.resign().await.expect("it leads");
            bed.until_nodes("/a", 0).await;
        }
    }
}

#[tokio::test]
async fn a_resumption_whose_future_is_dropped_leaves_the_place_to_the_earlier_run_or_to_the_next() {
    let bed = Bed::new().await;
    let earlier = election(&bed.memory).await.campaign("first run").await.expect("free");
    let resumption = written(&earlier);
    let next = campaign_aside(&election(&bed.memory).await);
    bed.until_nodes("/a", 2).await;
    let restarted = election(&bed.memory).await;
    let mut resuming = Box::pin(restarted.resume(&resumption, "second run"));
    assert!(futures_util::poll!(&mut resuming).is_pending());
    // The attempt has a task of its own, which is about to take the place over.
    drop(resuming);
    drop(earlier);
    soon(next).await.expect("no panic").resign().await.expect("it leads");
    bed.until_nodes("/a", 0).await;
}

#[tokio::test]
async fn a_resumption_of_another_election_is_refused() {
    let bed = Bed::new().await;
    let earlier = election(&bed.memory).await.campaign("first run").await.expect("free");
    let other = bed.locks.election("/b").expect("a path");
    let error = other.resume(&written(&earlier), "second run").await.expect_err("another path");
    assert!(matches!(error, Error::InvalidConfig { .. }), "{error}");
    assert!(earlier.is_valid());
    let error = other.resume(&written(&earlier), vec![0; 1_000_000]).await.expect_err("too large");
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn a_resumed_leader_hears_of_requests_from_before_and_those_to_later_leaders_are_heard_as_well() {
    let bed = Bed::new().await;
    let earlier = election(&bed.memory).await.campaign("first run").await.expect("free");
    let next = campaign_aside(&election(&bed.memory).await);
    bed.until_nodes("/a", 2).await;
    let mutex = bed.locks.mutex("/a").expect("a path");
    let request = soon(mutex.request_release("from before")).await.expect("an answer").expect("a holder");
    let restarted = election(&bed.memory).await;
    let leadership = soon(restarted.resume(&written(&earlier), "second run")).await.expect("an answer");
    let leadership = leadership.expect("its place");
    let asked = soon(leadership.release_requested()).await.expect("an answer");
    assert_eq!(asked.reason(), "from before");
    soon(leadership.acknowledge(&asked, "at once")).await.expect("an answer");
    assert_eq!(soon(request.answered()).await.expect("an answer"), ReleaseAnswer::Acknowledged("at once".into()));
    leadership.resign().await.expect("it leads");
    soon(request.released()).await.expect("an answer");
    // Its node is older than the resumed leader's.
    let next = soon(next).await.expect("no panic");
    let request = soon(mutex.request_release("you as well")).await.expect("an answer").expect("a holder");
    assert_eq!(request.holder(), next.fencing_token());
    assert_eq!(soon(next.release_requested()).await.expect("an answer").reason(), "you as well");
}

#[tokio::test]
async fn a_resumed_leader_hears_of_requests_to_release_and_of_being_removed() {
    let bed = Bed::new().await;
    let earlier = election(&bed.memory).await.campaign("first run").await.expect("free");
    let resumption = written(&earlier);
    let restarted = election(&bed.memory).await;
    let leadership = soon(restarted.resume(&resumption, "second run")).await.expect("an answer").expect("its place");
    let mutex = bed.locks.mutex("/a").expect("a path");
    let request = soon(mutex.request_release("a newer version")).await.expect("an answer").expect("a holder");
    assert_eq!(soon(leadership.release_requested()).await.expect("an answer").reason(), "a newer version");
    drop(request);
    let candidates = restarted.candidates().await.expect("a list");
    eventually(|| bed.memory.watches() > 0).await;
    assert!(mutex.break_contender(&candidates[0]).await.expect("an answer"));
    assert_eq!(soon(leadership.lost()).await, LossReason::NodeDeleted);
}
