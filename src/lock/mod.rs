//! What applications use: a handle to the store, mutexes on it, and the guards of held locks.

mod acquire;
mod client;
mod contend;
mod contenders;
mod conversion;
mod distributed;
mod guard;
mod listing;
mod mutex;
mod rw_lock;
mod semaphore;
mod share;
mod spread;
mod transaction;

pub use self::acquire::{AcquireOptions, ProgressReceiver};
pub use self::client::{Builder, Fairlock};
pub use self::contenders::{Contender, Role};
pub use self::conversion::NotConverted;
pub use self::distributed::{DistributedLock, Failover, Fencing, Guarantees, HeldLock, LossNotice, Order};
pub use self::guard::{Guard, Validity};
pub use self::listing::{LockChange, LockInfo, LockKind, LockList, Unreadable};
pub use self::mutex::Mutex;
pub use self::rw_lock::{ReadGuard, RwLock, WriteGuard};
pub use self::semaphore::{Permit, Semaphore};
pub use self::spread::Spread;
pub use self::transaction::Transaction;
