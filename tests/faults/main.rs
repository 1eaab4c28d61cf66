//! The fault matrix on a real ZooKeeper server: each request that this library sends, struck by each fault.
//!
//! `cargo test --test faults -- --list` shows the cases as `request::fault`. The same oracle judges all of them.

mod controls;
mod fault;
mod matrix;
mod oracle;
mod requests;
mod stage;
