//! Real ZooKeeper servers for tests.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod container;
mod ensemble;
mod error;
mod image;
mod node;
mod owner;
mod ports;
mod process;
mod proxy;
mod runtime;
mod server;
mod settings;

pub use ensemble::{Ensemble, EnsembleBuilder};
pub use error::Error;
pub use proxy::{
    Close, Counts, Direction, Entry, EventKind, Hold, LOG_LENGTH, Operation, Proxy, Trap, What, Which, join_addresses,
};
pub use runtime::Runtime;
pub use server::{Server, ServerBuilder};
pub use settings::RuntimeChoice;
