//! The lock's promises on real ZooKeeper servers, with faults made by a proxy in front of them.
//!
//! One server serves all tests of this program; each test has paths and proxies of its own.

mod bad_input;
mod bed;
mod cancellation;
mod contract;
mod conversion;
mod counts;
mod crashes;
mod directories;
mod ensemble;
mod facts;
mod link_delay;
mod listing;
mod loss;
mod lost_replies;
mod on_server;
#[path = "../recipe_contract/mod.rs"]
mod recipe_contract;
mod recipes;
mod semaphore;
mod sessions;
mod values;
