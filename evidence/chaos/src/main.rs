//! `chaos`: tries to break the lock on a real ensemble of three, and counts what its holders did to registers.
//!
//! This process, the runner, starts the servers, a proxy in front of each for the clients' links, and several client
//! processes. It kills, pauses and isolates servers, cuts and stalls links, stops and kills clients, and heals it all
//! after some seconds. Clients take locks and increment one register per lock, which the runner keeps.
//!
//! A client never looks at its guard before it uses the register: only the fencing token protects that. With
//! `--control` the register ignores tokens, and the run fails unless increments are lost: else it would prove nothing.

#![forbid(unsafe_code)]

mod checks;
mod client;
mod client_faults;
mod config;
mod desk;
mod faults;
mod herd;
mod ledger;
mod log;
mod register;
mod run;
mod server_faults;
mod verdict;
mod vigil;
mod wire;

use std::process::ExitCode;

use clap::Parser;

use crate::config::{Arguments, Command};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match &arguments.command {
        // Many small processes on few processors: a second thread would only cost.
        Some(Command::Client(_)) => tokio::runtime::Builder::new_current_thread().enable_all().build(),
        None => tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build(),
    };
    let runtime = runtime.expect("a runtime needs a few file descriptors and threads, no more");
    match arguments.command {
        Some(Command::Client(options)) => runtime.block_on(client::main(options)),
        None => runtime.block_on(run::main(arguments.config)),
    }
}
