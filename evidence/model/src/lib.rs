//! A model checker visits every state of a small world around the shipped queue machine.

pub mod check;
mod driver;
mod faults;
mod panics;
pub mod properties;
mod servers;
pub mod state;
pub mod step;
pub mod tree;
pub mod world;
pub mod worlds;
