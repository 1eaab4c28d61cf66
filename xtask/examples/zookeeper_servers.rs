//! Starts one ZooKeeper server as the tests will, and says what it runs in: `zookeeper_servers auto|container|process`.
//!
//! `cargo xtask test` runs this before the tests. It downloads or builds the image if there is none, so that a machine
//! on which no server can run is told of by one clear error and not by each of the tests.

use std::process::ExitCode;

use fairlock_testcontainers::{RuntimeChoice, Server};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let builder = match std::env::args().nth(1).as_deref() {
        Some("auto") => Server::builder(),
        Some("container") => Server::builder().runtime(RuntimeChoice::Container),
        Some("process") => Server::builder().runtime(RuntimeChoice::Process),
        _ => {
            eprintln!("usage: zookeeper_servers auto|container|process");
            return ExitCode::from(64);
        }
    };
    match builder.start().await {
        Ok(server) => {
            println!("{}", server.runtime());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
