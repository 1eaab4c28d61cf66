//! A fair, fenced distributed lock on ZooKeeper.
//!
//! Each contender is one ephemeral numbered znode; it watches only its predecessor, and proceeds when that one hands
//! over. The lock is granted in the order of arrival, a hand-over costs one notification, every grant carries a
//! fencing token that never goes back, and a holder is told that its lock is lost before another can get it.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), fairlock::Error> {
//! use fairlock::{Fairlock, store::memory::Memory};
//!
//! // In production: Fairlock::connect("zk1:2181,zk2:2181,zk3:2181/app").await?
//! let locks = Fairlock::builder().open(Memory::new()).await?;
//!
//! let lock = locks.mutex("/reports/nightly")?;
//! let guard = lock.acquire().await?;
//! let token = guard.fencing_token();
//! let done = guard.protect(async move { format!("report written with token {token}") }).await?;
//! println!("{done}");
//! guard.release().await?;
//! # Ok(()) }
//! ```
//!
//! # What is promised, and what is not
//!
//! * Contenders of one lock are granted in the order in which the store created their nodes.
//! * At most one guard of a lock is valid at any time, by the guards' own clocks, as long as clocks run at nearly
//!   the same speed (2 %), servers relay their liveness news within a quarter of the session timeout, and all of them
//!   grant the same session timeout.
//! * A dropped future or guard leaves no node behind once the client is connected.
//! * **Not promised**: that a holder which is paused between looking at its guard and acting acts alone. Give the
//!   [`FencingToken`] to the resource that the lock protects and let it refuse old ones; or write to ZooKeeper with
//!   [`Guard::transaction`], which ZooKeeper itself fences.
//!
//! # Where to look
//!
//! [`Fairlock`] opens sessions, [`Mutex`] is the lock, [`Guard`] is a held one; [`RwLock`] is one that readers share,
//! [`Semaphore`] one that so many may hold at a time.
//! [`recipes`] has what is built on them: elections, several locks at once, values that are written only if nobody else has changed
//! them. [`DistributedLock`] is any lock. [`queue`] is the protocol, and [`store`] what it runs on. docs/PROTOCOL.md argues why it is
//! safe; docs/RECIPES.md says when to take which; docs/ARCHITECTURE.md shows the code.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod clock;
mod driver;
mod error;
mod lock;
mod name;
mod path;
mod pauses;
mod permits;
pub mod queue;
pub mod recipes;
mod session;
pub mod store;
mod ticket;
mod token;

pub use self::driver::Progress;
pub use self::error::{Error, LossReason, Retry};
pub use self::lock::{
    AcquireOptions, Builder, Contender, DistributedLock, Failover, Fairlock, Fencing, Guarantees, Guard, HeldLock,
    LockChange, LockInfo, LockKind, LockList, LossNotice, Mutex, NotConverted, Order, Permit, ProgressReceiver,
    ReadGuard, Role, RwLock, Semaphore, Spread, Transaction, Unreadable, Validity, WriteGuard,
};
pub use self::path::{LockPath, QueuePath};
pub use self::ticket::{Identity, Ticket};
pub use self::token::FencingToken;

/// The snippets of the jobs compile.
#[cfg(doctest)]
#[doc = include_str!("../docs/JOBS.md")]
mod jobs {}

/// The snippets of the recipes compile.
#[cfg(doctest)]
#[doc = include_str!("../docs/RECIPES.md")]
mod recipes_page {}

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
