//! Everything that can be chosen about a run.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// Tries to break the lock on a real ensemble of three, and counts what its holders did to registers.
///
/// Ends with 0 if every property held, 1 if one did not (with --control: if no increment was lost), 3 if the run is void
/// because too little happened in it, 70 if it could not be carried out, and 130 or 143 if it was interrupted.
#[derive(Debug, Parser)]
#[command(name = "chaos", args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) config: Config,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// One of the processes that contend; started by the runner.
    #[command(hide = true)]
    Client(ClientOptions),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Config {
    /// How long faults are made, in minutes
    #[arg(long, default_value_t = 5.0, value_parser = minutes)]
    pub(crate) minutes: f64,
    /// Decides which fault comes when [default: a new one, which is printed]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Let the register accept every write; increments must then be lost, or the run fails
    #[arg(long)]
    pub(crate) control: bool,
    /// How many client processes contend
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(2..=64))]
    pub(crate) clients: u8,
    /// How many locks, each with a register; every client contends for all of them
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) locks: u8,
    /// The clients' session timeout (T) in milliseconds
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1_000..=60_000))]
    pub(crate) session_timeout: u64,
    /// The servers' tick in milliseconds; at most a third of the session timeout
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(50..=20_000))]
    pub(crate) tick: u64,
    /// The shortest time between two faults of servers or links, in milliseconds
    #[arg(long, default_value_t = 5_000)]
    pub(crate) fault_min: u64,
    /// The longest time between two faults of servers or links, in milliseconds
    #[arg(long, default_value_t = 10_000)]
    pub(crate) fault_max: u64,
    /// With fewer grants per minute the run is void
    #[arg(long, default_value_t = 300)]
    pub(crate) grants_per_minute: u64,
    /// A folder for what the library logs in each client, chosen by RUST_LOG
    #[arg(long)]
    pub(crate) logs: Option<PathBuf>,
    /// The run fails if a lock is granted to nobody for so many seconds
    #[arg(long, default_value_t = 60)]
    pub(crate) stall: u64,
}

impl Config {
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.minutes * 60.0)
    }

    pub(crate) fn session_timeout(&self) -> Duration {
        Duration::from_millis(self.session_timeout)
    }

    pub(crate) fn clients(&self) -> usize {
        usize::from(self.clients)
    }

    pub(crate) fn locks(&self) -> usize {
        usize::from(self.locks)
    }
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ClientOptions {
    #[arg(long)]
    pub(crate) servers: String,
    /// Where the runner listens.
    #[arg(long)]
    pub(crate) desk: String,
    #[arg(long)]
    pub(crate) client: usize,
    #[arg(long)]
    pub(crate) incarnation: u64,
    #[arg(long)]
    pub(crate) locks: usize,
    #[arg(long)]
    pub(crate) session_timeout: u64,
    #[arg(long)]
    pub(crate) seed: u64,
}

/// The path of a lock, the same for the clients and for who looks after them.
pub(crate) fn lock_path(lock: usize) -> String {
    format!("/chaos/{lock}")
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(minutes) if (0.1..=100_000.0).contains(&minutes) => Ok(minutes),
        _ => Err("give a number of minutes, at least 0.1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use clap::CommandFactory;

    #[test]
    fn arguments_fit_together() {
        Arguments::command().debug_assert();
        let arguments = Arguments::try_parse_from(["chaos", "--minutes", "0.5", "--control"]).expect("good");
        assert!(arguments.config.control && arguments.command.is_none());
        assert_eq!(arguments.config.duration(), Duration::from_secs(30));
        assert!(Arguments::try_parse_from(["chaos", "--minutes", "nan"]).is_err());
    }
}
