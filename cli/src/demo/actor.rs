//! One contender: it queues, holds the lock, and leaves when told to.

use fairlock::queue::Sequence;
use fairlock::{Error, FencingToken, LossReason, Mutex};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::news::Who;

/// What a contender, or its session, tells the world.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) who: Who,
    pub(super) at: Instant,
    pub(super) fact: Fact,
}

#[derive(Debug)]
pub(super) enum Fact {
    /// Its node was created.
    Entered,
    Granted(FencingToken),
    /// It gave up, or its release is confirmed.
    Left,
    Lost(LossReason),
    Failed(Error),
    /// It was told that the node with this number has changed.
    Notified {
        about: Sequence,
    },
}

impl Report {
    pub(super) fn new(who: Who, fact: Fact) -> Self {
        Self { who, at: Instant::now(), fact }
    }
}

/// Queues for the lock once. Told to leave, a waiter gives up, and a holder releases.
pub(super) async fn contend(
    who: Who,
    lock: Mutex,
    mut leave: oneshot::Receiver<()>,
    reports: mpsc::UnboundedSender<Report>,
) {
    let tell = |fact| {
        // Once nobody listens, the demo is over.
        let _ = reports.send(Report::new(who, fact));
    };
    let granted = tokio::select! {
        granted = lock.acquire() => granted,
        _ = &mut leave => return tell(Fact::Left),
    };
    let guard = match granted {
        Ok(guard) => guard,
        Err(error) => return tell(Fact::Failed(error)),
    };
    tell(Fact::Granted(guard.fencing_token()));
    tokio::select! {
        reason = guard.lost() => return tell(Fact::Lost(reason)),
        _ = leave => {},
    }
    match guard.release().await {
        Ok(()) => tell(Fact::Left),
        Err(error) => tell(Fact::Failed(error)),
    }
}
