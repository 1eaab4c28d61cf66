//! `fairlock ls`, `queue`, `revoke` and `break`, as they are run by people, pipes and terminals.
//!
//! One server serves all tests; each has paths of its own.

mod bed;
mod breaking;
#[path = "../support/signals.rs"]
mod dispositions;
#[path = "../support/limit.rs"]
mod limit;
mod ls;
mod queue;
mod revoke;
mod terminal;
mod view;
mod watching;
