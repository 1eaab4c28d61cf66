//! `fairlock run` and `fairlock elect` with real commands on a real server.

mod bed;
#[path = "../support/signals.rs"]
mod dispositions;
mod elect;
mod exit_codes;
#[path = "../support/limit.rs"]
mod limit;
mod loss;
mod sharing;
mod signals;
mod terminal;
mod under_the_lock;
