//! What a lock costs in memory and in the processor time of its own process. Each figure is of a process of its own, which has
//! neither a proxy in it nor anybody else.

pub(crate) mod memory;
pub(crate) mod own;
mod report;
mod sites;

pub(crate) use self::memory::Memory;
pub(crate) use self::report::{memory_tables, verdicts};
