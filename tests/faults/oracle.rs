//! What must be true after every fault, whichever request it struck; the promises are those of docs/PROTOCOL.md.
//!
//! The disturbed contender's future ends, as documented: granted, released, or with an error that says to try again.
//! Its place in the queue is kept if its session survives: who entered later is granted later. It has one node at most,
//! and none in the end. An undisturbed contender is granted after it, stays valid, and keeps its node. Tokens rise. A
//! guard that was cut off is invalid before the next contender is granted.

use std::sync::Arc;
use std::time::Duration;

use fairlock::{Error, FencingToken, Guard, LossReason, Mutex, Retry};
use fairlock_testcontainers::Hold;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::fault::{Fault, Struck};
use crate::stage::{Acquiring, Stage};

/// What a holder may take to learn of a loss that the server has decided.
pub(crate) const NOTICE: Duration = Duration::from_millis(200);

/// How long the client pauses, at most, after an attempt to come back that failed, before it tries again.
const CLIENTS_PAUSE: Duration = Duration::from_millis(200);

/// The limit is counted in turns of a timer of this length, so that time during which a busy machine let nobody here run
/// is nobody's fault.
const TURN: Duration = Duration::from_millis(5);

/// What the disturbed holder is doing.
pub(crate) enum Doing {
    /// Nothing: the request is made in the background.
    Holding(Guard),
    /// Its connection has just come back, and is not fully restored.
    Resuming(Guard),
    Releasing(JoinHandle<Result<(), Error>>, FencingToken),
    /// It creates this node.
    Writing(JoinHandle<Result<(), Error>>, Arc<Guard>, String),
}

impl Stage {
    /// The disturbed contender waits, or is about to, behind a holder, and its request is trapped.
    pub(crate) async fn waits_behind(&self, holder: Guard, lock: Mutex, hold: Hold, acquiring: Acquiring) {
        let token = holder.fencing_token();
        let struck = self.strike(hold).await;
        if self.fault.ends_session() {
            let second = self.second_enters().await;
            self.soon("the holder's release", holder.release()).await.expect("released");
            let second = self.successor(second, token).await;
            self.ends_behind(lock, second, struck, acquiring).await;
        } else {
            self.until("the disturbed contender's node", async || self.own_nodes().await == 1).await;
            let second = self.second_enters().await;
            self.heal(struck).await;
            self.soon("the holder's release", holder.release()).await.expect("released");
            let guard = self.granted(acquiring).await;
            assert!(guard.fencing_token() > token, "tokens rise");
            self.held_then_released(lock, guard, second).await;
        }
    }

    /// The disturbed contender's session has ended while another holds the lock: it is not granted, early or late.
    async fn ends_behind(&self, lock: Mutex, second: Guard, struck: Struck, mut acquiring: Acquiring) {
        let early = if acquiring.is_finished() { Some((&mut acquiring).await.expect("no panic")) } else { None };
        if let Some(Ok(guard)) = &early {
            self.is_overtaken(guard, NOTICE).await;
        }
        self.heal(struck).await;
        let ended = match early {
            Some(ended) => ended,
            None => self.soon("the disturbed future", acquiring).await.expect("no panic"),
        };
        self.not_granted(ended).await;
        self.settle(Some(lock), second).await;
    }

    /// The disturbed contender finds the lock free, and its request is trapped.
    pub(crate) async fn finds_it_free(&self, lock: Mutex, hold: Hold, acquiring: Acquiring) {
        let struck = self.strike(hold).await;
        if self.fault.ends_session() {
            let second = self.granted(self.acquire(&self.other)).await;
            self.ends_behind(lock, second, struck, acquiring).await;
        } else {
            self.heal(struck).await;
            let guard = self.granted(acquiring).await;
            let second = self.second_enters().await;
            self.held_then_released(lock, guard, second).await;
        }
    }

    /// The disturbed contender holds the lock, another waits behind it, and a request of the holder is trapped.
    pub(crate) async fn holds(&self, lock: Option<Mutex>, doing: Doing, second: Acquiring, hold: Hold) {
        let token = match &doing {
            Doing::Holding(guard) | Doing::Resuming(guard) => guard.fencing_token(),
            Doing::Releasing(_, token) => *token,
            Doing::Writing(_, guard, _) => guard.fencing_token(),
        };
        let struck = self.strike(hold).await;
        if self.fault.ends_session() {
            let second = self.successor(second, token).await;
            match &doing {
                Doing::Holding(guard) => self.is_overtaken(guard, NOTICE).await,
                Doing::Resuming(guard) => self.is_overtaken(guard, NOTICE + CLIENTS_PAUSE).await,
                Doing::Writing(_, guard, _) => self.is_overtaken(guard, NOTICE).await,
                Doing::Releasing(..) => {}
            }
            let written = self.is_written(&doing).await;
            self.heal(struck).await;
            match doing {
                Doing::Holding(guard) | Doing::Resuming(guard) => self.is_lost(guard).await,
                Doing::Releasing(releasing, _) => {
                    let released = self.soon("the release", releasing).await.expect("no panic");
                    assert!(matches!(released, Ok(()) | Err(Error::LockLost { .. })), "{released:?}");
                }
                Doing::Writing(writing, guard, path) => {
                    let outcome = self.soon("the write", writing).await.expect("no panic");
                    assert!(
                        matches!(outcome, Err(Error::UnknownOutcome { .. } | Error::LockLost { .. })),
                        "{outcome:?}"
                    );
                    let again = guard.transaction().create(format!("{path}-again"), b"").commit().await;
                    assert!(matches!(again, Err(Error::LockLost { .. })), "{again:?}");
                    self.is_lost(Arc::into_inner(guard).expect("the write has ended")).await;
                    assert_eq!(Some(self.exists(&path).await), written, "written after the next was granted");
                }
            }
            self.settle(lock, second).await;
        } else {
            self.heal(struck).await;
            let guard = match doing {
                Doing::Holding(guard) | Doing::Resuming(guard) => Some(guard),
                Doing::Releasing(releasing, _) => {
                    let released = self.soon("the release", releasing).await.expect("no panic");
                    assert!(released.is_ok() || self.may_be_lost(&released), "{released:?}");
                    None
                }
                Doing::Writing(writing, guard, path) => {
                    let outcome = self.soon("the write", writing).await.expect("no panic");
                    match (self.fault, &outcome) {
                        (Fault::ReplyDelayed, Ok(())) | (_, Err(Error::UnknownOutcome { .. })) => {}
                        _ => panic!("{outcome:?}"),
                    }
                    if let Some(executed) = self.fault.is_executed() {
                        assert_eq!(self.exists(&path).await, executed);
                    }
                    Some(Arc::into_inner(guard).expect("the write has ended"))
                }
            };
            if let Some(guard) = guard {
                self.held_until_released(guard, &second).await;
            }
            let second = self.successor(second, token).await;
            self.settle(lock, second).await;
        }
    }

    /// A guard whose lock has just been granted to another.
    pub(crate) async fn is_overtaken(&self, guard: &Guard, notice: Duration) {
        if self.fault == Fault::SessionExpired {
            // The servers decided it at once, so the holder can only be told.
            let mut waited = Duration::ZERO;
            while timeout(TURN, guard.lost()).await.is_err() {
                waited += TURN;
                assert!(waited < notice, "the loss was not noticed in {notice:?}");
            }
        }
        assert!(!guard.is_valid(), "two valid guards");
    }

    /// A guard that the servers know of, and nobody else.
    async fn is_held(&self, guard: &Guard, second: &Acquiring) {
        assert!(guard.is_valid(), "lost: {:?}", guard.validity());
        assert_eq!(self.own_nodes().await, 1, "one node for each attempt");
        assert!(self.exists(guard.node_path()).await);
        assert!(!second.is_finished(), "granted to two");
    }

    async fn is_lost(&self, guard: Guard) {
        assert!(!guard.is_valid());
        let released = self.soon("the release of a lost lock", guard.release()).await;
        assert!(matches!(released, Err(Error::LockLost { .. })), "{released:?}");
    }

    fn may_be_lost(&self, released: &Result<(), Error>) -> bool {
        self.fault.may_outlast_validity() && matches!(released, Err(Error::LockLost { .. }))
    }

    async fn not_granted(&self, ended: Result<Guard, Error>) {
        match ended {
            Ok(guard) => self.is_lost(guard).await,
            Err(error) => assert_eq!(error.retry(), Retry::Yes, "{error}"),
        }
    }

    async fn is_written(&self, doing: &Doing) -> Option<bool> {
        let Doing::Writing(_, _, path) = doing else { return None };
        Some(self.exists(path).await)
    }

    pub(crate) async fn held_then_released(&self, lock: Mutex, guard: Guard, second: Acquiring) {
        let token = guard.fencing_token();
        self.held_until_released(guard, &second).await;
        let second = self.successor(second, token).await;
        self.settle(Some(lock), second).await;
    }

    async fn held_until_released(&self, guard: Guard, second: &Acquiring) {
        if !guard.is_valid() && self.fault.may_outlast_validity() {
            assert_eq!(guard.lost().await, LossReason::DeadlinePassed);
            return self.is_lost(guard).await;
        }
        self.is_held(&guard, second).await;
        let released = self.soon("the release", guard.release()).await;
        assert!(released.is_ok() || self.may_be_lost(&released), "{released:?}");
    }

    /// The undisturbed contender's turn.
    pub(crate) async fn successor(&self, second: Acquiring, token: FencingToken) -> Guard {
        let second = self.granted(second).await;
        assert!(second.is_valid());
        assert!(second.fencing_token() > token, "tokens rise");
        second
    }

    /// The undisturbed contender holds the lock: its node is the only one, and it keeps it. Then everything works again.
    pub(crate) async fn settle(&self, lock: Option<Mutex>, second: Guard) {
        self.until("all nodes but the holder's to go", async || self.nodes().await.len() == 1).await;
        assert!(self.exists(second.node_path()).await, "its node was deleted by somebody else");
        assert!(second.is_valid());
        let token = second.fencing_token();
        self.soon("the release", second.release()).await.expect("released");
        if let Some(lock) = lock {
            self.soon("the lock once more", self.works_again(&lock, token)).await;
        }
        assert_eq!(self.nodes().await, Vec::<String>::new());
    }

    /// Acquires and releases. It may take several attempts: the client may not have heard yet that its session has ended,
    /// and a short validity may lapse once more on a busy machine.
    async fn works_again(&self, lock: &Mutex, token: FencingToken) {
        loop {
            let guard = match lock.acquire().await {
                Ok(guard) => guard,
                Err(error) => {
                    assert_eq!(error.retry(), Retry::Yes, "{error}");
                    continue;
                }
            };
            assert!(guard.fencing_token() > token, "tokens rise");
            match guard.release().await {
                Ok(()) => return,
                Err(Error::LockLost { reason: LossReason::DeadlinePassed, .. }) => {}
                Err(error) => panic!("not released: {error}"),
            }
        }
    }
}
