//! The requests of the matrix: for each, the situation in which the library sends it, up to the moment it is trapped.

use std::sync::Arc;
use std::time::Duration;

use fairlock::{Error, Guard, LossReason, Mutex, Retry};
use fairlock_testcontainers::{Close, Operation, Which};

use crate::fault::Fault;
use crate::oracle::Doing;
use crate::stage::{Acquiring, Stage};

/// getEphemerals: which nodes does this session own?
const FIND_OWN: Operation = Operation::Other(103);

impl Stage {
    /// An undisturbed holder, number 0, and the disturbed lock.
    async fn held_by_another(&self) -> (Guard, Mutex) {
        let holder = self.granted(self.acquire(&self.other)).await;
        assert_eq!(holder.node_path(), self.node(0));
        (holder, self.lock().await)
    }

    /// A disturbed holder, number 0, with an undisturbed contender behind it.
    async fn held_by_the_disturbed(&self) -> (Guard, Mutex, Acquiring) {
        let lock = self.lock().await;
        let guard = self.granted(self.acquire(&lock)).await;
        assert_eq!(guard.node_path(), self.node(0));
        let second = self.second_enters().await;
        (guard, lock, second)
    }

    fn entry(&self) -> Which {
        Which::at(Operation::Multi, format!("{}/lock-", self.queue()))
    }

    /// The disturbed contender, number 1, waits behind an undisturbed holder with both watches in place.
    async fn waiting(&self) -> (Guard, Mutex, Acquiring) {
        let (holder, lock) = self.held_by_another().await;
        let acquiring = self.acquire(&lock);
        self.soon("both watches", self.proxy.wait_until(|counts| counts.reply(Operation::GetData) >= 2)).await;
        (holder, lock, acquiring)
    }
}

/// The handshake that opens a session.
pub(crate) async fn connecting(stage: &Stage) {
    let hold = stage.trap(Operation::CreateSession);
    let connect = async {
        stage.connect().await.expect("connected in the time to connect").mutex(&stage.path).expect("a good path")
    };
    let disturb = async {
        let struck = stage.strike(hold).await;
        if stage.fault == Fault::BlackholeBothWays {
            // There is no session of this client that could expire: it notices the silence and tries again.
            stage.heal_once_noticed(struck).await;
        } else {
            stage.heal(struck).await;
        }
    };
    let (lock, ()) = stage.soon("the session", async { tokio::join!(connect, disturb) }).await;
    // The session's validity counts from the first attempt to connect. Where that took long, little of it is left until
    // the keeper has renewed it.
    let guard = loop {
        let guard = stage.granted(stage.acquire(&lock)).await;
        if guard.valid_for() > stage.session_timeout.mul_f64(0.4) {
            break guard;
        }
        let released = stage.soon("the release", guard.release()).await;
        assert!(matches!(released, Ok(()) | Err(Error::LockLost { .. })), "{released:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let second = stage.second_enters().await;
    stage.held_then_released(lock, guard, second).await;
}

/// The handshake that resumes a waiter's session after its connection broke.
pub(crate) async fn coming_back(stage: &Stage) {
    let (holder, lock, acquiring) = stage.waiting().await;
    let hold = stage.trap(Operation::CreateSession);
    stage.proxy.cut(Close::Rst);
    stage.waits_behind(holder, lock, hold, acquiring).await;
}

/// The watches of a waiter, set again after its connection broke.
pub(crate) async fn restoring_watches(stage: &Stage) {
    let (holder, lock, acquiring) = stage.waiting().await;
    let hold = stage.trap(Operation::SetWatches);
    stage.proxy.cut(Close::Fin);
    stage.waits_behind(holder, lock, hold, acquiring).await;
}

/// The transaction that makes the lock's directory and the queue's on the first use of a lock.
pub(crate) async fn making_the_directories(stage: &Stage) {
    let (parent, _) = stage.path.rsplit_once('/').expect("absolute");
    stage.make(parent).await;
    let lock = stage.lock().await;
    let hold = stage.trap(Which::at(Operation::Multi, &stage.path));
    let acquiring = stage.acquire(&lock);
    stage.finds_it_free(lock, hold, acquiring).await;
}

/// The queue's directory is created on the first use of a lock whose own directory exists.
pub(crate) async fn making_the_queue(stage: &Stage) {
    stage.make(&stage.path).await;
    let lock = stage.lock().await;
    let hold = stage.trap(Which::at(Operation::CreateContainer, stage.queue()));
    let acquiring = stage.acquire(&lock);
    stage.finds_it_free(lock, hold, acquiring).await;
}

/// The transaction that enters a queue with a holder in it.
pub(crate) async fn entering_behind_a_holder(stage: &Stage) {
    let (holder, lock) = stage.held_by_another().await;
    let hold = stage.trap(stage.entry());
    let acquiring = stage.acquire(&lock);
    stage.waits_behind(holder, lock, hold, acquiring).await;
}

/// The transaction that enters an empty queue.
pub(crate) async fn entering_alone(stage: &Stage) {
    let (holder, lock) = stage.held_by_another().await;
    holder.release().await.expect("released");
    let hold = stage.trap(stage.entry());
    let acquiring = stage.acquire(&lock);
    stage.finds_it_free(lock, hold, acquiring).await;
}

/// The write barrier after a lost reply to entering; the keeper sends another when the connection is back.
pub(crate) async fn barrier_of_a_recovery(stage: &Stage) {
    let (holder, lock) = stage.held_by_another().await;
    let entered = stage.proxy.hold_reply(stage.entry());
    let acquiring = stage.acquire(&lock);
    stage.soon("entering", entered.held()).await;
    stage.proxy.clear_log();
    let hold = stage.trap(Which::at(Operation::Multi, "/"));
    entered.lose(Close::Rst);
    stage.soon("a barrier", hold.held()).await;
    stage.both_barriers().await;
    stage.waits_behind(holder, lock, hold, acquiring).await;
}

/// The search for the own node after a lost reply to entering.
pub(crate) async fn finding_the_own_node(stage: &Stage) {
    let (holder, lock) = stage.held_by_another().await;
    let hold = stage.trap(FIND_OWN);
    let entered = stage.proxy.drop_reply(stage.entry(), Close::Rst);
    let acquiring = stage.acquire(&lock);
    stage.soon("entering", entered.sprung()).await;
    stage.waits_behind(holder, lock, hold, acquiring).await;
}

/// The look whether the node that was found is that of this attempt.
pub(crate) async fn reading_the_found_node(stage: &Stage) {
    let (holder, lock) = stage.held_by_another().await;
    let hold = stage.trap(Which::at(Operation::GetData, stage.node(1)));
    let entered = stage.proxy.drop_reply(stage.entry(), Close::Fin);
    let acquiring = stage.acquire(&lock);
    stage.soon("entering", entered.sprung()).await;
    stage.waits_behind(holder, lock, hold, acquiring).await;
}

/// A waiter's watch on its own node.
pub(crate) async fn watching_the_own_node(stage: &Stage) {
    let (holder, lock) = stage.held_by_another().await;
    let hold = stage.trap(Which::at(Operation::GetData, stage.node(1)));
    let acquiring = stage.acquire(&lock);
    stage.waits_behind(holder, lock, hold, acquiring).await;
}

/// A waiter's watch on its predecessor's node.
pub(crate) async fn watching_the_predecessor(stage: &Stage) {
    let (holder, lock) = stage.held_by_another().await;
    let hold = stage.trap(Which::at(Operation::GetData, stage.node(0)));
    let acquiring = stage.acquire(&lock);
    stage.waits_behind(holder, lock, hold, acquiring).await;
}

/// The watch that a writer of a read-write lock asks for in case the one ahead is a reader, which it is not.
pub(crate) async fn watching_the_predecessor_as_a_reader(stage: &Stage) {
    let holder = stage.granted(stage.acquire(&stage.other)).await;
    let lock = stage.connect().await.expect("a session").rw_lock(&stage.path).expect("a good path").as_mutex().clone();
    let hold = stage.trap(Which::at(Operation::GetData, holder.node_path().replace("/lock-", "/read-")));
    let acquiring = stage.acquire(&lock);
    stage.waits_behind(holder, lock, hold, acquiring).await;
}

/// The list of the queue that a waiter asks for when its predecessor has given up.
pub(crate) async fn surveying(stage: &Stage) {
    let (holder, lock) = stage.held_by_another().await;
    let between = stage.second_enters().await;
    let acquiring = stage.acquire(&lock);
    stage.soon("both watches", stage.proxy.wait_until(|counts| counts.reply(Operation::GetData) >= 2)).await;
    let hold = stage.trap(Which::at(Operation::GetChildren, stage.queue()));
    between.abort();
    stage.waits_behind(holder, lock, hold, acquiring).await;
}

/// The look at the own node before a grant that no watch on it supports: of a try whose reply to entering was lost.
pub(crate) async fn confirming(stage: &Stage) {
    let (holder, lock) = stage.held_by_another().await;
    holder.release().await.expect("released");
    let entered = stage.proxy.hold_reply(stage.entry());
    let trying = {
        let lock = lock.clone();
        tokio::spawn(async move { lock.try_acquire().await.map(|guard| guard.expect("free")) })
    };
    stage.soon("entering", entered.held()).await;
    let survey = stage.proxy.hold_reply(Which::at(Operation::GetChildren, stage.queue()));
    entered.lose(Close::Rst);
    stage.soon("the survey", survey.held()).await;
    // The node was read before, to find out whose it is; the next look is the one.
    let hold = stage.trap(Which::at(Operation::GetData, stage.node(1)));
    survey.let_go();
    stage.finds_it_free(lock, hold, trying).await;
}

/// A holder's watch on its own node, placed 50 ms after the grant.
pub(crate) async fn watching_the_held_node(stage: &Stage) {
    let lock = stage.lock().await;
    let hold = stage.trap(Which::at(Operation::GetData, stage.node(0)));
    let guard = stage.granted(stage.acquire(&lock)).await;
    let second = stage.second_enters().await;
    stage.holds(Some(lock), Doing::Holding(guard), second, hold).await;
}

/// The watch of a holder, set again after its connection broke.
pub(crate) async fn restoring_a_holders_watch(stage: &Stage) {
    let (guard, lock, second) = stage.held_by_the_disturbed().await;
    stage.soon("the watch", stage.proxy.wait_until(|counts| counts.reply(Operation::GetData) >= 1)).await;
    let hold = stage.trap(Operation::SetWatches);
    stage.proxy.cut(Close::Fin);
    stage.holds(Some(lock), Doing::Resuming(guard), second, hold).await;
}

/// The keeper's read, which keeps a holder's session alive.
pub(crate) async fn touching(stage: &Stage) {
    let (guard, lock, second) = stage.held_by_the_disturbed().await;
    let hold = stage.trap(Which::at(Operation::Exists, "/"));
    stage.holds(Some(lock), Doing::Holding(guard), second, hold).await;
}

/// The keeper's write, which renews a holder's validity.
pub(crate) async fn renewing(stage: &Stage) {
    let (guard, lock, second) = stage.held_by_the_disturbed().await;
    let hold = stage.trap(Which::at(Operation::Multi, "/"));
    stage.holds(Some(lock), Doing::Holding(guard), second, hold).await;
}

/// The transaction that releases the lock.
pub(crate) async fn releasing(stage: &Stage) {
    let (guard, lock, second) = stage.held_by_the_disturbed().await;
    let hold = stage.trap(Which::at(Operation::Multi, guard.node_path()));
    let token = guard.fencing_token();
    let releasing = tokio::spawn(guard.release());
    stage.holds(Some(lock), Doing::Releasing(releasing, token), second, hold).await;
}

/// The write barrier after a lost reply to the release; the keeper sends another when the connection is back.
pub(crate) async fn barrier_of_a_verification(stage: &Stage) {
    let (guard, lock, second) = stage.held_by_the_disturbed().await;
    let token = guard.fencing_token();
    let released = stage.proxy.hold_reply(Which::at(Operation::Multi, guard.node_path()));
    let releasing = tokio::spawn(guard.release());
    stage.soon("the release", released.held()).await;
    stage.proxy.clear_log();
    let hold = stage.trap(Which::at(Operation::Multi, "/"));
    released.lose(Close::Rst);
    stage.soon("a barrier", hold.held()).await;
    stage.both_barriers().await;
    stage.holds(Some(lock), Doing::Releasing(releasing, token), second, hold).await;
}

/// The look at the own node after a lost request to release it.
pub(crate) async fn verifying(stage: &Stage) {
    let (guard, lock, second) = stage.held_by_the_disturbed().await;
    stage.soon("the watch", stage.proxy.wait_until(|counts| counts.reply(Operation::GetData) >= 1)).await;
    let token = guard.fencing_token();
    let hold = stage.trap(Which::at(Operation::GetData, guard.node_path()));
    let lost = stage.proxy.drop_request(Which::at(Operation::Multi, guard.node_path()), Close::Rst);
    let releasing = tokio::spawn(guard.release());
    stage.soon("the release", lost.sprung()).await;
    stage.holds(Some(lock), Doing::Releasing(releasing, token), second, hold).await;
}

/// A write to the store that is fenced by the lock.
pub(crate) async fn writing(stage: &Stage) {
    let (guard, lock, second) = stage.held_by_the_disturbed().await;
    let hold = stage.trap(Which::at(Operation::Multi, guard.node_path()));
    let (guard, path) = (Arc::new(guard), format!("{}/written", stage.path));
    let writing = {
        let (guard, path) = (guard.clone(), path.clone());
        tokio::spawn(async move { guard.transaction().create(path, b"by the holder").commit().await })
    };
    stage.holds(Some(lock), Doing::Writing(writing, guard, path), second, hold).await;
}

/// The deletion of a cancelled waiter's node.
pub(crate) async fn withdrawing(stage: &Stage) {
    let (holder, lock, acquiring) = stage.waiting().await;
    let second = stage.second_enters().await;
    let hold = stage.trap(Which::at(Operation::Delete, stage.node(1)));
    acquiring.abort();
    let struck = stage.strike(hold).await;
    stage.heal(struck).await;
    stage.until("the cancelled contender's node to go", async || !stage.exists(&stage.node(1)).await).await;
    assert!(holder.is_valid() && !second.is_finished());
    assert!(stage.exists(holder.node_path()).await);
    let token = holder.fencing_token();
    holder.release().await.expect("released");
    let second = stage.successor(second, token).await;
    stage.settle(Some(lock), second).await;
}

/// The look of a try at a lock that another holds.
pub(crate) async fn trying(stage: &Stage) {
    let (holder, lock) = stage.held_by_another().await;
    let hold = stage.trap(Which::at(Operation::GetChildren, stage.queue()));
    let look = {
        let lock = lock.clone();
        tokio::spawn(async move { lock.try_acquire().await })
    };
    let struck = stage.strike(hold).await;
    stage.heal(struck).await;
    match stage.soon("the try", look).await.expect("no panic") {
        Ok(guard) => assert!(guard.is_none() && !stage.fault.ends_session(), "granted to two"),
        Err(error) => assert!(stage.fault.ends_session() && error.retry() == Retry::Yes, "{error}"),
    }
    stage.settle(Some(lock), holder).await;
}

/// The look at a contender's node, to tell people who it is.
pub(crate) async fn listing(stage: &Stage) {
    let (holder, lock) = stage.held_by_another().await;
    let hold = stage.trap(Which::at(Operation::GetData, holder.node_path()));
    let listing = {
        let lock = lock.clone();
        tokio::spawn(async move { lock.contenders().await })
    };
    let struck = stage.strike(hold).await;
    stage.heal(struck).await;
    match stage.soon("the list", listing).await.expect("no panic") {
        Ok(contenders) => {
            assert!(!stage.fault.ends_session());
            assert_eq!(contenders.iter().map(|c| c.token).collect::<Vec<_>>(), [holder.fencing_token()]);
        }
        Err(error) => assert!(stage.fault.ends_session() && error.retry() == Retry::Yes, "{error}"),
    }
    stage.settle(Some(lock), holder).await;
}

/// The end of a session that holds a lock.
pub(crate) async fn closing(stage: &Stage) {
    let locks = stage.connect().await.expect("a session");
    let guard = stage.granted(stage.acquire(&locks.mutex(&stage.path).expect("a good path"))).await;
    let second = stage.second_enters().await;
    let hold = stage.trap(Operation::CloseSession);
    let close = tokio::spawn(async move { locks.close().await });
    let struck = stage.strike(hold).await;
    // At once, whether or not a server can be told; on a machine slower than the session's timeout, even before.
    let reason = stage.soon("the loss", guard.lost()).await;
    assert!(matches!(reason, LossReason::Closed | LossReason::DeadlinePassed), "{reason}");
    assert!(!guard.is_valid());
    stage.heal(struck).await;
    let second = stage.successor(second, guard.fencing_token()).await;
    stage.soon("the end of closing", close).await.expect("no panic");
    drop(guard);
    stage.settle(None, second).await;
}

impl Stage {
    /// Waits until two barriers are on their way, the keeper's and the one that the case is about, in any order.
    async fn both_barriers(&self) {
        self.until("both barriers", async || self.requests(Operation::Multi, "/") >= 2).await;
    }
}
