//! `fairlock run` and `fairlock elect` with real commands on a real server.

mod bed;
mod elect;
mod exit_codes;
mod loss;
mod sharing;
mod signals;
mod terminal;
mod under_the_lock;
