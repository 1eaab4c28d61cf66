//! What a lock costs in memory, in processor time and in instructions of its own process. Each figure is of a process of its own, which has
//! neither a proxy in it nor anybody else.

mod callgrind;
pub(crate) mod instructions;
pub(crate) mod memory;
pub(crate) mod own;
mod report;
mod sites;

pub(crate) use self::instructions::{Instructions, tables as instructions_tables};
pub(crate) use self::memory::Memory;
pub(crate) use self::report::{memory_tables, verdicts};
