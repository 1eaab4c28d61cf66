//! What is built on sessions and locks.
//!
//! * `optimistic`: a value that is changed only if nobody else has changed it meanwhile.

pub(crate) mod optimistic;
