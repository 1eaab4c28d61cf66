//! `growth`: compares the formulae of docs/SCALE.md with the shipped library, on a large grid, and measures where one
//! ensemble ends. `cargo xtask growth` builds and runs it.

#![forbid(unsafe_code)]

mod measure;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use fairlock_growth::wire::names_max;
use fairlock_growth::{Size, all};

/// How the cost of locks grows, and where one ensemble ends.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask growth")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compare the formulae with the shipped library on the embedded store, on a large grid. The default
    Paper,
    /// Writes a second, of one server and of three, with and without forceSync
    Throughput,
    /// Heap of a server for each watch and each znode; needs ZooKeeper and a JDK on this machine
    Memory,
    /// A queue that is too wide for a packet
    Width,
    /// How fast directories of locks that are not used any more go away
    CleanUp,
    /// Restart the servers of an ensemble in turn, under load
    Restart,
}

fn main() -> ExitCode {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = || runtime().expect("a runtime needs a few file descriptors and threads, no more");
    let measured = match Arguments::parse().command.unwrap_or(Command::Paper) {
        Command::Paper => return paper(),
        Command::Throughput => runtime().block_on(measure::throughput()),
        Command::Memory => runtime().block_on(measure::memory()),
        Command::Width => runtime().block_on(measure::width()),
        Command::CleanUp => runtime().block_on(measure::clean_up()),
        Command::Restart => runtime().block_on(measure::restart()),
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The grid: few locks with many waiters, many locks with few.
const GRID: [(&[u64], &[u64]); 2] = [(&[1, 2], &[0, 1, 2, 10, 100, 1_000]), (&[10, 100], &[0, 1, 10])];

fn paper() -> ExitCode {
    let (mut compared, mut differing) = (0, 0);
    for (locks, waiters) in GRID {
        for (&locks, &waiters) in locks.iter().flat_map(|locks| waiters.iter().map(move |waiters| (locks, waiters))) {
            for sessions in [1, 2, 8, 64] {
                for comparison in all(Size { locks, waiters, sessions }) {
                    compared += 1;
                    if !comparison.holds() {
                        differing += 1;
                        println!("DIFFERS: {comparison}");
                    }
                }
            }
        }
    }
    for comparison in all(Size { locks: 1, waiters: 1_000, sessions: 8 }) {
        println!("{comparison}");
    }
    println!("{compared} figures compared, {differing} differ");
    if differing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
