//! The link between a guard and the task that owns its node.

use std::sync::{Arc, OnceLock};

use tokio::sync::{oneshot, watch};

use super::{Claim, Share};
use crate::clock::Timestamp;
use crate::error::{Error, LossReason};
use crate::path::{LockPath, QueuePath};
use crate::session::{Era, Session};
use crate::store::{OwnNode, SessionState};
use crate::token::FencingToken;

/// A lock that was granted. Dropping it releases the lock: the sender's end tells the task, from any thread, with or
/// without a runtime.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(super) lock: LockPath,
    pub(super) node: OwnNode,
    pub(super) queue: QueuePath,
    /// Made when somebody asks for it, which few do.
    pub(super) node_path: OnceLock<String>,
    /// That of the grant, which stays when the node is replaced.
    pub(super) token: FencingToken,
    pub(super) session: Arc<Session>,
    pub(super) era: Era,
    /// Until when it is held at most.
    pub(super) held_until: Option<Timestamp>,
    /// The loss as it was told.
    pub(super) told: OnceLock<LossReason>,
    pub(super) losses: watch::Receiver<Option<LossReason>>,
    pub(super) wishes: oneshot::Sender<Wish>,
}

/// What the task is told.
#[derive(Debug)]
pub(super) enum Wish {
    Release(ReleaseRequest),
    /// To share the lock from now on; the next wish comes on another channel.
    Downgrade(DowngradeRequest, oneshot::Receiver<Wish>),
}

/// A guard that was dropped.
impl Default for Wish {
    fn default() -> Self {
        Wish::Release(ReleaseRequest::default())
    }
}

/// Whoever waits for the node that comes in place of the exclusive one.
pub(super) type DowngradeRequest = oneshot::Sender<Result<OwnNode, Error>>;

/// Whoever waits for the release; the default is nobody.
#[derive(Debug, Default)]
pub(crate) struct ReleaseRequest {
    answer: Option<oneshot::Sender<Result<(), Error>>>,
}

impl ReleaseRequest {
    pub(crate) fn answer(self, result: Result<(), Error>) {
        if let Some(answer) = self.answer {
            let _ = answer.send(result);
        }
    }
}

impl Hold {
    pub(crate) fn lock(&self) -> &LockPath {
        &self.lock
    }

    /// The node itself, and the session that owns it.
    pub(crate) fn claim(&self) -> Claim {
        Claim { node: self.node, session: self.session.store().id() }
    }

    pub(crate) fn node_path(&self) -> &str {
        self.node_path.get_or_init(|| self.queue.join(&self.node.sequence.node_name()))
    }

    pub(crate) fn token(&self) -> FencingToken {
        self.token
    }

    /// For one who gives it up for the lock.
    pub(crate) fn share(&self) -> Share {
        Share { claim: self.claim(), held_until: self.held_until }
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    pub(crate) fn valid_until(&self) -> Timestamp {
        let valid_until = self.session.validity().valid_until();
        self.held_until.map_or(valid_until, |limit| limit.min(valid_until))
    }

    /// Why the lock is lost; `None` while it may be relied upon. Reads a clock and three cells, does no I/O.
    pub(crate) fn loss(&self) -> Option<LossReason> {
        if let Some(reason) = self.told.get() {
            return Some(*reason);
        }
        // Whatever is found first: of two deadlines that have passed, not now one and then the other.
        self.look().map(|reason| *self.told.get_or_init(|| reason))
    }

    fn look(&self) -> Option<LossReason> {
        if let Some(reason) = *self.losses.borrow() {
            return Some(reason);
        }
        // The task is gone without a word: its runtime was shut down.
        if self.losses.has_changed().is_err() {
            return Some(LossReason::Closed);
        }
        // The task may not have heard yet that the session was closed or given up: the servers may hear it first.
        if let SessionState::Ended(reason) = *self.session.states().borrow() {
            return Some(reason);
        }
        // The task may not have been scheduled yet, or be late like this thread after a pause; the clock is not.
        if !self.session.validity().holds_since(self.era) {
            return Some(LossReason::DeadlinePassed);
        }
        let is_past = |limit| self.session.clock().now() >= limit;
        self.held_until.is_some_and(is_past).then_some(LossReason::HoldLimitReached)
    }

    /// Waits until the lock is lost.
    pub(crate) async fn lost(&self) -> LossReason {
        let reason = tokio::select! {
            biased;
            reason = self.gone() => reason,
            () = self.session.lapsed(self.era) => LossReason::DeadlinePassed,
            () = self.session.passed(self.held_until) => LossReason::HoldLimitReached,
        };
        self.loss().unwrap_or(reason)
    }

    /// Waits until the node is gone or its session has ended, however long the session has not been confirmed.
    pub(crate) async fn gone(&self) -> LossReason {
        let (mut losses, mut states) = (self.losses.clone(), self.session.states());
        let is_over = |state: &SessionState| matches!(state, SessionState::Ended(_));
        tokio::select! {
            biased;
            told = losses.wait_for(Option::is_some) => told.ok().and_then(|reason| *reason).unwrap_or(LossReason::Closed),
            // Here too, so that loss does not depend on the task being scheduled.
            state = states.wait_for(is_over) => match state.map(|state| *state) {
                Ok(SessionState::Ended(reason)) => reason,
                _ => LossReason::Closed,
            },
        }
    }

    /// Shares the lock from now on; gives the hold back as it was if that is not possible. Dropping the future releases it.
    pub(crate) async fn downgrade(mut self) -> Result<Self, (Self, Error)> {
        if let Some(reason) = self.loss() {
            let path = self.lock.to_string();
            return Err((self, Error::LockLost { path, reason }));
        }
        let (next_wishes, next_wish) = oneshot::channel();
        let (request, outcome) = oneshot::channel();
        let wishes = std::mem::replace(&mut self.wishes, next_wishes);
        let sent = wishes.send(Wish::Downgrade(request, next_wish));
        let outcome = if sent.is_ok() { outcome.await.ok() } else { None };
        match outcome {
            Some(Ok(node)) => {
                (self.node, self.node_path) = (node, OnceLock::new());
                Ok(self)
            }
            Some(Err(error)) => Err((self, error)),
            // The task dropped it: the lock was lost.
            None => {
                let reason = self.loss().unwrap_or(LossReason::Closed);
                let path = self.lock.to_string();
                Err((self, Error::LockLost { path, reason }))
            }
        }
    }

    /// Releases the lock and waits for the outcome. The request is made by the call, not by awaiting.
    pub(crate) fn release(self) -> impl Future<Output = Result<(), Error>> + Send {
        let path = self.lock.to_string();
        let lost = self.loss();
        let (answer, outcome) = oneshot::channel();
        let losses = self.losses;
        let sent = self.wishes.send(Wish::Release(ReleaseRequest { answer: Some(answer) }));
        async move {
            // The node is deleted all the same, but the truth about the lock is that it was lost.
            if let Some(reason) = lost {
                return Err(Error::LockLost { path, reason });
            }
            if sent.is_ok()
                && let Ok(result) = outcome.await
            {
                return result;
            }
            // The task ended before: the lock was lost.
            let reason = (*losses.borrow()).unwrap_or(LossReason::Closed);
            Err(Error::LockLost { path, reason })
        }
    }
}
