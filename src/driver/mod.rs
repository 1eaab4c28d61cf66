//! Runs one contender: executes the machine's actions on the session, and tells it what came of them.
//!
//! Every attempt has a task of its own, which owns the contender's node from the first request to its certain end.
//! Whoever waits for the lock merely listens to that task. So dropping a future cancels nothing half-way: the task
//! learns that nobody listens any more, and cleans up, over a reconnect if need be. The same holds for a guard that
//! is dropped on another thread, in a panic, or outside any runtime.

mod claim;
mod hold;
mod listener;
mod progress;
mod requests;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{oneshot, watch};
use tracing::{Instrument, debug, error, info, warn};

pub(crate) use self::claim::{Claim, Earlier, Share};
pub(crate) use self::hold::Hold;
use self::listener::Listener;
pub use self::progress::Progress;
pub(crate) use self::progress::ProgressOptions;
use self::requests::{Answer, Requests};
use crate::clock::Timestamp;
use crate::error::{Error, LossReason};
use crate::path::{LockPath, QueuePath};
use crate::pauses;
use crate::queue::{Action, Event, Limits, Machine, Mode, Patience};
use crate::session::{Pool, Seat};
use crate::store::{Change, SessionState, StoreError, WatchEvent};
use crate::ticket::Ticket;
use crate::token::FencingToken;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A holder's own node is watched only once it has been held this long. Most critical sections are shorter, and a
/// request on the wire just before the release would delay it: the client's socket holds back a second small
/// packet until the first is acknowledged.
const OWN_WATCH_DELAY: Duration = Duration::from_millis(50);

/// What an attempt needs to know.
pub(crate) struct Attempt {
    pub(crate) lock: LockPath,
    pub(crate) queue: QueuePath,
    pub(crate) ticket: Ticket,
    pub(crate) mode: Mode,
    pub(crate) patience: Patience,
    /// Whether the one ahead may well be a reader.
    pub(crate) expects_readers: bool,
    /// What its owner has already, and gives up for the lock.
    pub(crate) share: Option<Share>,
    /// The node whose place it takes over.
    pub(crate) earlier: Option<Earlier>,
    pub(crate) limits: Limits,
    pub(crate) seat: Seat,
    pub(crate) pool: Weak<Pool>,
    /// How long the lock is to be held at most.
    pub(crate) hold_limit: Option<Duration>,
    /// Whether the hold ends when the session was not confirmed in time: not where nobody relies on it.
    pub(crate) lapses: bool,
    pub(crate) progress: Option<ProgressOptions>,
}

/// Starts an attempt. Dropping the receiver cancels it; a hold that nobody received is released.
pub(crate) fn start(runtime: &tokio::runtime::Handle, attempt: Attempt) -> oneshot::Receiver<Result<Hold, Error>> {
    let (outcome, receiver) = oneshot::channel();
    let span = tracing::info_span!("contender", lock = %attempt.lock, attempt = attempt.ticket.id());
    runtime.spawn(Driver::new(attempt, outcome).run().instrument(span));
    receiver
}

struct Driver {
    machine: Machine,
    requests: Arc<Requests>,
    states: watch::Receiver<SessionState>,
    started: Timestamp,
    listener: Listener,
    /// The protocol's one outstanding request.
    outstanding: Option<BoxFuture<Answer>>,
    own_watch_delay: Option<BoxFuture<()>>,
    own_watch_request: Option<BoxFuture<Answer>>,
    own_watch: Option<BoxFuture<WatchEvent>>,
    predecessor_watch: Option<BoxFuture<WatchEvent>>,
    probe_timer: Option<BoxFuture<()>>,
    lapses: bool,
    lapse: Option<BoxFuture<()>>,
    hold_limit: Option<Duration>,
    /// Until when the lock is held at most.
    held_until: Option<Timestamp>,
    progress: Option<progress::Reporter>,
    /// Why the last request was refused.
    refusal: Option<(&'static str, StoreError)>,
    /// An event that may rest on something which news of the own node would refute.
    held_back: Option<Event>,
    /// The token of the grant, known before where it stays with a place that was taken over.
    token: Option<FencingToken>,
    seat: Seat,
}

impl Driver {
    fn new(attempt: Attempt, outcome: oneshot::Sender<Result<Hold, Error>>) -> Self {
        let session = attempt.seat.session().clone();
        let requests = Arc::new(Requests::new(&attempt));
        let progress = attempt.progress.map(progress::Reporter::new);
        Self {
            machine: match attempt.share {
                Some(share) => Machine::upgrading(share.claim.node.sequence, attempt.limits),
                None => Machine::new(attempt.patience, attempt.limits).expecting_readers(attempt.expects_readers),
            },
            states: session.states(),
            started: session.clock().now(),
            requests,
            listener: Listener::Waiter(outcome),
            outstanding: None,
            own_watch_delay: None,
            own_watch_request: None,
            own_watch: None,
            predecessor_watch: None,
            probe_timer: None,
            lapses: attempt.lapses,
            lapse: None,
            hold_limit: attempt.hold_limit,
            held_until: attempt.share.and_then(|share| share.held_until),
            progress,
            refusal: None,
            held_back: None,
            token: attempt.earlier.map(|earlier| earlier.token),
            seat: attempt.seat,
        }
    }

    // Not an `async fn`: its future would have room for the driver twice, as what it is given and as what it works on.
    #[allow(clippy::manual_async_fn)]
    fn run(mut self) -> impl Future<Output = ()> + Send {
        async move {
            self.perform(Action::Enter);
            // That it is connected is no news: nothing was interrupted.
            if let Some(event) = self.session_event().filter(|event| *event != Event::Resumed) {
                self.handle(event);
            }
            while !self.machine.is_finished() {
                if let Some(event) = self.next().await {
                    self.handle(event);
                }
            }
        }
    }

    fn handle(&mut self, event: Event) {
        for action in self.machine.handle(event) {
            self.perform(action);
        }
        self.keep_timers();
    }

    /// Waits for the next thing that happens. The order matters where two are ready: news of the own node come before
    /// the baton and before a survey's answer, which count only while the own watch is silent. The client may deliver
    /// both while this is polling; so such an event is held back for one more look at what was told before it.
    async fn next(&mut self) -> Option<Event> {
        if self.held_back.is_some() {
            return self.own_news().or_else(|| self.held_back.take());
        }
        let head = progress::target(&self.machine);
        tokio::select! {
            biased;
            answer = ready(&mut self.own_watch_request) => self.own_watch_answer(answer),
            event = ready(&mut self.own_watch) => match event.change {
                Change::Written => Some(Event::OwnWatchSpent),
                Change::Deleted => Some(Event::OwnGone),
                // The session's state tells it.
                Change::SessionEnded => None,
            },
            changed = self.states.changed() => match changed {
                Ok(()) => self.session_event(),
                Err(_) => Some(Event::SessionEnded(LossReason::Closed)),
            },
            event = self.listener.next() => self.listener_event(event),
            event = ready(&mut self.predecessor_watch) => {
                if self.machine.is_awaiting_room() {
                    return (event.change != Change::SessionEnded).then_some(Event::RoomChanged);
                }
                self.held_back = match event.change {
                    Change::Written => Some(Event::PredecessorReleased { continuous: event.continuous }),
                    Change::Deleted => Some(Event::PredecessorGone),
                    Change::SessionEnded => None,
                };
                None
            },
            answer = ready(&mut self.outstanding) => {
                self.held_back = Some(self.answer(answer));
                None
            },
            () = ready(&mut self.own_watch_delay) => {
                self.place_own_watch();
                None
            },
            () = ready(&mut self.lapse) => Some(Event::DeadlinePassed),
            () = ready(&mut self.probe_timer) => {
                if self.machine.is_stuck() {
                    self.requests.close_if_abandoned().await;
                }
                Some(Event::Tick)
            },
            () = progress::next(&mut self.progress, &self.requests, head) => None,
        }
    }

    /// What has been told about the own node and the session by now.
    fn own_news(&mut self) -> Option<Event> {
        if let Some(answer) = ready(&mut self.own_watch_request).now_or_never()
            && let Some(event) = self.own_watch_answer(answer)
        {
            return Some(event);
        }
        match ready(&mut self.own_watch).now_or_never().map(|event| event.change) {
            Some(Change::Written) => return Some(Event::OwnWatchSpent),
            Some(Change::Deleted) => return Some(Event::OwnGone),
            Some(Change::SessionEnded) | None => {}
        }
        if self.states.has_changed().unwrap_or(false) { self.session_event() } else { None }
    }

    fn perform(&mut self, action: Action) {
        let requests = self.requests.clone();
        match action {
            Action::Enter => self.outstanding = Some(Box::pin(async move { requests.enter().await })),
            Action::MakeQueue => self.outstanding = Some(Box::pin(async move { requests.make_queue().await })),
            Action::Recover => {
                info!("the reply to entering was lost, looking for the node");
                self.outstanding = Some(Box::pin(async move { requests.recover().await }));
            }
            Action::Survey => self.outstanding = Some(Box::pin(async move { requests.survey().await })),
            Action::SurveyRoom => self.outstanding = Some(Box::pin(async move { requests.survey_room().await })),
            Action::WatchRoom => {
                debug!("waiting for permits");
                self.predecessor_watch = None;
                self.outstanding = Some(Box::pin(async move { requests.watch_room().await }));
            }
            Action::PlaceWatch(ahead) => {
                debug!(behind = %ahead.node_name(), "waiting");
                self.predecessor_watch = None;
                self.outstanding = Some(Box::pin(async move { requests.place_watch(ahead).await }));
            }
            Action::PlaceWatchOnEither(before) => {
                debug!(behind = %before, "waiting");
                self.outstanding = Some(Box::pin(async move { requests.place_watch_on_either(before).await }));
            }
            Action::Confirm => {
                let Some(own) = self.machine.node() else { return };
                self.outstanding = Some(Box::pin(async move { requests.confirm(own).await }));
            }
            Action::Probe(ahead) => self.outstanding = Some(Box::pin(async move { requests.probe(ahead).await })),
            Action::PlaceOwnWatch if self.machine.is_held() => {
                self.own_watch_delay = Some(Box::pin(tokio::time::sleep(OWN_WATCH_DELAY)));
            }
            Action::PlaceOwnWatch => self.place_own_watch(),
            Action::Grant(proof) => self.grant(proof),
            Action::Lose(reason) => self.lose(reason),
            Action::Fail(failure) => self.fail(failure),
            Action::Released => self.released(),
            Action::Downgrade => {
                let Some(own) = self.machine.node() else { return };
                self.outstanding = Some(Box::pin(async move { requests.downgrade(own).await }));
            }
            Action::Locate => {
                info!("finding out whether the lock is shared by now");
                let Some(own) = self.machine.node() else { return };
                self.outstanding = Some(Box::pin(async move { requests.locate(own).await }));
            }
            Action::Downgraded => self.downgraded(),
            Action::NotDowngraded => self.not_downgraded(),
            Action::Leave(form) => {
                self.predecessor_watch = None;
                // A watch that was asked for stays: it ends with the node, and taking it back would be a request.
                self.own_watch_delay = None;
                let Some(own) = self.machine.node() else { return };
                self.outstanding = Some(Box::pin(async move { requests.leave(own, form).await }));
            }
            Action::Verify => {
                let Some(own) = self.machine.node() else { return };
                debug!("making sure of the node before it is deleted");
                self.outstanding = Some(Box::pin(async move { requests.verify(own).await }));
            }
            Action::RemoveSurplus(node) => {
                warn!(node = %node.sequence.node_name(), "removing a surplus node of this attempt");
                tokio::spawn(async move { requests.remove_surplus(node).await });
            }
            Action::Finish => {}
        }
    }

    fn place_own_watch(&mut self) {
        let Some(own) = self.machine.node() else { return };
        let requests = self.requests.clone();
        self.own_watch = None;
        self.own_watch_request = Some(Box::pin(async move { requests.place_own_watch(own).await }));
    }

    fn keep_timers(&mut self) {
        // Whoever lets go of a lock while it is downgraded holds nothing any more that the keeper would have to renew.
        if self.machine.is_stuck() || self.machine.is_downgrading() && !self.machine.is_held() {
            self.seat.retire();
        }
        match (self.machine.wants_ticks(), &self.probe_timer) {
            // Not all at one moment: waiters that came together would look together.
            (true, None) => {
                self.probe_timer = Some(Box::pin(tokio::time::sleep(pauses::until_next_look())));
            }
            (false, Some(_)) => self.probe_timer = None,
            _ => {}
        }
    }

    fn answer(&mut self, answer: Answer) -> Event {
        if let Some(watch) = answer.watch {
            self.predecessor_watch = Some(watch);
        }
        // What made the contender leave matters more than what went wrong with that.
        if answer.refusal.is_some() && !(self.machine.is_leaving() && self.refusal.is_some()) {
            self.refusal = answer.refusal;
        }
        if let Event::Entered(entered) = &answer.event {
            self.refusal = None;
            debug!(node = %entered.sequence.node_name(), token = %entered.token, "entered");
        }
        if self.machine.is_replaced_by(&answer.event) {
            // Whatever is told, or will be asked, of the own node is about the one that is gone.
            (self.own_watch, self.own_watch_request, self.own_watch_delay) = (None, None, None);
        }
        if let Event::Recovered(found) = &answer.event {
            info!(found = found.len(), "recovered after a lost reply");
        }
        answer.event
    }

    fn own_watch_answer(&mut self, answer: Answer) -> Option<Event> {
        if let Some((operation, error)) = answer.refusal {
            // Without it, hand-overs are confirmed by a survey, and a deletion by hand goes unnoticed.
            warn!(operation, %error, "the own node cannot be watched");
            return None;
        }
        self.own_watch = answer.watch;
        Some(answer.event)
    }

    fn session_event(&mut self) -> Option<Event> {
        match *self.states.borrow_and_update() {
            SessionState::Connected => Some(Event::Resumed),
            SessionState::Suspended => Some(Event::Suspended),
            SessionState::Ended(reason) => Some(Event::SessionEnded(reason)),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // A broken invariant: the node would block its queue as long as the session lives, and who knows what else is
        // wrong. All that the session holds is lost, and told so.
        if std::thread::panicking() {
            error!(lock = %self.requests.lock(), "a contender failed on a bug, giving its session up");
            self.requests.session().store().give_up(LossReason::SessionExpired);
        }
    }
}

/// Polls an optional future in place, and takes it out when it is done. No `async fn`, whose future would be three times as large.
struct Ready<'a, T>(&'a mut Option<BoxFuture<T>>);

fn ready<T>(slot: &mut Option<BoxFuture<T>>) -> Ready<'_, T> {
    Ready(slot)
}

impl<T> Future for Ready<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(future) = self.0.as_mut() else { return Poll::Pending };
        let output = std::task::ready!(future.as_mut().poll(context));
        *self.0 = None;
        Poll::Ready(output)
    }
}

#[cfg(test)]
mod tests {
    use super::Driver;

    #[test]
    fn the_task_of_a_contender_fits_into_little_room() {
        fn future_size<F>(_: fn(Driver) -> F) -> usize {
            size_of::<F>()
        }
        // In bytes. A waiter as a whole is to stay below 4 KB: see docs/BENCHMARKS.md.
        let size = future_size(Driver::run);
        assert!(size <= 1_280, "{size}");
    }
}
