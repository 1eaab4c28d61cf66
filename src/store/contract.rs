//! What every store must do, as a suite that any implementation can run.
//!
//! Each check is an async function over a [`Harness`], and panics with what was violated. [`check_all`] runs all of
//! them. The queue protocol's safety rests on exactly these properties (docs/PROTOCOL.md, "What a store promises").

pub mod children;
pub mod members;
pub mod replace;
pub mod values;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use super::{Change, Departure, Neighbours, Operation, Session, SessionState, StoreErrorKind, Watched};
use crate::error::LossReason;
use crate::name::Mode;
use crate::path::QueuePath;

/// How long anything may take that should happen at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the suite needs from an implementation's test.
#[async_trait]
pub trait Harness: Send + Sync {
    /// A new session.
    async fn session(&self) -> Arc<dyn Session>;

    /// Ends a session as the store itself would end one that it has not heard of in time.
    async fn expire(&self, session: &dyn Session);

    /// A queue that nobody has used before and that does not exist.
    fn unused_queue(&self) -> QueuePath;
}

/// Runs every check.
///
/// # Panics
///
/// If the store violates the contract.
pub async fn check_all(harness: &dyn Harness) {
    entering_needs_a_queue(harness).await;
    making_a_queue_twice_is_no_error(harness).await;
    the_first_is_alone_and_later_ones_are_not(harness).await;
    numbers_are_contiguous_and_tokens_rise(harness).await;
    a_token_is_that_of_the_node(harness).await;
    tokens_rise_across_a_queue_made_anew(harness).await;
    a_release_is_one_write_event(harness).await;
    a_withdrawal_is_a_delete_event(harness).await;
    the_end_of_a_session_deletes_its_nodes_with_a_delete_event(harness).await;
    a_watch_fires_once_and_missing_nodes_get_none(harness).await;
    own_events_come_before_later_events_of_others(harness).await;
    find_own_finds_only_this_sessions_ticket(harness).await;
    leaving_twice_says_that_the_node_is_gone(harness).await;
    closing_a_queue_needs_it_empty_and_starts_numbers_again(harness).await;
    a_commit_needs_the_own_node(harness).await;
    a_commit_is_all_or_nothing(harness).await;
    a_closed_session_has_ended(harness).await;
    a_session_that_was_given_up_says_why(harness).await;
    touching_and_barriers_succeed(harness).await;
    children::check_all(harness).await;
    members::check_all(harness).await;
    replace::check_all(harness).await;
    values::check_all(harness).await;
}

async fn entered(session: &dyn Session, queue: &QueuePath, ticket: &[u8]) -> (String, super::Entered) {
    entered_as(Mode::Exclusive, session, queue, ticket).await
}

async fn entered_as(mode: Mode, session: &dyn Session, queue: &QueuePath, ticket: &[u8]) -> (String, super::Entered) {
    let entered = session.enter(queue, mode, ticket).await.expect("entering an existing queue succeeds");
    (entered.sequence.node_name(), entered)
}

async fn queue_of(session: &dyn Session, harness: &dyn Harness) -> QueuePath {
    let queue = harness.unused_queue();
    session.make_queue(&queue).await.expect("a queue can be made");
    queue
}

async fn watched(session: &dyn Session, queue: &QueuePath, name: &str) -> Watched {
    session.watch(queue, name).await.expect("watching succeeds").expect("the node exists")
}

async fn change(watched: Watched) -> Change {
    timeout(PATIENCE, watched.event).await.expect("the watch fires").change
}

/// [`Session::enter`] in a queue that does not exist says so and makes nothing.
pub async fn entering_needs_a_queue(harness: &dyn Harness) {
    let session = harness.session().await;
    let queue = harness.unused_queue();
    let error = session.enter(&queue, Mode::Exclusive, b"t").await.expect_err("there is no queue");
    assert_eq!(error.kind(), StoreErrorKind::NoNode);
    assert_eq!(session.survey(&queue).await.expect_err("still none").kind(), StoreErrorKind::NoNode);
    assert!(session.inspect(&queue, "lock-0000000000").await.expect("a look").is_none());
}

/// [`Session::make_queue`] is idempotent.
pub async fn making_a_queue_twice_is_no_error(harness: &dyn Harness) {
    let session = harness.session().await;
    let queue = queue_of(&*session, harness).await;
    session.make_queue(&queue).await.expect("an existing queue is no error");
    assert!(session.survey(&queue).await.expect("a list").is_empty());
}

/// [`Neighbours::None`] is said to the first, and never to one that has company.
pub async fn the_first_is_alone_and_later_ones_are_not(harness: &dyn Harness) {
    let (one, two) = (harness.session().await, harness.session().await);
    let queue = queue_of(&*one, harness).await;
    let (first_name, first) = entered(&*one, &queue, b"1").await;
    assert_eq!(first.neighbours, Neighbours::None);
    let (_, second) = entered(&*two, &queue, b"2").await;
    assert_ne!(second.neighbours, Neighbours::None);
    one.leave(&queue, &first_name, Departure::Withdraw).await.expect("left");
    let (_, third) = entered(&*one, &queue, b"3").await;
    assert_ne!(third.neighbours, Neighbours::None, "the second is still there");
    for (first, second) in [(Mode::Shared, Mode::Exclusive), (Mode::Exclusive, Mode::Shared)] {
        let queue = queue_of(&*one, harness).await;
        let (_, alone) = entered_as(first, &*one, &queue, b"1").await;
        assert_eq!(alone.neighbours, Neighbours::None);
        let (_, other) = entered_as(second, &*two, &queue, b"2").await;
        assert_ne!(other.neighbours, Neighbours::None, "whatever the mode");
    }
}

/// Numbers of one queue count creations; tokens rise with them.
pub async fn numbers_are_contiguous_and_tokens_rise(harness: &dyn Harness) {
    let (one, two) = (harness.session().await, harness.session().await);
    let queue = queue_of(&*one, harness).await;
    let mut last: Option<super::Entered> = None;
    for round in 0..6 {
        let session = if round % 2 == 0 { &one } else { &two };
        let mode = Mode::LOCKS[round / 2 % 2];
        let (name, entered) = entered_as(mode, &**session, &queue, b"t").await;
        assert_eq!(entered.sequence.mode(), mode);
        assert!(session.survey(&queue).await.expect("a list").contains(&name), "it is listed under its name");
        if let Some(last) = last {
            assert_eq!(entered.sequence.as_i32(), last.sequence.as_i32() + 1, "one count for all modes");
            assert!(entered.token > last.token);
        }
        last = Some(entered);
        if round % 3 == 0 {
            session.leave(&queue, &name, Departure::Withdraw).await.expect("left");
        }
    }
}

/// The token told on entering is the one read from the node later, also by others; so is the owner.
pub async fn a_token_is_that_of_the_node(harness: &dyn Harness) {
    let (one, two) = (harness.session().await, harness.session().await);
    let queue = queue_of(&*one, harness).await;
    let (name, entered) = entered(&*one, &queue, b"ticket").await;
    let node = two.inspect(&queue, &name).await.expect("a look").expect("the node");
    assert_eq!((node.token, node.owner, &node.data[..]), (entered.token, Some(one.id()), &b"ticket"[..]));
}

/// Tokens go on rising when a queue is removed and made anew, though its numbers start again.
pub async fn tokens_rise_across_a_queue_made_anew(harness: &dyn Harness) {
    let session = harness.session().await;
    let queue = queue_of(&*session, harness).await;
    let (name, before) = entered(&*session, &queue, b"t").await;
    session.leave(&queue, &name, Departure::CloseQueue).await.expect("closed");
    session.make_queue(&queue).await.expect("made anew");
    let (_, after) = entered(&*session, &queue, b"t").await;
    assert_eq!(after.sequence, before.sequence);
    assert!(after.token > before.token);
}

/// [`Departure::Release`] tells a watcher of a write, once, and the node is gone.
pub async fn a_release_is_one_write_event(harness: &dyn Harness) {
    let (holder, waiter) = (harness.session().await, harness.session().await);
    let queue = queue_of(&*holder, harness).await;
    let (name, _) = entered(&*holder, &queue, b"ticket").await;
    let watch = watched(&*waiter, &queue, &name).await;
    holder.leave(&queue, &name, Departure::Release).await.expect("released");
    let event = timeout(PATIENCE, watch.event).await.expect("the watch fires");
    assert_eq!((event.change, event.continuous), (Change::Written, true));
    waiter.write_barrier().await.expect("a barrier");
    assert!(waiter.inspect(&queue, &name).await.expect("a look").is_none());
}

/// [`Departure::Withdraw`] tells a watcher of a deletion.
pub async fn a_withdrawal_is_a_delete_event(harness: &dyn Harness) {
    let (one, two) = (harness.session().await, harness.session().await);
    let queue = queue_of(&*one, harness).await;
    let (name, _) = entered(&*one, &queue, b"t").await;
    let watch = watched(&*two, &queue, &name).await;
    one.leave(&queue, &name, Departure::Withdraw).await.expect("left");
    assert_eq!(change(watch).await, Change::Deleted);
}

/// The end of a session deletes its nodes, and watchers of other sessions see deletions, not writes.
pub async fn the_end_of_a_session_deletes_its_nodes_with_a_delete_event(harness: &dyn Harness) {
    let (doomed, other) = (harness.session().await, harness.session().await);
    let queue = queue_of(&*doomed, harness).await;
    let (name, _) = entered(&*doomed, &queue, b"t").await;
    let watch = watched(&*other, &queue, &name).await;
    harness.expire(&*doomed).await;
    assert_eq!(change(watch).await, Change::Deleted);
    let mut states = doomed.states();
    let ended = states.wait_for(|state| matches!(state, SessionState::Ended(_)));
    timeout(PATIENCE, ended).await.expect("the session learns of its end").expect("its state");
    let error = doomed.enter(&queue, Mode::Exclusive, b"t").await.expect_err("nothing works any more");
    assert!(matches!(error.kind(), StoreErrorKind::Ended(_)), "{error:?}");
}

/// A watch fires once; a missing node is told as such and leaves no watch.
pub async fn a_watch_fires_once_and_missing_nodes_get_none(harness: &dyn Harness) {
    let (one, two) = (harness.session().await, harness.session().await);
    let queue = queue_of(&*one, harness).await;
    assert!(two.watch(&queue, "lock-0000000000").await.expect("a look").is_none());
    let (name, _) = entered(&*one, &queue, b"t").await;
    let (first, second) = (watched(&*two, &queue, &name).await, watched(&*two, &queue, &name).await);
    one.leave(&queue, &name, Departure::Withdraw).await.expect("left");
    assert_eq!((change(first).await, change(second).await), (Change::Deleted, Change::Deleted));
}

/// Events of one session come in the order of the changes: the baton's safety rests on it.
pub async fn own_events_come_before_later_events_of_others(harness: &dyn Harness) {
    let (holder, waiter, operator) = (harness.session().await, harness.session().await, harness.session().await);
    let queue = queue_of(&*holder, harness).await;
    let (first, _) = entered(&*holder, &queue, b"t").await;
    let (second, _) = entered(&*waiter, &queue, b"t").await;
    let mut own = watched(&*waiter, &queue, &second).await.event;
    let mut predecessor = watched(&*waiter, &queue, &first).await.event;
    operator.leave(&queue, &second, Departure::Withdraw).await.expect("deleted by hand");
    holder.leave(&queue, &first, Departure::Release).await.expect("released");
    let own_change = timeout(PATIENCE, async {
        tokio::select! {
            biased;
            event = &mut own => event.change,
            _ = &mut predecessor => panic!("the release was told before the earlier deletion of the own node"),
        }
    });
    assert_eq!(own_change.await.expect("the watch fires"), Change::Deleted);
    assert_eq!(timeout(PATIENCE, predecessor).await.expect("the watch fires").change, Change::Written);
}

/// [`Session::find_own`] finds this session's node by its ticket, and nobody else's.
pub async fn find_own_finds_only_this_sessions_ticket(harness: &dyn Harness) {
    let (one, two) = (harness.session().await, harness.session().await);
    let queue = queue_of(&*one, harness).await;
    let (_, mine) = entered(&*one, &queue, b"same").await;
    entered(&*two, &queue, b"same").await;
    entered(&*one, &queue, b"other").await;
    one.write_barrier().await.expect("a barrier");
    let found = one.find_own(&queue, b"same").await.expect("a search");
    assert_eq!(found, [super::OwnNode { sequence: mine.sequence, token: mine.token }]);
    assert_eq!(one.find_own(&queue, b"none").await.expect("a search"), []);
}

/// Leaving with a node that is gone says so, in every form.
pub async fn leaving_twice_says_that_the_node_is_gone(harness: &dyn Harness) {
    let session = harness.session().await;
    let queue = queue_of(&*session, harness).await;
    for departure in [Departure::Withdraw, Departure::Release, Departure::CloseQueue] {
        let (name, _) = entered(&*session, &queue, b"t").await;
        session.leave(&queue, &name, Departure::Withdraw).await.expect("left");
        let error = session.leave(&queue, &name, departure).await.expect_err("gone already");
        assert_eq!(error.kind(), StoreErrorKind::NoNode, "{departure:?}");
    }
}

/// [`Departure::CloseQueue`] changes nothing while somebody else is there, and otherwise starts numbers again.
pub async fn closing_a_queue_needs_it_empty_and_starts_numbers_again(harness: &dyn Harness) {
    let (one, two) = (harness.session().await, harness.session().await);
    let queue = queue_of(&*one, harness).await;
    let (first, _) = entered(&*one, &queue, b"t").await;
    let (second, _) = entered(&*two, &queue, b"t").await;
    let error = one.leave(&queue, &first, Departure::CloseQueue).await.expect_err("somebody is there");
    assert_eq!(error.kind(), StoreErrorKind::NotEmpty);
    assert!(one.inspect(&queue, &first).await.expect("a look").is_some(), "nothing has changed");
    one.leave(&queue, &first, Departure::Withdraw).await.expect("left");
    two.leave(&queue, &second, Departure::CloseQueue).await.expect("the last one out");
    one.write_barrier().await.expect("a barrier");
    assert_eq!(one.survey(&queue).await.expect_err("no queue").kind(), StoreErrorKind::NoNode);
    one.make_queue(&queue).await.expect("made anew");
    let (_, again) = entered(&*one, &queue, b"t").await;
    assert_eq!(again.sequence.as_i32(), 0);
}

/// [`Session::commit`] writes nothing once the own node is gone.
pub async fn a_commit_needs_the_own_node(harness: &dyn Harness) {
    let (one, two) = (harness.session().await, harness.session().await);
    let queue = queue_of(&*one, harness).await;
    let (name, _) = entered(&*one, &queue, b"t").await;
    let own = queue.join(&name);
    let path = format!("{queue}-data");
    let create = Operation::Create { path: path.clone(), data: b"1".to_vec() };
    one.commit(&own, &[create]).await.expect("the node is there");
    two.leave(&queue, &name, Departure::Withdraw).await.expect("deleted by hand");
    let write = Operation::SetData { path, data: b"2".to_vec(), version: None };
    let error = one.commit(&own, &[write]).await.expect_err("the node is gone");
    assert_eq!((error.kind(), error.index()), (StoreErrorKind::NoNode, Some(0)));
}

/// [`Session::commit`] does all or nothing and names the first refused operation.
pub async fn a_commit_is_all_or_nothing(harness: &dyn Harness) {
    let session = harness.session().await;
    let queue = queue_of(&*session, harness).await;
    let (name, _) = entered(&*session, &queue, b"t").await;
    let own = queue.join(&name);
    let (one, two) = (format!("{queue}-one"), format!("{queue}-two"));
    let create = |path: &str| Operation::Create { path: path.to_owned(), data: vec![] };
    let check = Operation::Check { path: one.clone(), version: 7 };
    let error = session.commit(&own, &[create(&one), check]).await.expect_err("no such version");
    assert_eq!((error.kind(), error.index()), (StoreErrorKind::VersionMismatch, Some(2)));
    session.commit(&own, &[create(&one), create(&two)]).await.expect("the first was not created before");
    let deletes = [one, two].map(|path| Operation::Delete { path, version: Some(0) });
    session.commit(&own, &deletes).await.expect("deleted");
}

/// A closed session has ended, and its nodes are gone.
pub async fn a_closed_session_has_ended(harness: &dyn Harness) {
    let (one, two) = (harness.session().await, harness.session().await);
    let queue = queue_of(&*one, harness).await;
    let (name, _) = entered(&*one, &queue, b"t").await;
    one.close().await;
    assert!(matches!(*one.states().borrow(), SessionState::Ended(_)));
    two.write_barrier().await.expect("a barrier");
    assert!(two.inspect(&queue, &name).await.expect("a look").is_none());
    assert!(matches!(one.touch().await.expect_err("closed").kind(), StoreErrorKind::Ended(_)));
    one.close().await;
}

/// Whoever asks a session that was given up is told why it was, not that somebody has closed it.
pub async fn a_session_that_was_given_up_says_why(harness: &dyn Harness) {
    let session = harness.session().await;
    let queue = queue_of(&*session, harness).await;
    session.give_up(LossReason::DeadlinePassed);
    let ended = SessionState::Ended(LossReason::DeadlinePassed);
    assert_eq!(*session.states().borrow(), ended);
    let error = session.survey(&queue).await.expect_err("it is over");
    assert_eq!(error.kind(), StoreErrorKind::Ended(LossReason::DeadlinePassed));
}

/// The two ways of keeping a session alive work without any preparation.
pub async fn touching_and_barriers_succeed(harness: &dyn Harness) {
    let session = harness.session().await;
    assert!(session.timeout() > Duration::ZERO);
    session.touch().await.expect("touched");
    session.write_barrier().await.expect("a barrier");
}
