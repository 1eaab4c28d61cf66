//! The recipes keep their promises, on the in-process store.

mod bed;
mod breaking;
mod conversion;
mod distributed;
mod election;
mod folded;
mod hold_limit;
mod multi;
mod reentrant;
mod release_requests;
mod rw_lock;
mod semaphore;
