//! `fairlock revoke` and `fairlock break`: getting a lock back from others.

use std::time::Duration;

use super::{Connection, values};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RevokeArgs {
    /// Tell the holder why
    #[arg(short, long, value_name = "TEXT", default_value = "asked by an operator")]
    pub(crate) reason: String,

    /// Wait until the holder holds it no more, for this long at most; without a TIME, however long it takes
    #[arg(short, long, value_name = "TIME", num_args = 0..=1, require_equals = true, value_parser = values::duration_or_zero)]
    // `Some(None)`: without a limit.
    #[expect(clippy::option_option, reason = "an option that may have a value, or not be given")]
    pub(crate) wait: Option<Option<Duration>>,

    /// The path of the lock, such as /jobs/backup
    #[arg(value_name = "LOCK")]
    pub(crate) lock: String,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct BreakArgs {
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,

    /// Which, where a lock and a semaphore share the path
    #[arg(long, value_name = "KIND", value_parser = ["lock", "semaphore"])]
    pub(crate) kind: Option<String>,

    /// The path of the lock, such as /jobs/backup
    #[arg(value_name = "LOCK")]
    pub(crate) lock: String,

    /// Whom to remove: the name of its node, or its position, as fairlock queue tells them
    #[arg(value_name = "NODE|POSITION")]
    pub(crate) contender: String,

    #[command(flatten)]
    pub(crate) connection: Connection,
}
