//! Many tasks of one process that share one place in the queue.
//!
//! # The argument
//!
//! A *turn* is the right to use the lock in this process, and owns the distributed guard, if there is one. There is at
//! most one turn: it is made only while [`State::occupied`] is false, and set so; and it is passed on, never copied. Its
//! `Drop` passes it to the task that has waited longest, or, if there is none, ends it under the same mutex under which
//! tasks join the line: so no task waits for a turn that has ended, and no turn is kept for nobody. A task that stops waiting
//! drops its receiver: a turn that is on its way in it is dropped with it, and so passed on.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::error::Error;
use crate::lock::{Guard, Mutex};
use crate::path::LockPath;

/// A lock whose local users share one place in the queue, made by [`Mutex::folded`].
///
/// A thousand tasks that wait for an ordinary [`Mutex`] are a thousand znodes. Those that wait for this one are one: the
/// process enters the queue once, and while it holds the lock its tasks take turns, without a request.
///
/// * Tasks of this process get their turns in the order in which they asked.
/// * After `turns_max` turns in a row, the lock is given to other processes, and the next local task enters the queue at its
///   end. So a process that is always busy does not starve the others, but it does get more turns than one that folds
///   nothing: fairness is between processes, not tasks.
/// * All turns of one hold have the same fencing token: it orders holds, and [`FoldedGuard::turn`] orders the turns within
///   one.
///
/// Clones are the same lock, and share the place. Calling [`Mutex::folded`] again makes another place.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), fairlock::Error> {
/// # use fairlock::{Fairlock, store::memory::Memory};
/// # let locks = Fairlock::builder().open(Memory::new()).await?;
/// let lock = locks.mutex("/cache/rebuild")?.folded(100);
/// let guard = lock.acquire().await?;
/// println!("turn {} under token {}", guard.turn(), guard.fencing_token());
/// guard.release().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct FoldedMutex {
    shared: Arc<Shared>,
}

struct Shared {
    mutex: Mutex,
    turns_max: u32,
    state: StdMutex<State>,
}

#[derive(Default)]
struct State {
    /// Whether there is a turn.
    occupied: bool,
    waiting: VecDeque<oneshot::Sender<Turn>>,
    /// How long the line may become before those who have left it are taken out.
    clean_at: usize,
}

/// A turn; empty once it was passed on.
struct Turn {
    held: Option<Held>,
}

struct Held {
    shared: Arc<Shared>,
    guard: Option<Guard>,
    /// Counts the turns of one hold, from 0.
    number: u32,
}

impl Mutex {
    /// This lock for many tasks of this process that share one place in the queue, with at most `turns_max` turns (at
    /// least one) before other processes are let in.
    pub fn folded(&self, turns_max: u32) -> FoldedMutex {
        let shared = Shared { mutex: self.clone(), turns_max: turns_max.max(1), state: StdMutex::default() };
        FoldedMutex { shared: Arc::new(shared) }
    }
}

impl FoldedMutex {
    /// The path of the lock.
    pub fn path(&self) -> &LockPath {
        self.shared.mutex.path()
    }

    /// How many tasks of this process wait for their turn.
    pub fn waiting(&self) -> usize {
        self.shared.lock_state().waiting.iter().filter(|waiter| !waiter.is_closed()).count()
    }

    /// Waits for a turn.
    ///
    /// # Errors
    ///
    /// As [`Mutex::acquire`], if this task is the one that enters the queue for the process. The next local task tries again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the local line. If this task was in the queue for the process, the next local
    /// task enters it anew, at its end.
    pub async fn acquire(&self) -> Result<FoldedGuard, Error> {
        let mut turn = match self.join_the_line() {
            Ok(turn) => turn,
            // A sender stays in the line until it has sent: an error is a broken invariant that unwound through it.
            Err(receiver) => receiver.await.map_err(|_| Error::Closed)?,
        };
        let held = turn.held_mut();
        if held.guard.as_ref().is_some_and(Guard::is_valid) {
            held.number += 1;
        } else {
            // Lost since; dropped before the next enters, whose node would wait for this one's.
            held.guard = None;
            held.number = 0;
            held.guard = Some(self.shared.mutex.acquire().await?);
        }
        Ok(FoldedGuard { turn })
    }

    /// Waits for at most this long.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] once the time has passed; otherwise as [`FoldedMutex::acquire`].
    ///
    /// # Cancel safety
    ///
    /// As [`FoldedMutex::acquire`].
    pub async fn acquire_timeout(&self, limit: Duration) -> Result<FoldedGuard, Error> {
        match tokio::time::timeout(limit, self.acquire()).await {
            Ok(granted) => granted,
            Err(_) => Err(Error::Timeout { path: self.path().to_string(), waited: limit }),
        }
    }

    fn join_the_line(&self) -> Result<Turn, oneshot::Receiver<Turn>> {
        let mut state = self.shared.lock_state();
        if std::mem::replace(&mut state.occupied, true) {
            let (sender, receiver) = oneshot::channel();
            // Those who have stopped waiting are taken out now and then, at a cost that is constant for each who joins.
            if state.waiting.len() >= state.clean_at {
                state.waiting.retain(|waiting| !waiting.is_closed());
                state.clean_at = 2 * state.waiting.len().max(16);
            }
            state.waiting.push_back(sender);
            return Err(receiver);
        }
        Ok(Turn { held: Some(Held { shared: self.shared.clone(), guard: None, number: 0 }) })
    }
}

impl Shared {
    fn lock_state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    fn held(&self) -> &Held {
        self.held.as_ref().expect("a turn that is in use was not passed on")
    }

    fn held_mut(&mut self) -> &mut Held {
        self.held.as_mut().expect("a turn that is in use was not passed on")
    }

    /// Passes the turn on, if somebody waits for it; gives the guard back if it is not passed on with it.
    fn pass_on(&mut self) -> Option<Guard> {
        let mut held = self.held.take()?;
        // Used up: whoever comes next enters the queue behind the other processes.
        let is_spent = !held.guard.as_ref().is_some_and(Guard::is_valid) || held.number + 1 >= held.shared.turns_max;
        let spent = if is_spent { held.guard.take() } else { None };
        loop {
            let next = {
                let mut state = held.shared.lock_state();
                let next = state.waiting.pop_front();
                state.occupied = next.is_some();
                next
            };
            let Some(next) = next else { return spent.or(held.guard) };
            match next.send(Turn { held: Some(held) }) {
                Ok(()) => return spent,
                // It has stopped waiting. Taken out, so that this loop passes it on and not its own end.
                Err(mut refused) => held = refused.held.take()?,
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.pass_on());
    }
}

impl fmt::Debug for FoldedMutex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FoldedMutex")
            .field("path", &self.path().as_str())
            .field("turns_max", &self.shared.turns_max)
            .field("in_line", &self.shared.lock_state().waiting.len())
            .finish_non_exhaustive()
    }
}

/// A turn at a folded lock. Dropping it passes it on.
///
/// It gives access to the [`Guard`] of the process's hold.
#[must_use = "if unused, the turn is passed on immediately"]
#[clippy::has_significant_drop]
pub struct FoldedGuard {
    turn: Turn,
}

impl FoldedGuard {
    /// Counts the turns of one hold, from 0. The pair of fencing token and turn rises with every guard of this lock.
    pub fn turn(&self) -> u32 {
        self.turn.held().number
    }

    /// Passes the turn on; if nobody in this process waits, or the turns are used up, releases the lock and waits until that is
    /// certain.
    ///
    /// # Errors
    ///
    /// [`Error::LockLost`] if the lock was lost before; otherwise as [`Guard::release`].
    ///
    /// # Cancel safety
    ///
    /// As [`Guard::release`].
    pub fn release(mut self) -> impl Future<Output = Result<(), Error>> + Send {
        let release = self.turn.pass_on().map(Guard::release);
        async move {
            match release {
                Some(release) => release.await,
                None => Ok(()),
            }
        }
    }
}

impl Deref for FoldedGuard {
    type Target = Guard;

    fn deref(&self) -> &Guard {
        self.turn.held().guard.as_ref().expect("a turn that was granted has a guard")
    }
}

impl fmt::Debug for FoldedGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FoldedGuard").field("turn", &self.turn()).field("guard", &**self).finish()
    }
}
