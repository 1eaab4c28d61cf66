//! `fairlock run` and `fairlock elect`: a command, and what it is run under.

use std::ffi::OsString;
use std::time::Duration;

use clap::ValueHint;

use super::{Connection, values};

/// How a command is started and ended; for whatever it is run under.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CommandArgs {
    /// How long the command may take to end after SIGTERM, before SIGKILL [default: a fifth of the session timeout]
    ///
    /// It has to fit into the time between two signs of life of the servers, so it may be a quarter of the session timeout at
    /// most. If only this is given, a session timeout five times as long is asked for.
    #[arg(long, value_name = "TIME", value_parser = values::duration_or_zero)]
    pub(crate) grace: Option<Duration>,

    /// Leave processes alone that the command leaves behind; otherwise they are ended before the lock is released
    #[arg(long)]
    pub(crate) leave_background: bool,

    /// Run this with the shell ($SHELL, else /bin/sh) instead of a command
    #[arg(short = 'c', long = "command", value_name = "STRING", conflicts_with = "words")]
    pub(crate) shell: Option<OsString>,

    /// Tell on standard error what happens
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// The command and its arguments, as they are: no shell looks at them
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true, value_hint = ValueHint::CommandWithArguments)]
    pub(crate) words: Vec<OsString>,
}

#[derive(Clone, Debug, clap::Args)]
#[command(args_override_self = true)]
pub(crate) struct RunArgs {
    /// Fail at once if the lock is held, without queueing
    #[arg(short, long, visible_alias = "nb", alias = "nonblocking", conflicts_with = "wait")]
    pub(crate) nonblock: bool,

    /// Fail if the lock is not granted within this time; 0 is -n
    #[arg(short, long, visible_alias = "timeout", value_name = "TIME", value_parser = values::duration_or_zero)]
    pub(crate) wait: Option<Duration>,

    /// Exit with this code if the lock was not granted
    #[arg(short = 'E', long, value_name = "CODE", default_value_t = 1)]
    pub(crate) conflict_exit_code: u8,

    /// Share the lock with others who share it
    #[arg(short, long, conflicts_with_all = ["exclusive", "permits"])]
    pub(crate) shared: bool,

    /// Hold the lock alone; this is the default
    #[arg(short = 'x', long, short_alias = 'e', conflicts_with = "permits")]
    pub(crate) exclusive: bool,

    /// Take one of this many permits; all who use this path must give the same number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) permits: Option<u32>,

    /// End the command and give the lock back once it has held it for this long
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub(crate) max_hold: Option<Duration>,

    /// End the command when somebody asks for the lock (fairlock revoke)
    #[arg(long)]
    pub(crate) yield_on_request: bool,

    /// The path of the lock, such as /jobs/backup
    #[arg(value_name = "LOCK")]
    pub(crate) lock: String,

    #[command(flatten)]
    pub(crate) command: CommandArgs,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Clone, Debug, clap::Args)]
#[command(args_override_self = true)]
pub(crate) struct ElectArgs {
    /// Print the leaders as they change, instead of standing for election
    #[arg(short, long, conflicts_with_all = ["words", "shell", "payload", "grace", "leave_background", "once"])]
    pub(crate) listen: bool,

    /// With --listen: one JSON object a line
    #[arg(long, requires = "listen", conflicts_with_all = ["words", "shell"])]
    pub(crate) json: bool,

    /// What others learn about this leader; by default nothing but who it is
    #[arg(long, value_name = "TEXT")]
    pub(crate) payload: Option<String>,

    /// Exit when leadership is lost, instead of standing for election again
    #[arg(long)]
    pub(crate) once: bool,

    /// The path of the election, such as /services/scheduler
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) command: CommandArgs,

    #[command(flatten)]
    pub(crate) connection: Connection,
}
