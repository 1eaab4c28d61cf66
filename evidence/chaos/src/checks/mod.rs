//! The properties of a run, one per file; each has tests of what it must flag and what it must not.

pub(crate) mod increments;
pub(crate) mod inversion;
pub(crate) mod leftovers;
pub(crate) mod overlap;
pub(crate) mod stall;
pub(crate) mod traffic;
