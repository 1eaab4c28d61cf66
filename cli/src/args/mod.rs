//! What was typed: the commands and their arguments, not yet checked against each other.

use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind};

use crate::exit::{self, Exit};

/// A fair, fenced distributed lock on ZooKeeper.
#[derive(Debug, Parser)]
#[command(name = "fairlock", version, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the lock at work: contenders queue, one crashes, one gives up.
    ///
    /// A handful of contenders, each with a session of its own, queue for one lock. They are granted it in the order
    /// of their arrival, with rising fencing tokens; one crashes while it holds the lock, one gives up in the middle
    /// of the queue. Every departure should notify exactly one waiter. At the end, what was seen is checked against
    /// what the lock promises, and the exit code tells whether all of it held.
    ///
    /// Without --connect everything happens inside this process, on an embedded store with ZooKeeper's semantics.
    #[command(after_help = EXAMPLES)]
    Demo(DemoArgs),
}

const EXAMPLES: &str = "\
Examples:
  fairlock demo                                 in this process, nothing else needed
  fairlock demo --contenders 12 --speed 2       more of them, twice as quick
  fairlock demo --connect zk1:2181,zk2:2181     on a real ensemble
  fairlock demo --plain | tee demo.log          one line per event
";

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
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds, requires = "connect")]
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
        let command = Self::command().mut_subcommands(|command| {
            // The exit codes belong to every command, but only to the long help.
            let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            command.after_long_help(format!("{examples}\n{}", exit::table()))
        });
        command.try_get_matches().and_then(|matches| Self::from_arg_matches(&matches)).map_err(|error| {
            // A reader that has gone is no error.
            let _ = error.print();
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Ok,
                _ => Exit::Usage,
            }
        })
    }
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(factor) if (0.1..=1000.0).contains(&factor) => Ok(factor),
        _ => Err("give a factor between 0.1 and 1000, such as 2".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) if (0.001..=86_400.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("give seconds, such as 5 or 0.5".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_arguments_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn numbers_that_make_no_sense_are_refused() {
        for text in ["", "0", "-1", "NaN", "inf", "1e9", "x"] {
            assert!(speed(text).is_err() && seconds(text).is_err(), "{text}");
        }
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
    }
}
