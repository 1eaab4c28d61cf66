//! The command line of fairlock.

#![forbid(unsafe_code)]

mod args;
mod demo;
mod exit;

use std::process::ExitCode;

use self::args::{Args, Command};
use self::exit::Exit;

fn main() -> ExitCode {
    let args = match Args::read() {
        Ok(args) => args,
        Err(exit) => return exit.into(),
    };
    // One thread is plenty for a client, and what happens is then told in the order in which it happened.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            exit::explain(&error);
            return Exit::Other.into();
        }
    };
    let exit = runtime.block_on(async {
        match args.command {
            Command::Demo(args) => demo::run(args).await,
        }
    });
    // A server that does not answer must not keep the program from ending.
    runtime.shutdown_background();
    exit.into()
}
