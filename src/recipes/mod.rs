//! What people build from locks, each with the same promises as the mutex that it is made of.
//!
//! | recipe | for |
//! |---|---|
//! | [`Election`] | one leader of many candidates, whom others can watch |
//! | [`MultiLock`] | several locks, all or none, without deadlock |
//! | [`ReentrantMutex`] | one owner whose code takes the same lock again |
//! | [`FoldedMutex`] | many tasks of one process that share one place in the queue |
//! | [`Versioned`] | a value that is changed only if nobody else has changed it meanwhile |
//! | [`ReleaseRequest`] | asking a holder to release, and hearing what it says |

mod election;
mod folded;
mod multi;
mod optimistic;
mod reentrant;
mod release_requests;

pub use self::election::{Election, Leader, Leadership, Observer, Resumption};
pub use self::folded::{FoldedGuard, FoldedMutex};
pub use self::multi::{MultiGuard, MultiLock};
pub use self::optimistic::{Snapshot, UpdateOptions, Versioned};
pub use self::reentrant::{ReentrantGuard, ReentrantMutex};
pub use self::release_requests::{AskedToRelease, ReleaseAnswer, ReleaseRequest};
