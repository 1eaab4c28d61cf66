//! The command line of fairlock.

#![forbid(unsafe_code)]

mod args;
mod bench;
mod config;
mod demo;
mod doctor;
mod exit;
mod generate;
mod ignored;
mod json;
mod run;
mod settings;

mod breaking;
mod look;
mod revoke;

use std::process::ExitCode;

use self::args::{Args, Command};
use self::exit::{Exit, Failure};
use self::settings::Settings;

fn main() -> ExitCode {
    // This program as a process of its own: not for people, and before anything that takes time.
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        Some(word) if word == run::launch::NAME => return run::launch::become_command(arguments).into(),
        Some(word) if word == run::watchdog::NAME => return run::watchdog::watch().into(),
        _ => {}
    }
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
    let exit = runtime.block_on(perform(args)).unwrap_or_else(Failure::tell);
    // A server that does not answer must not keep the program from ending.
    runtime.shutdown_background();
    exit.into()
}

async fn perform(args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::Run(args) => {
            let settings = Settings::read(&args.connection)?;
            run::run(args, settings).await
        }
        Command::Elect(args) => {
            let settings = Settings::read(&args.connection)?;
            run::elect(args, settings).await
        }
        Command::Config(args) => config::run(&args, &Settings::read(&args.connection)?),
        Command::Completions(args) => generate::completions(&args),
        Command::Man(args) => generate::man(&args),
        Command::Demo(args) => Ok(demo::run(args).await),
        Command::Doctor(args) => {
            let settings = Settings::read(&args.connection)?;
            doctor::run(&args, &settings).await
        }
        Command::Bench(args) => bench::run(args).await,
        Command::Ls(args) => {
            let settings = Settings::read(&args.connection)?;
            look::ls(args, settings).await
        }
        Command::Queue(args) => {
            let settings = Settings::read(&args.connection)?;
            look::queue(args, settings).await
        }
        Command::Revoke(args) => {
            let settings = Settings::read(&args.connection)?;
            revoke::run(args, settings).await
        }
        Command::Break(args) => {
            let settings = Settings::read(&args.connection)?;
            breaking::run(args, settings).await
        }
    }
}
