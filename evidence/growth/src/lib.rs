//! How the cost of locks grows: formulae, the shipped library counted on the embedded store, and the same on real servers.
//!
//! docs/SCALE.md says what follows. The formulae are exact, so a change of the protocol that costs a request more fails a
//! test here, with the situation and both figures.
//!
//! | file | what it has |
//! |---|---|
//! | `formula.rs` | costs as functions of how many locks, waiters and sessions there are, each with the code it is derived from |
//! | `meter.rs`, `counting.rs` | the embedded store, with each request booked as a server sees it |
//! | `wire.rs` | the bytes of each step |
//! | `situations/` | the shipped library in each situation, beside its formula |

#![forbid(unsafe_code)]

mod counting;
pub mod formula;
mod meter;
mod situations;
pub mod wire;

pub use counting::Counting;
pub use formula::Size;
pub use meter::Cost;
pub use situations::{Comparison, all};
