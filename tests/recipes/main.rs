//! The recipes keep their promises, on the in-process store.

mod bed;
mod distributed;
mod folded;
mod hold_limit;
mod multi;
mod reentrant;
