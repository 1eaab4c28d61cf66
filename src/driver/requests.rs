//! The machine's requests, each turned into a call of the store and the event that answers it.

mod replacing;

use std::sync::{Arc, Weak};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tracing::warn;

use super::{Attempt, BoxFuture, Claim, Earlier, Share};
use crate::path::{LockPath, QueuePath};
use crate::permits::Agreement;
use crate::queue::{Event, LeaveForm, Mode, Sequence, read_children};
use crate::session::{Pool, Session};
use crate::store::{Change, Departure, Node, OwnNode, StoreError, StoreErrorKind, Value, WatchEvent};

/// How often an overloaded server is asked again.
const OVERLOADED_RETRIES_MAX: usize = 10;

/// The pause after a request whose outcome is unknown, so that a connection that breaks at once is not hammered.
const UNKNOWN_PAUSE: Duration = Duration::from_millis(20);

/// The pause between attempts at something that has to succeed in the end.
const STUBBORN_PAUSE: Duration = Duration::from_secs(1);
const STUBBORN_PAUSE_MAX: Duration = Duration::from_secs(30);

/// The answer to a request.
pub(super) struct Answer {
    pub(super) event: Event,
    /// The watch that was placed.
    pub(super) watch: Option<BoxFuture<WatchEvent>>,
    /// What was refused, and why, if the event is [`Event::Refused`].
    pub(super) refusal: Option<(&'static str, StoreError)>,
}

impl From<Event> for Answer {
    fn from(event: Event) -> Self {
        Self { event, watch: None, refusal: None }
    }
}

/// What all requests of one attempt have in common.
pub(super) struct Requests {
    session: Arc<Session>,
    /// The handle's sessions; gone when no handle and no lock is left.
    pool: Weak<Pool>,
    lock: LockPath,
    queue: QueuePath,
    mode: Mode,
    ticket: Vec<u8>,
    /// The share that is given up for the lock.
    share: Option<Share>,
    /// The node whose place is taken over.
    earlier: Option<Earlier>,
}

impl Requests {
    pub(super) fn new(attempt: &Attempt) -> Self {
        Self {
            session: attempt.seat.session().clone(),
            pool: attempt.pool.clone(),
            lock: attempt.lock.clone(),
            queue: attempt.queue.clone(),
            mode: attempt.mode,
            ticket: attempt.ticket.to_bytes(),
            share: attempt.share,
            earlier: attempt.earlier,
        }
    }

    pub(super) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    pub(super) fn lock(&self) -> &LockPath {
        &self.lock
    }

    pub(super) fn queue(&self) -> &QueuePath {
        &self.queue
    }

    pub(super) async fn enter(&self) -> Answer {
        if let Some(earlier) = self.earlier {
            return self.take_over(earlier).await;
        }
        let reply = self
            .while_overloaded(|| self.session.write(self.session.store().enter(&self.queue, self.mode, &self.ticket)));
        match reply.await {
            Ok(entered) => Event::Entered(entered).into(),
            Err(error) if error.kind() == StoreErrorKind::NoNode => Answer {
                event: Event::QueueMissing,
                watch: None,
                // Should making the queue never help, this is what to report.
                refusal: Some(("enter the queue, which vanished again and again,", error)),
            },
            Err(error) if error.kind() == StoreErrorKind::NodeExists => {
                refused("enter the queue, whose next number is taken by a node made by hand (delete it),", error)
            }
            Err(error) => self.failed("create a node", error).await,
        }
    }

    pub(super) async fn make_queue(&self) -> Answer {
        let reply = self.while_overloaded(|| self.session.write(self.session.store().make_queue(&self.queue)));
        match reply.await {
            Ok(()) => Event::QueueMade.into(),
            Err(error) => self.failed("create the lock's directories", error).await,
        }
    }

    pub(super) async fn recover(&self) -> Answer {
        let found = async {
            // Until this write is acknowledged, the lost one may still be on its way.
            self.session.write(self.session.store().write_barrier()).await?;
            self.session.read(self.session.store().find_own(&self.queue, &self.ticket)).await
        };
        match found.await {
            Ok(found) => Event::Recovered(found).into(),
            Err(error) if error.kind() == StoreErrorKind::NoNode => Event::Recovered(vec![]).into(),
            Err(error) => self.failed_for_now("find a node after a lost reply", error).await,
        }
    }

    pub(super) async fn survey(&self) -> Answer {
        let reply = self.while_overloaded(|| self.session.read(self.session.store().survey(&self.queue)));
        match reply.await {
            Ok(names) => {
                let survey = read_children(&names);
                if let Some(example) = &survey.foreign_example
                    && self.session.is_first_report(&self.queue)
                {
                    warn!(
                        queue = %self.queue,
                        foreign = survey.foreign,
                        example,
                        "the queue has nodes that are not of this library; they are ignored"
                    );
                }
                Event::Surveyed(survey.contenders).into()
            }
            Err(error) if error.kind() == StoreErrorKind::NoNode => Event::QueueMissing.into(),
            Err(error) => self.failed("list the queue", error).await,
        }
    }

    pub(super) async fn survey_room(&self) -> Answer {
        let directory = self.queue.as_value();
        let store = self.session.store();
        // Both at once, and the number not before the own node was made: a contender that enters after it was changed sees
        // the change.
        let reply = self.while_overloaded(|| async {
            let names = self.session.read(store.survey(&self.queue));
            let value = self.session.read(store.read_value(&directory));
            futures_util::try_join!(names, value)
        });
        match reply.await {
            Ok((names, value)) => room_surveyed(&names, value).into(),
            Err(error) => self.failed_in_room("look for permits", error).await,
        }
    }

    pub(super) async fn watch_room(&self) -> Answer {
        let directory = self.queue.as_value();
        let store = self.session.store();
        let reply = self.while_overloaded(|| async {
            let members = self.session.read(store.watch_members(&self.queue));
            let value = self.session.read(store.watch_value(&directory));
            futures_util::try_join!(members, value)
        });
        match reply.await {
            Ok((members, value)) => {
                let (members_changed, number_changed) = (members.event, value.event);
                let watch = Box::pin(async move {
                    tokio::select! {
                        biased;
                        () = members_changed => {},
                        () = number_changed => {},
                    }
                    WatchEvent { change: Change::Written, continuous: false }
                });
                Answer { event: room_surveyed(&members.names, value.value), watch: Some(watch), refusal: None }
            }
            Err(error) => self.failed_in_room("watch for permits", error).await,
        }
    }

    async fn failed_in_room(&self, operation: &'static str, error: StoreError) -> Answer {
        match error.kind() {
            StoreErrorKind::NoNode => Event::QueueMissing.into(),
            _ => self.failed(operation, error).await,
        }
    }

    pub(super) async fn place_watch(&self, ahead: Sequence) -> Answer {
        let name = ahead.node_name();
        let reply = self.while_overloaded(|| self.session.read(self.session.store().watch(&self.queue, &name)));
        match reply.await {
            Ok(Some(watched)) => Answer { event: Event::WatchPlaced, watch: Some(watched.event), refusal: None },
            Ok(None) => Event::WatchMissing.into(),
            Err(error) => self.failed("watch the predecessor", error).await,
        }
    }

    /// Watches the node with this number, be it this writer's or a reader's.
    pub(super) async fn place_watch_on_either(&self, writer: Sequence) -> Answer {
        let names = [writer.node_name(), writer.as_shared().node_name()];
        let store = self.session.store();
        // At once, and in this order: a writer that becomes a reader in between is seen as both, rather than as
        // neither. An answer to the second is no older than one to the first.
        let reply = self.while_overloaded(|| async {
            let [writer, reader] = names.each_ref().map(|name| self.session.read(store.watch(&self.queue, name)));
            futures_util::try_join!(writer, reader)
        });
        match reply.await {
            // Also if both were seen: they have one number, so the writer's is gone by now, and its watch has nothing more to tell.
            Ok((_, Some(reader))) => {
                Answer { event: Event::ReaderWatchPlaced, watch: Some(reader.event), refusal: None }
            }
            Ok((Some(writer), None)) => Answer { event: Event::WatchPlaced, watch: Some(writer.event), refusal: None },
            Ok((None, None)) => Event::WatchMissing.into(),
            Err(error) => self.failed("watch the predecessor", error).await,
        }
    }

    pub(super) async fn place_own_watch(&self, own: OwnNode) -> Answer {
        let name = own.sequence.node_name();
        let reply = self.while_overloaded(|| self.session.read(self.session.store().watch(&self.queue, &name)));
        match reply.await {
            Ok(Some(watched)) if self.is_own(own, &watched.node) => {
                Answer { event: Event::OwnWatchPlaced, watch: Some(watched.event), refusal: None }
            }
            Ok(_) => Event::OwnGone.into(),
            Err(error) => {
                let mut answer = self.failed_for_now("watch the own node", error).await;
                if answer.event == Event::Unknown {
                    answer.event = Event::OwnWatchSpent;
                }
                answer
            }
        }
    }

    pub(super) async fn probe(&self, ahead: Sequence) -> Answer {
        let name = ahead.node_name();
        match self.session.read(self.session.store().inspect(&self.queue, &name)).await {
            Ok(node) => Event::Probed { exists: node.is_some() }.into(),
            Err(error) => self.failed("look at the predecessor", error).await,
        }
    }

    pub(super) async fn leave(&self, own: OwnNode, form: LeaveForm) -> Answer {
        let departure = match form {
            LeaveForm::CloseQueue => Departure::CloseQueue,
            LeaveForm::Release => Departure::Release,
            LeaveForm::Withdraw => Departure::Withdraw,
        };
        let name = own.sequence.node_name();
        // Not repeated here: by the time of a repetition, the name may be another's.
        match self.session.write(self.session.store().leave(&self.queue, &name, departure)).await {
            Ok(()) => Event::Left.into(),
            Err(error) if error.kind() == StoreErrorKind::NoNode => Event::LeaveMissing.into(),
            // Closing the queue is a try, and somebody being there is no failure that anybody should be told of.
            Err(error) if error.kind() == StoreErrorKind::NotEmpty => Event::Refused.into(),
            Err(error) => self.failed_for_now("delete the lock's node", error).await,
        }
    }

    pub(super) async fn verify(&self, own: OwnNode) -> Answer {
        let name = own.sequence.node_name();
        let node = async {
            self.session.write(self.session.store().write_barrier()).await?;
            self.session.read(self.session.store().inspect(&self.queue, &name)).await
        };
        match node.await {
            // By path alone it might be somebody else's: numbers start again in a directory that was made anew.
            Ok(node) => Event::Verified { exists: node.is_some_and(|node| self.is_own(own, &node)) }.into(),
            Err(error) => self.failed_for_now("look at the lock's node", error).await,
        }
    }

    pub(super) async fn confirm(&self, own: OwnNode) -> Answer {
        match self.is_there(Claim { node: own, session: self.session.store().id() }).await {
            Ok(true) => {}
            Ok(false) => return Event::Verified { exists: false }.into(),
            Err(error) => return self.failed("look at the own node", error).await,
        }
        let Some(share) = self.share else { return Event::Verified { exists: true }.into() };
        match self.is_there(share.claim).await {
            Ok(true) => Event::Verified { exists: true }.into(),
            Ok(false) => Event::ShareGone.into(),
            Err(error) => self.failed("look at the share's node", error).await,
        }
    }

    async fn is_there(&self, claim: Claim) -> Result<bool, StoreError> {
        let name = claim.node.sequence.node_name();
        let reply = self.while_overloaded(|| self.session.read(self.session.store().inspect(&self.queue, &name)));
        Ok(reply.await?.is_some_and(|found| claim.is_of(&found)))
    }

    /// Deletes a second node of this attempt, however long that takes: it would block the queue.
    pub(super) async fn remove_surplus(&self, node: OwnNode) {
        let mut pause = STUBBORN_PAUSE;
        loop {
            let answer = match self.verify(node).await.event {
                Event::Verified { exists: true } => self.leave(node, LeaveForm::Withdraw).await,
                Event::Verified { exists: false } | Event::SessionEnded(_) => return,
                _ => Event::Unknown.into(),
            };
            match answer.event {
                Event::Left | Event::LeaveMissing | Event::SessionEnded(_) => return,
                _ => tokio::time::sleep(pause).await,
            }
            pause = (2 * pause).min(STUBBORN_PAUSE_MAX);
            self.close_if_abandoned().await;
        }
    }

    fn is_own(&self, own: OwnNode, node: &Node) -> bool {
        Claim { node: own, session: self.session.store().id() }.is_of(node)
    }

    async fn failed(&self, operation: &'static str, error: StoreError) -> Answer {
        match error.kind() {
            StoreErrorKind::Ended(reason) => Event::SessionEnded(reason).into(),
            StoreErrorKind::Unknown => {
                tokio::time::sleep(UNKNOWN_PAUSE.mul_f64(0.5 + fastrand::f64())).await;
                Event::Unknown.into()
            }
            _ => refused(operation, error),
        }
    }

    /// Closes the session if only clean-ups that do not succeed keep it alive: that ends its nodes as well.
    pub(super) async fn close_if_abandoned(&self) {
        if self.pool.strong_count() == 0 && self.session.is_unused() {
            warn!("closing a session with a node that could not be deleted");
            self.session.store().close().await;
        }
    }

    /// As [`Self::failed`], for requests that must come to an end because a node depends on it: what may go well later
    /// counts as unknown, and is found out again and again.
    async fn failed_for_now(&self, operation: &'static str, error: StoreError) -> Answer {
        if error.is_transient() && error.kind() != StoreErrorKind::Unknown {
            warn!(operation, %error, "trying again");
            tokio::time::sleep(STUBBORN_PAUSE).await;
            return Event::Unknown.into();
        }
        let answer = self.failed(operation, error).await;
        if let Some((operation, error)) = &answer.refusal {
            warn!(operation, %error, "refused");
        }
        answer
    }

    /// Repeats a request that an overloaded server did not execute.
    async fn while_overloaded<T, F>(&self, request: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut pauses = None;
        loop {
            match request().await {
                Err(error) if error.kind() == StoreErrorKind::Overloaded => {
                    match pauses.get_or_insert_with(pauses_of_an_overloaded_server).next() {
                        Some(pause) => tokio::time::sleep(pause).await,
                        None => return Err(error),
                    }
                }
                reply => return reply,
            }
        }
    }
}

fn pauses_of_an_overloaded_server() -> ExponentialBackoff {
    ExponentialBuilder::new().with_jitter().with_min_delay(UNKNOWN_PAUSE).with_max_times(OVERLOADED_RETRIES_MAX).build()
}

fn refused(operation: &'static str, error: StoreError) -> Answer {
    Answer { event: Event::Refused, watch: None, refusal: Some((operation, error)) }
}

fn room_surveyed(names: &[String], value: Option<Value>) -> Event {
    let agreement = value.and_then(|value| Agreement::parse(&value.data));
    Event::RoomSurveyed { contenders: read_children(names).contenders, permits: agreement.map(Agreement::permits) }
}
