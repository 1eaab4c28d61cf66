//! `fairlock doctor` against servers that are well, and against each thing that can be wrong.

mod bed;
mod ensemble;
mod server;
mod unreachable;
