//! What was typed: the commands and their arguments, not yet checked against each other.

mod bench;
mod connection;
mod doctor;
mod examples;
mod run;
pub(crate) mod values;

mod force;
mod look;

use std::path::PathBuf;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind};

pub(crate) use self::bench::BenchArgs;
pub(crate) use self::connection::Connection;
pub(crate) use self::doctor::DoctorArgs;
pub(crate) use self::force::{BreakArgs, RevokeArgs};
pub(crate) use self::look::{LookArgs, LsArgs, QueueArgs};
pub(crate) use self::run::{CommandArgs, ElectArgs, RunArgs};
use crate::exit::{self, Exit};

/// A fair, fenced distributed lock on ZooKeeper.
#[derive(Debug, Parser)]
#[command(name = "fairlock", version, arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a command under a lock.
    ///
    /// Queues for the lock, first come, first served; runs the command in a process group of its own; releases the lock when
    /// the command has ended. Signals are passed on. If the lock is about to be lost, the command is ended in time: SIGTERM to its
    /// whole group, then SIGKILL, before the servers can grant the lock to another. If this program itself is killed or stopped, a
    /// second process ends the command.
    ///
    /// The command finds in its environment: FAIRLOCK_LOCK, the path; FAIRLOCK_TOKEN, the fencing token, a number that only rises;
    /// FAIRLOCK_OWNER, who others see in the queue; FAIRLOCK_DEADLINE, with --max-hold, in seconds since 1970.
    #[command(after_help = examples::RUN)]
    Run(RunArgs),

    /// Run a command while leader, and again when leader again; or print who leads.
    ///
    /// Stands for election, and runs the command as `fairlock run` does while it leads. If leadership is lost, or somebody asks for
    /// it (fairlock revoke), the command is ended, and this stands for election again. When the command ends by itself, so does
    /// this, with the command's exit code.
    #[command(after_help = examples::ELECT)]
    Elect(ElectArgs),

    /// Print the settings that hold, and where each came from.
    ///
    /// Flags win over the environment, the environment over the profile of the configuration file, which is
    /// ~/.config/fairlock/config.toml unless another is given. Secrets are not printed.
    #[command(after_help = examples::CONFIG)]
    Config(ConfigArgs),

    /// Print the completions for a shell.
    #[command(after_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),

    /// Print a man page, or write all of them into a folder.
    #[command(after_help = examples::MAN)]
    Man(ManArgs),

    /// Show the lock at work: contenders queue, one crashes, one gives up.
    ///
    /// A handful of contenders, each with a session of its own, queue for one lock. They are granted it in the order
    /// of their arrival, with rising fencing tokens; one crashes while it holds the lock, one gives up in the middle
    /// of the queue. Every departure should notify exactly one waiter. At the end, what was seen is checked against
    /// what the lock promises, and the exit code tells whether all of it held.
    ///
    /// Without --connect everything happens inside this process, on an embedded store with ZooKeeper's semantics.
    #[command(after_help = examples::DEMO)]
    Demo(DemoArgs),

    /// Look for what is wrong with the servers, or with how they are reached.
    ///
    /// Asks every server of the list by itself: whether it is reachable, which version and part of the ensemble it is, how quickly it
    /// answers, and which session timeouts it grants, which should be the same everywhere. Then, through a session as every other
    /// command opens it: whether the root and the permissions are as locks need them, whether all servers are of one ensemble, what
    /// quotas there are, and how far the clocks differ. Each finding is OK, a WARNING or a PROBLEM, with what to do about it;
    /// UNKNOWN is what the servers do not tell.
    ///
    /// It writes a directory of its own and removes it again. It takes no longer than about three times the connect timeout.
    #[command(after_help = examples::DOCTOR)]
    Doctor(DoctorArgs),

    /// Measure locks on your own servers.
    ///
    /// First alone: the round trip of a read and of a write, and a lock that nobody else wants. Then under contention: every lock has
    /// its contenders, who take it over and over again for the given time; measured are how long they wait, and how long it takes from
    /// the beginning of a release to the next grant. Whether the order was kept is checked: it has to be.
    ///
    /// This is a load, and whoever else uses the servers will feel it. With --embedded it runs in this process, without servers: that
    /// measures this program and not a network, but shows what to expect of the report. All contenders run on one thread.
    ///
    /// Everything lies in a directory of its own, which is removed at the end, also after Ctrl-C.
    #[command(after_help = examples::BENCH)]
    Bench(BenchArgs),

    /// List the locks, semaphores and elections below a path: who holds them, how many wait.
    ///
    /// Visits every node below the path, and reads each lock's queue. What may not be read is told on standard error, and the rest is
    /// listed. A lock that nobody has used for about a minute is not there any more; a semaphore and an election stay.
    #[command(after_help = examples::LS)]
    Ls(LsArgs),

    /// List who holds a lock and who waits for it, in their order.
    ///
    /// For a lock, a semaphore or an election, whichever is at the path. Nobody there is no error. The age is counted from when each
    /// has entered, by its own clock.
    #[command(after_help = examples::QUEUE)]
    Queue(QueueArgs),

    /// Ask the holder of a lock to give it back.
    ///
    /// Nothing is forced: the holder may give it back, or go on. `fairlock run --yield-on-request` and `fairlock elect` end their
    /// command then. Waits a few seconds for an answer, and tells it. Only a lock that is held alone, or a leader, can be asked.
    ///
    /// The code is 1 if nobody holds the lock, or if the holder still holds it at the end of --wait.
    #[command(after_help = examples::REVOKE)]
    Revoke(RevokeArgs),

    /// Remove a holder or a waiter from a lock by force.
    ///
    /// The next one is granted at once. A holder that is removed is told that it has lost its lock; if it is cut off or paused it is
    /// told too late, and may go on working: only what checks the fencing token is safe from it then. Ask first (fairlock revoke).
    ///
    /// Shows who it is and asks, on a terminal; elsewhere --yes is needed. It removes the one that was shown and nobody else: if that one
    /// is gone when you answer, nothing is done, and the code is 1.
    #[command(after_help = examples::BREAK)]
    Break(BreakArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ConfigArgs {
    /// One JSON object.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// Which shell.
    #[arg(value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// Of this command; by default the main page.
    #[arg(value_name = "COMMAND", conflicts_with = "folder")]
    pub(crate) command: Option<String>,

    /// Write all pages into this folder.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// How many contenders, 2 to 26.
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u8).range(2..=26))]
    pub(crate) contenders: u8,

    /// How many times quicker than for the eye.
    ///
    /// At 1, the demo lasts about ten seconds, whatever the number of contenders.
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = speed)]
    pub(crate) speed: f64,

    /// Use these ZooKeeper servers instead of the embedded store.
    ///
    /// A list of HOST:PORT, separated by commas, perhaps with a root for all paths at its end:
    /// zk1:2181,zk2:2181/app
    #[arg(long, value_name = "SERVERS")]
    pub(crate) connect: Option<String>,

    /// How long to wait for a server, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = values::duration, requires = "connect")]
    pub(crate) connect_timeout: Duration,

    /// The path of the lock; with --connect a new one below /fairlock-demo, else /demo.
    #[arg(long, value_name = "PATH")]
    pub(crate) lock: Option<String>,

    /// One line per event instead of a picture; so it is anyway where standard output is no terminal.
    #[arg(long)]
    pub(crate) plain: bool,
}

impl Args {
    /// Reads the command line. Help, version and errors are printed here; then there is nothing left to do but exit.
    pub(crate) fn read() -> Result<Self, Exit> {
        let matches = Self::table().try_get_matches();
        matches.and_then(|matches| Self::from_arg_matches(&matches)).map_err(|error| {
            // A reader that has gone is no error.
            let _ = error.print();
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Ok,
                _ => Exit::Usage,
            }
        })
    }

    /// All commands, with what the derivation cannot say.
    pub(crate) fn table() -> clap::Command {
        Self::command().mut_subcommands(|command| {
            // The exit codes belong to every command, but only to the long help.
            let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            command.after_long_help(format!("{examples}\n{}", exit::table()))
        })
    }
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(factor) if (0.1..=1000.0).contains(&factor) => Ok(factor),
        _ => Err("give a factor between 0.1 and 1000, such as 2".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_arguments_is_consistent() {
        Args::table().debug_assert();
    }

    #[test]
    fn numbers_that_make_no_sense_are_refused() {
        for text in ["", "0", "-1", "NaN", "inf", "1e9", "x"] {
            assert!(speed(text).is_err(), "{text}");
        }
    }
}
