//! The recipes keep their promises, on the in-process store.

mod aside;
mod bed;
mod breaking;
mod conversion;
mod distributed;
mod election;
mod folded;
mod hold_limit;
mod listing;
mod multi;
mod on_memory;
#[path = "../recipe_contract/mod.rs"]
mod recipe_contract;
mod reentrant;
mod release_requests;
mod resuming;
mod rw_lock;
mod semaphore;
