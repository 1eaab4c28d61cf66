//! Who wants to know what becomes of a contender: a waiter, then a guard, then nobody.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tracing::{debug, info, warn};

use super::hold::{DowngradeRequest, Hold, ReleaseRequest, Wish};
use super::{BoxFuture, Driver};
use crate::clock::Timestamp;
use crate::error::{Error, LossReason};
use crate::queue::{Event, Failure, Proof};
use crate::session::Era;
use crate::store::OwnNode;
use crate::token::FencingToken;

/// Who wants to know.
pub(super) enum Listener {
    /// A waiter that has not been answered.
    Waiter(oneshot::Sender<Result<Hold, Error>>),
    /// A waiter whose lock is granted, while the session's validity is being renewed.
    Granted(oneshot::Sender<Result<Hold, Error>>, BoxFuture<Era>),
    /// A guard.
    Guard {
        loss: watch::Sender<Option<LossReason>>,
        wish: oneshot::Receiver<Wish>,
        since: Timestamp,
        /// A downgrade under way.
        downgrade: Option<DowngradeRequest>,
    },
    /// A guard that has asked for its release.
    Releasing {
        request: ReleaseRequest,
        since: Timestamp,
    },
    Nobody,
}

/// What they want.
pub(super) enum ListenerEvent {
    Left,
    Renewed(Era),
    Wish(Wish),
}

impl Listener {
    pub(super) async fn next(&mut self) -> ListenerEvent {
        match self {
            Listener::Waiter(outcome) => {
                outcome.closed().await;
                ListenerEvent::Left
            }
            Listener::Granted(outcome, renewed) => tokio::select! {
                biased;
                () = outcome.closed() => ListenerEvent::Left,
                era = renewed => ListenerEvent::Renewed(era),
            },
            // A guard that vanished without a word was dropped: that is a release too.
            Listener::Guard { wish, .. } => ListenerEvent::Wish(wish.await.unwrap_or_default()),
            Listener::Releasing { .. } | Listener::Nobody => std::future::pending().await,
        }
    }
}

impl Driver {
    pub(super) fn listener_event(&mut self, event: ListenerEvent) -> Option<Event> {
        match event {
            ListenerEvent::Left => {
                debug!("cancelled");
                self.progress = None;
                self.listener = Listener::Nobody;
                Some(Event::Cancel)
            }
            ListenerEvent::Renewed(era) => {
                self.hand_over_hold(era);
                None
            }
            ListenerEvent::Wish(Wish::Downgrade(request, next)) => {
                if let Listener::Guard { wish, downgrade, .. } = &mut self.listener {
                    (*wish, *downgrade) = (next, Some(request));
                }
                Some(Event::Downgrade)
            }
            ListenerEvent::Wish(Wish::Release(request)) => {
                if let Listener::Guard { since, .. } = std::mem::replace(&mut self.listener, Listener::Nobody) {
                    self.lapse = None;
                    self.listener = Listener::Releasing { request, since };
                }
                Some(Event::Release)
            }
        }
    }

    pub(super) fn grant(&mut self, proof: Proof) {
        self.refusal = None;
        self.token = self.token.or(self.machine.node().map(|node| node.token));
        // An outstanding request is a read that was overtaken: nobody needs its answer.
        self.outstanding = None;
        self.predecessor_watch = None;
        self.progress = None;
        let session = self.requests.session().clone();
        let waited = session.clock().now() - self.started;
        info!(?proof, waited_ms = waited.as_millis(), token = self.token.map(FencingToken::as_i64), "granted");
        if let Some(era) = session.validity().era() {
            return self.hand_over_hold(era);
        }
        // The servers granted it, but how long the session will live is not known: find out before saying so.
        if let Listener::Waiter(outcome) = std::mem::replace(&mut self.listener, Listener::Nobody) {
            self.listener = Listener::Granted(outcome, Box::pin(async move { session.renewed().await }));
        }
    }

    pub(super) fn hand_over_hold(&mut self, era: Era) {
        let (Listener::Waiter(outcome) | Listener::Granted(outcome, _)) =
            std::mem::replace(&mut self.listener, Listener::Nobody)
        else {
            return;
        };
        let Some(node) = self.machine.node() else { return };
        let session = self.requests.session().clone();
        let (loss, losses) = watch::channel(None);
        let (wishes, wish) = oneshot::channel();
        let since = session.clock().now();
        let held_until = self.held_until.or(self.hold_limit.map(|limit| since + limit));
        self.held_until = held_until;
        self.listener = Listener::Guard { loss, wish, since, downgrade: None };
        self.lapse = self.lapses.then(|| -> BoxFuture<()> {
            let session = session.clone();
            Box::pin(async move {
                tokio::select! {
                    biased;
                    () = session.lapsed(era) => {},
                    () = session.passed(held_until) => {},
                }
            })
        });
        // If the waiter has gone, the hold is dropped here or with its receiver, which releases the lock.
        let _ = outcome.send(Ok(Hold {
            lock: self.requests.lock().clone(),
            node,
            queue: self.requests.queue().clone(),
            node_path: OnceLock::new(),
            token: self.token.unwrap_or(node.token),
            session,
            era,
            held_until,
            told: OnceLock::new(),
            losses,
            wishes,
        }));
    }

    pub(super) fn lose(&mut self, reason: LossReason) {
        let is_past = |limit: Timestamp| self.requests.session().clock().now() >= limit;
        // The machine knows one deadline: the earlier of two.
        let reason = match reason {
            LossReason::DeadlinePassed if self.held_until.is_some_and(is_past) => LossReason::HoldLimitReached,
            reason => reason,
        };
        self.lapse = None;
        self.progress = None;
        let held = |since| self.requests.session().clock().now() - since;
        match std::mem::replace(&mut self.listener, Listener::Nobody) {
            // Whoever waits for a downgrade is told as well, since its sender is dropped.
            Listener::Guard { loss, since, .. } => {
                warn!(%reason, held_ms = held(since).as_millis(), token = self.token.map(FencingToken::as_i64), "lost");
                loss.send_replace(Some(reason));
            }
            Listener::Releasing { request, .. } => {
                warn!(%reason, "lost before it was released");
                request.answer(Err(Error::LockLost { path: self.requests.lock().to_string(), reason }));
            }
            Listener::Waiter(outcome) | Listener::Granted(outcome, _) => {
                let _ = outcome.send(Err(self.lost_while_waiting(reason)));
            }
            Listener::Nobody => {}
        }
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        self.progress = None;
        let path = self.requests.lock().to_string();
        let error = match failure {
            Failure::Refused => match self.refusal.take() {
                Some((operation, source)) => Error::from_store(operation, &path, source),
                None => Error::Removed { path },
            },
            Failure::Removed => Error::Removed { path },
            Failure::ShareGone => Error::LockLost { path, reason: LossReason::NodeDeleted },
            Failure::SessionEnded(reason) => self.lost_while_waiting(reason),
            Failure::WouldBlock => Error::Timeout { path, waited: Duration::ZERO },
            Failure::Exhausted => Error::QueueExhausted { path },
            Failure::TooManyPermits { asked, permits } => Error::TooManyPermits { path, asked, permits },
            Failure::NoAgreement => Error::NoAgreement { path: self.requests.queue().to_string() },
        };
        debug!(%error, "failed");
        match std::mem::replace(&mut self.listener, Listener::Nobody) {
            Listener::Waiter(outcome) | Listener::Granted(outcome, _) => {
                let _ = outcome.send(Err(error));
            }
            Listener::Releasing { request, .. } => request.answer(Err(error)),
            Listener::Guard { .. } | Listener::Nobody => {}
        }
    }

    pub(super) fn lost_while_waiting(&self, reason: LossReason) -> Error {
        Error::lost_while_waiting(self.requests.lock().as_str(), reason)
    }

    pub(super) fn released(&mut self) {
        if let Listener::Releasing { request, since } = std::mem::replace(&mut self.listener, Listener::Nobody) {
            let held = self.requests.session().clock().now() - since;
            info!(held_ms = held.as_millis(), "released");
            request.answer(Ok(()));
        }
    }

    pub(super) fn downgraded(&mut self) {
        let Some(node) = self.machine.node() else { return };
        info!(node = %node.sequence.node_name(), token = self.token.map(FencingToken::as_i64), "shares the lock from now on");
        self.answer_downgrade(Ok(node));
    }

    pub(super) fn not_downgraded(&mut self) {
        let path = self.requests.lock().to_string();
        let error = match self.refusal.take() {
            Some((operation, source)) => Error::from_store(operation, &path, source),
            None => Error::Removed { path },
        };
        warn!(%error, "not downgraded");
        self.answer_downgrade(Err(error));
    }

    fn answer_downgrade(&mut self, outcome: Result<OwnNode, Error>) {
        if let Listener::Guard { downgrade, .. } = &mut self.listener
            && let Some(request) = downgrade.take()
        {
            // If nobody waits any more, the hold was dropped, which is heard next.
            let _ = request.send(outcome);
        }
    }
}
