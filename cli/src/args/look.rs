//! `fairlock ls` and `fairlock queue`: looking at locks, once or for as long as somebody looks.

use std::time::Duration;

use super::{Connection, values};

/// How the result is shown.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LookArgs {
    /// One JSON document; with --watch, one a line for each change
    #[arg(long)]
    pub(crate) json: bool,

    /// Look again and again: a full-screen view, or a line for each change where standard output is no terminal
    ///
    /// In the view, q ends it. What came and went between two looks is not seen; a long queue or a large tree is looked at less often.
    #[arg(short = 'W', long)]
    pub(crate) watch: bool,

    /// How often to look at least; at one lock also when somebody comes or goes
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = values::duration, requires = "watch")]
    pub(crate) interval: Duration,
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LsArgs {
    /// List what is at this path and below it
    #[arg(value_name = "PATH", default_value = "/")]
    pub(crate) path: String,

    /// Also those that nobody holds or waits for
    #[arg(short, long)]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) look: LookArgs,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct QueueArgs {
    /// The path of the lock, such as /jobs/backup
    #[arg(value_name = "LOCK")]
    pub(crate) lock: String,

    #[command(flatten)]
    pub(crate) look: LookArgs,

    #[command(flatten)]
    pub(crate) connection: Connection,
}
