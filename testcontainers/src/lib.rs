//! Real ZooKeeper servers for tests, and a proxy that makes their links fail in the ways that networks do.
//!
//! A [`Server`] is one server, an [`Ensemble`] is three that elect a leader; both can be stopped, killed, paused and
//! started again, and keep their addresses. A [`Proxy`] in front of a server counts requests, adds latency, and drops
//! or holds exactly the frame that a test is about.
//!
//! Servers run in containers where a container engine answers, and otherwise as processes of a ZooKeeper that is
//! installed; a test that can do neither fails with an error that says what to install. The folder's README tells how
//! the image is chosen and which environment variables there are.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use fairlock_testcontainers::{Close, Operation, Proxy, Server};
//!
//! # async fn example() -> Result<(), fairlock_testcontainers::Error> {
//! let server = Server::builder().tick_time(Duration::from_millis(200)).start().await?;
//! let proxy = Proxy::start(server.address()).await?;
//! proxy.set_delay(Duration::from_millis(5));
//!
//! // The server will create the node, and the client will not learn of it.
//! let lost = proxy.drop_reply(Operation::Create2, Close::Rst);
//! // … connect a client to proxy.address() and let it create a node …
//! lost.sprung().await;
//! println!("{}", proxy.counts());
//!
//! server.kill().await?;
//! server.start_again().await?;
//! # Ok(())
//! # }
//! ```
//!
//! A server lives as long as its value. Beware of patterns: `let Bed { proxy, .. } = bed();` drops the other fields at
//! once, and with them the server; bind it as `server: _server`.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod container;
mod control_group;
mod ensemble;
mod error;
mod image;
mod node;
mod owner;
mod ports;
mod process;
mod proxy;
mod relay;
mod runtime;
mod server;
mod settings;

pub use ensemble::{Ensemble, EnsembleBuilder};
pub use error::Error;
pub use ports::Port;
pub use proxy::{
    Close, Counts, Direction, Entry, EventKind, Hold, LOG_LENGTH, Operation, Proxy, Trap, What, Which, join_addresses,
};
pub use runtime::Runtime;
pub use server::{Server, ServerBuilder};
pub use settings::RuntimeChoice;
